"""Measures of learning: angles to the gradient, dead neurons, dimensions, norms, by epoch or by generation."""

import argparse
import math
from collections.abc import Sequence
from typing import Any

from analysis import style
from analysis.figures.common import Drawn, Group, draw_spread, lines_of, seed_of, some, together, whole_generations

PREFIX, COLUMNS = "learning/", 3


def draw(groups: Sequence[Group], arguments: argparse.Namespace) -> Drawn:
    """A panel for every scalar below `learning/`; those of single layers are in the CSV alone.

    Training without evolution has them by epoch, evolution by generation, of the champion's test.
    """
    groups = some([g for g in groups if _tags(g)], f"no run has measures of learning (TensorBoard's {PREFIX}...) yet")
    tags = sorted(set().union(*(_tags(group) for group in groups)))
    shown = [tag for tag in tags if "layer" not in tag] or tags
    height = math.ceil(len(shown) / COLUMNS)
    figure = style.new_figure(style.PAGE_WIDTH, 2.3 * height)
    panels = figure.subplots(height, COLUMNS, squeeze=False)
    for axes in panels.flat[len(shown) :]:
        axes.remove()
    rows: list[Sequence[Any]] = []
    for tag in tags:
        axes = panels.flat[shown.index(tag)] if tag in shown else None
        for group in groups:
            series = [run.series(tag) for run in group.runs]
            for run, each in zip(group.runs, series, strict=True):
                rows += [
                    (group.label, seed_of(run), tag, step, value)
                    for step, value in zip(each.steps.tolist(), each.values.tolist(), strict=True)
                ]
            steps, values = together(series)
            if axes is not None and len(steps):
                draw_spread(axes, steps, values, group.colour, linestyle=group.dashes)
        if axes is not None:
            name = tag.removeprefix(PREFIX).replace("_", " ").replace("/", ", ")
            style.wrap_title(axes, name, style.PAGE_WIDTH / COLUMNS - 0.5)
            whole_generations(axes)
            axes.set_xlabel("generation" if groups[0].runs[0].learns else "epoch")
    return Drawn(figure, ("experiment", "seed", "tag", "step", "value"), rows, handles=lines_of(groups))


def _tags(group: Group) -> set[str]:
    return {tag for run in group.runs for tag in run.scalars if tag.startswith(PREFIX)}
