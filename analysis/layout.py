"""Where neurons stand and connections run in a drawing: layers left to right, few crossings, long connections bent.

The steps are those of K. Sugiyama et al., "Methods for visual understanding of hierarchical system structures" (1981):
a connection that skips layers is held by a bend in each of them; the order within each layer is improved by sweeps of
barycentres; then every place moves as near as the order allows to the mean of its neighbours.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy.optimize import isotonic_regression

SWEEPS = 12
BEND_SIZE = 0.35  # room for a bend, where a neuron has 1


@dataclass(frozen=True)
class Layout:
    """Heights, in units of a neuron's room, around 0."""

    heights: npt.NDArray[np.float64]  # (N,) of each neuron
    routes: list[npt.NDArray[np.float64]]  # per connection the heights (k,) in its source's layer, ... its target's


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
            column = column[_order(graph.wanted(heights, column, not downwards, downwards), graph.fixed[column])]
            columns[layer] = column
            heights[column] = _stack(graph.sizes[column])
        crossings = _crossings(graph, heights)
        if crossings < fewest:
            best, fewest = columns.copy(), crossings

    for column in best:
        heights[column] = _stack(graph.sizes[column])
    for sweep in range(2 * SWEEPS):
        for column in best[:: -1 if sweep % 2 else 1]:
            heights[column] = _settle(graph.wanted(heights, column, True, True), graph.sizes[column])
    return Layout(heights[: len(layers)], [heights[chain] for chain in graph.chains])


@dataclass(frozen=True)
class _Places:
    """Neurons, then the bends of connections that skip layers; edges run between adjacent layers only."""

    layers: npt.NDArray[np.int32]  # (P,)
    fixed: npt.NDArray[np.bool_]  # (P,)
    sizes: npt.NDArray[np.float64]  # (P,)
    pulls: npt.NDArray[np.float64]  # (P,)
    edges: npt.NDArray[np.int64]  # (M, 2)
    chains: list[list[int]]  # per connection its places, from source to target

    @classmethod
    def of(
        cls, layers: npt.NDArray[np.int32], connections: npt.NDArray[np.int32], fixed: npt.NDArray[np.bool_]
    ) -> "_Places":
        place_layers, chains = layers.tolist(), []
        for source, target in connections.tolist():
            between = range(int(layers[source]) + 1, int(layers[target]))
            bends = range(len(place_layers), len(place_layers) + len(between))
            place_layers.extend(between)
            chains.append([source, *bends, target])
        num_bends = len(place_layers) - len(layers)
        edges = [pair for chain in chains for pair in pairwise(chain)]
        return cls(
            np.array(place_layers, np.int32),
            np.concatenate([fixed, np.zeros(num_bends, bool)]),
            np.repeat([1.0, BEND_SIZE], [len(layers), num_bends]),
            np.full(len(place_layers), np.nan),
            np.array(edges, np.int64).reshape(-1, 2),
            chains,
        )

    def wanted(
        self, heights: npt.NDArray[np.float64], column: npt.NDArray[np.intp], below: bool, above: bool
    ) -> npt.NDArray[np.float64]:
        """For each place of a column the mean height of its neighbours in the layers below and above, or its own."""
        count = np.isfinite(self.pulls).astype(float)
        total = np.nan_to_num(self.pulls)
        for use, here, there in ((below, 1, 0), (above, 0, 1)):
            if use:
                count += np.bincount(self.edges[:, here], minlength=len(heights))
                total += np.bincount(self.edges[:, here], heights[self.edges[:, there]], minlength=len(heights))
        return np.where(count > 0, total / np.maximum(count, 1), heights)[column]


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
    """How many pairs of edges cross."""
    crossings = 0
    edge_layers = graph.layers[graph.edges[:, 0]]
    for layer in np.unique(edge_layers):
        edges = graph.edges[edge_layers == layer]
        sources, targets = heights[edges].T
        order = np.lexsort((targets, sources))
        crossings += int(np.count_nonzero(np.triu(targets[order][:, None] > targets[order])))
    return crossings
