"""Training and testing as numba kernels on the sparse graph: what `learning.training` does, much faster.

The readable twin is `learning/training.py` with `learning/rules.py`: there the rules are explained. Here

- a neuron's values are a row over the batch, so that a connection is one multiply-add of contiguous rows;
- a batch is gathered once and then trained on by all networks of a chunk before the next, because bringing it from
  memory costs more than a small network's own arithmetic;
- neurons that reach no output are left out, unless the rule changes their connections too;
- every sum has a fixed order (`learning/vectors.py`), so that what a network learns depends neither on the others of
  its chunk nor on the processor's vector width.

The kernels release the GIL: threads may train different chunks on the same images. One call is one epoch of a chunk, so
that an interruption does not wait for long.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from evolution.errors import InputError
from evolution.genome import ACTIVATION_NAMES, Genome
from learning.training import OPTIMIZERS, Training, check_batch_size, effective_rule
from learning.vectors import (
    LANES,
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
from networks.jit import kernel

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int32]
IndexArray = npt.NDArray[np.intp]

RULES = ("backprop", "feedback_alignment", "direct_feedback_alignment", "hebbian", "last_layer")
BACKPROP, FEEDBACK_ALIGNMENT, DIRECT_FEEDBACK_ALIGNMENT, HEBBIAN, LAST_LAYER = range(len(RULES))
OPTIMIZER_NAMES = ("sgd", "adam", "adadelta")
SGD, ADAM, ADADELTA = range(len(OPTIMIZER_NAMES))
LINEAR, STEP, SINE, COSINE, GAUSSIAN, TANH, SIGMOID, INVERSE, ABS, RELU = range(len(ACTIVATION_NAMES))

BLOCK = 4 * LANES  # samples that are summed up side by side; rows are padded to whole blocks
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
    activation: IntArray  # (neurons,)
    incoming: IntArray  # (neurons + 1,) where the connections into each neuron start
    source: IntArray  # (connections,) the row of the values that each comes from
    outgoing: IntArray  # (neurons + 1,) where the terms of each hidden neuron's error start
    error_row: IntArray  # (terms,) the row of the errors that each term comes from
    error_edge: IntArray  # (terms,) the connection that it comes back through
    error_weight: FloatArray  # (terms,) its factor: a fixed feedback weight or, with backprop, the weight at present


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


# ---- kernels -----------------------------------------------------------------------------------------------------


@kernel
def _padded(n: int) -> int:
    return (n + BLOCK - 1) // BLOCK * BLOCK


@kernel
def _gather(images: FloatArray, labels: IntArray, rows: Any, graphs: Graphs, work: Workspace) -> None:
    """Bring a batch of the images (n, I) into the workspace, transposed: a row per pixel, then ones for the bias."""
    pixels, values, n = graphs.pixels, work.values, len(rows)
    flat = images.reshape(-1)
    start = np.empty(LANES, np.uint64)  # of each image; unsigned, as then no index is checked for being negative
    whole = n // LANES * LANES
    for s in range(0, whole, LANES):
        for i in range(LANES):
            start[i] = np.uint64(rows[s + i]) * np.uint64(images.shape[1])
        for row in range(len(pixels)):
            for i in range(LANES):
                values[row, s + i] = flat[start[i] + np.uint64(pixels[row])]
    for s in range(whole, n):
        for row in range(len(pixels)):
            values[row, s] = images[rows[s], pixels[row]]
    for s in range(n):
        work.labels[s] = labels[rows[s]]
    for row in range(len(pixels), graphs.num_rows):
        for s in range(n):
            values[row, s] = F(1)


@kernel
def _weighted_sum(rows: FloatArray, source: IntArray, weights: FloatArray, first: int, last: int, s: int) -> Any:
    """Sum of `weights[k] * rows[source[k]]` for k from `first` to `last`, for the block of samples from s on."""
    a = b = c = d = broadcast(F(0))
    for k in range(first, last):
        row, weight = source[k], broadcast(weights[k])
        a = multiply_add(weight, load(rows, row, s), a)
        b = multiply_add(weight, load(rows, row, s + LANES), b)
        c = multiply_add(weight, load(rows, row, s + 2 * LANES), c)
        d = multiply_add(weight, load(rows, row, s + 3 * LANES), d)
    return a, b, c, d


@kernel
def _dot(x: FloatArray, i: int, y: FloatArray, j: int, padded: int) -> Any:
    """`x[i] @ y[j]`."""
    a = b = c = d = broadcast(F(0))
    for s in range(0, padded, BLOCK):
        a = multiply_add(load(x, i, s), load(y, j, s), a)
        b = multiply_add(load(x, i, s + LANES), load(y, j, s + LANES), b)
        c = multiply_add(load(x, i, s + 2 * LANES), load(y, j, s + 2 * LANES), c)
        d = multiply_add(load(x, i, s + 3 * LANES), load(y, j, s + 3 * LANES), d)
    return total(add(add(a, b), add(c, d)))


@kernel
def _activate(activation: int, row: int, t: int, work: Workspace, n: int) -> None:
    """Apply an activation other than linear and relu to the sums in `values[row]`; its derivative to `slopes[t]`."""
    values, slopes, pi = work.values, work.slopes, F(math.pi)
    for s in range(n):
        x = values[row, s]
        y, slope = x, F(1)
        if activation == STEP:
            y, slope = F(1) if x > F(0) else F(0), F(0)
        elif activation == SINE:
            y, slope = math.sin(pi * x), pi * math.cos(pi * x)
        elif activation == COSINE:
            y, slope = math.cos(pi * x), -pi * math.sin(pi * x)
        elif activation == GAUSSIAN:
            y = math.exp(-x * x / F(2))
            slope = -x * y
        elif activation == TANH:
            y = math.tanh(x)
            slope = F(1) - y * y
        elif activation == SIGMOID:
            tanh = math.tanh(x / F(2))
            y, slope = (tanh + F(1)) / F(2), (F(1) - tanh * tanh) / F(4)
        elif activation == INVERSE:
            y, slope = -x, F(-1)
        elif activation == ABS:
            y, slope = abs(x), np.sign(x)
        values[row, s] = y
        slopes[t, s] = slope


@kernel
def _forward(graphs: Graphs, weights: FloatArray, network: int, work: Workspace, n: int) -> None:
    """The values of all computed neurons of a network."""
    values, start = work.values, graphs.neurons[network]
    for t in range(graphs.neurons[network + 1] - start):
        row, activation = graphs.num_rows + t, graphs.activation[start + t]
        first, last = graphs.incoming[start + t], graphs.incoming[start + t + 1]
        for s in range(0, _padded(n), BLOCK):
            a, b, c, d = _weighted_sum(values, graphs.source, weights, first, last, s)
            if activation == RELU:  # so compared that NaN stays NaN
                zero = broadcast(F(0))
                a, b = where_greater(zero, a, zero, a), where_greater(zero, b, zero, b)
                c, d = where_greater(zero, c, zero, c), where_greater(zero, d, zero, d)
            store(values, row, s, a)
            store(values, row, s + LANES, b)
            store(values, row, s + 2 * LANES, c)
            store(values, row, s + 3 * LANES, d)
        if activation != RELU and activation != LINEAR:
            _activate(activation, row, t, work, n)


@kernel
def _cross_entropy(graphs: Graphs, network: int, work: Workspace, n: int) -> tuple[float, float]:
    """Mean cross-entropy of a network's outputs as logits, and accuracy; the outputs' errors to their rows."""
    values, errors, labels, softmax = work.values, work.errors, work.labels, work.softmax
    first = graphs.num_hidden[network]
    num_outputs = graphs.neurons[network + 1] - graphs.neurons[network] - first
    row = graphs.num_rows + first
    for s in range(0, _padded(n), LANES):
        largest, guess = load(values, row, s), broadcast(F(0))
        for o in range(1, num_outputs):
            x = load(values, row + o, s)
            guess = where_greater(x, largest, broadcast(F(o)), guess)
            largest = where_greater(x, largest, x, largest)
        norm = broadcast(F(0))
        for o in range(num_outputs):
            p = exp(subtract(load(values, row + o, s), largest))
            store(errors, first + o, s, p)
            norm = add(norm, p)
        share = divide(broadcast(F(1 / n)), norm)
        for o in range(num_outputs):
            store(errors, first + o, s, multiply(load(errors, first + o, s), share))
        store(softmax, 0, s, largest)
        store(softmax, 1, s, norm)
        store(softmax, 2, s, guess)
    loss, correct = 0.0, 0
    for start in range(0, n, LANES):
        # The logarithm of a product is the sum of logarithms; sixteen factors, none above O, do not overflow.
        product = 1.0
        for s in range(start, min(start + LANES, n)):
            product *= softmax[1, s]
            loss += softmax[0, s] - values[row + labels[s], s]
            correct += softmax[2, s] == labels[s]
            errors[first + labels[s], s] -= F(1 / n)
        loss += math.log(product)
    return loss / n, correct / n


@kernel
def _backward(graphs: Graphs, network: int, rule: int, work: Workspace, n: int) -> None:
    """Errors and the gradient by the connections that the optimiser changes, neuron by neuron from the outputs down."""
    values, errors, padded = work.values, work.errors, _padded(n)
    start, num_hidden = graphs.neurons[network], graphs.num_hidden[network]
    num_neurons = graphs.neurons[network + 1] - start
    lowest = num_hidden if rule in (HEBBIAN, LAST_LAYER) else 0
    for i in range(lowest, num_neurons):
        # Direct feedback alignment takes the outputs' errors before their activation: hidden neurons come first.
        t = i if rule == DIRECT_FEEDBACK_ALIGNMENT else num_neurons - 1 - i + lowest
        row, activation = graphs.num_rows + t, graphs.activation[start + t]
        if t < num_hidden:
            first, last = graphs.outgoing[start + t], graphs.outgoing[start + t + 1]
            for s in range(0, padded, BLOCK):
                a, b, c, d = _weighted_sum(errors, graphs.error_row, graphs.error_weight, first, last, s)
                store(errors, t, s, a)
                store(errors, t, s + LANES, b)
                store(errors, t, s + 2 * LANES, c)
                store(errors, t, s + 3 * LANES, d)
        if activation == RELU:
            for s in range(0, padded, LANES):
                zero = broadcast(F(0))
                store(errors, t, s, where_greater(load(values, row, s), zero, load(errors, t, s), zero))
        elif activation != LINEAR:
            for s in range(padded):
                errors[t, s] *= work.slopes[t, s]
        for e in range(graphs.incoming[start + t], graphs.incoming[start + t + 1]):
            work.gradient[e] = _dot(errors, t, values, graphs.source[e], padded)


@kernel
def _oja(graphs: Graphs, weights: FloatArray, network: int, lr: float, work: Workspace, n: int) -> None:
    """Change the connections into hidden neurons by lr * (<post pre> - <post^2> w)."""
    values, start, padded = work.values, graphs.neurons[network], _padded(n)
    for t in range(graphs.num_hidden[network]):
        post = graphs.num_rows + t
        square = _dot(values, post, values, post, padded) / F(n)
        for e in range(graphs.incoming[start + t], graphs.incoming[start + t + 1]):
            product = _dot(values, post, values, graphs.source[e], padded) / F(n)
            weights[e] += F(lr) * (product - square * weights[e])


@kernel
def _optimize(
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


@kernel
def _train_epoch(
    images: FloatArray,
    labels: IntArray,
    order: Any,
    batch_size: int,
    graphs: Graphs,
    weights: FloatArray,
    moments: FloatArray,
    rule: int,
    optimizer: int,
    lr: float,
    step: int,
    work: Workspace,
    losses: FloatArray,
    accuracies: FloatArray,
) -> None:
    """Take all networks through the batches of an epoch, after `step` batches before it."""
    n = batch_size
    for batch in range(losses.shape[1]):
        _gather(images, labels, order[batch * n : (batch + 1) * n], graphs, work)
        for k in range(len(losses)):
            _forward(graphs, weights, k, work, n)
            losses[k, batch], accuracies[k, batch] = _cross_entropy(graphs, k, work, n)
            if rule == BACKPROP:
                start, end = graphs.neurons[k], graphs.neurons[k + 1]
                for i in range(graphs.outgoing[start], graphs.outgoing[end]):
                    graphs.error_weight[i] = weights[graphs.error_edge[i]]
            _backward(graphs, k, rule, work, n)
            if rule == HEBBIAN:
                _oja(graphs, weights, k, lr, work, n)
            a, b = graphs.gradient_edges[k], graphs.edges[k + 1]
            w, gradient = weights[a:b], work.gradient[a:b]
            _optimize(optimizer, lr, step + batch + 1, w, gradient, moments[0, a:b], moments[1, a:b])


@kernel
def _test_batch(
    images: FloatArray,
    labels: IntArray,
    rows: Any,
    graphs: Graphs,
    weights: FloatArray,
    work: Workspace,
    results: npt.NDArray[np.float64],
) -> None:
    """Add every network's loss and number of right answers on a batch to the results (N, 2)."""
    n = len(rows)
    _gather(images, labels, rows, graphs, work)
    for k in range(len(results)):
        _forward(graphs, weights, k, work, n)
        loss, accuracy = _cross_entropy(graphs, k, work, n)
        results[k, 0] += loss * n
        results[k, 1] += accuracy * n


