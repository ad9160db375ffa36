"""What the kernels of learning rules are made of: the networks as they see them, and the passes through them.

The readable twins are `learning/layers.py` and `learning/rules/rule.py`. Here

- a neuron's values are a row over the batch, so that a connection is one multiply-add of contiguous rows;
- neurons that reach no output are left out, unless the rule changes their connections too;
- every sum has a fixed order (`learning/vectors.py`), so that what a network learns depends neither on the others of
  its chunk nor on the processor's vector width.

The kernel's part of a rule is a NamedTuple of what it keeps (constants, feedback weights, scratch), and kernels
registered for that type: `gradient`, which sees to the passes and leaves the gradient in `work.gradient`, and, where
the rule changes what no optimiser trains, `update`, called after the optimiser. numba compiles `gradient(rule, ...)`
for each type anew.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba.extending import overload

from evolution.genome import LINEAR, RELU, Genome
from learning.noise import key_of, normal
from learning.settings import OPTIMIZER_NAMES, TrainingSettings
from learning.vectors import (
    VECTOR,
    add,
    broadcast,
    divide,
    exp,
    load,
    multiply,
    multiply_add,
    store,
    subtract,
    total,
    where_greater,
)
from networks.activations import value_and_slope
from networks.jit import kernel, lean, small

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int32]
IndexArray = npt.NDArray[np.intp]

SGD, ADAM, ADADELTA = range(len(OPTIMIZER_NAMES))

BLOCK = 4 * VECTOR  # samples that are summed up side by side; rows are padded to whole blocks
CACHE_LINE = 64  # bytes
TINY = 1e-30  # what an optimiser's moment below this adds to a weight is lost in rounding

F = np.float32


class Graphs(NamedTuple):
    """The networks of a chunk, one after the other, as the kernels see them.

    A network's computed neurons are numbered from 0: its hidden ones by layer, then its outputs. Neuron t has row
    `num_rows + t` of the values, behind the inputs that the networks share, and row t of the errors. Its connections
    are in the order of the neurons that they lead to, so that those into the outputs come last.
    """

    pixels: IntArray  # (P,) the inputs that some network uses: the first rows of the values
    num_rows: int  # P, and one more for the bias where a network has one
    neurons: IntArray  # (N + 1,) where each network's neurons start
    num_hidden: IntArray  # (N,)
    edges: IntArray  # (N + 1,) where each network's connections start
    gradient_edges: IntArray  # (N,) the first of them that the optimiser changes
    hidden: IntArray  # (N,) where each network's rows of direct feedback start: one a hidden neuron
    identity: IntArray  # (neurons,) which hidden neuron of its genome each is, from 0; -1 for outputs
    connection: IntArray  # (connections,) which connection of its genome each is
    activation: IntArray  # (neurons,)
    layer: IntArray  # (neurons,) of the genome
    incoming: IntArray  # (neurons + 1,) where the connections into each neuron start
    source: IntArray  # (connections,) the row of the values that each comes from
    outgoing: IntArray  # (neurons + 1,) where the terms of each hidden neuron's error start
    error_row: IntArray  # (terms,) the row of the errors that each term comes from
    error_edge: IntArray  # (terms,) the connection that it comes back through


class Workspace(NamedTuple):
    """What the kernels write to, the same for one network after the other.

    Behind the batch the inputs' rows stay 0. So does every sum of them, and activations are applied to the batch alone:
    all values are 0 there, and sums over the batch may take in the padding.
    """

    values: FloatArray  # (num_rows + neurons, padded)
    slopes: FloatArray  # (neurons, padded) the activation's derivative, where the value does not tell it
    errors: FloatArray  # (neurons, padded) the loss's gradient by each neuron's value, then by its sum
    softmax: FloatArray  # (3, padded) largest output, sum of the exponentials, index of the largest output
    labels: IntArray  # (batch_size,)
    gradient: FloatArray  # (connections,)


@lean
def padded_size(n: int) -> int:
    return (n + BLOCK - 1) // BLOCK * BLOCK


@kernel
def gather(images: FloatArray, labels: IntArray, rows: Any, graphs: Graphs, work: Workspace) -> None:
    """Bring a batch of the images (n, I) into the workspace, transposed: a row per pixel, then ones for the bias."""
    pixels, values, n = graphs.pixels, work.values, len(rows)
    flat = images.reshape(-1)
    start = np.empty(VECTOR, np.uint64)  # of each image; unsigned, as then no index is checked for being negative
    whole = n // VECTOR * VECTOR
    for s in range(0, whole, VECTOR):
        for i in range(VECTOR):
            start[i] = np.uint64(rows[s + i]) * np.uint64(images.shape[1])
        for row in range(len(pixels)):
            for i in range(VECTOR):
                values[row, s + i] = flat[start[i] + np.uint64(pixels[row])]
    for s in range(whole, n):
        for row in range(len(pixels)):
            values[row, s] = images[rows[s], pixels[row]]
    for s in range(n):
        work.labels[s] = labels[rows[s]]
    for row in range(len(pixels), graphs.num_rows):
        for s in range(n):
            values[row, s] = F(1)


@lean
def weighted_sum(rows: FloatArray, source: IntArray, weights: FloatArray, first: int, last: int, s: int) -> Any:
    """Sum of `weights[k] * rows[source[k]]` for k from `first` to `last`, for the block of samples from s on."""
    a = b = c = d = broadcast(F(0))
    for k in range(first, last):
        row, weight = source[k], broadcast(weights[k])
        a = multiply_add(weight, load(rows, row, s), a)
        b = multiply_add(weight, load(rows, row, s + VECTOR), b)
        c = multiply_add(weight, load(rows, row, s + 2 * VECTOR), c)
        d = multiply_add(weight, load(rows, row, s + 3 * VECTOR), d)
    return a, b, c, d


@lean
def store_block(rows: FloatArray, row: int, s: int, a: Any, b: Any, c: Any, d: Any) -> None:
    """Write a block of samples, from s on."""
    store(rows, row, s, a)
    store(rows, row, s + VECTOR, b)
    store(rows, row, s + 2 * VECTOR, c)
    store(rows, row, s + 3 * VECTOR, d)


@lean
def dot(x: FloatArray, i: int, y: FloatArray, j: int, padded: int) -> Any:
    """`x[i] @ y[j]`."""
    a = b = c = d = broadcast(F(0))
    for s in range(0, padded, BLOCK):
        a = multiply_add(load(x, i, s), load(y, j, s), a)
        b = multiply_add(load(x, i, s + VECTOR), load(y, j, s + VECTOR), b)
        c = multiply_add(load(x, i, s + 2 * VECTOR), load(y, j, s + 2 * VECTOR), c)
        d = multiply_add(load(x, i, s + 3 * VECTOR), load(y, j, s + 3 * VECTOR), d)
    return total(add(add(a, b), add(c, d)))


@lean
def activate(activation: int, row: int, t: int, work: Workspace, n: int) -> None:
    """Apply an activation to the sums in `values[row]`; its derivative to `slopes[t]`."""
    for s in range(n):
        work.values[row, s], work.slopes[t, s] = value_and_slope(activation, work.values[row, s])


@lean
def forward(graphs: Graphs, weights: FloatArray, network: int, work: Workspace, n: int) -> None:
    """The values of all computed neurons of a network."""
    values, start = work.values, graphs.neurons[network]
    for t in range(graphs.neurons[network + 1] - start):
        row, activation = graphs.num_rows + t, graphs.activation[start + t]
        first, last = graphs.incoming[start + t], graphs.incoming[start + t + 1]
        for s in range(0, padded_size(n), BLOCK):
            a, b, c, d = weighted_sum(values, graphs.source, weights, first, last, s)
            if activation == RELU:  # so compared that NaN stays NaN
                zero = broadcast(F(0))
                a, b = where_greater(zero, a, zero, a), where_greater(zero, b, zero, b)
                c, d = where_greater(zero, c, zero, c), where_greater(zero, d, zero, d)
            store_block(values, row, s, a, b, c, d)
        if activation != RELU and activation != LINEAR:
            activate(activation, row, t, work, n)


@lean
def sums_of(
    graphs: Graphs, weights: FloatArray, k: int, t: int, values: FloatArray, out: FloatArray, row: int, n: int
) -> None:
    """The sum that reaches neuron t of network k from `values`, before its activation, to `out[row]`."""
    start = graphs.neurons[k]
    first, last = graphs.incoming[start + t], graphs.incoming[start + t + 1]
    for s in range(0, padded_size(n), BLOCK):
        a, b, c, d = weighted_sum(values, graphs.source, weights, first, last, s)
        store_block(out, row, s, a, b, c, d)


@lean
def noisy_forward(
    graphs: Graphs, weights: FloatArray, k: int, work: Workspace, n: int, sigma: float, seed: Any, step: int
) -> None:
    """As `forward`, with `sigma` times noise of variance 1 on the sums of hidden neurons; the noise to their errors."""
    values, errors, start, num_hidden = work.values, work.errors, graphs.neurons[k], graphs.num_hidden[k]
    for t in range(graphs.neurons[k + 1] - start):
        row = graphs.num_rows + t
        sums_of(graphs, weights, k, t, values, values, row, n)
        if t < num_hidden:
            key = key_of(seed, step, graphs.identity[start + t])
            for s in range(n):
                noise = normal(key, s)
                errors[t, s] = noise
                values[row, s] += F(sigma) * noise
            errors[t, n:] = F(0)
        if graphs.activation[start + t] != LINEAR:
            activate(graphs.activation[start + t], row, t, work, n)


@lean
def softmax_error(
    rows: FloatArray, row: int, errors: FloatArray, first: int, count: int, work: Workspace, n: int
) -> None:
    """The gradient of the mean cross-entropy by `count` logits, `rows[row]` and on, to `errors[first]` and on.

    Largest logit, sum of the exponentials and index of the largest go to `work.softmax`.
    """
    softmax = work.softmax
    for s in range(0, padded_size(n), VECTOR):
        largest, guess = load(rows, row, s), broadcast(F(0))
        for o in range(1, count):
            x = load(rows, row + o, s)
            guess = where_greater(x, largest, broadcast(F(o)), guess)
            largest = where_greater(x, largest, x, largest)
        norm = broadcast(F(0))
        for o in range(count):
            p = exp(subtract(load(rows, row + o, s), largest))
            store(errors, first + o, s, p)
            norm = add(norm, p)
        share = divide(broadcast(F(1 / n)), norm)
        for o in range(count):
            store(errors, first + o, s, multiply(load(errors, first + o, s), share))
        store(softmax, 0, s, largest)
        store(softmax, 1, s, norm)
        store(softmax, 2, s, guess)
    for s in range(n):
        errors[first + work.labels[s], s] -= F(1 / n)


@lean
def cross_entropy(graphs: Graphs, network: int, work: Workspace, n: int) -> tuple[float, float]:
    """Mean cross-entropy of a network's outputs as logits, and accuracy; the outputs' errors to their rows."""
    values, labels, softmax = work.values, work.labels, work.softmax
    first = graphs.num_hidden[network]
    row = graphs.num_rows + first
    count = graphs.neurons[network + 1] - graphs.neurons[network] - first
    softmax_error(values, row, work.errors, first, count, work, n)
    loss, correct = 0.0, 0
    for start in range(0, n, VECTOR):
        # The logarithm of a product is the sum of logarithms; sixteen factors, none above O, do not overflow.
        product = 1.0
        for s in range(start, min(start + VECTOR, n)):
            product *= softmax[1, s]
            loss += softmax[0, s] - values[row + labels[s], s]
            correct += softmax[2, s] == labels[s]
        loss += math.log(product)
    return loss / n, correct / n


@lean
def layer_end(graphs: Graphs, k: int, t: int) -> int:
    """The first neuron of network k behind the layer of hidden neuron t."""
    start, end = graphs.neurons[k], t + 1
    while end < graphs.num_hidden[k] and graphs.layer[start + end] == graphs.layer[start + t]:
        end += 1
    return end


@lean
def example_losses(graphs: Graphs, k: int, work: Workspace, n: int, losses: FloatArray) -> None:
    """The cross-entropy of each example of the batch, after `cross_entropy`, to `losses` (n,)."""
    row = graphs.num_rows + graphs.num_hidden[k]
    for s in range(n):
        losses[s] = F(math.log(work.softmax[1, s])) + work.softmax[0, s] - work.values[row + work.labels[s], s]


@small
def apply_slope(graphs: Graphs, k: int, t: int, work: Workspace, n: int) -> None:
    """Turn the loss's gradient by the value of neuron t into that by its sum."""
    values, errors, slopes, row = work.values, work.errors, work.slopes, graphs.num_rows + t
    padded, activation = padded_size(n), graphs.activation[graphs.neurons[k] + t]
    if activation == RELU:
        for s in range(0, padded, VECTOR):
            zero = broadcast(F(0))
            store(errors, t, s, where_greater(load(values, row, s), zero, load(errors, t, s), zero))
    elif activation != LINEAR:
        for s in range(padded):
            errors[t, s] *= slopes[t, s]


