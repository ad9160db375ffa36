"""Training and testing as numba kernels on the sparse graph: what `learning.training` does, much faster.

The readable twin is `learning/training.py` with `learning/rules/`: there the rules are explained. A batch is gathered
once and then trained on by all networks of a chunk before the next, because bringing it from memory costs more than a
small network's own arithmetic. How a rule learns from it is the rule's own matter, see `learning/passes.py`.

The kernels release the GIL: threads may train different chunks on the same images. One call is one epoch of a chunk, so
that an interruption does not wait for long.
"""

import functools
from collections.abc import Sequence
from types import FunctionType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from evolution.errors import InputError
from evolution.genome import Genome
from learning.passes import (
    CACHE_LINE,
    Chunk,
    FloatArray,
    Graphs,
    IndexArray,
    IntArray,
    Workspace,
    cross_entropy,
    forward,
    gather,
    gradient,
    optimize,
    padded_size,
    update,
)
from learning.rules import Draws, LearningRule, rule_class
from learning.settings import OPTIMIZER_NAMES, TrainingSettings, as_settings, check_batch_size
from learning.training import Training
from networks.jit import lean


def _train_epoch(
    images: FloatArray,
    labels: IntArray,
    order: Any,
    batch_size: int,
    graphs: Graphs,
    weights: FloatArray,
    moments: FloatArray,
    rule: Any,
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
        gather(images, labels, order[batch * n : (batch + 1) * n], graphs, work)
        for k in range(len(losses)):
            losses[k, batch], accuracies[k, batch] = gradient(rule, graphs, weights, k, work, n, step + batch)
            a, b = graphs.gradient_edges[k], graphs.edges[k + 1]
            w, changes = weights[a:b], work.gradient[a:b]
            optimize(optimizer, lr, step + batch + 1, w, changes, moments[0, a:b], moments[1, a:b])
            update(rule, graphs, weights, k, work, n, step + batch)


@functools.cache
def _epoch_of(state: Any) -> Any:
    """`_train_epoch` compiled for the rules whose kernels keep this state.

    A dispatcher of its own, since numba takes named tuples for the same by what they hold, without looking at their
    class; and a name of its own, by which compiled code is kept.
    """
    own = FunctionType(_train_epoch.__code__, globals(), _train_epoch.__name__)
    own.__module__, own.__doc__ = __name__, _train_epoch.__doc__
    own.__qualname__ = f"_train_epoch.{state.__module__}.{state.__qualname__}"
    return lean(own)


@lean
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
    gather(images, labels, rows, graphs, work)
    for k in range(len(results)):
        forward(graphs, weights, k, work, n)
        loss, accuracy = cross_entropy(graphs, k, work, n)
        results[k, 0] += loss * n
        results[k, 1] += accuracy * n


# ---- from genomes to graphs and back -----------------------------------------------------------------------------


class _Part(NamedTuple):
    """One network's share of `Graphs`, counted from 0, and which of its genome's connections the kernels compute."""

    own: IndexArray  # (connections,)
    weights: FloatArray  # (connections,)
    hidden: IndexArray  # (H,) which of its genome's hidden neurons, from 0
    gradient_edge: int
    activation: npt.NDArray[np.int8]
    layer: IntArray
    incoming: IndexArray
    source: IndexArray
    outgoing: IndexArray
    error_row: IndexArray
    error_edge: IndexArray


def _computed_neurons(genome: Genome, rule: type[LearningRule] | None) -> IndexArray:
    """Hidden neurons by layer, then the outputs. Those that reach no output count where the rule trains them too."""
    visible = genome.num_inputs + genome.num_outputs
    sources, targets = genome.connections.T
    needed = np.zeros(genome.num_neurons, bool)
    needed[genome.num_inputs : visible] = True
    if rule is not None and rule.trains_all:
        needed[visible:] = True
    found = 0
    while found < (count := int(np.count_nonzero(needed))):
        found = count
        needed[sources[needed[targets]]] = True
    needed[: genome.num_inputs] = False
    neurons = np.flatnonzero(needed)
    return neurons[np.argsort(genome.layers[neurons], kind="stable")]


def _part(genome: Genome, rule: type[LearningRule] | None, row_of_input: IndexArray, num_rows: int) -> _Part:
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
    # The terms of a hidden neuron's error: the connections that leave it.
    error_edge = np.flatnonzero(from_hidden)
    error_edge = error_edge[np.argsort(rows[error_edge], kind="stable")]
    only_outputs = rule is None or rule.only_outputs
    return _Part(
        own=own,
        weights=genome.weights[own],
        hidden=neurons[:num_hidden] - genome.num_inputs - genome.num_outputs,
        gradient_edge=int(np.searchsorted(targets, num_hidden)) if only_outputs else 0,
        activation=genome.activations[neurons],
        layer=genome.layers[neurons],
        incoming=np.searchsorted(targets, np.arange(len(neurons))),
        source=rows,
        outgoing=np.searchsorted(rows[error_edge] - num_rows, np.arange(len(neurons))),
        error_row=targets[error_edge],
        error_edge=error_edge,
    )


def _flatten(
    genomes: Sequence[Genome], rule: type[LearningRule] | None, num_observed: int
) -> tuple[Graphs, FloatArray, list[_Part]]:
    """The chunk's graphs, its weights (connections,) in their order, and the networks' parts. No rule: for a test."""
    used = np.zeros(num_observed + 1, bool)  # the bias comes after the pixels
    for genome in genomes:
        sources = genome.connections[:, 0]
        used[sources[sources < genome.num_inputs]] = True
    row_of_input, num_rows = np.cumsum(used) - 1, int(used.sum())
    parts = [_part(genome, rule, row_of_input, num_rows) for genome in genomes]
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
        num_hidden=np.array([len(p.hidden) for p in parts], np.int32),
        edges=edges.astype(np.int32),
        gradient_edges=(edges[:-1] + [p.gradient_edge for p in parts]).astype(np.int32),
        hidden=_starts([len(p.hidden) for p in parts])[:-1].astype(np.int32),
        identity=joined([np.pad(p.hidden, (0, len(p.activation) - len(p.hidden)), constant_values=-1) for p in parts]),
        connection=joined([p.own for p in parts]),
        activation=joined([p.activation for p in parts]),
        layer=joined([p.layer for p in parts]),
        incoming=joined([p.incoming for p in parts], edges),
        source=joined([p.source for p in parts]),
        outgoing=joined([p.outgoing for p in parts], terms),
        error_row=joined([p.error_row for p in parts]),
        error_edge=joined([p.error_edge for p in parts], edges)[:-1],
    )
    weights = np.concatenate([p.weights for p in parts]).astype(np.float32)
    return graphs, weights, parts