# ---- from genomes to graphs and back -----------------------------------------------------------------------------


class _Part(NamedTuple):
    """One network's share of `Graphs`, counted from 0, and which of its genome's connections the kernels compute."""

    own: IndexArray  # (connections,)
    weights: FloatArray  # (connections,)
    num_hidden: int
    gradient_edge: int
    activation: npt.NDArray[np.int8]
    incoming: IndexArray
    source: IndexArray
    outgoing: IndexArray
    error_row: IndexArray
    error_edge: IndexArray
    error_weight: FloatArray


def _computed_neurons(genome: Genome, rule: int) -> IndexArray:
    """Hidden neurons by layer, then the outputs. Those that reach no output count where the rule trains them too."""
    visible = genome.num_inputs + genome.num_outputs
    sources, targets = genome.connections.T
    needed = np.zeros(genome.num_neurons, bool)
    needed[genome.num_inputs : visible] = True
    if rule in (HEBBIAN, DIRECT_FEEDBACK_ALIGNMENT):
        needed[visible:] = True
    found = 0
    while found < (count := int(np.count_nonzero(needed))):
        found = count
        needed[sources[needed[targets]]] = True
    needed[: genome.num_inputs] = False
    neurons = np.flatnonzero(needed)
    return neurons[np.argsort(genome.layers[neurons], kind="stable")]