@small
def connections_learn(graphs: Graphs, k: int, t: int, work: Workspace, n: int) -> None:
    """The gradient by the connections into neuron t, from that by its sum."""
    values, errors, source, changes = work.values, work.errors, graphs.source, work.gradient
    start, padded = graphs.neurons[k], padded_size(n)
    for e in range(graphs.incoming[start + t], graphs.incoming[start + t + 1]):
        changes[e] = dot(errors, t, values, source[e], padded)


@small
def learn_from_error(graphs: Graphs, k: int, t: int, work: Workspace, n: int) -> None:
    """The gradient by the connections into neuron t, from that by its value."""
    apply_slope(graphs, k, t, work, n)
    connections_learn(graphs, k, t, work, n)


@lean
def outputs_learn(graphs: Graphs, k: int, work: Workspace, n: int) -> None:
    """The gradient by the connections into the outputs, from their errors."""
    for t in range(graphs.num_hidden[k], graphs.neurons[k + 1] - graphs.neurons[k]):
        learn_from_error(graphs, k, t, work, n)


@lean
def hidden_learn(graphs: Graphs, k: int, work: Workspace, n: int) -> None:
    """The gradient by the connections into hidden neurons, from the loss's gradient by their values."""
    for t in range(graphs.num_hidden[k]):
        learn_from_error(graphs, k, t, work, n)


