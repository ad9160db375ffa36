"""The thesis's figures of runs: what evolved, how it learns, what the networks look like.

Runs that differ in their seed alone are one experiment, drawn as mean and standard deviation. One figure holds the
experiments of one task.
"""

import argparse
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import reduce
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from analysis import arguments as take
from analysis import graph, random_networks, style
from analysis.runs import NOTHING, RunFolder, Series, learning_task
from envs import datasets
from evolution.errors import InputError
from evolution.files import write_atomically
from evolution.genome import Genome, draw_weights
from evolution.workers import Workers

Array = npt.NDArray[np.float64]

DASHES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))
FORBIDDEN = re.compile(r"[^\w.-]+")  # in the names of files
LARGEST_SEPARATE = 16  # degrees above share a bin with their neighbours, four bins for each doubling


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


class NothingToDraw(InputError):
    """The runs do not have what a figure shows."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runs", metavar="RUN", nargs="+", type=Path, help="a run's folder")
    parser.add_argument(
        "--to", type=Path, metavar="FOLDER", help="default: RUN/figures of one run, out/figures of several"
    )
    parser.add_argument("--only", nargs="+", choices=FIGURES, help="these figures (default: all that the runs have)")
    parser.add_argument(
        "--generations",
        nargs="+",
        type=int,
        help="learning-curves: of these (default: 0, 100, 1000, or first and last)",
    )
    parser.add_argument(
        "--networks",
        type=take.count,
        default=20,
        help="learning-curves: of a generation and run (default: %(default)s)",
    )
    parser.add_argument(
        "--keep_weights", action="store_true", help="learning-curves: from the saved weights, not from fresh ones"
    )
    parser.add_argument(
        "--random_networks",
        type=Path,
        default=Path("out/random-networks/random_networks.csv"),
        help="mutated: what the command random-networks wrote (default: %(default)s)",
    )
    parser.add_argument(
        "--draws", type=take.count, default=5, help="mutated: trainings of a champion from fresh weights (default: 5)"
    )
    parser.add_argument("--num_epochs", type=take.count, default=10, help="learning-curves (default: %(default)s)")
    take.add_data_dir(parser)
    parser.add_argument("--num_workers", type=take.count, default=2, help="threads (default: %(default)s)")
    parser.add_argument("--seed", type=take.seed, default=0, help="decides fresh weights and batches (default: 0)")


def main(arguments: argparse.Namespace) -> None:
    """Draw the thesis's figures from one or several runs, as PNG and SVG, with their numbers as CSV.

    evolution: accuracy and connections of every network by generation. learning-curves: test accuracy by epoch of the
    networks of some generations, trained again. mutated: evolved champions beside networks that were only mutated at
    random. degrees: a histogram of the neurons' connections, and a table of sizes and degrees. wann-curves: rewards
    or accuracies of weight agnostic networks by generation.
    """
    folders = {path.resolve(): path for path in arguments.runs}
    runs = [RunFolder(path) for path in folders.values()]
    for run in runs:
        if run.script == "run-wlnn-mnist-no-evolution":
            raise InputError(f"{run.path}: a run of {run.script}, in which nothing evolved")
    to = arguments.to or (runs[0].path / "figures" if len(runs) == 1 else Path("out/figures"))
    missed: list[str] = []
    asked = 0
    for task in dict.fromkeys(run.task for run in runs):
        groups = group_runs([run for run in runs if run.task == task])
        kinds = {group.runs[0].learns for group in groups}
        for name in dict.fromkeys(arguments.only or [name for name in FIGURES if kinds & DRAWN_OF[name]]):
            asked += 1
            try:
                with style.style():
                    made = FIGURES[name](groups, arguments)
                made.figure.suptitle(task, fontsize=10)
            except NothingToDraw as reason:
                missed.append(f"{name} of {task}: {reason}")
                continue
            to.mkdir(parents=True, exist_ok=True)
            path = to / f"{name}-{FORBIDDEN.sub('-', task)}"
            style.save(made.figure, path)
            style.save_csv(path.with_name(path.name + ".csv"), made.header, made.rows)
            if made.table:
                style.save_csv(path.with_name(path.name + "-table.csv"), TableRow._fields, made.table)
                text = table(made.table)
                write_atomically(path.with_name(path.name + ".md"), text)
                print(text, end="")
            print(f"{path}.png, .svg, .csv{', .md, -table.csv' if made.table else ''}")
    if len(missed) == asked:
        raise InputError(f"nothing is drawn: {'; '.join(missed)}")
    if missed:
        print("Not drawn:", *missed, sep="\n  ")


# ---- experiments ----------------------------------------------------------------------------------------------------


def group_runs(runs: Sequence[RunFolder]) -> list[Group]:
    """The experiments of one task in the order given.

    A rule always has its colour and marker. Experiments with the same rule differ in their dashes, and name the
    parameters in which they differ.
    """
    experiments: dict[Any, list[RunFolder]] = {}
    for run in runs:
        experiments.setdefault(run.experiment, []).append(run)
    names = {key: _name(members[0]) for key, members in experiments.items()}
    groups: list[Group] = []
    counts: dict[str, int] = {}
    for key, members in experiments.items():
        name, run = names[key], members[0]
        number = counts[name] = counts.get(name, -1) + 1
        alike = [dict(other) for other in experiments if names[other] == name]
        differing = [f"{k} {v}" for k, v in key if any(other.get(k) != v for other in alike)]
        label = f"{name} ({', '.join(differing)})" if differing else name
        if run.learns and run.rule in style.RULE_COLOURS:
            index = list(style.RULE_COLOURS).index(run.rule)
            look = style.RULE_COLOURS[run.rule], DASHES[number % len(DASHES)], style.MARKERS[index]
        else:
            look = style.OTHER_COLOURS[number % len(style.OTHER_COLOURS)], "-", style.MARKERS[number % 8]
        groups.append(Group(label, *look, members))
    return groups


def _name(run: RunFolder) -> str:
    return style.RULE_NAMES.get(run.rule, run.rule) if run.learns else "Weight agnostic"


def learning(groups: Sequence[Group]) -> list[Group]:
    """Those that evolved architectures that learn. Raises NothingToDraw where there is none."""
    return _some([group for group in groups if group.runs[0].learns], "no run evolved architectures that learn")


def _some(found: list[Any], reason: str) -> list[Any]:
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
    mean, std = _mean(values), _std(values)
    if band and len(values) > 1:
        axes.fill_between(x, mean - std, mean + std, color=colour, alpha=0.18, linewidth=0)
    axes.plot(x, mean, color=colour, **look)


def _mean(values: Array) -> Array:
    """Over the first axis, of the numbers; NaN where there is none."""
    return np.ma.masked_invalid(values).mean(axis=0).filled(np.nan)


def _std(values: Array) -> Array:
    return np.ma.masked_invalid(values).std(axis=0).filled(np.nan)


def _whole_generations(axes: Axes) -> None:
    axes.set_xlabel("generation")
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))


def _legend(figure: Figure, handles: Sequence[Any]) -> None:
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 4))


def _lines(groups: Sequence[Group]) -> list[Line2D]:
    return [Line2D([], [], color=group.colour, linestyle=group.dashes, label=group.label) for group in groups]


# ---- evolution ------------------------------------------------------------------------------------------------------


def draw_evolution(groups: Sequence[Group], arguments: argparse.Namespace) -> Drawn:
    """Accuracy in training and connections: a dot for every network, a line for their mean."""
    figure = style.new_figure(style.PAGE_WIDTH, 3.4)
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
                means.append(Series(steps, _mean(values)))
                for step, mean, std in zip(steps.tolist(), _mean(values), _std(values), strict=True):
                    row = rows.setdefault((run.path, step), [group.label, seed_of(run), step])
                    row += [float(mean), float(std)]
            draw_spread(axes, *together(means), group.colour, linestyle=group.dashes)
        _whole_generations(axes)
    panels[0].set(ylabel="accuracy in training", ylim=(0, 1))
    panels[1].set(ylabel="connections", ylim=(0, None))
    _legend(figure, _lines(groups))
    header = ("experiment", "seed", "generation", "acc_mean", "acc_std", "connections_mean", "connections_std")
    return Drawn(figure, header, list(rows.values()))


def population_values(run: RunFolder, what: str) -> tuple[npt.NDArray[np.int64], Array]:
    """Generations (G,) and a value of every network (N, G), as far as the event files have them."""
    series = [s for tag, s in run.scalars.items() if tag.startswith("population/net") and tag.endswith(f"_{what}")]
    return together(series or [NOTHING])


def _some_steps(found: tuple[npt.NDArray[np.int64], Array], run: RunFolder) -> tuple[npt.NDArray[np.int64], Array]:
    if not len(found[0]):
        raise NothingToDraw(f"{run.path} has no generation yet")
    return found


# ---- the inner loop -------------------------------------------------------------------------------------------------


def draw_learning_curves(groups: Sequence[Group], arguments: argparse.Namespace) -> Drawn:
    """Test accuracy by epoch, from before training on: a panel per experiment, a line per generation."""
    groups = learning(groups)
    chosen = [choose_generations(group, arguments.generations) for group in groups]
    dataset = datasets.load(groups[0].runs[0].task, arguments.data_dir)
    workers = Workers(arguments.num_workers)
    height, width = math.ceil(len(groups) / 2), min(len(groups), 2)
    figure = style.new_figure(style.PAGE_WIDTH, 0.6 + 2.7 * height)
    panels = figure.subplots(height, width, sharex=True, sharey=True, squeeze=False)
    for axes in panels.flat[len(groups) :]:
        axes.remove()
    rows: list[Sequence[Any]] = []
    epochs = np.arange(arguments.num_epochs + 1)
    for group, generations, axes in zip(groups, chosen, panels.flat, strict=False):
        for number, generation in enumerate(generations):
            accuracies = np.concatenate([_curves(run, generation, arguments, dataset, workers) for run in group.runs])
            colour = _lightened(group.colour, (len(generations) - 1 - number) / len(generations))
            look = {"marker": style.MARKERS[number % 8], "linestyle": DASHES[number % len(DASHES)]}
            draw_spread(axes, epochs, accuracies, colour, label=f"generation {generation}", **look)
            for epoch, mean, std in zip(epochs.tolist(), _mean(accuracies), _std(accuracies), strict=True):
                rows.append((group.label, generation, epoch, len(accuracies), float(mean), float(std)))
        axes.set(title=group.label, xlabel="epoch", ylabel="test accuracy", ylim=(0, 1))
        axes.label_outer()
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend()
    header = ("experiment", "generation", "epoch", "networks", "test_acc_mean", "test_acc_std")
    return Drawn(figure, header, rows)


def choose_generations(group: Group, wanted: Sequence[int] | None) -> list[int]:
    """The generations to train again: those wanted, else 0, 100 and 1000, as far as every run has saved them.

    Without a wish and with fewer than two of these, the first and the last. Raises InputError for one that is missing.
    """
    saved = sorted(set.intersection(*(set(run.saved_generations) for run in group.runs)))
    where = ", ".join(str(run.path) for run in group.runs)
    if not saved:
        raise NothingToDraw(f"{where}: no generation's networks are saved (networks/; see save_networks_every)")
    if wanted is None:
        usual = [generation for generation in saved if generation in (0, 100, 1000)]
        return usual if len(usual) > 1 else sorted({saved[0], saved[-1]})
    if missing := set(wanted) - set(saved):
        some = ", ".join(map(str, saved))
        raise InputError(f"{where}: generation {min(missing)} is not saved; there are {some:.200}")
    return sorted(set(wanted))


def _curves(
    run: RunFolder, generation: int, arguments: argparse.Namespace, dataset: datasets.Dataset, workers: Workers
) -> Array:
    """Test accuracies (N, num_epochs + 1) of evenly chosen networks of a generation."""
    networks = run.networks(generation)
    indices = np.unique(np.linspace(0, len(networks) - 1, arguments.networks).round().astype(int))
    rng = np.random.default_rng([arguments.seed, generation])
    chosen = [networks[i] for i in indices]
    if not arguments.keep_weights:
        chosen = [fresh(network, rng) for network in chosen]
    task = learning_task(run.params, dataset, arguments.num_epochs, workers)
    for network in chosen:
        take.check_sizes(network, task.num_inputs, task.num_outputs, run.task)
    return task.learning_curves(chosen, rng)[1]


def fresh(genome: Genome, rng: np.random.Generator) -> Genome:
    """The network with weights as a new genome has them."""
    return replace(genome, weights=draw_weights(genome.num_connections, rng))


def _lightened(colour: str, share: float) -> str:
    """Mixed with white; share 0 is the colour itself."""
    red, green, blue = (channel + (1 - channel) * 0.75 * share for channel in to_rgb(colour))
    return to_hex((red, green, blue))


# ---- evolved against mutated ----------------------------------------------------------------------------------------


def draw_mutated(groups: Sequence[Group], arguments: argparse.Namespace) -> Drawn:
    """Test accuracy by connections: networks that were only mutated, and the champions, trained alike."""
    groups = learning(groups)
    file = arguments.random_networks
    if not file.is_file():
        raise NothingToDraw(f"{file} is not there; `python -m analysis random-networks` makes it")
    results = random_networks.read_results(file)
    settings = random_networks.read_settings(file.parent)
    task_name = groups[0].runs[0].task
    if settings["dataset"] != task_name:
        raise NothingToDraw(f"{file} is of {settings['dataset']}, the runs are of {task_name}")
    groups = _some(
        [g for g in groups if all(run.champion is not None for run in g.runs)], "no run has a champion_network.json yet"
    )
    figure = style.new_figure(style.PAGE_WIDTH * 0.75, 4.0)
    axes = figure.subplots()
    random_networks.draw(axes, results)
    rows: list[Sequence[Any]] = [
        ("mutated", style.RULE_NAMES[r.rule], "", r.network, r.connections, r.test_acc) for r in results
    ]
    workers = Workers(arguments.num_workers)
    dataset = datasets.load(task_name, arguments.data_dir)
    for group in groups:
        found = []
        for run in group.runs:
            assert run.champion is not None
            task = learning_task(run.params, dataset, settings["num_epochs"], workers)
            take.check_sizes(run.champion, task.num_inputs, task.num_outputs, task_name)
            rng = np.random.default_rng(arguments.seed)
            population = [fresh(run.champion, rng) for _ in range(arguments.draws)]
            tested = [values["test_acc"] for values in task.test_population(population, rng)]
            found += [(run.champion.num_connections, accuracy) for accuracy in tested]
            rows += [
                ("evolved", group.label, seed_of(run), i, run.champion.num_connections, accuracy)
                for i, accuracy in enumerate(tested)
            ]
        (connections, accuracy), (width, height) = np.mean(found, axis=0), np.std(found, axis=0)
        look: dict[str, Any] = {"markersize": 8, "markeredgecolor": style.BLACK, "linestyle": "", "capsize": 2}
        look |= {"color": group.colour, "marker": group.marker, "label": f"{group.label}, evolved"}
        axes.errorbar(connections, accuracy, xerr=width, yerr=height, **look)
    axes.set(xlabel="connections", ylabel=f"test accuracy after {settings['num_epochs']} epochs")
    figure.legend(loc="outside lower center", ncols=2)
    return Drawn(figure, ("kind", "experiment", "seed", "number", "connections", "test_acc"), rows)


# ---- degrees --------------------------------------------------------------------------------------------------------


def draw_degrees(groups: Sequence[Group], arguments: argparse.Namespace) -> Drawn:
    """The share of neurons by their incoming, outgoing and all connections; the table of sizes and degrees."""
    networks = {group.label: last_networks(group) for group in groups}
    groups = _some([group for group in groups if networks[group.label]], "no run has networks or a champion yet")
    figure = style.new_figure(style.PAGE_WIDTH, 3.0)
    panels = figure.subplots(1, 3, sharey=True)
    rows: list[Sequence[Any]] = []
    for number, (kind, axes) in enumerate(zip(("in", "out", "total"), panels, strict=True)):
        for group in groups:
            counts = np.concatenate([graph.degrees(network)[number] for network in networks[group.label]])
            edges = degree_bins(int(counts.max()))
            shares = np.histogram(counts, edges)[0] / len(counts)
            density = shares / np.diff(edges)
            axes.stairs(
                np.where(density > 0, density, np.nan),
                edges - 0.5,
                baseline=None,
                color=group.colour,
                linestyle=group.dashes,
                linewidth=1.4,
            )
            values = np.bincount(counts)
            rows += [
                (group.label, kind, degree, int(count), float(count / len(counts)))
                for degree, count in enumerate(values)
                if count
            ]
        axes.set_xscale("symlog", linthresh=LARGEST_SEPARATE, linscale=1.2)
        axes.set_xticks([0, *(2**i for i in range(2, 20) if 2**i <= axes.get_xlim()[1])])
        axes.xaxis.set_major_formatter("{x:.0f}")
        axes.minorticks_off()
        axes.set(xlabel={"in": "in-degree", "out": "out-degree", "total": "total degree"}[kind], xlim=(-0.5, None))
        axes.set_yscale("log")
    panels[0].set_ylabel("share of neurons for each degree")
    _legend(figure, _lines(groups))
    header = ("experiment", "degree_kind", "degree", "neurons", "share")
    return Drawn(figure, header, rows, [row for g in groups for row in degree_statistics(g, networks[g.label])])


def last_networks(group: Group) -> list[Genome]:
    """Of every run the networks of the last generation that is saved, else the champion."""
    found: list[Genome] = []
    for run in group.runs:
        if run.saved_generations:
            found += run.networks(run.saved_generations[-1])
        elif run.champion is not None:
            found.append(run.champion)
    return found


def degree_bins(largest: int) -> npt.NDArray[np.int64]:
    """Edges of bins that start with them: one degree each up to 16, then four bins for each doubling."""
    edges = list(range(LARGEST_SEPARATE + 1))
    while edges[-1] <= largest:
        edges.append(max(edges[-1] + 1, round(edges[-1] * 2**0.25)))
    return np.array(edges)


QUANTITIES = {
    "connections": "connections",
    "neurons": "neurons",
    "hidden_neurons": "hidden neurons",
    "layers": "layers",
    "used_connections": "connections in use",
    "used_neurons": "neurons in use",
    "used_inputs": "inputs in use",
    "in_degree_mean": "in-degree, mean over neurons",
    "in_degree_std": "in-degree, spread over neurons",
    "out_degree_mean": "out-degree, mean over neurons",
    "out_degree_std": "out-degree, spread over neurons",
    "total_degree_mean": "total degree, mean over neurons",
    "total_degree_std": "total degree, spread over neurons",
}


def degree_statistics(group: Group, networks: Sequence[Genome]) -> list[TableRow]:
    """Sizes and degrees of an experiment's networks."""
    found = [graph.statistics(network) for network in networks]
    values = {text: np.array([statistics[name] for statistics in found]) for name, text in QUANTITIES.items()}
    return [TableRow(group.label, text, len(v), float(v.mean()), float(v.std())) for text, v in values.items()]