def _part(genome: Genome, rule: int, feedback: FloatArray | None, row_of_input: IndexArray, num_rows: int) -> _Part:
    assert genome.weights is not None
    neurons = _computed_neurons(genome, rule)
    number = np.full(genome.num_neurons, -1)
    number[neurons] = np.arange(len(neurons))
    num_hidden = len(neurons) - genome.num_outputs

    own = np.flatnonzero(number[genome.connections[:, 1]] >= 0)
    own = own[np.argsort(number[genome.connections[own, 1]], kind="stable")]
    sources, targets = genome.connections[own, 0], number[genome.connections[own, 1]]
    from_hidden = sources >= genome.num_inputs
    rows = np.empty(len(own), np.intp)
    rows[from_hidden] = num_rows + number[sources[from_hidden]]
    rows[~from_hidden] = row_of_input[sources[~from_hidden]]
    incoming = np.searchsorted(targets, np.arange(len(neurons)))

    if rule == DIRECT_FEEDBACK_ALIGNMENT:  # the terms of a hidden neuron's error: every output
        assert feedback is not None
        error_row = np.tile(np.arange(num_hidden, len(neurons)), num_hidden)
        error_edge = np.zeros(len(error_row), np.intp)
        error_weight = feedback[neurons[:num_hidden] - genome.num_inputs - genome.num_outputs].ravel()
        outgoing = np.minimum(np.arange(len(neurons)), num_hidden) * genome.num_outputs
    else:  # the neurons that it connects to
        error_edge = np.flatnonzero(from_hidden)
        error_edge = error_edge[np.argsort(rows[error_edge], kind="stable")]
        error_row = targets[error_edge]
        backward = genome.weights if feedback is None else feedback
        error_weight = backward[own[error_edge]]
        outgoing = np.searchsorted(rows[error_edge] - num_rows, np.arange(len(neurons)))
    return _Part(
        own=own,
        weights=genome.weights[own],
        num_hidden=num_hidden,
        gradient_edge=int(np.searchsorted(targets, num_hidden)) if rule in (HEBBIAN, LAST_LAYER) else 0,
        activation=genome.activations[neurons],
        incoming=incoming,
        source=rows,
        outgoing=outgoing,
        error_row=error_row,
        error_edge=error_edge,
        error_weight=error_weight,
    )


