"""What evolution makes of each learning rule in 1000 generations, beside what is read off the thesis's figures.

    python -m benchmarks.architectures RUN...

Takes runs of `params/wlnn-mnist/mnist-*.yaml`, puts their generations into `docs/results/architectures_that_learn.csv`,
in place of older rows of the same rule and seed, draws the whole table, and prints means and spreads over the seeds.
"""

import argparse
import csv
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from analysis import style
from analysis.__main__ import status_of
from analysis.compare import table, value_at
from analysis.runs import RunFolder
from analysis.statistics import mean_and_spread
from evolution.errors import InputError

DOCS = Path(__file__).resolve().parent.parent / "docs"
TABLE, PICTURE = DOCS / "results" / "architectures_that_learn.csv", DOCS / "pictures" / "architectures-that-learn.png"
EVERY = 20  # generations
SHOWN = ("100", "300", "500", "999")  # of them, in the table of all seeds
Row = dict[str, str]
COLUMNS = {
    "champion_train_acc": "champion/acc",
    "champion_test_acc_last_test": "champion/test_acc",
    "connections_mean": "stats/connections_mean",
    "neurons_mean": "stats/neurons_mean",
    "layers_mean": "stats/layers_mean",
    "champion_connections": "champion/connections",
}
# (generation, value) of the thesis, one run a rule: training accuracy of the better networks, and connections.
THESIS = {
    "backprop": (
        [(200, 0.73), (450, 0.84), (800, 0.90), (1000, 0.915)],
        [(100, 300), (300, 470), (450, 550), (630, 700), (1000, 1170)],
    ),
    "feedback_alignment": ([(150, 0.80), (400, 0.87), (700, 0.90)], [(100, 500), (200, 860), (400, 1500)]),
    "hebbian": ([(100, 0.70), (500, 0.72)], [(350, 310), (500, 390), (1000, 410)]),
    "last_layer": ([(100, 0.62), (1000, 0.645)], [(100, 260), (1000, 330)]),
}


def rows_of(run: RunFolder) -> list[Row]:
    """A row for every 20th generation and the last one. Raises InputError where the run is none of the table's."""
    if not run.learns or run.rule not in THESIS or run.params["dataset"] != "mnist":
        raise InputError(f"{run.path}: not a run of run-wlnn-mnist.py on mnist with {', '.join(THESIS)}")
    last = run.last_step("champion/acc")
    if last < 0:
        raise InputError(f"{run.path}: there is no generation in it")
    rows = []
    for generation in sorted({*range(0, last + 1, EVERY), last}):
        row = {"rule": run.rule, "seed": str(run.params["seed"]), "generation": str(generation)}
        rows.append(row | {name: f"{value_at(run, tag, generation, 1)[0]:.4f}" for name, tag in COLUMNS.items()})
    return rows


def _key(row: Row) -> tuple[str, str]:
    return row["rule"], row["seed"]


def merged(old: Iterable[Row], new: Sequence[Row]) -> list[Row]:
    """All rows, those of a rule and seed that are new in place of the old ones, by rule, seed and generation."""
    replaced = {_key(row) for row in new}
    rows = [row for row in old if _key(row) not in replaced] + list(new)
    return sorted(rows, key=lambda row: (*_key(row), int(row["generation"])))


def text(rows: Iterable[Row]) -> str:
    """Markdown: mean and standard deviation (n - 1) over the seeds that have come to each of SHOWN."""
    lines = [["rule", "generation", "seeds", *(name.replace("_", " ") for name in COLUMNS)]]
    found: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        found.setdefault((row["rule"], row["generation"]), []).append(row)
    for rule in THESIS:
        for generation in SHOWN:
            if (rule, generation) in found:
                of_seeds = found[rule, generation]
                values = {name: [float(row[name]) for row in of_seeds] for name in COLUMNS}
                cells = [mean_and_spread(each, 3 if "acc" in name else 1) for name, each in values.items()]
                lines.append([style.look_of(rule).name, generation, str(len(of_seeds)), *cells])
    return table(lines)


def draw(rows: Sequence[Row]) -> Figure:
    """Accuracy in training and connections by generation: a line for each run, a circle for a number of the thesis."""
    figure = style.new_figure(style.PAGE_WIDTH, 2.9)
    panels = figure.subplots(1, 2, sharex=True)
    handles = []
    for rule, thesis in THESIS.items():
        look = style.look_of(rule)
        for seed in sorted({row["seed"] for row in rows if row["rule"] == rule}):
            of_run = [row for row in rows if _key(row) == (rule, seed)]
            for axes, column in zip(panels, ("champion_train_acc", "connections_mean"), strict=True):
                x, y = [int(row["generation"]) for row in of_run], [float(row[column]) for row in of_run]
                [line] = axes.plot(x, y, color=look.colour, label=look.name)
            handles.append(line)
        for axes, points in zip(panels, thesis, strict=True):
            x, y = np.array(points).T.tolist()
            axes.plot(x, y, "o", color=look.colour, markersize=4, markerfacecolor="white")
    panels[0].set(xlabel="generation", ylabel="champion's accuracy in training", ylim=(0.4, 1))
    panels[1].set(xlabel="generation", ylabel="connections, mean", ylim=(0, None))
    title = "Lines: ours. Circles: the thesis"
    return style.furnish(figure, title, list({handle.get_label(): handle for handle in handles}.values()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="*", type=Path, help="folders of runs; without any the table is drawn as it is")
    given = parser.parse_args()
    new = [row for folder in given.runs for row in rows_of(RunFolder(folder))]
    with TABLE.open(encoding="utf-8") as file:
        rows = merged(csv.DictReader(file), new)
    style.save_csv(TABLE, list(rows[0]), [list(row.values()) for row in rows])
    with style.style():
        draw(rows).savefig(PICTURE, dpi=style.DPI)
    print(text(rows))
    print(f"{TABLE.name}: {len(rows)} generations, {len(new)} of them new; {PICTURE.name}")


if __name__ == "__main__":
    sys.exit(status_of(main))
