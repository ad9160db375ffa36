"""Are learning rules on evolved networks in the order of sparse networks or of a dense layer?

    python -m benchmarks.order out/studies/rules-order docs/results/rules_order.csv

Takes the runs of `params/study/rules-order.yaml` that are done, writes a row for each, and prints for each data set the
rules' accuracies beside those of networks that were only mutated (800 connections) and of a dense layer (500 neurons),
from `docs/results/random_networks_*.csv`, and how alike the orders are.
"""

import argparse
import csv
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from analysis import style, turning
from analysis.__main__ import status_of
from analysis.compare import table, value_at
from analysis.runs import RunFolder
from analysis.statistics import mean_and_spread
from evolution.errors import InputError

RESULTS = Path(__file__).resolve().parent.parent / "docs" / "results"
KINDS = {"800": "sparse, 800", "dense 500": "dense, 500"}
AT = 100  # generation
TAGS = ("champion/test_acc", "champion/long_training_acc", "champion/connections", "stats/connections_mean")

Accuracies = Mapping[str, Sequence[float]]  # by rule


def rows_of(study: Path) -> list[dict[str, Any]]:
    """A row for each run that has come to generation 100, as the study left it."""
    rows = []
    for folder in sorted(path.parent for path in study.glob("*/params.yaml")):
        run = RunFolder(folder)
        if "champion/test_acc" in run.scalars and run.last_step("champion/test_acc") >= AT:
            names = {name: run.params[name] for name in ("dataset", "learning_rule", "seed")}
            rows.append(names | {tag.partition("/")[2]: f"{value_at(run, tag, AT, 1)[0]:.4f}" for tag in TAGS})
    return rows


def grouped(rows: Iterable[Mapping[str, Any]], by: str, rule: str) -> dict[str, dict[str, list[float]]]:
    """Test accuracies by the column `by` and by rule, which the column `rule` names."""
    found: dict[str, dict[str, list[float]]] = {}
    for row in rows:
        found.setdefault(row[by], {}).setdefault(row[rule], []).append(float(row["test_acc"]))
    return found


def text(dataset: str, evolved: Accuracies, others: Mapping[str, Accuracies]) -> str:
    """The table of a data set, and Kendall's tau of evolved networks with each kind, with its 95 % interval."""
    rules = sorted(evolved, key=lambda rule: -float(np.mean(evolved[rule])))
    columns = [evolved, *(others[kind] for kind in KINDS)]
    lines = [["rule", "evolved", *KINDS.values()]]
    lines += [[rule, *(mean_and_spread(column[rule]) for column in columns)] for rule in rules]
    said = [f"{dataset}, {min(len(evolved[rule]) for rule in rules)} runs a rule", table(lines)]
    ours = [np.array(evolved[rule]) for rule in rules]
    for kind, name in KINDS.items():
        tau, _ = turning.likeness(ours, [np.array(others[kind][rule]) for rule in rules])
        said.append(f"evolved and {name}: tau {tau.value:.2f} ({tau.low:.2f} to {tau.high:.2f})")
    return "\n\n".join(said)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path)
    parser.add_argument("to", type=Path, help="the table of runs, CSV")
    given = parser.parse_args()
    rows = rows_of(given.study)
    if not rows:
        raise InputError(f"{given.study}: there is no run that has come to generation {AT}")
    style.save_csv(given.to, list(rows[0]), [list(row.values()) for row in rows])
    for dataset, evolved in grouped(rows, "dataset", "learning_rule").items():
        with (RESULTS / f"random_networks_{dataset}.csv").open(encoding="utf-8") as file:
            print(text(dataset, evolved, grouped(csv.DictReader(file), "size", "rule")), end="\n\n")


if __name__ == "__main__":
    sys.exit(status_of(main))
