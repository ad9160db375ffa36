"""Predictive coding: the hidden values first settle between what is below and what is above, then weights follow."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy as torch_cross_entropy

from learning.passes import (
    BLOCK,
    LINEAR,
    RELU,
    VECTOR,
    Chunk,
    F,
    FloatArray,
    Graphs,
    IntArray,
    Workspace,
    activate,
    add,
    apply_slope,
    broadcast,
    connections_learn,
    cross_entropy,
    gradient_of,
    load,
    multiply,
    padded_size,
    softmax_error,
    store,
    store_block,
    subtract,
    terms_of,
    weighted_sum,
    where_greater,
)
from learning.rules.rule import LearningRule
from networks.jit import lean


class Edges(NamedTuple):
    """Some of the connections, in the order of the neurons that they lead to."""

    incoming: IntArray  # (neurons + 1,) where those into each neuron start
    edge: IntArray  # (e,) which of all connections each is
    source: IntArray  # (e,) the row of the values that it comes from
    weights: FloatArray  # (e,)


class State(NamedTuple):
    """While values relax, only what comes from hidden neurons changes: what comes from inputs is summed up once."""

    back: FloatArray  # (terms,)
    from_inputs: Edges
    from_hidden: Edges
    fixed: FloatArray  # (neurons, padded) what each gets from inputs
    predictions: FloatArray  # (neurons, padded)
    steps: int
    rate: float


@gradient_of(State)
def _gradient(rule: Any, graphs: Any, weights: Any, k: Any, work: Any, n: Any, step: Any) -> Any:
    terms_of(graphs, weights, k, rule.back)
    _take_weights(rule.from_inputs, graphs, weights, k)
    _take_weights(rule.from_hidden, graphs, weights, k)
    _sum_inputs(rule, graphs, k, work, n)
    for t in range(graphs.neurons[k + 1] - graphs.neurons[k]):
        _predict(rule, graphs, k, t, work, work, graphs.num_rows + t, n)
    result = cross_entropy(graphs, k, work, n)
    _errors(rule, graphs, k, work, n)
    for _ in range(rule.steps):
        _relax(rule, graphs, k, work, n)
        _errors(rule, graphs, k, work, n)
    share = broadcast(F(1 / n))
    for t in range(graphs.neurons[k + 1] - graphs.neurons[k]):
        for s in range(0, padded_size(n), VECTOR):
            store(work.errors, t, s, multiply(load(work.errors, t, s), share))
        connections_learn(graphs, k, t, work, n)
    return result


@lean
def _take_weights(edges: Any, graphs: Any, weights: Any, k: int) -> None:
    for i in range(edges.incoming[graphs.neurons[k]], edges.incoming[graphs.neurons[k + 1]]):
        edges.weights[i] = weights[edges.edge[i]]


@lean
def _sum_inputs(rule: Any, graphs: Any, k: int, work: Any, n: int) -> None:
    start, edges = graphs.neurons[k], rule.from_inputs
    for t in range(graphs.neurons[k + 1] - start):
        first, last = edges.incoming[start + t], edges.incoming[start + t + 1]
        for s in range(0, padded_size(n), BLOCK):
            a, b, c, d = weighted_sum(work.values, edges.source, edges.weights, first, last, s)
            store_block(rule.fixed, t, s, a, b, c, d)


@lean
def _predict(rule: Any, graphs: Any, k: int, t: int, work: Any, to: Any, row: int, n: int) -> None:
    """What neuron t should be by the values of those below, to `row` of the values of another workspace.

    The first values come from here too: with sums in another order their errors would be rounding instead of 0.
    """
    start, edges, zero = graphs.neurons[k], rule.from_hidden, broadcast(F(0))
    first, last, activation = edges.incoming[start + t], edges.incoming[start + t + 1], graphs.activation[start + t]
    for s in range(0, padded_size(n), BLOCK):
        a, b, c, d = weighted_sum(work.values, edges.source, edges.weights, first, last, s)
        a, b = add(a, load(rule.fixed, t, s)), add(b, load(rule.fixed, t, s + VECTOR))
        c, d = add(c, load(rule.fixed, t, s + 2 * VECTOR)), add(d, load(rule.fixed, t, s + 3 * VECTOR))
        if activation == RELU:  # so compared that NaN stays NaN
            a, b = where_greater(zero, a, zero, a), where_greater(zero, b, zero, b)
            c, d = where_greater(zero, c, zero, c), where_greater(zero, d, zero, d)
        store_block(to.values, row, s, a, b, c, d)
    if activation != RELU and activation != LINEAR:
        activate(activation, row, t, to, n)


@lean
def _errors(rule: Any, graphs: Any, k: int, work: Any, n: int) -> None:
    """The energy's gradient by the sum of each neuron, example by example: -(v - mu) f'(a), and of outputs e f'(a)."""
    start, first, padded, zero = graphs.neurons[k], graphs.num_hidden[k], padded_size(n), broadcast(F(0))
    predicted = Workspace(rule.predictions, work.slopes, work.errors, work.softmax, work.labels, work.gradient)
    for t in range(first):
        _predict(rule, graphs, k, t, work, predicted, t, n)
        activation, row = graphs.activation[start + t], graphs.num_rows + t
        for s in range(0, padded, VECTOR):
            mu = load(rule.predictions, t, s)
            error = subtract(mu, load(work.values, row, s))
            if activation == RELU:
                error = where_greater(mu, zero, error, zero)
            store(work.errors, t, s, error)
        if activation != RELU and activation != LINEAR:
            for s in range(n):
                work.errors[t, s] *= work.slopes[t, s]
    last, scale = graphs.neurons[k + 1] - start, broadcast(F(n))
    for t in range(first, last):
        _predict(rule, graphs, k, t, work, work, graphs.num_rows + t, n)
    softmax_error(work.values, graphs.num_rows + first, work.errors, first, last - first, work, n)
    for t in range(first, last):
        for s in range(0, padded, VECTOR):
            store(work.errors, t, s, multiply(load(work.errors, t, s), scale))
        apply_slope(graphs, k, t, work, n)
        work.errors[t, n:] = F(0)  # hidden values stay 0 behind the batch


