"""Weight agnostic networks by generation: rewards or accuracies, and connections."""

import argparse
from collections.abc import Sequence
from typing import Any

from matplotlib.lines import Line2D

from analysis import style
from analysis.figures.common import (
    Drawn,
    Group,
    Line,
    draw_spread,
    lightened,
    lines_of,
    seed_of,
    some,
    together,
    whole_generations,
)


def draw(groups: Sequence[Group], arguments: argparse.Namespace) -> Drawn:
    """Mean over the shared weights, the best of them, and connections: each generation's best, and the champion.

    The band is the spread of the former.
    """
    groups = some([g for g in groups if not g.runs[0].learns], "no run evolved weight agnostic networks")
    is_gym = groups[0].runs[0].script == "run-wann-gym"
    quantity, name = ("reward", "reward") if is_gym else ("acc", "accuracy")
    lines = (
        Line("best of generation", "-", 0.8, 0.8, band=True),
        Line("champion", "--", 1.2),
        Line("champion, tested", ":", 2.0),
    )
    shown = {
        f"{name}, mean over shared weights": (f"best/mean_{quantity}", f"champion/mean_{quantity}"),
        f"{name}, best shared weight": (f"best/max_{quantity}", f"champion/max_{quantity}"),
        "connections (population's mean)": ("stats/connections_mean", "champion/connections"),
    }
    figure = style.new_figure(style.PAGE_WIDTH, 2.9)
    panels = figure.subplots(1, 3, sharex=True)
    panels[1].sharey(panels[0])
    rows: list[Sequence[Any]] = []
    for axes, (title, (best, champion)) in zip(panels, shown.items(), strict=True):
        tags = (best, champion, champion.replace("/", "/test_"))
        for group in groups:
            for tag, line in zip(tags, lines, strict=True):
                series = [run.series(tag) for run in group.runs]
                steps, values = together(series)
                if not len(steps):
                    continue
                colour = lightened(group.colour, line.lightness)
                draw_spread(axes, steps, values, colour, line.band, linestyle=line.dashes, linewidth=line.width)
                for run, of_run in zip(group.runs, values.tolist(), strict=True):
                    rows += [
                        (group.label, seed_of(run), tag, *point) for point in zip(steps.tolist(), of_run, strict=True)
                    ]
        style.wrap_title(axes, title, style.PAGE_WIDTH / 3 - 0.5)
        whole_generations(axes)
    some(rows, "no run has a generation yet")
    kinds = [
        Line2D([], [], color=lightened(style.INK, line.lightness), ls=line.dashes, lw=line.width, label=line.label)
        for line in lines
    ]
    handles = [*(lines_of(groups) if len(groups) > 1 else []), *kinds]
    return Drawn(figure, ("experiment", "seed", "tag", "generation", "value"), rows, handles=handles)
