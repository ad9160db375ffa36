"""Is it the architecture? A champion beside networks that keep only a part of it, all trained alike from fresh weights.

The champion's graph; its graph rewired, every neuron's layer and degrees kept; networks of as many connections and
neurons that were only mutated at random; one dense hidden layer of about as many connections; and its graph with
weights of another spread.
"""

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from analysis import arguments as take
from analysis import compare, style
from analysis.rewiring import dense, dense_sizes, fresh, mutated, rewired
from analysis.runs import RunFolder, dataset_of, learning_task
from analysis.statistics import Difference, Summary, holm, summarise
from analysis.statistics import compare as compare_values
from evolution.errors import InputError
from evolution.files import write_atomically
from evolution.genome import WEIGHT_STD, Genome
from evolution.workers import Workers

CHAMPION = "champion"
SPREADS = (0.02, 0.5)  # a fifth of a fresh weight's, and five times that


@dataclass(frozen=True)
class Trained:
    """One network that was trained."""

    run: RunFolder
    kind: str
    number: int  # of its kind and run
    connections: int
    hidden: int
    test_acc: float
    test_loss: float


@dataclass(frozen=True)
class Row:
    """One kind of network of one rule and data set, beside the champion."""

    group: str
    kind: str
    connections: float  # means
    hidden: float
    summary: Summary
    difference: Difference | None  # the champion's less this one's
    adjusted: float  # Holm's p


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runs", metavar="RUN", nargs="+", type=Path, help="a run's folder, or a folder of runs")
    parser.add_argument("--draws", type=take.count, default=10, help="networks of each kind (default: %(default)s)")
    parser.add_argument("--rewirings", type=take.count, help="rewired graphs (default: as many as --draws)")
    parser.add_argument(
        "--spreads", type=_spread, nargs="*", default=list(SPREADS), metavar="STD", help="default: 0.02 0.5"
    )
    parser.add_argument("--num_epochs", type=take.count, help="of training (default: the run's num_epochs_long)")
    take.add_data_dir(parser)
    parser.add_argument("--num_workers", type=take.count, default=2, help="threads (default: %(default)s)")
    parser.add_argument("--seed", type=take.seed, default=0, help="decides networks and batches (default: 0)")
    take.add_destination(parser, "RUN/controls of one run, out/controls of several")


def _spread(text: str) -> float:
    value = take.number(text)
    if not 0 < value <= 100:
        raise argparse.ArgumentTypeError(f"{text} is not a number above 0, at most 100")
    return value


def main(arguments: argparse.Namespace) -> None:
    """Train a champion from fresh weights beside networks that keep only a part of it.

    All learn by the run's rule on the same batches. Writes a figure as PNG and SVG, a table as Markdown and CSV, and
    every network's result as CSV (-networks). Of several runs of one rule and data set the runs' means are compared.
    """
    runs = compare.find_runs(arguments.runs)
    for run in runs:
        _check(run)
    path = take.destination(arguments.to, (runs[0].path if len(runs) == 1 else Path("out")) / "controls")
    workers = Workers(arguments.num_workers)
    results = [result for run in runs for result in train(run, arguments, workers)]
    rows = summarise_kinds(results)
    text = markdown(rows, results)
    with style.shown(text + "\n"):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path.with_name(path.name + ".md"), text)
        style.save_csv(path.with_name(path.name + ".csv"), *table_rows(rows))
        style.save_csv(path.with_name(path.name + "-networks.csv"), *network_rows(results))
        with style.style():
            style.save(figure(rows, results), path)
    print(f"{path}.md, .csv, -networks.csv, .png, .svg")


def _check(run: RunFolder) -> None:
    if not run.learns:
        raise InputError(f"{run.path}: a run of {run.script}; only run-wlnn-mnist evolves architectures that learn")
    if run.champion is None:
        raise InputError(f"{run.path}: this run has no champion yet")


# ---- networks and their training ------------------------------------------------------------------------------------