@lean
def _relax(rule: Any, graphs: Any, k: int, work: Any, n: int) -> None:
    """One step of all hidden values down the energy: v - mu, and what comes back from the errors above."""
    start, num_rows = graphs.neurons[k], graphs.num_rows
    for t in range(graphs.num_hidden[k]):
        first, last = graphs.outgoing[start + t], graphs.outgoing[start + t + 1]
        for s in range(0, padded_size(n), BLOCK):
            a, b, c, d = weighted_sum(work.errors, graphs.error_row, rule.back, first, last, s)
            _step(rule, work, t, num_rows, s, a)
            _step(rule, work, t, num_rows, s + VECTOR, b)
            _step(rule, work, t, num_rows, s + 2 * VECTOR, c)
            _step(rule, work, t, num_rows, s + 3 * VECTOR, d)


@lean
def _step(rule: Any, work: Any, t: int, num_rows: int, s: int, pull: Any) -> None:
    value = load(work.values, num_rows + t, s)
    slope = add(subtract(value, load(rule.predictions, t, s)), pull)
    store(work.values, num_rows + t, s, subtract(value, multiply(broadcast(F(rule.rate)), slope)))


class PredictiveCoding(LearningRule):
    """Hidden values v begin at the predictions mu_j = f(sum_i w_ij v_i) of the forward pass and go `predictive_steps`
    steps of `predictive_rate` down the energy sum_j (v_j - mu_j)^2 / 2 + cross-entropy of the outputs. Then each
    connection changes along eps_j f'(a_j) v_i, eps_j = v_j - mu_j, the outputs' along -e_j v_i.

    J. Whittington and R. Bogacz, An approximation of the error backpropagation algorithm in a predictive coding network
    with local Hebbian synaptic plasticity (2017), section on supervised learning. The changes tend to backpropagation's
    as errors shrink and steps grow. An error needs at least as many steps as there are layers between.

    The defaults are the best of 10 and 20 steps and rates from 0.01 to 0.1 for sparse networks, by the last sixth of
    the training images of MNIST and Fashion-MNIST (`benchmarks/constants.py`); dense ones learn as well with all of
    these rates and 20 steps.
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
        graphs, settings = chunk.graphs, chunk.settings
        shape = chunk.shape[0] - graphs.num_rows, chunk.shape[1]
        from_hidden = graphs.source >= graphs.num_rows
        return State(
            chunk.terms(),
            _edges(graphs, ~from_hidden),
            _edges(graphs, from_hidden),
            np.zeros(shape, np.float32),
            np.zeros(shape, np.float32),
            int(settings.predictive_steps),
            float(settings.predictive_rate),
        )


def _edges(graphs: Graphs, chosen: npt.NDArray[np.bool_]) -> Edges:
    edges = np.flatnonzero(chosen)
    incoming = np.searchsorted(edges, graphs.incoming)
    return Edges(
        incoming.astype(np.int32), edges.astype(np.int32), graphs.source[edges], np.zeros(len(edges), np.float32)
    )
