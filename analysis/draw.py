"""A network as a diagram: layers from left to right; hundreds of inputs as an image whose pixels the network reads."""

import argparse
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.artist import Artist
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection, PatchCollection, PathCollection
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle, Rectangle
from matplotlib.path import Path as Curve
from scipy.optimize import isotonic_regression

from analysis import arguments as options
from analysis import style, text
from analysis.graph import used_neurons
from analysis.layout import layered
from analysis.names import Names, default_names, image_side
from evolution.genome import ACTIVATION_NAMES, Genome

SHORT_NAMES = {"linear": "", "sine": "sin", "cosine": "cos", "gaussian": "gauss", "sigmoid": "sigm", "inverse": "inv"}
FADED = 0.18  # opacity of what has no part in the outputs
LARGEST_RADIUS, SMALLEST_RADIUS = 0.165, 0.045  # inches
SMALLEST_LABELLED = 0.115
MARGIN, GAP = 0.25, 0.1  # inches around everything, and between its parts
WIDEST_NAME = 1.7  # inches; longer names are cut
FACTS_SIZE = 8.0  # points
SMALLEST_NAME, LARGEST_NAME = 4.0, 8.0  # points
SCALE_HEIGHT = 0.5  # inches that the scale below an image of pixels takes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_network(parser)
    parser.add_argument("--env_name", help="names the inputs and outputs (default: as the file or its run says)")
    parser.add_argument("--title", help="what stands above (default: the task and where the network comes from)")
    options.add_destination(parser, "beside the network")


def main(arguments: argparse.Namespace) -> None:
    """Draw a network as a diagram, as PNG and SVG: layers from left to right, images as a grid of pixels."""
    path = options.destination(arguments.to, arguments.network)
    genome = Genome.load(arguments.network)
    names, task = options.names_for(genome, arguments.network, arguments.env_name)
    title = arguments.title or (f"{task}: {arguments.network.name}" if task else arguments.network.name)
    drawn = figure(genome, names, title)
    path.parent.mkdir(parents=True, exist_ok=True)
    for file in style.save(drawn, path):
        print(file)


def figure(genome: Genome, names: Names | None = None, title: str | None = None) -> Figure:
    """The network as a matplotlib Figure. `names` are those of inputs and outputs, by default numbers."""
    with style.style():
        return _Drawing(genome, names or default_names(genome), title or "Network").figure


def image(
    genome: Genome, names: Names | None = None, title: str | None = None, dpi: int = 110
) -> npt.NDArray[np.uint8]:
    """The same as pixels (height, width, 3)."""
    with style.style():
        drawn = figure(genome, names, title)
        drawn.set_dpi(dpi)
        drawn.canvas.draw()
        return np.asarray(drawn.canvas.buffer_rgba())[..., :3].copy()  # type: ignore[attr-defined]