def _flatten(
    genomes: Sequence[Genome], rule: int, feedbacks: Sequence[FloatArray | None], num_observed: int
) -> tuple[Graphs, FloatArray, list[IndexArray]]:
    """The chunk's graphs, its weights (connections,) in their order, and which genome connections those are."""
    used = np.zeros(num_observed + 1, bool)  # the bias comes after the pixels
    for genome in genomes:
        sources = genome.connections[:, 0]
        used[sources[sources < genome.num_inputs]] = True
    row_of_input, num_rows = np.cumsum(used) - 1, int(used.sum())
    parts = [_part(g, rule, f, row_of_input, num_rows) for g, f in zip(genomes, feedbacks, strict=True)]
    neurons, edges, terms = (_starts([len(array) for array in column]) for column in (
        [p.activation for p in parts], [p.own for p in parts], [p.error_row for p in parts]
    ))  # fmt: skip

    def joined(arrays: Sequence[npt.NDArray], starts: IndexArray | None = None) -> IntArray:
        """The networks' arrays one after the other; with `starts`, those of positions, which closes them."""
        if starts is None:
            return np.concatenate(arrays).astype(np.int32)
        moved = [array + start for array, start in zip(arrays, starts[:-1], strict=True)]
        return np.concatenate([*moved, starts[-1:]]).astype(np.int32)

    graphs = Graphs(
        pixels=np.flatnonzero(used[:-1]).astype(np.int32),
        num_rows=num_rows,
        neurons=neurons.astype(np.int32),
        num_hidden=np.array([p.num_hidden for p in parts], np.int32),
        edges=edges.astype(np.int32),
        gradient_edges=(edges[:-1] + [p.gradient_edge for p in parts]).astype(np.int32),
        activation=joined([p.activation for p in parts]),
        incoming=joined([p.incoming for p in parts], edges),
        source=joined([p.source for p in parts]),
        outgoing=joined([p.outgoing for p in parts], terms),
        error_row=joined([p.error_row for p in parts]),
        error_edge=joined([p.error_edge for p in parts], edges)[:-1],
        error_weight=np.concatenate([p.error_weight for p in parts]).astype(np.float32),
    )
    weights = np.concatenate([p.weights for p in parts]).astype(np.float32)
    return graphs, weights, [p.own for p in parts]


