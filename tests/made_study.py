"""Folders like those of runs, with scalars that a test chooses: no run is needed to compare some."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from experiment.events import EventLog


def make_run(folder: Path, params: Mapping[str, Any], scalars: Mapping[str, Sequence[tuple[int, float]]]) -> Path:
    """A run's folder with these parameters, and for each tag its generations and values."""
    folder.mkdir(parents=True)
    (folder / "params.yaml").write_text(yaml.safe_dump({"script": "run-wlnn-mnist", **params}))
    log = EventLog(folder / "tensorboard_summary")
    for tag, points in scalars.items():
        for step, value in points:
            log.scalars({tag: value}, step)
    log.close()
    return folder


def make_study(folder: Path, values: Mapping[str, Mapping[str, Sequence[float]]], generation: int = 20) -> Path:
    """A study of learning rules on data sets: `values` by data set, then by rule, one for each seed from 0 on."""
    for dataset, rules in values.items():
        for rule, accuracies in rules.items():
            for seed, accuracy in enumerate(accuracies):
                params = {"learning_rule": rule, "dataset": dataset, "seed": seed, "num_generations": generation + 1}
                points = {"champion/test_acc": [(0, 0.1), (generation, accuracy)]}
                make_run(folder / f"{rule}-{dataset}-seed{seed}", params, points)
    return folder
