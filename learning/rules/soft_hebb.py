"""SoftHebb: neurons of a layer compete by a softmax for the inputs they learn; the outputs by the gradient."""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from learning.passes import (
    VECTOR,
    Chunk,
    F,
    FloatArray,
    add,
    broadcast,
    divide,
    dot,
    exp,
    gradient_of,
    layer_end,
    load,
    multiply,
    outputs_alone,
    padded_size,
    store,
    subtract,
    sums_of,
    update_of,
    where_greater,
)
from learning.rules.rule import LearningRule


class State(NamedTuple):
    shares: FloatArray  # (neurons, padded) p
    rate: float
    sharpness: float


gradient_of(State)(outputs_alone)


@update_of(State)
def _update(rule: Any, graphs: Any, weights: Any, k: Any, work: Any, n: Any, step: Any) -> None:
    padded, start = padded_size(n), graphs.neurons[k]
    sums, shares, sharpness = work.errors, rule.shares, broadcast(F(rule.sharpness))
    first = 0
    while first < graphs.num_hidden[k]:
        last = layer_end(graphs, k, first)
        for t in range(first, last):
            sums_of(graphs, weights, k, t, work.values, sums, t, n)
        for s in range(0, padded, VECTOR):
            largest = load(sums, first, s)
            for t in range(first + 1, last):
                a = load(sums, t, s)
                largest = where_greater(largest, a, largest, a)
            norm = broadcast(F(0))
            for t in range(first, last):
                p = exp(multiply(subtract(load(sums, t, s), largest), sharpness))
                norm = add(norm, p)
                store(shares, t, s, p)
            for t in range(first, last):
                store(shares, t, s, divide(load(shares, t, s), norm))
        for t in range(first, last):
            share = dot(shares, t, sums, t, padded) / F(n)
            for e in range(graphs.incoming[start + t], graphs.incoming[start + t + 1]):
                product = dot(shares, t, work.values, graphs.source[e], padded) / F(n)
                weights[e] += F(rule.rate) * (product - share * weights[e])
        first = last


class SoftHebb(LearningRule):
    """w_ij into hidden neurons changes by eta <p_j (y_i - a_j w_ij)>, p the softmax of the sums a over the layer at
    `soft_hebb_temperature`, eta being `lr_hebbian`; outputs by the gradient.

    T. Moraitis et al., SoftHebb: Bayesian inference in unsupervised Hebbian soft winner-take-all networks (2022),
    their plasticity rule. Needs the layer's competition, and no error.
    """

    only_outputs = True
    trains_all = True

    def update(self, activities: Tensor) -> None:
        with torch.no_grad():
            for layer in self.network.layers[:-1]:
                sums = layer.sums(activities)
                p = torch.softmax(sums / self.settings.soft_hebb_temperature, dim=1)
                products = activities[:, layer.sources].T @ p / len(activities)  # (S, T)
                shares = (p * sums).mean(dim=0)  # (T,)
                changes = products[layer.rows, layer.columns] - shares[layer.columns] * layer.weights
                layer.weights.add_(self.settings.hebbian_rate * changes)

    @staticmethod
    def kernel(chunk: Chunk) -> Any:
        neurons, settings = chunk.shape[0] - chunk.graphs.num_rows, chunk.settings
        shares = np.zeros((neurons, chunk.shape[1]), np.float32)
        return State(shares, float(settings.hebbian_rate), 1 / float(settings.soft_hebb_temperature))
