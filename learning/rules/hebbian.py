"""Hebbian learning: hidden neurons by Oja's rule, without any error; the outputs by the gradient."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from evolution.genome import Genome
from learning.layers import MaskedLinear, Network
from learning.passes import (
    Chunk,
    F,
    FloatArray,
    dot,
    gradient_of,
    outputs_alone,
    padded_size,
    update_of,
)
from learning.rules.rule import LearningRule


class State(NamedTuple):
    rate: float


gradient_of(State)(outputs_alone)


@update_of(State)
def _oja(rule: Any, graphs: Any, weights: Any, k: Any, work: Any, n: Any, step: Any) -> None:
    values, start, padded = work.values, graphs.neurons[k], padded_size(n)
    for t in range(graphs.num_hidden[k]):
        post = graphs.num_rows + t
        square = dot(values, post, values, post, padded) / F(n)
        for e in range(graphs.incoming[start + t], graphs.incoming[start + t + 1]):
            product = dot(values, post, values, graphs.source[e], padded) / F(n)
            weights[e] += F(rule.rate) * (product - square * weights[e])


class Hebbian(LearningRule):
    """Connections into hidden neurons change by Oja's rule at `lr_hebbian`, those into the outputs by the gradient."""

    only_outputs = True
    trains_all = True

    def update(self, activities: Tensor) -> None:
        with torch.no_grad():
            for layer in self.network.layers[:-1]:
                layer.weights.add_(oja(layer, activities, self.settings.hebbian_rate))

    @staticmethod
    def kernel(chunk: Chunk) -> State:
        return State(float(chunk.settings.hebbian_rate))


def oja(layer: MaskedLinear, activities: Tensor, lr: float) -> Tensor:
    """Changes (e,) of a layer's weights by Oja's rule: lr * (<post_i pre_j> - <post_i^2> w_ij), averages over a batch.

    E. Oja, A simplified neuron model as a principal component analyzer (1982), for activities (B, N) of a batch.
    """
    pre, post = activities[:, layer.sources], activities[:, layer.neurons]
    correlations = pre.T @ post / len(activities)  # (S, T)
    squares = (post * post).mean(dim=0)  # (T,)
    return lr * (correlations[layer.rows, layer.columns] - squares[layer.columns] * layer.weights)


def oja_update(genome: Genome, images: npt.ArrayLike, lr: float) -> FloatArray:
    """Weight changes (E,) by Oja's rule for images (B, observed); 0 for connections into outputs."""
    network = Network(genome)
    with torch.no_grad():
        activities = network(torch.from_numpy(np.array(images, np.float32)))
        *hidden, outputs = network.layers
        changes = [oja(layer, activities, lr) for layer in hidden]
        return network.by_connection([*changes, torch.zeros_like(outputs.weights)])
