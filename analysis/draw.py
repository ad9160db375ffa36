"""A network as a diagram: layers from left to right; hundreds of inputs as an image whose pixels the network reads."""

import argparse

import numpy as np
import numpy.typing as npt
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle, Rectangle
from matplotlib.path import Path as Curve

from analysis import arguments as options
from analysis import style
from analysis.graph import used_neurons
from analysis.layout import layered
from analysis.names import Names, default_names, image_side, names_of, task_of
from evolution.genome import ACTIVATION_NAMES, Genome

SHORT_NAMES = {"linear": "", "sine": "sin", "cosine": "cos", "gaussian": "gauss", "sigmoid": "sigm", "inverse": "inv"}
FADED = 0.18  # opacity of what has no part in the outputs
LARGEST_RADIUS, SMALLEST_RADIUS = 0.165, 0.045  # inches
SMALLEST_LABELLED = 0.115
MARGIN, TITLE_HEIGHT, LEGEND_HEIGHT = 0.25, 0.55, 0.5  # inches
NAME_WIDTH = 0.068  # inches a character of a name takes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_network(parser)
    parser.add_argument("--env_name", help="names the inputs and outputs (default: as the file or its run says)")
    parser.add_argument("--title", help="what stands above (default: the task and where the network comes from)")
    options.add_destination(parser, "beside the network")