def _starts(lengths: Sequence[int]) -> IndexArray:
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.intp)


def _workspace(graphs: Graphs, batch_size: int) -> Workspace:
    neurons = int(np.diff(graphs.neurons).max())
    # One cache line more than whole blocks: rows a power of two apart would share few sets of the cache.
    width = padded_size(batch_size) + CACHE_LINE // 4
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
    try:
        covered = rule_class(learning_rule).has_kernel()
    except InputError:
        return False
    return genome.weights is not None and covered and optimizer in OPTIMIZER_NAMES


def train_population(
    genomes: Sequence[Genome],
    images: FloatArray,
    labels: npt.NDArray[np.integer],
    settings: TrainingSettings | None = None,
    *,
    order: npt.NDArray[np.integer],
    draws: Sequence[Draws] | None = None,
    feedbacks: Sequence[FloatArray | None] | None = None,
    **fields: Any,
) -> list[Training]:
    """Train every genome as `learning.training.train` does, on the same batches of images (n, observed) in one thread.

    `order` (num_epochs, n) are the images of each epoch; `draws` what `learning.training.draw` gives for each network,
    or `feedbacks` alone. The settings may be given as `fields`. A network's result does not depend on the others.
    Raises InputError for an unknown rule or optimiser and for a batch larger than the data set, ValueError for arrays
    that do not fit.
    """
    settings = as_settings(settings, fields)
    cls = rule_class(settings.learning_rule)
    if not cls.has_kernel():
        raise InputError(f"learning_rule {settings.learning_rule} has no kernel: it trains with torch alone")
    check_batch_size(settings.batch_size, len(images))
    if not genomes:
        return []
    draws = _checked_draws(genomes, cls, draws, feedbacks)
    images, labels = _checked(genomes, images, labels)
    num_epochs, batch_size = settings.num_epochs, settings.batch_size
    if order.ndim != 2 or len(order) != num_epochs:
        raise ValueError(f"an order of shape {order.shape} for {num_epochs} epochs")
    if order.size and not 0 <= order.min() <= order.max() < len(images):
        raise ValueError(f"an order with images {order.min()}..{order.max()} of {len(images)}")
    num_batches = order.shape[1] // batch_size
    order = order.astype(np.uint32)

    graphs, weights, parts = _flatten(genomes, cls, images.shape[1])
    work = _workspace(graphs, batch_size)
    rule: Any = cls.kernel(
        Chunk(
            graphs,
            weights,
            settings,
            list(genomes),
            own=[p.own for p in parts],
            hidden=[p.hidden for p in parts],
            feedbacks=[draw.feedback for draw in draws],
            seeds=np.array([draw.seed for draw in draws], np.uint64),
            shape=work.values.shape,
        )
    )
    moments = np.zeros((2, len(weights)), np.float32)
    losses = np.zeros((num_epochs, len(genomes), num_batches), np.float32)
    accuracies = np.zeros_like(losses)
    code = OPTIMIZER_NAMES.index(settings.optimizer)
    by_epoch = np.tile(weights, (num_epochs + 1, 1))
    kept: Any = type(rule)
    train_epoch = _epoch_of(kept)
    for epoch in range(num_epochs):
        learning = (rule, code, float(settings.lr), epoch * num_batches)
        results = losses[epoch], accuracies[epoch]
        train_epoch(images, labels, order[epoch], batch_size, graphs, weights, moments, *learning, work, *results)
        by_epoch[epoch + 1] = weights

    trainings = []
    for k, (genome, part) in enumerate(zip(genomes, parts, strict=True)):
        assert genome.weights is not None
        trained = np.tile(genome.weights, (num_epochs + 1, 1))  # connections that nothing computes stay as they are
        edges = slice(graphs.edges[k], graphs.edges[k + 1])
        trained[:, part.own] = by_epoch[:, edges]
        feedback = _feedback_after(rule, graphs, part, k, draws[k].feedback)
        trainings.append(Training(trained, losses[:, k].copy(), accuracies[:, k].copy(), feedback))
    return trainings


