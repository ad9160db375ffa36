"""Where neurons stand and connections run in a drawing: layers left to right, few crossings, long connections bent.

The steps are those of K. Sugiyama et al., "Methods for visual understanding of hierarchical system structures" (1981):
a connection that skips layers is held by a bend in each of them (the longest only as long as there are not too many
bends); the order within each layer is improved by sweeps of
barycentres; then every place moves as near as the order allows to the mean of its neighbours.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy.optimize import isotonic_regression

SWEEPS = 12
BEND_SIZE = 0.35  # room for a bend, where a neuron has 1
MOST_BENDS = 10_000  # in a drawing: more are seen by nobody, and time and memory grow with them


@dataclass(frozen=True)
class Layout:
    """Heights, in units of a neuron's room, around 0."""

    heights: npt.NDArray[np.float64]  # (N,) of each neuron
    # Per connection the heights (k,) in its source's layer, ... its target's; of one without bends only these two.
    routes: list[npt.NDArray[np.float64]]


def layered(
    layers: npt.NDArray[np.int32],
    connections: npt.NDArray[np.int32],
    fixed: npt.NDArray[np.bool_],
    pulls: npt.NDArray[np.float64] | None = None,
) -> Layout:
    """Heights for neurons in `layers` (N,). Those that are `fixed` (N,) keep the order of their ids from the top down.

    `pulls` (N,) draw a neuron towards a height besides its neighbours', nan for none; they count from -0.5, the bottom
    of the tallest layer, to 0.5, its top.
    """
    graph = _Places.of(layers, connections, fixed)
    columns = [np.flatnonzero(graph.layers == layer) for layer in range(int(graph.layers.max()) + 1)]
    heights = np.zeros(len(graph.layers))
    for column in columns:
        heights[column] = _stack(graph.sizes[column])
    if pulls is not None:
        graph.pulls[: len(layers)] = pulls * np.ptp(heights)

    best, fewest = columns.copy(), _crossings(graph, heights)
    for sweep in range(SWEEPS):
        downwards = sweep % 2 == 1
        for layer in range(len(columns))[:: -1 if downwards else 1]:
            column = columns[layer]
            wanted = graph.wanted(heights, column, layer, not downwards, downwards)
            column = column[_order(wanted, graph.fixed[column])]
            columns[layer] = column
            heights[column] = _stack(graph.sizes[column])
        crossings = _crossings(graph, heights)
        if crossings < fewest:
            best, fewest = columns.copy(), crossings

    for column in best:
        heights[column] = _stack(graph.sizes[column])
    for sweep in range(2 * SWEEPS):
        for layer in range(len(best))[:: -1 if sweep % 2 else 1]:
            column = best[layer]
            heights[column] = _settle(graph.wanted(heights, column, layer, True, True), graph.sizes[column])
    return Layout(heights[: len(layers)], [heights[chain] for chain in graph.chains])