class _Drawing:
    """Works in inches: the one axes covers the whole figure and counts them. Every text is measured before it is put.

    From the top down: title, facts, the network, legend; from left to right: the inputs' names (or their image), the
    layers, the outputs' names.
    """

    def __init__(self, genome: Genome, names: Names, title: str) -> None:
        self.genome, self.names = genome, names
        self.used = used_neurons(genome)
        self.side = image_side(genome)
        self.figure = style.new_figure(style.PAGE_WIDTH, style.PAGE_WIDTH)
        self.figure.set_layout_engine("none")
        self.axes = self.figure.add_axes((0, 0, 1, 1))
        self.axes.set_axis_off()
        self.place_across()
        room = self.width - 2 * MARGIN
        self.title = text.wrapped(title, room, style.TITLE_SIZE, bold=True)
        self.facts = text.wrapped(", ".join(self.describe()), room, FACTS_SIZE)
        self.title_height = text.height(self.title, style.TITLE_SIZE)
        legend = style.legend(
            self.axes,
            self.handles(),
            room,
            loc="lower left",
            bbox_to_anchor=(MARGIN, MARGIN / 2),
            bbox_transform=self.axes.transData,
            borderaxespad=0,
        )
        self.place_upwards(MARGIN / 2 + style.extent(self.figure, legend)[1] + GAP)
        self.figure.set_size_inches(self.width, self.height)
        self.axes.set(xlim=(0, self.width), ylim=(0, self.height))
        if self.side:
            self.draw_pixels(self.side)
        self.draw_connections()
        self.draw_neurons()
        self.draw_names()
        top = self.height - MARGIN / 2
        self.axes.text(MARGIN, top, self.title, fontsize=style.TITLE_SIZE, weight="bold", va="top")
        self.axes.text(MARGIN, top - self.title_height, self.facts, fontsize=FACTS_SIZE, va="top", color="#555555")

    # ---- geometry

    def place_across(self) -> None:
        """Which neurons are `circles`, the layout in its own units, sizes, and `x` of every neuron."""
        genome, pixels = self.genome, self.genome.num_observed if self.side else 0
        drawn = np.arange(genome.num_neurons) >= pixels
        self.circles = np.flatnonzero(drawn)
        self.from_pixel = ~drawn[genome.connections[:, 0]]
        renumbered = np.cumsum(drawn) - 1
        layers = genome.layers[drawn]
        if self.side and not genome.use_bias:
            layers = layers - 1
        visible = np.arange(genome.num_neurons)[drawn] < genome.num_inputs + genome.num_outputs
        self.layout = layered(layers, renumbered[genome.connections[~self.from_pixel]], visible, self.pulls(drawn))

        heights = np.concatenate([self.layout.heights, *self.layout.routes])
        self.lowest, self.highest = float(heights.min()) - 0.5, float(heights.max()) + 0.5
        extent = self.highest - self.lowest
        self.body = float(np.clip(extent * 0.36, 2.2 if not self.side else 3.2, 6.5))
        self.unit = min(0.42, self.body / extent)
        self.radius = float(np.clip(0.39 * self.unit, SMALLEST_RADIUS, LARGEST_RADIUS))
        self.name_size = float(np.clip(text.POINTS * 2.2 * self.radius, SMALLEST_NAME, LARGEST_NAME))

        self.shown = {neuron: text.wrapped(name, WIDEST_NAME, self.name_size, lines=1) for neuron, name in self.named()}
        first_output = genome.num_inputs
        widths = {neuron: text.width(name, self.name_size) for neuron, name in self.shown.items()}
        right = MARGIN + 0.3 + max((w for n, w in widths.items() if n >= first_output), default=0)
        if self.side:
            self.grid_size = min(self.body - SCALE_HEIGHT, 2.9)
            left = MARGIN + GAP + self.grid_size + (0.45 if genome.use_bias else 1.0)
        else:
            left = MARGIN + 0.3 + max((w for n, w in widths.items() if n < first_output), default=0)
        steps = max(int(layers.max()), 1)
        self.width = float(np.clip(left + right + steps * 0.85, style.PAGE_WIDTH, 13.0))
        step = (self.width - left - right) / steps
        self.radius = min(self.radius, 0.42 * step)
        self.x = np.zeros(genome.num_neurons)
        self.x[drawn] = left + layers * step

    def place_upwards(self, bottom: float) -> None:
        """The height of everything above `bottom`: of the figure, `y` of every neuron, and the connections' routes."""
        facts_height = text.height(self.facts, FACTS_SIZE)
        self.height = bottom + self.body + GAP + facts_height + self.title_height + MARGIN / 2
        middle, centre = bottom + self.body / 2, (self.lowest + self.highest) / 2
        self.bottom, self.top = bottom, bottom + self.body
        self.y = np.zeros(self.genome.num_neurons)
        self.y[self.circles] = middle + (self.layout.heights - centre) * self.unit
        self.routes = [middle + (route - centre) * self.unit for route in self.layout.routes]
        if self.side:
            self.grid = (MARGIN + GAP, middle + (SCALE_HEIGHT - self.grid_size) / 2)
            cell = self.grid_size / self.side
            rows, columns = np.divmod(np.arange(self.side**2), self.side)
            self.x[: self.side**2] = self.grid[0] + (columns + 0.5) * cell
            self.y[: self.side**2] = self.grid[1] + self.grid_size - (rows + 0.5) * cell

    def pulls(self, drawn: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64] | None:
        """The mean height of the pixels that a neuron reads."""
        if not self.side:
            return None
        sources, targets = self.genome.connections[self.from_pixel].T
        heights = 0.5 - (sources // self.side + 0.5) / self.side
        count = np.bincount(targets, minlength=len(drawn))
        total = np.bincount(targets, heights, minlength=len(drawn))
        return np.where(count > 0, total / np.maximum(count, 1), np.nan)[drawn]

    # ---- drawing

    def draw_pixels(self, side: int) -> None:
        """The inputs as an image, darker where a pixel is used more."""
        genome, axes = self.genome, self.axes
        strengths = np.ones(genome.num_connections) if genome.weights is None else np.abs(genome.weights, dtype=float)
        use = np.bincount(genome.connections[:, 0], strengths, minlength=genome.num_inputs)[: side * side]
        scale = Normalize(0, max(float(use.max()), 1e-9))
        x, y, size = *self.grid, self.grid_size
        axes.imshow(
            use.reshape(side, side), cmap=_USE, norm=scale, extent=(x, x + size, y, y + size), aspect="auto", zorder=1
        )
        axes.set(xlim=(0, self.width), ylim=(0, self.height))
        lines = np.linspace(0, size, side + 1)
        grid = [[(x + a, y), (x + a, y + size)] for a in lines] + [[(x, y + a), (x + size, y + a)] for a in lines]
        axes.add_collection(LineCollection(grid, colors="white", linewidths=0.4, zorder=1.5))
        axes.add_patch(Rectangle((x, y), size, size, fill=False, edgecolor=style.GREY, linewidth=0.7, zorder=1.6))
        bar = axes.inset_axes((x, y - 0.15, size, 0.08), transform=axes.transData)
        what = "connections of a pixel" if genome.weights is None else "sum of a pixel's |weights|"
        colour_bar = self.figure.colorbar(ScalarMappable(scale, _USE), cax=bar, orientation="horizontal")
        colour_bar.outline.set_linewidth(0.5)
        if genome.weights is None:
            colour_bar.set_ticks(np.unique(np.linspace(0, int(max(use.max(), 1)), 5).astype(int)).tolist())
        else:
            ends = [0.0, scale.vmax or 1.0]
            colour_bar.set_ticks(ends, labels=[f"{value:.2g}" for value in ends])
        bar.tick_params(labelsize=6, length=2, pad=1)
        bar.set_xlabel(what, fontsize=7, labelpad=1)

    def draw_connections(self) -> None:
        genome = self.genome
        routes = iter(self.routes)
        curves = [
            self.pixel_curve(source, target) if pixel else self.curve(source, target, next(routes))
            for (source, target), pixel in zip(genome.connections.tolist(), self.from_pixel.tolist(), strict=True)
        ]
        colours = np.full(len(curves), style.INK, object)
        widths = np.full(len(curves), 0.8)
        if genome.weights is not None and len(curves):
            colours = np.where(genome.weights >= 0, style.POSITIVE, style.NEGATIVE)
            strengths = np.abs(genome.weights.astype(np.float64))  # in 32 bits the largest ones would overflow
            widths = 0.25 + 2.0 * strengths / max(float(strengths.max()), 1e-30)
        crowd = float(np.clip(70 / max(len(curves), 1), 0.35, 0.8))
        opacity = np.where(self.from_pixel, 0.5 * crowd, crowd)
        opacity[~self.used[genome.connections].all(axis=1)] *= FADED
        self.axes.add_collection(
            PathCollection(
                curves,
                facecolors="none",
                edgecolors=[_with_opacity(c, a) for c, a in zip(colours, opacity, strict=True)],
                linewidths=widths,
                zorder=2,
                capstyle="round",
            )
        )

    def curve(self, source: int, target: int, route: npt.NDArray[np.float64]) -> Curve:
        """A smooth line through the bends: a monotone cubic (Fritsch and Carlson 1980) as Bezier curves."""
        x = np.linspace(self.x[source], self.x[target], len(route))
        step, secants = x[1] - x[0], np.diff(route) / (x[1] - x[0])
        slopes = np.concatenate([secants[:1], np.zeros(len(route) - 2), secants[-1:]])
        product = secants[:-1] * secants[1:]
        turning = product > 0
        slopes[1:-1][turning] = 2 * product[turning] / (secants[:-1] + secants[1:])[turning]
        points = np.empty((3 * len(secants) + 1, 2))
        points[::3] = np.column_stack([x, route])
        points[1::3] = np.column_stack([x[:-1] + step / 3, route[:-1] + slopes[:-1] * step / 3])
        points[2::3] = np.column_stack([x[1:] - step / 3, route[1:] - slopes[1:] * step / 3])
        return Curve(points, [Curve.MOVETO] + [Curve.CURVE4] * (len(points) - 1))

    def pixel_curve(self, source: int, target: int) -> Curve:
        start, end = (self.x[source], self.y[source]), (self.x[target], self.y[target])
        edge = (self.grid[0] + self.grid_size + end[0]) / 2
        return Curve([start, (edge, start[1]), (edge, end[1]), end], [Curve.MOVETO] + [Curve.CURVE4] * 3)

    def draw_neurons(self) -> None:
        genome, patches, faces, edges = self.genome, [], [], []
        for neuron in self.circles.tolist():
            activation = ACTIVATION_NAMES[genome.activations[neuron]]
            fill, faded = style.activation_colour(activation), not self.used[neuron]
            is_input = neuron < genome.num_inputs
            patches.append(Circle((self.x[neuron], self.y[neuron]), self.radius * (0.7 if is_input else 1)))
            faces.append(_on_white(fill, FADED if faded else 1))
            edges.append(_on_white(style.INK, FADED if faded else 1))
            if not is_input and self.radius >= SMALLEST_LABELLED:
                self.axes.text(
                    self.x[neuron],
                    self.y[neuron] - 0.005,
                    SHORT_NAMES.get(activation, activation),
                    fontsize=5.5 * self.radius / LARGEST_RADIUS,
                    color=_on_white(_ink_on(fill), 0.35) if faded else _ink_on(fill),
                    ha="center",
                    va="center",
                    zorder=4,
                )
        self.axes.add_collection(
            PatchCollection(patches, facecolors=faces, edgecolors=edges, linewidths=0.7, zorder=3), autolim=False
        )

    def named(self) -> list[tuple[int, str]]:
        """The neurons that have a name beside them, with it."""
        genome = self.genome
        names = [] if self.side else list(enumerate(self.names.inputs))
        if genome.use_bias:
            names.append((genome.num_observed, "bias"))
        return names + [(genome.num_inputs + i, name) for i, name in enumerate(self.names.outputs)]

    def draw_names(self) -> None:
        """Names left of the inputs and right of the outputs, moved apart where they would overlap.

        Where not all of them have room, every second, third, ... is shown.
        """
        first_output, line = self.genome.num_inputs, text.height("", self.name_size)
        for side, direction in (("right", -1), ("left", 1)):
            neurons = [n for n in self.shown if (n >= first_output) == (direction == 1)]
            if self.side and direction == -1:  # the bias, alone in its column beside the image
                for neuron in neurons:
                    below = self.y[neuron] - self.radius - 0.04
                    self.write(neuron, self.x[neuron], below, ha="center", va="top")
                continue
            neurons = neurons[:: -(-len(neurons) // max(int(self.body / line), 1)) or 1]
            places = _apart(self.y[neurons], line, self.bottom + line / 2, self.top - line / 2)
            for neuron, place in zip(neurons, places.tolist(), strict=True):
                start, x = (self.x[neuron] + direction * (self.radius + d) for d in (0.02, 0.12))
                if abs(place - self.y[neuron]) > 0.01:
                    leader = Line2D([start, x - direction * 0.02], [self.y[neuron], place], color=style.GREY)
                    leader.set_linewidth(0.4)
                    self.axes.add_line(leader)
                self.write(neuron, x, place, ha=side, va="center")

    def write(self, neuron: int, x: float, y: float, **aligned: Any) -> None:
        colour = style.INK if self.used[neuron] else style.GREY
        self.axes.text(x, y, self.shown[neuron], fontsize=self.name_size, color=colour, **aligned)

    def describe(self) -> list[str]:
        genome = self.genome
        unused = int(np.count_nonzero(~self.used[genome.num_inputs :]))
        facts = [
            f"{genome.num_connections} connections",
            f"{genome.num_neurons} neurons ({genome.num_hidden} hidden)",
            f"{genome.num_layers} layers",
        ]
        return [*facts, f"{unused} hidden or output neurons unused"] if unused else facts

    def handles(self) -> list[Artist]:
        """What the legend shows: activations, and how connections are drawn."""
        genome = self.genome
        handles: list[Artist] = []
        for index in np.unique(genome.activations[genome.num_inputs :]).tolist():
            name = ACTIVATION_NAMES[index]
            colour = style.activation_colour(name)
            marker = Line2D([], [], marker="o", linestyle="", markersize=7, markerfacecolor=colour, label=name)
            marker.set_markeredgecolor(style.INK)
            handles.append(marker)
        if genome.weights is None:
            return [*handles, Line2D([], [], color=style.INK, linewidth=0.8, label="connection")]
        largest = float(np.abs(genome.weights).max()) if genome.num_connections else 0.0
        for sign, colour in (("+", style.POSITIVE), ("\N{MINUS SIGN}", style.NEGATIVE)):
            handles.append(Line2D([], [], color=colour, linewidth=2.25, label=f"weight {sign}{largest:.2g}"))
        return handles


def _apart(wanted: npt.NDArray[np.float64], room: float, low: float, high: float) -> npt.NDArray[np.float64]:
    """Places in [low, high], `room` from one another at least, nearest to those wanted (least squares)."""
    order = np.argsort(-wanted, kind="stable")
    steps = room * np.arange(len(wanted))
    found = np.empty(len(wanted))
    lowest = low + room * (len(wanted) - 1)  # that the first may be with all others below it
    found[order] = np.clip(isotonic_regression(wanted[order] + steps, increasing=False).x, lowest, high) - steps
    return found


_USE = LinearSegmentedColormap.from_list("use", ["#F3F3F3", "#9DB4C8", "#3B5B7A", "#10263B"])


Rgb = tuple[float, float, float]


def _rgb(colour: str) -> Rgb:
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return red, green, blue


def _with_opacity(colour: str, opacity: float) -> tuple[float, float, float, float]:
    return (*_rgb(colour), float(opacity))


def _on_white(colour: str, opacity: float) -> Rgb:
    """The solid colour that `colour` has on white with this opacity: what lies beneath does not show through."""
    red, green, blue = (1 - opacity * (1 - part) for part in _rgb(colour))
    return red, green, blue


def _ink_on(colour: str) -> str:
    red, green, blue = _rgb(colour)
    return "#FFFFFF" if 0.299 * red + 0.587 * green + 0.114 * blue < 0.55 else "#000000"
