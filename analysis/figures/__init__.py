"""The thesis's figures of runs: what evolved, how it learns, what the networks look like.

A figure is one file with one function, `draw(groups, arguments)`, that gives a `Drawn`; one line in FIGURES registers
it. Runs that differ in their seed alone are one experiment (`Group`), drawn as mean and standard deviation. One figure
holds the experiments of one task.
"""

import argparse
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from analysis import arguments as take
from analysis import style
from analysis.figures.common import Drawn, Group, NothingToDraw, TableRow, group_runs, table
from analysis.runs import Kind, RunFolder
from evolution import outside
from evolution.errors import InputError
from evolution.files import write_atomically


class Entry(NamedTuple):
    """Where a figure's function is, and of which kinds of runs it is."""

    function: str  # "module:function"
    kinds: tuple[Kind, ...]


FIGURES = {
    "evolution": Entry("analysis.figures.evolution:draw", ("learning",)),
    "learning-curves": Entry("analysis.figures.learning_curves:draw", ("learning",)),
    "mutated": Entry("analysis.figures.mutated:draw", ("learning",)),
    "degrees": Entry("analysis.figures.degrees:draw", ("learning", "agnostic")),
    "wann-curves": Entry("analysis.figures.wann_curves:draw", ("agnostic",)),
    "measures": Entry("analysis.figures.measures:draw", ("learning", "training")),
}
# The options that only some figures have a use for, and their defaults; figures of one's own may use all.
OPTIONS: dict[str, tuple[tuple[str, ...], Any]] = {
    "generations": (("learning-curves",), None),
    "networks": (("learning-curves",), 20),
    "keep_weights": (("learning-curves",), False),
    "num_epochs": (("learning-curves",), 10),
    "random_networks": (("mutated",), Path("out/random-networks/random_networks.csv")),
    "draws": (("mutated",), 5),
    "data_dir": (("learning-curves", "mutated"), None),
}
FORBIDDEN = re.compile(r"[^\w.-]+")  # in the names of files


def function_of(name: str) -> Callable[[Sequence[Group], argparse.Namespace], Drawn]:
    """The function that draws a figure: one of FIGURES, or of one's own as `module:function`. Raises InputError."""
    where = FIGURES[name].function if name in FIGURES else name
    if not all(where.partition(":")):
        raise InputError(f"--only {name}: there is no such figure; there are {', '.join(FIGURES)}, or module:function")
    return outside.named(where, f"--only {name}")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    default = {option: value for option, (_, value) in OPTIONS.items()}
    parser.add_argument("runs", metavar="RUN", nargs="+", type=Path, help="a run's folder")
    parser.add_argument(
        "--to", type=Path, metavar="FOLDER", help="default: RUN/figures of one run, out/figures of several"
    )
    parser.add_argument(
        "--only",
        nargs="+",
        metavar="FIGURE",
        help=f"of {', '.join(FIGURES)}, or module:function of one's own (default: all that the runs have)",
    )
    parser.add_argument(
        "--generations",
        nargs="+",
        type=int,
        help="learning-curves: of these (default: 0, 100, 1000, or first and last)",
    )
    parser.add_argument(
        "--networks",
        type=take.count,
        help=f"learning-curves: of a generation and run (default: {default['networks']})",
    )
    parser.add_argument(
        "--keep_weights",
        action="store_true",
        default=None,
        help="learning-curves: from the saved weights, not from fresh ones",
    )
    parser.add_argument(
        "--random_networks",
        type=Path,
        help=f"mutated: what the command random-networks wrote (default: {default['random_networks']})",
    )
    parser.add_argument(
        "--draws",
        type=take.count,
        help=f"mutated: trainings of a champion from fresh weights (default: {default['draws']})",
    )
    parser.add_argument("--num_epochs", type=take.count, help=f"learning-curves (default: {default['num_epochs']})")
    take.add_data_dir(parser)
    parser.add_argument("--num_workers", type=take.count, default=2, help="threads (default: %(default)s)")
    parser.add_argument("--seed", type=take.seed, default=0, help="decides fresh weights and batches (default: 0)")


def main(arguments: argparse.Namespace) -> None:
    """Draw the thesis's figures from one or several runs, as PNG and SVG, with their numbers as CSV.

    evolution: accuracy and connections of every network by generation. learning-curves: test accuracy by epoch of the
    networks of some generations, trained again. mutated: evolved champions beside networks that were only mutated at
    random. degrees: a histogram of the neurons' connections, and a table of sizes and degrees. wann-curves: rewards
    or accuracies of weight agnostic networks by generation. measures: how weights changed while networks learned.
    """
    folders = {path.resolve(): path for path in arguments.runs}
    runs = [RunFolder(path) for path in folders.values()]
    wanted = {name: function_of(name) for name in arguments.only or FIGURES}
    to = arguments.to or (runs[0].path / "figures" if len(runs) == 1 else Path("out/figures"))
    take.check_writable(to)
    there = {run.kind for run in runs}
    settle_options(arguments, arguments.only or [name for name, entry in FIGURES.items() if there & set(entry.kinds)])
    missed: list[str] = []
    asked = 0
    for task in dict.fromkeys(run.task for run in runs):
        groups = group_runs([run for run in runs if run.task == task])
        kinds = {group.runs[0].kind for group in groups}
        for name, function in wanted.items():
            if not (arguments.only or kinds & set(FIGURES[name].kinds)):
                continue
            asked += 1
            try:
                with style.style():
                    made = function(groups, arguments)
                    style.furnish(made.figure, task, made.handles)
            except NothingToDraw as reason:
                missed.append(f"{name} of {task}: {reason}")
                continue
            with style.shown(table(made.table)):
                write(made, to, FORBIDDEN.sub("-", f"{name}-{task}"))
    if len(missed) == asked:
        raise InputError(f"nothing is drawn: {'; '.join(missed)}")
    if missed:
        print("Not drawn:", *missed, sep="\n  ")


def settle_options(arguments: argparse.Namespace, names: Sequence[str]) -> None:
    """Give OPTIONS their defaults. Raises InputError for one that none of the figures to be drawn has a use for."""
    for option, (figures, default) in OPTIONS.items():
        unused = [] if any(name in figures or name not in FIGURES for name in names) else [option]
        why = f"is for the figure {' and '.join(figures)}; drawn here: {', '.join(names)}"
        take.settle(arguments, {option: default}, unused, why)


def write(made: Drawn, folder: Path, name: str) -> None:
    """The picture and its numbers, and the table where there is one."""
    path = take.destination(folder / f"{name}.png", folder)
    folder.mkdir(parents=True, exist_ok=True)
    style.save(made.figure, path)
    style.save_csv(path.with_name(path.name + ".csv"), made.header, made.rows)
    if made.table:
        style.save_csv(path.with_name(path.name + "-table.csv"), TableRow._fields, made.table)
        write_atomically(path.with_name(path.name + ".md"), table(made.table))
    print(f"{path}.png, .svg, .csv{', .md, -table.csv' if made.table else ''}")
