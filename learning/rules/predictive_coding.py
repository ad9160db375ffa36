"""Predictive coding: the hidden values first settle between what is below and what is above, then weights follow."""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy as torch_cross_entropy

from learning.passes import (
    BLOCK,
    LINEAR,
    RELU,
    Chunk,
    F,
    FloatArray,
    Workspace,
    activate,
    apply_slope,
    connections_learn,
    cross_entropy,
    forward,
    gradient_of,
    padded_size,
    store_block,
    sums_of,
    terms_of,
    weighted_sum,
)
from learning.rules.rule import LearningRule
from networks.jit import kernel


class State(NamedTuple):
    back: FloatArray  # (terms,)
    predictions: FloatArray  # (neurons, padded)
    pull: FloatArray  # (1, padded) what a value gets from above
    steps: int
    rate: float


@gradient_of(State)
def _gradient(rule: Any, graphs: Any, weights: Any, k: Any, work: Any, n: Any, step: Any) -> Any:
    forward(graphs, weights, k, work, n)
    result = cross_entropy(graphs, k, work, n)
    terms_of(graphs, weights, k, rule.back)
    work.errors[: graphs.num_hidden[k], n:] = F(0)
    _errors(rule, graphs, weights, k, work, n)
    for _ in range(rule.steps):
        _relax(rule, graphs, k, work, n)
        _errors(rule, graphs, weights, k, work, n)
    for t in range(graphs.neurons[k + 1] - graphs.neurons[k]):
        for s in range(n):
            work.errors[t, s] *= F(1 / n)
        connections_learn(graphs, k, t, work, n)
    return result


@kernel
def _errors(rule: Any, graphs: Any, weights: Any, k: Any, work: Any, n: Any) -> None:
    """The energy's gradient by the sum of each neuron, example by example: -(v - mu) f'(a), and of outputs e f'(a)."""
    start, first = graphs.neurons[k], graphs.num_hidden[k]
    predicted = Workspace(rule.predictions, work.slopes, work.errors, work.softmax, work.labels, work.gradient)
    for t in range(first):
        sums_of(graphs, weights, k, t, work.values, rule.predictions, t, n)
        activation, row = graphs.activation[start + t], graphs.num_rows + t
        if activation != LINEAR:
            activate(activation, t, t, predicted, n)
        for s in range(n):
            error = rule.predictions[t, s] - work.values[row, s]
            if activation == RELU:
                error = error if rule.predictions[t, s] > F(0) else F(0)
            elif activation != LINEAR:
                error *= work.slopes[t, s]
            work.errors[t, s] = error
    for t in range(first, graphs.neurons[k + 1] - start):
        row, activation = graphs.num_rows + t, graphs.activation[start + t]
        sums_of(graphs, weights, k, t, work.values, work.values, row, n)
        if activation != LINEAR:
            activate(activation, row, t, work, n)
    cross_entropy(graphs, k, work, n)
    for t in range(first, graphs.neurons[k + 1] - start):
        for s in range(n):
            work.errors[t, s] *= F(n)
        apply_slope(graphs, k, t, work, n)


@kernel
def _relax(rule: Any, graphs: Any, k: Any, work: Any, n: Any) -> None:
    """One step of all hidden values down the energy: v - mu, and what comes back from the errors above."""
    start = graphs.neurons[k]
    for t in range(graphs.num_hidden[k]):
        row = graphs.num_rows + t
        first, last = graphs.outgoing[start + t], graphs.outgoing[start + t + 1]
        for s in range(0, padded_size(n), BLOCK):
            a, b, c, d = weighted_sum(work.errors, graphs.error_row, rule.back, first, last, s)
            store_block(rule.pull, 0, s, a, b, c, d)
        for s in range(n):
            slope = work.values[row, s] - rule.predictions[t, s] + rule.pull[0, s]
            work.values[row, s] -= F(rule.rate) * slope


class PredictiveCoding(LearningRule):
    """Hidden values v begin at the predictions mu_j = f(sum_i w_ij v_i) of the forward pass and go `predictive_steps`
    steps of `predictive_rate` down the energy sum_j (v_j - mu_j)^2 / 2 + cross-entropy of the outputs. Then each
    connection changes along eps_j f'(a_j) v_i, eps_j = v_j - mu_j, the outputs' along -e_j v_i.

    J. Whittington and R. Bogacz, An approximation of the error backpropagation algorithm in a predictive coding network
    with local Hebbian synaptic plasticity (2017), equations 2.15 to 2.19. The changes tend to backpropagation's as
    errors shrink and steps grow. An error needs at least as many steps as there are layers between.
    """

    trains_all = True  # a neuron that leads to no output still pulls on those below it, as its value lags behind

    def learn(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            activities = self.network(images)
            loss = torch_cross_entropy(self.network.outputs(activities), labels)
        hidden = self.network.hidden
        values = activities[:, hidden]
        for _ in range(self.settings.predictive_steps):
            values.requires_grad_()
            (slope,) = torch.autograd.grad(self.energy(activities, values, labels), values, allow_unused=True)
            if slope is None:  # there is no hidden neuron
                break
            values = (values - self.settings.predictive_rate * slope).detach()
        (self.energy(activities, values.detach(), labels) / len(images)).backward()
        return activities, loss

    def energy(self, activities: Tensor, values: Tensor, labels: Tensor) -> Tensor:
        """The energy of all examples together, with hidden values (B, H) in place of those among the activities."""
        held = activities.clone()
        held[:, self.network.hidden] = values
        *below, last = self.network.layers
        energy = torch_cross_entropy(last(held), labels, reduction="sum")
        for layer in below:
            energy = energy + ((held[:, layer.neurons] - layer(held)) ** 2).sum() / 2
        return energy

    @staticmethod
    def kernel(chunk: Chunk) -> Any:
        neurons, width = chunk.shape[0] - chunk.graphs.num_rows, chunk.shape[1]
        predictions, pull = np.zeros((neurons, width), np.float32), np.zeros((1, width), np.float32)
        settings = chunk.settings
        return State(chunk.terms(), predictions, pull, int(settings.predictive_steps), float(settings.predictive_rate))
