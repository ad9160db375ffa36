"""What all figures share: colours that the colour-blind can tell apart, sizes for a page, how files are written."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from evolution.files import write_atomically

# M. Okabe and K. Ito, "Color Universal Design" (2008).
BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILLION, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"
GREY, LIGHT, INK = "#999999", "#E4E4E4", "#333333"

RULE_COLOURS = {
    "backprop": BLUE,
    "feedback_alignment": VERMILLION,
    "hebbian": GREEN,
    "last_layer": PURPLE,
    "direct_feedback_alignment": ORANGE,
}
RULE_NAMES = {
    "backprop": "Backpropagation",
    "feedback_alignment": "Feedback alignment",
    "hebbian": "Hebbian",
    "last_layer": "Last layer only",
    "direct_feedback_alignment": "Direct feedback alignment",
}
OTHER_COLOURS = (BLACK, SKY, GREY, *RULE_COLOURS.values())  # those of no rule first
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<")
ACTIVATION_COLOURS = {
    "linear": "#FFFFFF",
    "step": BLACK,
    "sine": BLUE,
    "cosine": SKY,
    "gaussian": PURPLE,
    "tanh": VERMILLION,
    "sigmoid": ORANGE,
    "inverse": YELLOW,
    "abs": GREY,
    "relu": GREEN,
}
POSITIVE, NEGATIVE = BLUE, VERMILLION

PAGE_WIDTH = 7.0  # inches: a figure across a page
DPI = 200
_RC: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.labelsize": 9,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LIGHT,
    "grid.linewidth": 0.6,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "lines.markersize": 4.5,
    "figure.constrained_layout.use": True,
    "svg.hashsalt": "analysis",  # the same figure gives the same bytes
}


@contextmanager
def style() -> Iterator[None]:
    """Inside, matplotlib draws as all our figures look; outside nothing changes."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_RC)
        yield


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of the given size in inches, independent of pyplot and of any display."""
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    return figure


def save(figure: Figure, path: Path) -> list[Path]:
    """Write `path` with the endings .png and .svg; gives both."""
    paths = []
    with style():
        for ending, options in (("png", {"dpi": DPI}), ("svg", {"metadata": {"Date": None}})):
            buffer = io.BytesIO()
            figure.savefig(buffer, format=ending, **options)
            paths.append(path.with_name(f"{path.name}.{ending}"))
            write_atomically(paths[-1], buffer.getvalue())
    return paths


def save_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> Path:
    """Write a table; floats with six significant digits."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    for row in rows:
        writer.writerow([f"{value:.6g}" if isinstance(value, float) else value for value in row])
    write_atomically(path, text.getvalue())
    return path
