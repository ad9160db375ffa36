"""What all figures share: colours that the colour-blind can tell apart, sizes for a page, titles, legends, files."""

import csv
import io
import math
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.ticker import FuncFormatter, NullFormatter

from analysis import text
from evolution.files import write_atomically
from evolution.genome import ACTIVATION_NAMES

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
    "sign_symmetry_fixed": "Sign symmetry, fixed",
    "sign_symmetry_batch": "Sign symmetry, each batch",
    "kolen_pollack": "Kolen-Pollack",
    "direct_kolen_pollack": "Direct Kolen-Pollack",
    "pepita": "PEPITA",
    "soft_hebb": "SoftHebb",
}
OTHER_COLOURS = (BLACK, SKY, GREY, *RULE_COLOURS.values())  # those of no rule first
# Of further rules, in the order in which they are registered. P. Tol, "Colour schemes" (2021), muted, and darker ones.
FURTHER_COLOURS = (
    "#332288", "#44AA99", "#DDCC77", "#CC6677", "#999933", "#88CCEE", "#882255", "#AA4499", "#117733", "#661100",
    "#6699CC", "#888888", BLACK,
)  # fmt: skip
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


def activation_colour(name: str) -> str:
    """The fill of a neuron; activations from outside have further colours, in the order in which they came."""
    number = ACTIVATION_NAMES.index(name) - len(ACTIVATION_COLOURS)
    return ACTIVATION_COLOURS.get(name) or FURTHER_COLOURS[number % len(FURTHER_COLOURS)]


class Look(NamedTuple):
    """How a learning rule is shown everywhere."""

    name: str
    colour: str
    marker: str


def look_of(rule: str) -> Look:
    """Name, colour and marker of a learning rule; one that is not registered looks like the next that would be."""
    from learning import LEARNING_RULES

    colours = (*RULE_COLOURS.values(), *FURTHER_COLOURS)
    known = list(dict.fromkeys((*RULE_COLOURS, *LEARNING_RULES)))
    number = known.index(rule) if rule in known else len(known)
    turn, place = divmod(number, len(colours))
    marker = MARKERS[(number + turn) % len(MARKERS)]
    return Look(RULE_NAMES.get(rule, rule.replace("_", " ").capitalize()), colours[place], marker)


PAGE_WIDTH = 7.0  # inches: a figure across a page
EDGE = 0.1  # inches that a page keeps free on each side
DPI = 200
TITLE_SIZE, LEGEND_SIZE = 10.0, 8.0  # points
HANDLE, SPACING = 2.0, 1.5  # font sizes: the length of a line in a legend, and the space between its columns
_RC: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": TITLE_SIZE,
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
    "text.parse_math": False,  # what stands in names, titles and parameters is text, dollars too
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": LEGEND_SIZE,
    "legend.handlelength": HANDLE,
    "legend.columnspacing": SPACING,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "lines.markersize": 4.5,
    "figure.constrained_layout.use": True,
    "svg.hashsalt": "analysis",  # the same figure gives the same bytes
}


@contextmanager
def style() -> Iterator[None]:
    """Inside, matplotlib draws as all our figures look; outside nothing changes."""
    with matplotlib.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_RC)
        yield


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of the given size in inches, independent of pyplot and of any display."""
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    return figure


def furnish(figure: Figure, title: str, handles: Sequence[Artist] = ()) -> Figure:
    """Write a title above the panels and a legend below, and make the figure higher by what these take.

    Both are as wide as the page lets them be: long titles and names are broken into lines, and the legend has as many
    columns as have room. Axes whose labels would be one number get a range that has two.
    """
    if handles:
        figure_legend = legend(figure, handles, figure.get_figwidth() - 2 * EDGE, loc="outside lower center")
        grow(figure, extent(figure, figure_legend)[1] + EDGE)
    room = figure.get_figwidth() - 2 * EDGE
    lines = text.wrapped(title, room, TITLE_SIZE)
    figure.suptitle(lines, fontsize=TITLE_SIZE)
    grow(figure, text.height(lines, TITLE_SIZE))
    for axes in figure.axes:
        _give_two_ticks(axes)
    return figure


def legend(parent: Figure | Axes, handles: Sequence[Artist], room: float, **placed: Any) -> Legend:
    """A legend at most `room` inches wide: names are broken into lines, and columns are as many as fit."""
    em = LEGEND_SIZE / text.POINTS
    around = (HANDLE + 0.8 + SPACING) * em  # what a name needs besides its own width
    for handle in handles:
        handle.set_label(text.wrapped(str(handle.get_label()), room - around, LEGEND_SIZE))
    names = [str(handle.get_label()) for handle in handles]
    widths = [max(text.width(line, LEGEND_SIZE) for line in name.split("\n")) + around for name in names]
    columns = next(n for n in range(len(names), 0, -1) if n == 1 or _columns_width(widths, n) <= room)
    return parent.legend(handles=list(handles), ncols=columns, **placed)


def _columns_width(widths: Sequence[float], columns: int) -> float:
    """Of a legend, which fills its columns one after the other, the first ones with one entry more."""
    parts = np.array_split(np.array(widths), columns)
    return float(sum(part.max() for part in parts if len(part)))


def extent(figure: Figure, artist: Artist) -> tuple[float, float]:
    """Width and height in inches that an artist takes."""
    box = artist.get_window_extent(figure.canvas.get_renderer())  # type: ignore[attr-defined]
    return box.width / figure.dpi, box.height / figure.dpi


def grow(figure: Figure, inches: float) -> None:
    """Make a figure higher."""
    figure.set_figheight(figure.get_figheight() + inches)


def wrap_title(axes: Axes, title: str, room: float, points: float = 9.0) -> None:
    """A panel's title in lines of at most `room` inches; for more than one line the figure becomes higher."""
    lines = text.wrapped(title, room, points)
    axes.set_title(lines, fontsize=points)


def _give_two_ticks(axes: Axes) -> None:
    for axis, limits, change in (
        (axes.xaxis, axes.get_xlim(), axes.set_xlim),
        (axes.yaxis, axes.get_ylim(), axes.set_ylim),
    ):
        low, high = sorted(limits)
        if sum(low <= tick <= high for tick in axis.get_majorticklocs()) > 1:
            continue
        if axis.get_scale() == "log":
            floor, ceiling = math.floor(math.log10(low)), math.ceil(math.log10(high))
            change(10.0**floor, 10.0 ** max(ceiling, floor + 1))
        else:  # whole numbers, and one of them
            middle = round((low + high) / 2)
            change(middle - 0.1, middle + 1.1)


def plain_logarithms(axis: Axis) -> None:
    """Label a logarithmic axis with plain numbers: 0.01, 1, 1e+06."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


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


@contextmanager
def shown(text: str) -> Iterator[None]:
    """Print a result before the block writes its files: neither a full disk nor a console that is gone loses it.

    Where it could not be printed, the OSError is raised after the block.
    """
    failed = None
    try:
        print(text, end="", flush=True)
    except OSError as error:
        failed = error
    yield
    if failed is not None:
        raise failed


def save_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> Path:
    """Write a table; floats with six significant digits."""
    content = io.StringIO()
    writer = csv.writer(content, lineterminator="\n")
    writer.writerow(header)
    for row in rows:
        writer.writerow([_cell(value) for value in row])
    write_atomically(path, content.getvalue())
    return path


def _cell(value: Any) -> Any:
    if isinstance(value, float):
        return f"{value:.6g}"
    return text.printable(value) if isinstance(value, str) else value