def _starts(lengths: Sequence[int]) -> IndexArray:
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.intp)


def _workspace(graphs: Graphs, batch_size: int) -> Workspace:
    neurons = int(np.diff(graphs.neurons).max())
    # One cache line more than whole blocks: rows a power of two apart would share few sets of the cache.
    width = _padded(batch_size) + CACHE_LINE // 4
    return Workspace(
        values=_aligned(graphs.num_rows + neurons, width),
        slopes=_aligned(neurons, width),
        errors=_aligned(neurons, width),
        softmax=_aligned(3, width),
        labels=np.zeros(batch_size, np.int32),
        gradient=np.zeros(len(graphs.source), np.float32),
    )


def _aligned(rows: int, columns: int) -> FloatArray:
    """Zeros (rows, columns) that start at a cache line; sixteen floats then never lie across two."""
    memory = np.zeros(rows * columns * 4 + CACHE_LINE, np.uint8)
    start = -memory.ctypes.data % CACHE_LINE
    return memory[start : start + rows * columns * 4].view(np.float32).reshape(rows, columns)


# ---- what the task calls -----------------------------------------------------------------------------------------


def supports(genome: Genome, learning_rule: str, optimizer: str) -> bool:
    """Whether the kernels train this network by this rule and optimiser."""
    return genome.weights is not None and learning_rule in RULES and optimizer in OPTIMIZER_NAMES


