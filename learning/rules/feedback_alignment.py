"""Feedback alignment: errors come back through fixed random weights."""

from typing import Any, NamedTuple

from torch import Tensor

from evolution.genome import Genome
from learning.layers import MaskedLinear, Network
from learning.passes import Chunk, FloatArray, cross_entropy, forward, gradient_of, send_back
from learning.rules.rule import Draws, LearningRule
from learning.settings import TrainingSettings


class State(NamedTuple):
    back: FloatArray  # (terms,) the feedback weights, in the order in which errors come back


@gradient_of(State)
def _gradient(rule: Any, graphs: Any, weights: Any, k: Any, work: Any, n: Any, step: Any) -> Any:
    forward(graphs, weights, k, work, n)
    result = cross_entropy(graphs, k, work, n)
    send_back(graphs, rule.back, k, work, n)
    return result


class FeedbackAlignment(LearningRule):
    """The error goes back through fixed random weights on the existing connections.

    delta_i = f'(a_i) sum over the connections i -> j of b_ij delta_j, b_ij from N(0, 1): T. Lillicrap et al., Random
    synaptic feedback weights support error backpropagation for deep learning (2016).
    """

    @staticmethod
    def feedback_shape(genome: Genome) -> tuple[int, ...]:
        return (genome.num_connections,)

    def __init__(self, network: Network, settings: TrainingSettings | None = None, draws: Draws | None = None) -> None:
        super().__init__(network, settings, draws)
        self.matrices = {layer: layer.matrix(self.feedback[layer.connections]) for layer in network.layers}

    def propagate(self, layer: MaskedLinear, values: Tensor) -> Tensor:
        return layer(values, self.matrices[layer])

    @staticmethod
    def kernel(chunk: Chunk) -> State:
        return State(chunk.terms(chunk.by_connection()))
