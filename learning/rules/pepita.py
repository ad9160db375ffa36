"""PEPITA: a second pass on inputs that the error has changed, in place of a pass back."""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy as torch_cross_entropy

from evolution.genome import Genome
from learning.passes import (
    VECTOR,
    Chunk,
    F,
    FloatArray,
    Workspace,
    apply_slope,
    broadcast,
    connections_learn,
    cross_entropy,
    forward,
    gradient_of,
    load,
    multiply,
    padded_size,
    store,
    subtract,
)
from learning.rules.rule import LearningRule


class State(NamedTuple):
    projection: FloatArray  # (N, P, O) of each network, minus the scale, to the pixels that are used
    values: FloatArray  # as the workspace's: the second pass
    slopes: FloatArray


@gradient_of(State)
def _gradient(rule: Any, graphs: Any, weights: Any, k: Any, work: Any, n: Any, step: Any) -> Any:
    forward(graphs, weights, k, work, n)
    result = cross_entropy(graphs, k, work, n)
    first, padded = graphs.num_hidden[k], padded_size(n)
    last = graphs.neurons[k + 1] - graphs.neurons[k]
    second = Workspace(rule.values, rule.slopes, work.errors, work.softmax, work.labels, work.gradient)
    for row in range(graphs.num_rows):
        for s in range(n):
            second.values[row, s] = work.values[row, s]
    for pixel in range(rule.projection.shape[1]):
        for o in range(last - first):
            factor = rule.projection[k, pixel, o] * F(n)
            for s in range(n):
                second.values[pixel, s] += factor * work.errors[first + o, s]
    forward(graphs, weights, k, second, n)
    share = broadcast(F(1 / n))
    for t in range(first):
        row = graphs.num_rows + t
        for s in range(0, padded, VECTOR):
            change = subtract(load(work.values, row, s), load(second.values, row, s))
            store(work.errors, t, s, multiply(change, share))
        connections_learn(graphs, k, t, second, n)
    for t in range(first, last):
        apply_slope(graphs, k, t, work, n)
        connections_learn(graphs, k, t, second, n)
    return result


class Pepita(LearningRule):
    """A second pass on the images minus F e; hidden neurons' w_ij change along -(y_j - y'_j) y'_i, outputs' along -e
    y'_i, where y' are the second pass's activities and e the first one's error.

    G. Dellaferrera and G. Kreiman, Error-driven input modulation: solving the credit assignment problem without a
    backward pass (2022), algorithm 1. F is N(0, 1) times `pepita_scale`. Needs two passes, and nothing that goes back.

    The default of `pepita_scale` is the best of 0.0003 to 0.03 for a dense network, by the last sixth of the training
    images of MNIST and Fashion-MNIST (`benchmarks/constants.py`). Sparse networks learn little with any of them: there
    the values of three seeds differ more than those of three scales.
    """

    trains_all = True

    @staticmethod
    def feedback_shape(genome: Genome) -> tuple[int, ...]:
        """F (inputs, O); the bias gets no error."""
        return (genome.num_observed, genome.num_outputs)

    def learn(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            activities = self.network(images)
        *hidden, last = self.network.layers
        sums = last.sums(activities).detach().requires_grad_()
        outputs = last.activation(sums)
        loss = torch_cross_entropy(outputs, labels)
        e, output_errors = torch.autograd.grad(loss, (outputs, sums))  # both averages over the batch
        with torch.no_grad():
            shift = self.settings.pepita_scale * len(images) * e @ self.feedback.T
            second = self.network(images - shift)
        errors = (activities - second) / len(images)
        errors[:, last.neurons] = output_errors
        for layer in (*hidden, last):
            self.set_gradient(layer, second, errors)
        return activities, loss.detach()

    @staticmethod
    def kernel(chunk: Chunk) -> Any:
        pixels, scale = chunk.graphs.pixels, np.float32(chunk.settings.pepita_scale)
        projection = np.stack([-scale * f[pixels] for f in chunk.feedbacks if f is not None])
        neurons = chunk.shape[0] - chunk.graphs.num_rows
        return State(projection, np.zeros(chunk.shape, np.float32), np.zeros((neurons, chunk.shape[1]), np.float32))
