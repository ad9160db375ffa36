"""How the order of the learning rules turns over from sparse networks to dense ones: figure and statistics."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from scipy import optimize, stats

from analysis import style
from analysis.statistics import LEVEL, compare, holm

RESAMPLES = 999  # of the bootstrap
NAME_SIZE = 6.5  # points
ROW = 0.115  # inches that a name takes
Values = npt.NDArray[np.float64]


class Estimate(NamedTuple):
    """A measure of two orders' likeness, 1 where they are the same, and its 95 % interval."""

    value: float
    low: float  # NaN where there is one network
    high: float


class Turned(NamedTuple):
    """Two rules of which the first is better in the sparse networks and the second in the dense ones."""

    first: str
    second: str
    sparse: float  # by how much the first is better
    dense: float  # by how much the second is
    p: float  # the larger of both Mann-Whitney tests': both differences must be there
    adjusted: float  # by Holm's method over all pairs of rules


class Orders(NamedTuple):
    """The rules in two kinds of network."""

    sparse: str  # sizes, as the results name them
    dense: str
    rules: Sequence[str]  # the best in sparse networks first
    accuracies: Mapping[str, tuple[Values, Values]]  # of the networks (n,) and (m,), by rule
    tau: Estimate  # Kendall's
    rho: Estimate  # Spearman's
    num_pairs: int
    turned: Sequence[Turned]  # by adjusted p


def orders_of(cells: Mapping[str, Mapping[str, Sequence[float]]]) -> Orders | None:
    """The orders of the rules in the largest mutated and the largest dense networks, from the test accuracies by rule
    and size; None where fewer than two rules have results of both.
    """
    sparse = [size for by_size in cells.values() for size in by_size if size.isdigit()]
    dense = [size for by_size in cells.values() for size in by_size if not size.isdigit()]
    if not sparse or not dense:
        return None
    first, second = max(sparse, key=int), max(dense, key=lambda size: int(size.split()[1]))
    both = {rule: by_size for rule, by_size in cells.items() if first in by_size and second in by_size}
    if len(both) < 2:
        return None
    accuracies = {rule: (np.array(by_size[first]), np.array(by_size[second])) for rule, by_size in both.items()}
    tau, rho = likeness([a for a, _ in accuracies.values()], [b for _, b in accuracies.values()])
    pairs = _turned(accuracies)
    return Orders(
        sparse=first,
        dense=second,
        rules=sorted(accuracies, key=lambda rule: -accuracies[rule][0].mean()),
        accuracies=accuracies,
        tau=tau,
        rho=rho,
        num_pairs=len(accuracies) * (len(accuracies) - 1) // 2,
        turned=pairs,
    )


def likeness(sparse: Sequence[Values], dense: Sequence[Values]) -> tuple[Estimate, Estimate]:
    """Kendall's tau-b and Spearman's rho of the rules' means, from the accuracies (n,) and (m,) of each rule.

    The intervals are percentiles over networks drawn anew: the same ones for all rules, since a network's number means
    the same network for all of them. Of more networks of one rule than of others the first ones are used.
    """
    x, y = (np.stack([values[: min(map(len, kind))] for values in kind]) for kind in (sparse, dense))
    found = []
    for measure in (stats.kendalltau, stats.spearmanr):

        def statistic(i: Any, j: Any, measure: Any = measure) -> float:
            return float(measure(x[:, i].mean(1), y[:, j].mean(1)).statistic)

        everything = np.arange(x.shape[1]), np.arange(y.shape[1])
        low = high = float("nan")
        if min(map(len, everything)) > 1:
            low, high = stats.bootstrap(
                everything,
                statistic,
                n_resamples=RESAMPLES,
                method="percentile",
                vectorized=False,
                rng=np.random.default_rng(0),
            ).confidence_interval
        found.append(Estimate(statistic(*everything), float(low), float(high)))
    return found[0], found[1]


def _turned(accuracies: Mapping[str, tuple[Values, Values]]) -> list[Turned]:
    """The pairs of rules that turn over in the mean, those that are the least likely by chance first."""
    turned, p_values = [], []
    for pair in combinations(accuracies, 2):
        (a, c), (b, d) = (accuracies[rule] for rule in pair)
        sparse, dense = float(a.mean() - b.mean()), float(c.mean() - d.mean())
        if sparse * dense >= 0:
            p_values.append(1.0)  # it counts among those that Holm corrects for
            continue
        tests = [compare(*values, paired=False, test="mann-whitney") for values in ((a, b), (c, d))]
        p_values.append(float(np.max([test.p for test in tests])))  # NaN of single networks
        first, second = pair if sparse > 0 else pair[::-1]
        turned.append((len(p_values) - 1, Turned(first, second, abs(sparse), abs(dense), p_values[-1], 1.0)))
    adjusted = holm(p_values)
    pairs = [pair._replace(adjusted=adjusted[i]) for i, pair in turned]
    return sorted(pairs, key=lambda pair: (pair.adjusted, -pair.sparse * pair.dense))