def _feedback_after(rule: Any, graphs: Graphs, part: _Part, k: int, before: FloatArray | None) -> FloatArray | None:
    """The feedback weights that network k ends with: those of the state's field `feedback`, where it has learned."""
    learned = getattr(rule, "feedback", None)
    if before is None or learned is None:
        return before
    after = before.copy()
    if learned.ndim == 1:
        after[part.own] = learned[graphs.edges[k] : graphs.edges[k + 1]]
    else:
        after[part.hidden] = learned[graphs.hidden[k] : graphs.hidden[k] + len(part.hidden)]
    return after


def test_population(
    genomes: Sequence[Genome], images: FloatArray, labels: npt.NDArray[np.integer], batch_size: int
) -> list[tuple[float, float]]:
    """Each genome's mean cross-entropy and accuracy over all images (n, observed), as `learning.training.test`.

    Batches limit the memory; a last partial one counts by its size. Raises ValueError for arrays that do not fit.
    """
    if not genomes:
        return []
    images, labels = _checked(genomes, images, labels)
    graphs, weights, _ = _flatten(genomes, None, images.shape[1])
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


def _checked_draws(
    genomes: Sequence[Genome],
    rule: type[LearningRule],
    draws: Sequence[Draws] | None,
    feedbacks: Sequence[FloatArray | None] | None,
) -> Sequence[Draws]:
    """The networks' draws. Raises ValueError for feedback weights that are missing or of a wrong shape."""
    if draws is None:
        draws = [Draws(feedback) for feedback in feedbacks or [None] * len(genomes)]
    if len(draws) != len(genomes):
        raise ValueError(f"{rule.__name__} needs the draws of {len(genomes)} networks; there are {len(draws)}")
    for genome, draw in zip(genomes, draws, strict=True):
        rule.check_feedback(genome, draw.feedback)
    return draws
