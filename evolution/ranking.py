"""Ranking by several objectives as in NSGA-II (Deb et al. 2002): non-dominated fronts, then crowding distance."""

from bisect import bisect_left

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IndexArray = npt.NDArray[np.intp]


def nondominated_fronts(values: FloatArray) -> list[IndexArray]:
    """Fronts, best first, as index arrays in ascending order, for values (N, K), all maximised.

    For two objectives in O(N log N): the points are taken in descending order of the first objective, then the second;
    a front dominates the next point exactly if its last member does, and the last members of the fronts descend in the
    second objective, so the first front that does not dominate the point is found by bisection. Values must be finite.
    """
    values = np.asarray(values, np.float64)
    if values.shape[1] != 2:
        return _fronts_by_pairs(values)
    order = np.lexsort((-values[:, 1], -values[:, 0]))
    fronts: list[list[int]] = []
    last: list[tuple[float, float]] = []  # (-second, -first) of each front's last member, ascending
    for index in order.tolist():
        first, second = values[index].tolist()
        key = (-second, -first)
        front = bisect_left(last, key)  # fronts with a smaller key dominate the point
        if front == len(fronts):
            fronts.append([])
            last.append(key)
        fronts[front].append(index)
        last[front] = key
    return [np.sort(np.array(front, np.intp)) for front in fronts]


def _fronts_by_pairs(values: FloatArray) -> list[IndexArray]:
    """The same for any number of objectives, by comparing all pairs: O(K N^2)."""
    at_least: npt.NDArray[np.bool_] = np.all(values[:, None] >= values, axis=2)
    dominates = at_least & ~at_least.T
    fronts, left = [], np.ones(len(values), bool)
    while left.any():
        front = left & ~dominates[left].any(axis=0)
        fronts.append(np.flatnonzero(front))
        left &= ~front
    return fronts


def crowding_distance(values: FloatArray) -> FloatArray:
    """Crowding distance (N,) for the values (N, K) of one front.

    Each objective adds the distance between a point's two neighbours, divided by the objective's range in the front
    (nothing where the range is 0); the ends of the front are infinite.
    """
    values = np.asarray(values, np.float64)
    distance = np.zeros(len(values))
    if not len(values):
        return distance
    for objective in values.T:
        order = np.argsort(objective, kind="stable")
        sorted_values = objective[order]
        extent = sorted_values[-1] - sorted_values[0]
        if extent > 0:
            # Dividing before subtracting keeps a range near the largest float from overflowing.
            distance[order[1:-1]] += (sorted_values[2:] / extent) - (sorted_values[:-2] / extent)
        distance[order[[0, -1]]] = np.inf
    return distance


def rank(values: FloatArray) -> IndexArray:
    """Indices (N,) from best to worst for values (N, K), all maximised; ties keep their order.

    A network with a value that is not finite comes after all others.
    """
    values = np.asarray(values, np.float64)
    finite = np.isfinite(values).all(axis=1)
    candidates = np.flatnonzero(finite)
    ordered = []
    for front in nondominated_fronts(values[candidates]):
        members = candidates[front]
        ordered.append(members[np.argsort(-crowding_distance(values[members]), kind="stable")])
    return np.concatenate([*ordered, np.flatnonzero(~finite)]).astype(np.intp)