@lean
def send_back(graphs: Graphs, back: FloatArray, k: int, work: Workspace, n: int) -> None:
    """Errors and gradient of all neurons, from the outputs down; an error comes back through `back` (terms,)."""
    errors, start, num_hidden = work.errors, graphs.neurons[k], graphs.num_hidden[k]
    for t in range(graphs.neurons[k + 1] - start - 1, -1, -1):
        if t < num_hidden:
            first, last = graphs.outgoing[start + t], graphs.outgoing[start + t + 1]
            for s in range(0, padded_size(n), BLOCK):
                a, b, c, d = weighted_sum(errors, graphs.error_row, back, first, last, s)
                store_block(errors, t, s, a, b, c, d)
        learn_from_error(graphs, k, t, work, n)


@lean
def terms_of(graphs: Graphs, of_connections: FloatArray, k: int, back: FloatArray) -> None:
    """What `send_back` takes for network k, (terms,), from one number for each connection (connections,)."""
    for i in range(graphs.outgoing[graphs.neurons[k]], graphs.outgoing[graphs.neurons[k + 1]]):
        back[i] = of_connections[graphs.error_edge[i]]


@lean
def send_directly(
    graphs: Graphs, direct: FloatArray, k: int, targets: FloatArray, first: int, work: Workspace, n: int
) -> None:
    """The errors of hidden neurons: rows `first` and on of `targets`, one an output, weighted by `direct` (H, O)."""
    for t in range(graphs.num_hidden[k]):
        h = graphs.hidden[k] + t
        for s in range(0, padded_size(n), VECTOR):
            error = broadcast(F(0))
            for o in range(direct.shape[1]):
                error = multiply_add(broadcast(direct[h, o]), load(targets, first + o, s), error)
            store(work.errors, t, s, error)


