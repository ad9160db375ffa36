"""The rule of Kolen and Pollack: feedback weights that get the changes of the weights, and forget how they began."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from evolution.genome import Genome
from learning.layers import MaskedLinear
from learning.passes import Chunk, F, FloatArray, cross_entropy, forward, gradient_of, send_back, terms_of, update_of
from learning.rules.rule import LearningRule


class State(NamedTuple):
    back: FloatArray  # (terms,)
    feedback: FloatArray  # (connections,)
    before: FloatArray  # (connections,) the weights before the optimiser
    decay: float


@gradient_of(State)
def _gradient(rule: Any, graphs: Any, weights: Any, k: Any, work: Any, n: Any, step: Any) -> Any:
    forward(graphs, weights, k, work, n)
    result = cross_entropy(graphs, k, work, n)
    terms_of(graphs, rule.feedback, k, rule.back)
    send_back(graphs, rule.back, k, work, n)
    for e in range(graphs.edges[k], graphs.edges[k + 1]):
        rule.before[e] = weights[e]
    return result


@update_of(State)
def _update(rule: Any, graphs: Any, weights: Any, k: Any, work: Any, n: Any, step: Any) -> None:
    kept = F(1 - rule.decay)
    for e in range(graphs.edges[k], graphs.edges[k + 1]):
        rule.feedback[e] = kept * (rule.feedback[e] + (weights[e] - rule.before[e]))
        weights[e] *= kept


class KolenPollack(LearningRule):
    """Errors come back through b_ij, which get the changes that w_ij get; then both shrink by (1 - lambda).

    J. Kolen and J. Pollack, Backpropagation without weight transport (1994); M. Akrout et al., Deep learning without
    weight transport (2019), section on the Kolen-Pollack method. The difference of both shrinks alone, so that b turns
    to w; lambda is `kolen_pollack_decay`, for each batch. b begins with N(0, 1).
    """

    trains_all = True  # by the decay
    remembers = ("feedback",)

    @staticmethod
    def feedback_shape(genome: Genome) -> tuple[int, ...]:
        return (genome.num_connections,)

    def learn(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        self.before = [layer.weights.detach().clone() for layer in self.network.layers]
        return super().learn(images, labels)

    def propagate(self, layer: MaskedLinear, values: Tensor) -> Tensor:
        return layer(values, layer.matrix(self.feedback[layer.connections]))

    def update(self, activities: Tensor) -> None:
        kept = 1 - self.settings.kolen_pollack_decay
        with torch.no_grad():
            for layer, before in zip(self.network.layers, self.before, strict=True):
                self.feedback[layer.connections] += layer.weights - before
                layer.weights.mul_(kept)
            self.feedback.mul_(kept)

    @staticmethod
    def kernel(chunk: Chunk) -> State:
        decay = float(chunk.settings.kolen_pollack_decay)
        return State(chunk.terms(), chunk.by_connection(), chunk.zeros(), decay)