def controls(
    champion: Genome, params: dict[str, Any], draws: int, rewirings: int, spreads: Sequence[float], seed: int
) -> dict[str, list[Genome]]:
    """The networks of each kind; every one is decided by the seed, its kind and its number."""

    def each(kind: int, count: int, make: Any) -> list[Genome]:
        return [make(np.random.default_rng([seed, kind, number])) for number in range(count)]

    found = {
        CHAMPION: each(0, draws, lambda rng: fresh(champion, rng)),
        "rewired": each(1, rewirings, lambda rng: fresh(rewired(champion, rng), rng)),
        "mutated": each(2, draws, lambda rng: mutated(champion, params, rng)),
    }
    for size in dense_sizes(champion):
        fewer = size * (champion.num_inputs + champion.num_outputs) <= champion.num_connections
        name = "dense, next below" if fewer else "dense, next above"
        found[name] = each(3, draws, lambda rng, size=size: dense(champion, size, rng))
    for spread in spreads:
        found[f"champion, weights N(0, {spread:g}²)"] = each(0, draws, lambda rng, s=spread: fresh(champion, rng, s))
    return found


def train(run: RunFolder, arguments: argparse.Namespace, workers: Workers) -> list[Trained]:
    """All networks of a run, trained as the run trains before a champion's test."""
    dataset = dataset_of(run, arguments.data_dir)
    num_epochs = arguments.num_epochs or run.params.get("num_epochs_long", 10)
    task = learning_task(run.params, dataset, num_epochs, workers)
    assert run.champion is not None
    take.check_sizes(run.champion, task.num_inputs, task.num_outputs, run.task)
    rewirings = arguments.rewirings or arguments.draws
    kinds = controls(run.champion, run.params, arguments.draws, rewirings, arguments.spreads, arguments.seed)
    named = [(kind, number, genome) for kind, genomes in kinds.items() for number, genome in enumerate(genomes)]
    tested = task.test_population([genome for *_, genome in named], np.random.default_rng(arguments.seed))
    return [
        Trained(
            run,
            kind,
            number,
            genome.num_connections,
            genome.num_hidden,
            float(values["test_acc"]),
            -float(values["test_reward"]),
        )
        for (kind, number, genome), values in zip(named, tested, strict=True)
    ]


# ---- the table ------------------------------------------------------------------------------------------------------


def summarise_kinds(results: Sequence[Trained]) -> list[Row]:
    """For each rule and data set the champion and its controls."""
    groups: dict[str, dict[str, list[Trained]]] = {}
    for result in results:
        groups.setdefault(_group(result.run), {}).setdefault(result.kind, []).append(result)
    rows = []
    for group, kinds in groups.items():
        several = _runs(kinds[CHAMPION]) > 1
        values = {kind: _values(found, several) for kind, found in kinds.items()}
        others = [kind for kind in kinds if kind != CHAMPION]
        differences = {kind: _difference(kinds[CHAMPION], kinds[kind]) for kind in others}
        adjusted = dict(zip(others, holm([differences[kind].p for kind in others]), strict=True))
        for kind, found in kinds.items():
            connections = float(np.mean([r.connections for r in found]))
            hidden = float(np.mean([r.hidden for r in found]))
            summary = summarise(values[kind])
            rows.append(
                Row(group, kind, connections, hidden, summary, differences.get(kind), adjusted.get(kind, math.nan))
            )
    return rows


def _difference(champion: Sequence[Trained], control: Sequence[Trained]) -> Difference:
    """Of several runs those that have this control, each beside its own champion: a small one has no dense below."""
    several, runs = _runs(champion) > 1, {result.run.path for result in control}
    champion = [result for result in champion if result.run.path in runs]
    return compare_values(_values(champion, several), _values(control, several), paired=several, test="permutation")


def _group(run: RunFolder) -> str:
    return f"{style.RULE_NAMES.get(run.rule, run.rule)}, {run.task}"


def _runs(found: Sequence[Trained]) -> int:
    return len({result.run.path for result in found})


def _values(found: Sequence[Trained], several: bool) -> list[float]:
    """Test accuracies of one run's networks; of several runs each one's mean."""
    by_run: dict[Path, list[float]] = {}
    for result in found:
        by_run.setdefault(result.run.path, []).append(result.test_acc)
    return [float(np.mean(values)) for values in by_run.values()] if several else [r.test_acc for r in found]