def table(rows: Sequence[TableRow]) -> str:
    """Markdown: a line for each quantity, a column for each experiment."""
    experiments = {
        row.experiment: f"{row.experiment}, {row.networks} network{'s' * (row.networks > 1)}" for row in rows
    }
    cells = {(row.quantity, row.experiment): f"{row.mean:.4g} +- {row.std:.2g}" for row in rows}
    lines = [["", *experiments.values()], ["---"] * (len(experiments) + 1)]
    for quantity in dict.fromkeys(row.quantity for row in rows):
        lines.append([quantity, *(cells[quantity, experiment] for experiment in experiments)])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


# ---- weight agnostic networks ---------------------------------------------------------------------------------------


def draw_wann_curves(groups: Sequence[Group], arguments: argparse.Namespace) -> Drawn:
    """Mean over the shared weights, the best of them, and connections: each generation's best, and the champion.

    The band is the spread of the former.
    """
    groups = _some([g for g in groups if not g.runs[0].learns], "no run evolved weight agnostic networks")
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
    figure = style.new_figure(style.PAGE_WIDTH, 3.4)
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
                colour = _lightened(group.colour, line.lightness)
                draw_spread(axes, steps, values, colour, line.band, linestyle=line.dashes, linewidth=line.width)
                for run, of_run in zip(group.runs, values.tolist(), strict=True):
                    rows += [
                        (group.label, seed_of(run), tag, *point) for point in zip(steps.tolist(), of_run, strict=True)
                    ]
        axes.set_title(title, fontsize=9)
        _whole_generations(axes)
    _some(rows, "no run has a generation yet")
    kinds = [
        Line2D([], [], color=_lightened(style.INK, line.lightness), ls=line.dashes, lw=line.width, label=line.label)
        for line in lines
    ]
    _legend(figure, [*(_lines(groups) if len(groups) > 1 else []), *kinds])
    return Drawn(figure, ("experiment", "seed", "tag", "generation", "value"), rows)


FIGURES: dict[str, Callable[[Sequence[Group], argparse.Namespace], Drawn]] = {
    "evolution": draw_evolution,
    "learning-curves": draw_learning_curves,
    "mutated": draw_mutated,
    "degrees": draw_degrees,
    "wann-curves": draw_wann_curves,
}
# Whether a figure is of runs that learn, or of those that do not; of others it is missed only when asked for.
DRAWN_OF = {
    "evolution": {True},
    "learning-curves": {True},
    "mutated": {True},
    "degrees": {True, False},
    "wann-curves": {False},
}
