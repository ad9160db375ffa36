"""Running an experiment with several seeds, resumably, and laying its figures beside the published ones."""

import argparse
import csv
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from analysis.__main__ import main as analysis
from analysis.__main__ import status_of
from analysis.runs import RunFolder

ROOT = Path(__file__).parent.parent.parent
OUT = Path("out/reproduction")
RANDOM_NETWORKS = OUT / "random-networks" / "random_networks.csv"
WINDOW = 10  # generations over which a value is averaged: those before and at the one that is named


@dataclass(frozen=True)
class Figure:
    """One published number: what it is, where ours stands in TensorBoard, and at which generation."""

    what: str
    published: str
    tag: str
    generation: int | None = None  # None: at the end


@dataclass(frozen=True)
class Experiment:
    """What is run, and what was published of it."""

    name: str
    script: str
    params_file: str
    seeds: int
    figures: Sequence[Figure]
    num_generations: int | None = None  # None: as the parameter file says


def main(name: str, experiments: Sequence[Experiment], description: str) -> None:
    """A reproduction script: run what the command line asks for, then write tables and figures; ends the program."""
    sys.exit(status_of(lambda: reproduce(name, experiments, description)))


def reproduce(name: str, experiments: Sequence[Experiment], description: str) -> None:
    """Run what the command line asks for, then write the tables and the figures."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--seeds", type=int, help="how many seeds, from 0 on")
    parser.add_argument("--num_generations", type=int, help="only the first so many generations")
    parser.add_argument("--max_minutes", type=float, help="stop each run after so long; the next call goes on with it")
    parser.add_argument("--num_workers", type=int, default=2)
    parser.add_argument("--table_only", action="store_true", help="run nothing, read what is there")
    given = parser.parse_args()
    all_folders = []
    for experiment in experiments:
        folders = []
        for seed in range(given.seeds or experiment.seeds):
            folder = OUT / experiment.name / f"seed{seed}"
            if not given.table_only:
                run(
                    experiment,
                    seed,
                    folder,
                    given.num_workers,
                    given.num_generations or experiment.num_generations,
                    given.max_minutes,
                )
            if (folder / "tensorboard_summary").is_dir():
                folders.append(folder)
        if folders:
            print(write_table(experiment, [RunFolder(folder) for folder in folders]), flush=True)
        all_folders += folders
    if all_folders:
        drawn = ["figures", *map(str, all_folders), "--to", str(OUT / name / "figures")]
        sys.exit(analysis([*drawn, "--random_networks", str(RANDOM_NETWORKS), "--num_workers", str(given.num_workers)]))


def run(
    experiment: Experiment, seed: int, folder: Path, workers: int, generations: int | None, minutes: float | None
) -> None:
    """Start the run, or go on with it where it is there already. Ends the program where the run fails.

    A run that was begun with fewer generations goes on to all of them.
    """
    command = [sys.executable, str(ROOT / experiment.script), f"--num_workers={workers}"]
    if (folder / "params.yaml").exists():
        command.append(f"--resume={folder}")
        if generations is None:
            generations = yaml.safe_load((ROOT / experiment.params_file).read_text())["num_generations"]
    else:
        command += [str(ROOT / experiment.params_file), f"--seed={seed}", f"--out_dir={folder}"]
    if generations is not None:
        command.append(f"--num_generations={generations}")
    if minutes is not None:
        command.append(f"--max_minutes={minutes}")
    print(" ".join(command[1:]), flush=True)
    if status := subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode:
        sys.exit(status)


def value_at(run: RunFolder, tag: str, generation: int | None) -> tuple[float, int]:
    """A scalar's mean over the last WINDOW generations up to the given one, and the generation that it really is of.

    A tag that is written at tests only is taken at its last test; NaN and -1 where the run has none.
    """
    at_tests = "test" in tag or "long" in tag
    return run.series(tag).last(1 if at_tests else WINDOW, generation)


def write_table(experiment: Experiment, runs: Sequence[RunFolder]) -> str:
    """The experiment's table in Markdown; it is also written, with a CSV beside it, to the experiment's folder."""
    rows = []
    for figure in experiment.figures:
        found = [value_at(run, figure.tag, figure.generation) for run in runs]
        values = np.array([value for value, _ in found])
        values = values[np.isfinite(values)]
        generation = min(step for _, step in found)
        mean, spread = (values.mean(), values.std()) if len(values) else (np.nan, np.nan)
        rows.append((figure.what, figure.published, f"{mean:.4g}", f"{spread:.2g}", len(values), generation))
    header = ("what", "published", "ours", "spread over seeds", "seeds", "generation")
    folder = OUT / experiment.name
    with open(folder / "table.csv", "w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])
    lines = [" | ".join(map(str, row)) for row in (header, ("---",) * len(header), *rows)]
    table = "\n".join(f"| {line} |" for line in lines) + "\n"
    (folder / "table.md").write_text(table)
    return f"{experiment.name}\n{table}"