@lean
def optimize(
    optimizer: int, lr: float, step: int, w: FloatArray, g: FloatArray, first: FloatArray, second: FloatArray
) -> None:
    """The `step`-th step, from 1, of torch's SGD, Adam or Adadelta with its defaults, for weights and gradient.

    `first` and `second` are Adam's moments, or Adadelta's averages of squared gradients and of squared steps. They
    shrink where the gradient stays 0; below TINY they are set to 0, because subnormal numbers are slow.
    """
    if optimizer == SGD:
        for e in range(len(w)):
            w[e] -= F(lr) * g[e]
    elif optimizer == ADAM:
        rate, correction = F(lr / (1 - 0.9**step)), F(math.sqrt(1 - 0.999**step))
        for e in range(len(w)):
            m = first[e] + F(1 - 0.9) * (g[e] - first[e])
            v = F(0.999) * second[e] + F(1 - 0.999) * g[e] * g[e]
            w[e] -= rate * m / (np.sqrt(v) / correction + F(1e-8))
            first[e] = F(0) if abs(m) < F(TINY) else m
            second[e] = F(0) if v < F(TINY) else v
    else:
        for e in range(len(w)):
            square = F(0.9) * first[e] + F(1 - 0.9) * g[e] * g[e]
            delta = np.sqrt(second[e] + F(1e-6)) / np.sqrt(square + F(1e-6)) * g[e]
            w[e] -= F(lr) * delta
            change = F(0.9) * second[e] + F(1 - 0.9) * delta * delta
            first[e] = F(0) if square < F(TINY) else square
            second[e] = F(0) if change < F(TINY) else change