def main(arguments: argparse.Namespace) -> None:
    """Draw a network as a diagram, as PNG and SVG: layers from left to right, images as a grid of pixels."""
    genome = Genome.load(arguments.network)
    task = arguments.env_name or task_of(arguments.network)
    names = names_of(genome, task)
    title = arguments.title or (f"{task}: {arguments.network.name}" if task else arguments.network.name)
    for path in style.save(figure(genome, names, title), options.destination(arguments.to, arguments.network)):
        print(path)


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
    """Works in inches: the one axes covers the whole figure and counts them."""

    def __init__(self, genome: Genome, names: Names, title: str) -> None:
        self.genome, self.names = genome, names
        self.used = used_neurons(genome)
        self.side = image_side(genome)
        self.place()
        self.figure = style.new_figure(self.width, self.height)
        self.figure.set_layout_engine("none")
        self.axes = self.figure.add_axes((0, 0, 1, 1))
        self.axes.set(xlim=(0, self.width), ylim=(0, self.height))
        self.axes.set_axis_off()
        if self.side:
            self.draw_pixels(self.side)
        self.draw_connections()
        self.draw_neurons()
        self.draw_names()
        self.draw_title(title)
        self.draw_legend()

    # ---- geometry

    def place(self) -> None:
        """Sizes of the figure, where every neuron stands (`x`, `y`), and the `routes` between circles."""
        genome, pixels = self.genome, self.genome.num_observed if self.side else 0
        drawn = np.arange(genome.num_neurons) >= pixels  # as a circle
        self.circles = np.flatnonzero(drawn)
        self.from_pixel = ~drawn[genome.connections[:, 0]]
        renumbered = np.cumsum(drawn) - 1
        layers = genome.layers[drawn]
        if self.side and not genome.use_bias:
            layers = layers - 1
        visible = np.arange(genome.num_neurons)[drawn] < genome.num_inputs + genome.num_outputs
        layout = layered(layers, renumbered[genome.connections[~self.from_pixel]], visible, self.pulls(drawn))

        extent = np.ptp(layout.heights) + 1 if len(layout.heights) else 1.0
        body = float(np.clip(extent * 0.36, 2.2 if not self.side else 3.0, 6.5))
        self.height = MARGIN + LEGEND_HEIGHT + body + TITLE_HEIGHT
        middle = MARGIN + LEGEND_HEIGHT + body / 2
        unit = min(0.42, body / extent)
        self.radius = float(np.clip(0.39 * unit, SMALLEST_RADIUS, LARGEST_RADIUS))

        right = 0.35 + NAME_WIDTH * max(map(len, self.names.outputs))
        if self.side:
            self.grid_size = min(body * 0.86, 2.9)
            self.grid = (MARGIN + 0.1, middle - self.grid_size / 2 + 0.15)
            left = self.grid[0] + self.grid_size + (0.35 if genome.use_bias else 1.0)
        else:
            left = MARGIN + 0.25 + NAME_WIDTH * max(map(len, (*self.names.inputs, "bias" if genome.use_bias else "")))
        steps = max(int(layers.max()), 1)
        self.width = float(np.clip(left + right + steps * 0.85, style.PAGE_WIDTH, 13.0))
        step = (self.width - left - right) / steps

        self.x, self.y = np.zeros(genome.num_neurons), np.zeros(genome.num_neurons)
        self.x[drawn] = left + layers * step
        centre = (layout.heights.max() + layout.heights.min()) / 2
        self.y[drawn] = middle + (layout.heights - centre) * unit
        self.routes = [middle + (route - centre) * unit for route in layout.routes]
        if self.side:
            cell = self.grid_size / self.side
            rows, columns = np.divmod(np.arange(pixels), self.side)
            self.x[:pixels] = self.grid[0] + (columns + 0.5) * cell
            self.y[:pixels] = self.grid[1] + self.grid_size - (rows + 0.5) * cell

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
        strengths = np.ones(genome.num_connections) if genome.weights is None else np.abs(genome.weights)
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
        bar = axes.inset_axes((x, y - 0.18, size, 0.08), transform=axes.transData)
        what = "connections of a pixel" if genome.weights is None else "sum of a pixel's |weights|"
        colour_bar = self.figure.colorbar(ScalarMappable(scale, _USE), cax=bar, orientation="horizontal")
        colour_bar.outline.set_linewidth(0.5)
        if genome.weights is None:
            colour_bar.set_ticks(np.unique(np.linspace(0, int(max(use.max(), 1)), 5).astype(int)).tolist())
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
            widths = 0.25 + 2.0 * np.abs(genome.weights) / max(float(np.abs(genome.weights).max()), 1e-30)
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
        genome = self.genome
        for neuron in self.circles.tolist():
            activation = ACTIVATION_NAMES[genome.activations[neuron]]
            fill, faded = style.ACTIVATION_COLOURS[activation], not self.used[neuron]
            is_input = neuron < genome.num_inputs
            radius = self.radius * (0.7 if is_input else 1)
            circle = Circle((self.x[neuron], self.y[neuron]), radius, zorder=3, linewidth=0.7)
            circle.set_facecolor(_on_white(fill, FADED if faded else 1))
            circle.set_edgecolor(_on_white(style.INK, FADED if faded else 1))
            self.axes.add_patch(circle)
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

    def draw_names(self) -> None:
        genome, first_output = self.genome, self.genome.num_inputs
        names = [] if self.side else [(i, name, "right") for i, name in enumerate(self.names.inputs)]
        if genome.use_bias:
            names.append((genome.num_observed, "bias", "right"))
        names += [(first_output + i, name, "left") for i, name in enumerate(self.names.outputs)]
        size = float(np.clip(72 * 2.2 * self.radius, 4, 8))
        for neuron, name, side in names:
            x = self.x[neuron] + (self.radius + 0.07) * (1 if side == "left" else -1)
            colour = style.INK if self.used[neuron] else style.GREY
            self.axes.text(x, self.y[neuron], name, ha=side, va="center", fontsize=size, color=colour)

    def draw_title(self, title: str) -> None:
        genome = self.genome
        unused = int(np.count_nonzero(~self.used[genome.num_inputs :]))
        facts = [
            f"{genome.num_connections} connections",
            f"{genome.num_neurons} neurons ({genome.num_hidden} hidden)",
            f"{genome.num_layers} layers",
        ]
        if unused:
            facts.append(f"{unused} hidden or output neurons unused")
        self.axes.text(MARGIN, self.height - 0.17, title, fontsize=10, weight="bold", va="top")
        self.axes.text(MARGIN, self.height - 0.38, ", ".join(facts), fontsize=8, va="top", color="#555555")

    def draw_legend(self) -> None:
        genome = self.genome
        handles = []
        for index in np.unique(genome.activations[genome.num_inputs :]).tolist():
            name = ACTIVATION_NAMES[index]
            colour = style.ACTIVATION_COLOURS[name]
            marker = Line2D([], [], marker="o", linestyle="", markersize=7, markerfacecolor=colour, label=name)
            marker.set_markeredgecolor(style.INK)
            handles.append(marker)
        if genome.weights is None:
            handles.append(Line2D([], [], color=style.INK, linewidth=0.8, label="connection"))
        else:
            largest = float(np.abs(genome.weights).max()) if genome.num_connections else 0.0
            handles.append(Line2D([], [], color=style.POSITIVE, linewidth=2.25, label=f"weight +{largest:.2g}"))
            handles.append(
                Line2D([], [], color=style.NEGATIVE, linewidth=2.25, label=f"weight \N{MINUS SIGN}{largest:.2g}")
            )
        self.axes.legend(
            handles=handles,
            loc="lower left",
            bbox_to_anchor=(MARGIN - 0.1, 0.05),
            bbox_transform=self.axes.transData,
            ncol=len(handles),
            columnspacing=1.1,
            handletextpad=0.3,
            borderaxespad=0,
        )


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
