"""The weight mirror: noise that is sent through the connections tells the feedback weights what they are."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from learning import noise
from learning.noise import key_of, normal
from learning.passes import (
    VECTOR,
    Chunk,
    F,
    FloatArray,
    broadcast,
    cross_entropy,
    dot,
    forward,
    gradient_of,
    load,
    multiply_add,
    padded_size,
    send_back,
    store,
    terms_of,
    update_of,
)
from learning.rules.kolen_pollack import KolenPollack
from learning.rules.rule import LearningRule


class State(NamedTuple):
    back: FloatArray  # (terms,)
    feedback: FloatArray  # (connections,)
    noise: FloatArray  # (rows, padded) as the values: a row of noise for each hidden neuron; behind the batch 0
    sent: FloatArray  # (1, padded) what reaches a neuron
    seeds: npt.NDArray[np.uint64]  # (N,)
    rate: float
    decay: float


@gradient_of(State)
def _gradient(rule: Any, graphs: Any, weights: Any, k: Any, work: Any, n: Any, step: Any) -> Any:
    forward(graphs, weights, k, work, n)
    result = cross_entropy(graphs, k, work, n)
    terms_of(graphs, rule.feedback, k, rule.back)
    send_back(graphs, rule.back, k, work, n)
    return result


@update_of(State)
def _mirror(rule: Any, graphs: Any, weights: Any, k: Any, work: Any, n: Any, step: Any) -> None:
    padded, start = padded_size(n), graphs.neurons[k]
    for t in range(graphs.num_hidden[k]):
        key = key_of(rule.seeds[k], step, graphs.identity[start + t])
        for s in range(n):
            rule.noise[graphs.num_rows + t, s] = normal(key, s)
    for t in range(graphs.neurons[k + 1] - start):
        first, last = graphs.incoming[start + t], graphs.incoming[start + t + 1]
        for s in range(0, padded, VECTOR):
            total = broadcast(F(0))
            for e in range(first, last):
                if graphs.source[e] >= graphs.num_rows:
                    total = multiply_add(broadcast(weights[e]), load(rule.noise, graphs.source[e], s), total)
            store(rule.sent, 0, s, total)
        for e in range(first, last):
            mirrored = F(0)
            if graphs.source[e] >= graphs.num_rows:
                mirrored = dot(rule.noise, graphs.source[e], rule.sent, 0, padded) / F(n)
            rule.feedback[e] += F(rule.rate) * mirrored - F(rule.decay) * rule.feedback[e]


class WeightMirror(KolenPollack):
    """Errors come back through b_ij; besides, noise x of the hidden neurons is sent through the connections that leave
    them, and b_ij grows by eta <x_i (x W)_j> - lambda b_ij, averages over as many samples as a batch has.

    M. Akrout et al., Deep learning without weight transport (2019), section on weight mirrors. b tends to
    (eta / lambda) w; eta and lambda are `weight_mirror_rate` and `weight_mirror_decay`, for each batch. Needs phases
    without images. Connections from inputs carry no error back, so that their b only decay.
    """

    is_random = True

    def learn(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        return LearningRule.learn(self, images, labels)

    def update(self, activities: Tensor) -> None:
        rate, decay = self.settings.weight_mirror_rate, self.settings.weight_mirror_decay
        sent = torch.zeros_like(activities)
        drawn = noise.rows(self.seed, self.step, np.arange(len(self.network.hidden)), len(activities))
        sent[:, self.network.hidden] = self.tensor(drawn).T
        with torch.no_grad():
            for layer in self.network.layers:
                mirrored = sent[:, layer.sources].T @ layer.sums(sent) / len(activities)
                b = self.feedback[layer.connections]
                self.feedback[layer.connections] += rate * mirrored[layer.rows, layer.columns] - decay * b

    @staticmethod
    def kernel(chunk: Chunk) -> Any:
        settings = chunk.settings
        return State(
            chunk.terms(),
            chunk.by_connection(),
            np.zeros(chunk.shape, np.float32),
            np.zeros((1, chunk.shape[1]), np.float32),
            chunk.seeds,
            float(settings.weight_mirror_rate),
            float(settings.weight_mirror_decay),
        )