def markdown(rows: Sequence[Row], results: Sequence[Trained]) -> str:
    """A table for each rule and data set, and what must be known of it."""
    text = ""
    for group in dict.fromkeys(row.group for row in rows):
        members = [result for result in results if _group(result.run) == group]
        several = _runs(members) > 1
        unit = "runs" if several else "networks"
        lines = [["network", "connections", "hidden", unit, "test accuracy", "std", "95 % interval"]]
        lines[0] += ["champion's lead", "p", "Holm", "Cliff's delta"]
        for row in (row for row in rows if row.group == group):
            s, d = row.summary, row.difference
            line = [row.kind, f"{row.connections:.5g}", f"{row.hidden:.4g}", str(s.n)]
            line += [compare.number(s.mean), compare.number(s.std, 2), compare.interval(s.low, s.high)]
            line += (
                [
                    compare.number(d.difference, 3),
                    compare.number(d.p, 2),
                    compare.number(row.adjusted, 2),
                    compare.number(d.delta, 2),
                ]
                if d
                else [""] * 4
            )
            lines.append(line)
        folders = ", ".join(dict.fromkeys(str(result.run.path) for result in members))
        text += f"{group}: {folders}\n\n{compare.table(lines)}\n"
    first = next(row.difference for row in rows if row.difference)
    notes = [
        f"Every network starts from fresh weights, N(0, {WEIGHT_STD:g}²) where no other spread is named, and trains on "
        "the same batches.",
        "rewired: every neuron keeps its layer and its in- and out-degree. mutated: as many connections and hidden "
        "neurons as the champion, drawn by the run's mutations. dense: one hidden layer, the sizes next below and "
        "above the champion's connections.",
        "Intervals: BCa bootstrap, 95 %. p: two-sided permutation test of the means, champion against this; Holm: "
        f"corrected within a table. The smallest p that can be reached is {first.smallest_p:.2g}.",
    ]
    if all(_runs([r for r in results if _group(r.run) == row.group]) == 1 for row in rows):
        notes.append(
            "One champion was trained: what is shown holds for it, not for what evolution finds with another seed."
        )
    return text + "".join(f"- {note}\n" for note in notes)


def table_rows(rows: Sequence[Row]) -> tuple[list[str], list[list[Any]]]:
    header = ["group", "network", "connections", "hidden", "n", "mean", "std", "low", "high"]
    header += ["lead", "lead_low", "lead_high", "p", "p_holm", "smallest_p", "cliffs_delta"]
    lines = []
    for row in rows:
        line: list[Any] = [row.group, row.kind, row.connections, row.hidden, *row.summary]
        if d := row.difference:
            line += [d.difference, d.low, d.high, d.p, row.adjusted, d.smallest_p, d.delta]
        else:
            line += [""] * 7
        lines.append(["" if isinstance(value, float) and math.isnan(value) else value for value in line])
    return header, lines


def network_rows(results: Sequence[Trained]) -> tuple[list[str], list[list[Any]]]:
    header = ["rule", "dataset", "seed", "network", "number", "connections", "hidden", "test_acc", "test_loss"]
    return header, [
        [
            r.run.rule,
            r.run.task,
            r.run.params.get("seed"),
            r.kind,
            r.number,
            r.connections,
            r.hidden,
            r.test_acc,
            r.test_loss,
        ]
        for r in results
    ]


def figure(rows: Sequence[Row], results: Sequence[Trained]) -> Figure:
    """Test accuracies of each kind, its mean and interval; a panel for each rule and data set."""
    groups = list(dict.fromkeys(row.group for row in rows))
    counts = [sum(row.group == group for row in rows) for group in groups]
    drawn = style.new_figure(style.PAGE_WIDTH * 0.85, 0.8 + 0.32 * sum(counts) + 0.4 * len(groups))
    panels = drawn.subplots(len(groups), squeeze=False, sharex=True, height_ratios=[n + 0.5 for n in counts])[:, 0]
    for group, axes in zip(groups, panels, strict=True):
        members = [row for row in rows if row.group == group]
        found = [result for result in results if _group(result.run) == group]
        rule, several = found[0].run.rule, _runs(found) > 1
        for place, row in enumerate(members):
            colour = style.RULE_COLOURS.get(rule, style.BLACK) if row.kind == CHAMPION else style.GREY
            values = _values([result for result in found if result.kind == row.kind], several)
            compare.draw_values(axes, place, values, row.summary, colour)
        axes.axvline(members[0].summary.mean, color=style.INK, linewidth=0.7, linestyle=":")
        axes.set_yticks(range(len(members)), [f"{row.kind} ({row.connections:.0f})" for row in members])
        axes.set_ylim(len(members) - 0.5, -0.5)
        axes.set_title(group)
        axes.grid(axis="y", visible=False)
    panels[-1].set_xlabel("test accuracy (in brackets: connections)")
    return drawn