def outputs_alone(rule: Any, graphs: Any, weights: Any, k: Any, work: Any, n: Any, step: Any) -> Any:
    """Of a rule whose connections into the outputs alone learn by the gradient, for `gradient_of`."""
    forward(graphs, weights, k, work, n)
    result = cross_entropy(graphs, k, work, n)
    outputs_learn(graphs, k, work, n)
    return result


# ---- the seam: what a rule adds ------------------------------------------------------------------------------------

_GRADIENT: dict[type, Any] = {}
_UPDATE: dict[type, Any] = {}
# Compiled as parts of the kernel of an epoch, and put in place of the call. Not `lean`: a rule may make arrays.
_part: Any = {"nogil": True, "error_model": "numpy", "_nrt": True, "forceinline": True}


def gradient_of(*states: type) -> Callable[[Any], Any]:
    """Register how rules whose kernels keep `states` learn: `gradient(rule, graphs, weights, k, work, n, step)`.

    It takes network k through the batch in `work`, gives mean loss and accuracy, and leaves in `work.gradient` what the
    optimiser takes for the gradient. `step` counts the batches of the training from 0.
    """
    return lambda function: _registered(_GRADIENT, states, function)


def update_of(*states: type) -> Callable[[Any], Any]:
    """Register what these rules do after the optimiser: `update(rule, graphs, weights, k, work, n, step)`."""
    return lambda function: _registered(_UPDATE, states, function)


def _registered(parts: dict[type, Any], states: tuple[type, ...], function: Any) -> Any:
    parts.update(dict.fromkeys(states, function))
    return function


def gradient(rule: Any, graphs: Any, weights: Any, k: Any, work: Any, n: Any, step: Any) -> Any:
    """What `gradient_of` registered for the rule's type."""
    return _GRADIENT[type(rule)](rule, graphs, weights, k, work, n, step)


def update(rule: Any, graphs: Any, weights: Any, k: Any, work: Any, n: Any, step: Any) -> None:
    """What `update_of` registered for the rule's type; nothing where there is nothing."""
    if type(rule) in _UPDATE:
        _UPDATE[type(rule)](rule, graphs, weights, k, work, n, step)


@overload(gradient, strict=False, jit_options=_part)
def _gradient(rule: Any, graphs: Any, weights: Any, k: Any, work: Any, n: Any, step: Any) -> Any:
    return _GRADIENT[rule.instance_class]


@overload(update, strict=False, jit_options=_part)
def _update(rule: Any, graphs: Any, weights: Any, k: Any, work: Any, n: Any, step: Any) -> Any:
    return _UPDATE.get(rule.instance_class, lambda rule, graphs, weights, k, work, n, step: None)


class Chunk(NamedTuple):
    """What a rule makes its kernel's state of."""

    graphs: Graphs
    weights: FloatArray  # (connections,)
    settings: TrainingSettings
    genomes: list[Genome]
    own: list[IndexArray]  # of each network, which of its genome's connections the kernels compute
    hidden: list[IndexArray]  # and which of its hidden neurons, from 0
    feedbacks: list[FloatArray | None]
    seeds: npt.NDArray[np.uint64]  # (N,)
    shape: tuple[int, int]  # of the workspace's values

    def zeros(self) -> FloatArray:
        """A number for each connection, (connections,)."""
        return np.zeros_like(self.weights)

    def terms(self, of_connections: FloatArray | None = None) -> FloatArray:
        """(terms,) for `send_back`, of (connections,) or zeros."""
        if of_connections is None:
            return np.zeros(len(self.graphs.error_edge), np.float32)
        return of_connections[self.graphs.error_edge]

    def by_connection(self) -> FloatArray:
        """The networks' feedback weights (E,) as the kernels order connections, (connections,)."""
        return np.concatenate([f[own] for f, own in zip(self._feedbacks(), self.own, strict=True)])

    def by_hidden(self) -> FloatArray:
        """The networks' feedback weights (H, O), a row for each computed hidden neuron of all networks."""
        return np.concatenate([f[hidden] for f, hidden in zip(self._feedbacks(), self.hidden, strict=True)])

    def _feedbacks(self) -> list[FloatArray]:
        return [f for f in self.feedbacks if f is not None]
