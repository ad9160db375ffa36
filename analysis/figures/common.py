"""What the figures of runs share: experiments, how their curves look, and a figure with its numbers."""

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from itertools import count
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from analysis import style
from analysis.runs import RunFolder, Series
from evolution.errors import InputError
from evolution.genome import Genome, draw_weights

Array = npt.NDArray[np.float64]

DASHES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))


class Group(NamedTuple):
    """The runs of one experiment, and how all figures show it."""

    label: str
    colour: str
    dashes: Any
    marker: str
    runs: list[RunFolder]


class Line(NamedTuple):
    """How the curves of one kind are drawn."""

    label: str
    dashes: Any
    width: float
    lightness: float = 0.0  # 0 is the group's colour itself
    band: bool = False  # whether the spread over seeds is shown


class TableRow(NamedTuple):
    """One number of the table beside a figure: mean and standard deviation over the networks of an experiment."""

    experiment: str
    quantity: str
    networks: int
    mean: float
    std: float


class Drawn(NamedTuple):
    """A figure with the numbers behind it."""

    figure: Figure
    header: Sequence[str]
    rows: list[Sequence[Any]]
    table: Sequence[TableRow] = ()
    handles: Sequence[Artist] = ()  # what the legend below the panels shows


class NothingToDraw(InputError):
    """The runs do not have what a figure shows."""


# ---- experiments ----------------------------------------------------------------------------------------------------


def group_runs(runs: Sequence[RunFolder]) -> list[Group]:
    """The experiments of one task in the order given.

    A rule always has its colour, and its first experiment its marker. Experiments with the same rule differ in dashes
    and marker, and name the parameters in which they differ.
    """
    experiments: dict[Any, list[RunFolder]] = {}
    for run in runs:
        experiments.setdefault(run.experiment, []).append(run)
    names = {key: _name(members[0]) for key, members in experiments.items()}
    groups: list[Group] = []
    taken: set[tuple[str, str, str]] = set()
    for key, members in experiments.items():
        name, run = names[key], members[0]
        alike = [dict(other) for other in experiments if names[other] == name]
        differing = [f"{k} {v}" for k, v in key if any(other.get(k) != v for other in alike)]
        label = f"{name} ({', '.join(differing)})" if differing else name
        look = next(look for number in count() if (look := _look(run, number)) not in taken or number > MOST_LOOKS)
        taken.add(look)
        groups.append(Group(label, *look, members))
    return groups


MOST_LOOKS = 10_000


def _look(run: RunFolder, number: int) -> tuple[str, Any, str]:
    """Colour, dashes and marker of the experiment of this number among those of its kind."""
    if run.kind == "agnostic":
        colours = len(style.OTHER_COLOURS)
        colour, dashes = style.OTHER_COLOURS[number % colours], DASHES[number // colours % len(DASHES)]
        return colour, dashes, style.MARKERS[number % len(style.MARKERS)]
    look = style.look_of(run.rule)
    marker = (style.MARKERS.index(look.marker) + number) % len(style.MARKERS)
    shade = number // math.lcm(len(DASHES), len(style.MARKERS)) % 3
    return lightened(look.colour, shade / 3), DASHES[number % len(DASHES)], style.MARKERS[marker]


def _name(run: RunFolder) -> str:
    return style.look_of(run.rule).name if run.kind != "agnostic" else "Weight agnostic"


def learning(groups: Sequence[Group]) -> list[Group]:
    """Those that evolved architectures that learn. Raises NothingToDraw where there is none."""
    return some([group for group in groups if group.runs[0].learns], "no run evolved architectures that learn")


def some(found: list[Any], reason: str) -> list[Any]:
    if not found:
        raise NothingToDraw(reason)
    return found


def together(series: Sequence[Series]) -> tuple[npt.NDArray[np.int64], Array]:
    """The steps (n,) that all series have, and their values there (S, n)."""
    steps = reduce(np.intersect1d, [s.steps for s in series])
    return steps, np.array([s.values[np.searchsorted(s.steps, steps)] for s in series])


def seed_of(run: RunFolder) -> Any:
    return run.params.get("seed", "")


# ---- drawing --------------------------------------------------------------------------------------------------------


def draw_spread(axes: Axes, x: npt.ArrayLike, values: Array, colour: Any, band: bool = True, **look: Any) -> None:
    """The mean of values (S, n) as a line, and where S > 1 their standard deviation as a band."""
    mean, std = mean_of(values), std_of(values)
    if band and len(values) > 1:
        axes.fill_between(x, mean - std, mean + std, color=colour, alpha=0.18, linewidth=0)
    if len(mean) == 1:  # no line to be seen
        look.setdefault("marker", ".")
    axes.plot(x, mean, color=colour, **look)


def mean_of(values: Array) -> Array:
    """Over the first axis, of the numbers; NaN where there is none."""
    return np.ma.masked_invalid(values).mean(axis=0).filled(np.nan)


def std_of(values: Array) -> Array:
    return np.ma.masked_invalid(values).std(axis=0).filled(np.nan)


def whole_generations(axes: Axes) -> None:
    axes.set_xlabel("generation")
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    first, last = axes.dataLim.intervalx
    if last - first < 1:  # one generation; the locator would go on to fractions of it
        axes.set_xlim(first - 0.1, first + 1.1)


def lines_of(groups: Sequence[Group]) -> list[Line2D]:
    return [Line2D([], [], color=group.colour, linestyle=group.dashes, label=group.label) for group in groups]


def fresh(genome: Genome, rng: np.random.Generator) -> Genome:
    """The network with weights as a new genome has them."""
    return replace(genome, weights=draw_weights(genome.num_connections, rng))


def lightened(colour: str, share: float) -> str:
    """Mixed with white; share 0 is the colour itself."""
    red, green, blue = (channel + (1 - channel) * 0.75 * share for channel in to_rgb(colour))
    return to_hex((red, green, blue))


# ---- tables


def table(rows: Sequence[TableRow]) -> str:
    """Markdown: a line for each quantity, a column for each experiment; no text where there are no rows."""
    if not rows:
        return ""
    experiments = {
        row.experiment: f"{row.experiment}, {row.networks} network{'s' * (row.networks > 1)}" for row in rows
    }
    cells = {(row.quantity, row.experiment): f"{row.mean:.4g} +- {row.std:.2g}" for row in rows}
    lines = [["", *experiments.values()], ["---"] * (len(experiments) + 1)]
    for quantity in dict.fromkeys(row.quantity for row in rows):
        lines.append([quantity, *(cells[quantity, experiment] for experiment in experiments)])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
