"""What evolved: accuracy and connections of every network by generation."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from analysis import style
from analysis.figures.common import (
    Array,
    Drawn,
    Group,
    NothingToDraw,
    draw_spread,
    learning,
    lines_of,
    mean_of,
    seed_of,
    std_of,
    together,
    whole_generations,
)
from analysis.runs import NOTHING, RunFolder, Series


def draw(groups: Sequence[Group], arguments: argparse.Namespace) -> Drawn:
    """Accuracy in training and connections: a dot for every network, a line for their mean."""
    figure = style.new_figure(style.PAGE_WIDTH, 2.9)
    panels = figure.subplots(1, 2, sharex=True)
    rows: dict[tuple[Path, int], list[Any]] = {}
    groups = learning(groups)
    for what, axes in zip(("acc", "connections"), panels, strict=True):
        for group in groups:
            means = []
            for run in group.runs:
                steps, values = _some_steps(population_values(run, what), run)
                dots = {"color": group.colour, "marker": ".", "markersize": 1.5, "linestyle": "", "alpha": 0.12}
                axes.plot(np.tile(steps, len(values)), values.ravel(), **dots, markeredgewidth=0, rasterized=True)
                means.append(Series(steps, mean_of(values)))
                for step, mean, std in zip(steps.tolist(), mean_of(values), std_of(values), strict=True):
                    row = rows.setdefault((run.path, step), [group.label, seed_of(run), step])
                    row += [float(mean), float(std)]
            draw_spread(axes, *together(means), group.colour, linestyle=group.dashes)
        whole_generations(axes)
    panels[0].set(ylabel="accuracy in training", ylim=(0, 1))
    panels[1].set(ylabel="connections", ylim=(0, None))
    header = ("experiment", "seed", "generation", "acc_mean", "acc_std", "connections_mean", "connections_std")
    return Drawn(figure, header, list(rows.values()), handles=lines_of(groups))


def population_values(run: RunFolder, what: str) -> tuple[npt.NDArray[np.int64], Array]:
    """Generations (G,) and a value of every network (N, G), as far as the event files have them."""
    series = [s for tag, s in run.scalars.items() if tag.startswith("population/net") and tag.endswith(f"_{what}")]
    return together(series or [NOTHING])


def _some_steps(found: tuple[npt.NDArray[np.int64], Array], run: RunFolder) -> tuple[npt.NDArray[np.int64], Array]:
    if not len(found[0]):
        raise NothingToDraw(f"{run.path} has no generation yet")
    return found