@dataclass(frozen=True)
class _Places:
    """Neurons, then the bends of connections that skip layers; edges run from one place of a route to the next."""

    layers: npt.NDArray[np.int32]  # (P,)
    fixed: npt.NDArray[np.bool_]  # (P,)
    sizes: npt.NDArray[np.float64]  # (P,)
    pulls: npt.NDArray[np.float64]  # (P,)
    edges: npt.NDArray[np.int64]  # (M, 2), from lower to higher layers
    upwards: list[npt.NDArray[np.int64]]  # per layer the edges (m, 2) that begin there,
    downwards: list[npt.NDArray[np.int64]]  # and those that end there
    chains: list[list[int]]  # per connection its places, from source to target

    @classmethod
    def of(
        cls, layers: npt.NDArray[np.int32], connections: npt.NDArray[np.int32], fixed: npt.NDArray[np.bool_]
    ) -> "_Places":
        skipped = layers[connections[:, 1]] - layers[connections[:, 0]] - 1
        order = np.argsort(skipped, kind="stable")
        bent = np.zeros(len(connections), bool)
        bent[order] = np.cumsum(skipped[order], dtype=np.int64) <= MOST_BENDS
        place_layers, chains = layers.tolist(), []
        for (source, target), bends_here in zip(connections.tolist(), bent.tolist(), strict=True):
            between = range(int(layers[source]) + 1, int(layers[target])) if bends_here else range(0)
            bends = range(len(place_layers), len(place_layers) + len(between))
            place_layers.extend(between)
            chains.append([source, *bends, target])
        num_bends = len(place_layers) - len(layers)
        edges = np.array([pair for chain in chains for pair in pairwise(chain)], np.int64).reshape(-1, 2)
        all_layers, num_layers = np.array(place_layers, np.int32), int(layers.max()) + 1
        return cls(
            all_layers,
            np.concatenate([fixed, np.zeros(num_bends, bool)]),
            np.repeat([1.0, BEND_SIZE], [len(layers), num_bends]),
            np.full(len(place_layers), np.nan),
            edges,
            _by_layer(edges, all_layers[edges[:, 0]], num_layers),
            _by_layer(edges, all_layers[edges[:, 1]], num_layers),
            chains,
        )

    def wanted(
        self,
        heights: npt.NDArray[np.float64],
        column: npt.NDArray[np.intp],
        layer: int,
        below: bool,
        above: bool,
    ) -> npt.NDArray[np.float64]:
        """For each place of a layer's column the mean height of its neighbours below and above it, or its own."""
        position = np.argsort(column)
        ordered = column[position]
        count, total = np.zeros(len(column)), np.zeros(len(column))
        for use, edges, here, there in ((below, self.downwards, 1, 0), (above, self.upwards, 0, 1)):
            if use:
                rows = position[np.searchsorted(ordered, edges[layer][:, here])]
                count += np.bincount(rows, minlength=len(column))
                total += np.bincount(rows, heights[edges[layer][:, there]], minlength=len(column))
        pulls = self.pulls[column]
        count += np.isfinite(pulls)
        total += np.nan_to_num(pulls)
        return np.where(count > 0, total / np.maximum(count, 1), heights[column])


def _by_layer(
    edges: npt.NDArray[np.int64], layers: npt.NDArray[np.int32], num_layers: int
) -> list[npt.NDArray[np.int64]]:
    order = np.argsort(layers, kind="stable")
    return np.split(edges[order], np.searchsorted(layers[order], range(1, num_layers)))


def _stack(sizes: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Heights of places one under the other, centred around 0."""
    ends = np.cumsum(sizes)
    return ends[-1] / 2 - ends + sizes / 2


def _order(wanted: npt.NDArray[np.float64], fixed: npt.NDArray[np.bool_]) -> npt.NDArray[np.intp]:
    """From the top down; among themselves, fixed places stay as they are."""
    order = np.argsort(-wanted, kind="stable")
    order[fixed[order]] = np.flatnonzero(fixed)
    return order


def _settle(wanted: npt.NDArray[np.float64], sizes: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The heights nearest to those wanted (least squares) that keep the order and room for everyone."""
    room = np.cumsum(sizes) - sizes / 2
    return isotonic_regression(wanted + room, increasing=False).x - room


def _crossings(graph: _Places, heights: npt.NDArray[np.float64]) -> int:
    """How many pairs of edges between the same two layers cross."""
    sources, targets = graph.edges.T
    layers = graph.layers[sources]
    near = graph.layers[targets] == layers + 1
    sources, targets, layers = sources[near], targets[near], layers[near]
    order = np.lexsort((heights[targets], heights[sources], layers))
    # Places ranked by layer, then height: edges of different layers are never out of order.
    ranks = np.empty(len(heights), np.int64)
    ranks[np.lexsort((heights, graph.layers))] = np.arange(len(heights))
    return inversions(ranks[targets[order]])


def inversions(values: npt.NDArray[np.int64]) -> int:
    """How many pairs i < j have values[i] > values[j]; values (n,) from 0 on. Takes memory for a few arrays (n,).

    Bit by bit from the highest one: among values that agree so far, a pair is out of order where the first has a 1 and
    the second a 0.
    """
    count = 0
    for bit in reversed(range(int(values.max(initial=0)).bit_length())):
        higher, one = values >> (bit + 1), values >> bit & 1
        ones_before = np.cumsum(one) - one
        starts = np.searchsorted(higher, higher)  # of those that agree; they stand together
        count += int((ones_before - ones_before[starts])[one == 0].sum())
        values = values[np.argsort(values >> bit, kind="stable")]
    return count