def text(orders: Orders) -> str:
    """Markdown: how alike the orders are, and which pairs turn over."""
    sure = [pair for pair in orders.turned if pair.adjusted <= LEVEL]
    lines = [
        f"The order of {len(orders.rules)} rules at {orders.sparse} connections and in {orders.dense}: Kendall's tau "
        f"{_interval(orders.tau)}, Spearman's rho {_interval(orders.rho)} (95 % bootstrap over the networks).",
        f"Of {orders.num_pairs} pairs of rules {len(orders.turned)} turn over in the mean, {len(sure)} of them by more "
        "than chance (Mann-Whitney in both kinds of network, the larger p, Holm over all pairs).",
    ]
    if sure:
        rows = [["better when sparse", "by", "better when dense", "by", "p"], ["---"] * 5]
        for pair in sure:
            first, second = (style.look_of(rule).name for rule in (pair.first, pair.second))
            rows.append([first, f"{pair.sparse:.3f}", second, f"{pair.dense:.3f}", f"{pair.adjusted:.2g}"])
        lines += ["", *(f"| {' | '.join(row)} |" for row in rows)]
    return "\n".join(lines) + "\n"


def _interval(estimate: Estimate) -> str:
    value, low, high = estimate
    return f"{value:.2f}" if np.isnan(low) else f"{value:.2f} ({low:.2f} to {high:.2f})"


# ---- figure ---------------------------------------------------------------------------------------------------------


def spread(heights: Sequence[float], gap: float) -> Values:
    """Heights within 0 to 1, at least `gap` apart where there is room, in the same order and as near as can be."""
    order = np.argsort(heights, kind="stable")
    gap = min(gap, 1 / max(1, len(order) - 1))
    steps = gap * np.arange(len(order))
    moved = optimize.isotonic_regression(np.asarray(heights, np.float64)[order] - steps).x
    result = np.empty(len(order))
    result[order] = np.clip(moved, 0, 1 - gap * (len(order) - 1)) + steps
    return result


def name_lines(axes: Axes, ends: Mapping[str, tuple[float, float]]) -> dict[str, float]:
    """Write the rules' names right of the axes beside the ends (x, y) of their lines; gives their heights, 0 to 1."""
    low, high = axes.get_ylim()
    inches = axes.get_window_extent().height / axes.figure.dpi
    heights = spread([(y - low) / (high - low) for _, y in ends.values()], ROW / inches)
    for (rule, end), height in zip(ends.items(), heights, strict=True):
        look = style.look_of(rule)
        axes.annotate(
            look.name,
            xy=end,
            xytext=(1.1, height),
            textcoords="axes fraction",
            fontsize=NAME_SIZE,
            va="center",
            arrowprops={
                "arrowstyle": "-",
                "color": look.colour,
                "linewidth": 0.8,
                "shrinkA": 1,
                "shrinkB": 3,
                "relpos": (0, 0.5),
            },
            annotation_clip=False,
        )
    return dict(zip(ends, heights.tolist(), strict=True))


def draw_orders(axes: Axes, orders: Orders, heights: Mapping[str, float]) -> None:
    """A line for each rule from its height on the left to its place among the dense networks, with their accuracies."""
    by_dense = sorted(orders.rules, key=lambda rule: orders.accuracies[rule][1].mean())
    places = dict(zip(by_dense, np.linspace(0, 1, len(by_dense)), strict=True))
    for rule in orders.rules:
        look, (sparse, dense) = style.look_of(rule), orders.accuracies[rule]
        axes.plot(
            (0, 1), (heights[rule], places[rule]), color=look.colour, marker=look.marker, linewidth=1.2, clip_on=False
        )
        label: dict[str, Any] = {"fontsize": NAME_SIZE, "va": "center"}
        axes.text(-0.08, heights[rule], f"{sparse.mean():.3f}", ha="right", **label)
        axes.text(1.08, places[rule], f"{dense.mean():.3f}  {look.name}", ha="left", **label)
    axes.set(xlim=(0, 1), ylim=(0, 1), xticks=(0, 1), yticks=())
    axes.set_xticklabels([orders.sparse, orders.dense])
    axes.grid(False)
    axes.spines[["left", "bottom"]].set_visible(False)