def train_population(
    genomes: Sequence[Genome],
    images: FloatArray,
    labels: npt.NDArray[np.integer],
    *,
    learning_rule: str,
    optimizer: str,
    lr: float,
    num_epochs: int,
    batch_size: int,
    train_only_outputs: bool = False,
    order: npt.NDArray[np.integer],
    feedbacks: Sequence[FloatArray | None] | None = None,
) -> list[Training]:
    """Train every genome as `learning.training.train` does, on the same batches of images (n, observed) in one thread.

    `order` (num_epochs, n) are the images of each epoch; `feedbacks` the fixed backward weights of each network, for
    the rules that have some. A network's result does not depend on the others. Raises InputError for an unknown rule
    or optimiser and for a batch larger than the data set, ValueError for arrays that do not fit.
    """
    rule_name = effective_rule(learning_rule, train_only_outputs)
    if rule_name not in RULES:
        raise InputError(f"learning_rule {rule_name} has no kernel; those that have are {', '.join(RULES)}")
    if optimizer not in OPTIMIZER_NAMES:
        raise InputError(f"unknown optimizer {optimizer!r:.60}; known are {', '.join(OPTIMIZERS)}")
    check_batch_size(batch_size, len(images))
    if not genomes:
        return []
    rule = RULES.index(rule_name)
    feedbacks = _checked_feedbacks(genomes, rule, feedbacks)
    images, labels = _checked(genomes, images, labels)
    if order.ndim != 2 or len(order) != num_epochs:
        raise ValueError(f"an order of shape {order.shape} for {num_epochs} epochs")
    if order.size and not 0 <= order.min() <= order.max() < len(images):
        raise ValueError(f"an order with images {order.min()}..{order.max()} of {len(images)}")
    num_batches = order.shape[1] // batch_size
    order = order.astype(np.uint32)

    graphs, weights, own = _flatten(genomes, rule, feedbacks, images.shape[1])
    work = _workspace(graphs, batch_size)
    moments = np.zeros((2, len(weights)), np.float32)
    losses = np.zeros((num_epochs, len(genomes), num_batches), np.float32)
    accuracies = np.zeros_like(losses)
    code = OPTIMIZER_NAMES.index(optimizer)
    by_epoch = np.tile(weights, (num_epochs + 1, 1))
    for epoch in range(num_epochs):
        learning = (rule, code, float(lr), epoch * num_batches)
        results = losses[epoch], accuracies[epoch]
        _train_epoch(images, labels, order[epoch], batch_size, graphs, weights, moments, *learning, work, *results)
        by_epoch[epoch + 1] = weights

    trainings = []
    for k, genome in enumerate(genomes):
        assert genome.weights is not None
        trained = np.tile(genome.weights, (num_epochs + 1, 1))  # connections that nothing computes stay as they are
        trained[:, own[k]] = by_epoch[:, graphs.edges[k] : graphs.edges[k + 1]]
        trainings.append(Training(trained, losses[:, k].copy(), accuracies[:, k].copy()))
    return trainings


def test_population(
    genomes: Sequence[Genome], images: FloatArray, labels: npt.NDArray[np.integer], batch_size: int
) -> list[tuple[float, float]]:
    """Each genome's mean cross-entropy and accuracy over all images (n, observed), as `learning.training.test`.

    Batches limit the memory; a last partial one counts by its size. Raises ValueError for arrays that do not fit.
    """
    if not genomes:
        return []
    images, labels = _checked(genomes, images, labels)
    graphs, weights, _ = _flatten(genomes, LAST_LAYER, [None] * len(genomes), images.shape[1])
    batch_size = min(batch_size, len(images))
    work = _workspace(graphs, batch_size)
    results = np.zeros((len(genomes), 2))
    rows = np.arange(len(images), dtype=np.uint32)
    for start in range(0, len(images), batch_size):
        _test_batch(images, labels, rows[start : start + batch_size], graphs, weights, work, results)
    return [(float(loss), float(accuracy)) for loss, accuracy in results / len(images)]


def _checked(
    genomes: Sequence[Genome], images: FloatArray, labels: npt.NDArray[np.integer]
) -> tuple[FloatArray, IntArray]:
    """Images and labels as the kernels take them. Raises ValueError where they would read past the end of an array."""
    if images.ndim != 2 or labels.shape != images.shape[:1]:
        raise ValueError(f"labels of shape {labels.shape} for images of shape {images.shape}")
    for genome in genomes:
        if genome.num_observed != images.shape[1]:
            raise ValueError(f"images of shape {images.shape}; it takes (n, {genome.num_observed})")
        if len(labels) and not 0 <= labels.min() <= labels.max() < genome.num_outputs:
            raise ValueError(f"labels {labels.min()}..{labels.max()} for {genome.num_outputs} outputs")
    return np.ascontiguousarray(images, np.float32), labels.astype(np.int32)


def _checked_feedbacks(
    genomes: Sequence[Genome], rule: int, feedbacks: Sequence[FloatArray | None] | None
) -> Sequence[FloatArray | None]:
    """The feedback weights that the rule uses, one array or None a network. Raises ValueError for a wrong shape."""
    if rule not in (FEEDBACK_ALIGNMENT, DIRECT_FEEDBACK_ALIGNMENT):
        return [None] * len(genomes)
    if feedbacks is None or len(feedbacks) != len(genomes):
        raise ValueError(f"{RULES[rule]} needs the feedback weights of {len(genomes)} networks")
    for genome, feedback in zip(genomes, feedbacks, strict=True):
        direct = rule == DIRECT_FEEDBACK_ALIGNMENT
        expected = (genome.num_hidden, genome.num_outputs) if direct else (genome.num_connections,)
        if feedback is None or feedback.shape != expected:
            given = "none is given" if feedback is None else f"its shape is {feedback.shape}"
            raise ValueError(f"{RULES[rule]} needs feedback of shape {expected}; {given}")
    return feedbacks
