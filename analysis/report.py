"""What came out of a run, in plain words, and where to look next."""

import argparse
import shlex
from pathlib import Path
from typing import Any

import numpy as np

from analysis import arguments as take
from analysis.runs import CHAMPION, TRAINED, TRAINING, RunFolder
from evolution.errors import InputError
from evolution.genome import ACTIVATION_NAMES, Genome, loads

MEANINGS = {
    "CartPoleSwingUp": "1000 steps; a pole that were upright over the centre all the time would earn 1000",
    "CartPole-v0": "a pole that never falls earns 200",
    "BipedalWalker-v2": "a walk to the far end earns about 300",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", type=Path, help="a run's folder; with --html a study's")
    parser.add_argument(
        "--html", type=take.file, metavar="FILE", help="write a study as one page, to be opened in a browser"
    )


def main(arguments: argparse.Namespace) -> None:
    """Say what came out of a run, and where to look next."""
    if arguments.html is None:
        print(report(arguments.run))
        return
    from analysis import page  # a run's report needs no figures

    page.write(arguments.run, arguments.html)
    print(arguments.html)


def report(folder: Path) -> str:
    """The text for a run's folder. Raises InputError where the folder holds no run or no network yet."""
    run = RunFolder(folder)
    return "\n".join(_of_training(run) if run.script == TRAINING else _of_evolution(run))


def _of_evolution(run: RunFolder) -> list[str]:
    params, genome, file = run.params, run.champion, run.path / CHAMPION
    if genome is None:
        raise InputError(f"{run.path}: this run has no champion yet (no {CHAMPION})")
    found = loads(file.read_bytes()).get("provenance", {})
    task = f"{run.task}, learning by {run.rule}" if run.learns else run.task
    tested, fitness = found.get("tested") or {}, found.get("fitness") or {}
    meaning = MEANINGS.get(str(params.get("env_name")))
    return [
        f"{task}: {params.get('population_size')} networks a generation, seed {params.get('seed')}",
        *_code(found),
        "",
        f"The champion was found in generation {found.get('generation')}. It has {_sizes(genome)}.",
        *_values("When it was tested:", {name.removeprefix("test_"): value for name, value in tested.items()}),
        *_values("When it became champion:" if tested else "When it became champion (it is not tested yet):", fitness),
        *([f"  ({meaning})"] if meaning else []),
        "",
        "Where to look next:",
        *_where_to_look(run, file),
        "",
        *_how_to_go_on(run, "generations", int(run.last_step("stats/connections_mean")) + 1),
    ]


def _of_training(run: RunFolder) -> list[str]:
    """A run without evolution: one network that is trained."""
    params, file = run.params, run.path / TRAINED
    if not file.is_file():
        raise InputError(f"{run.path}: this run has no trained network yet (no {TRAINED})")
    genome, found = Genome.load(file), loads(file.read_bytes()).get("provenance", {})
    last = {name: run.series_or_nothing(f"{name}/acc").last()[0] for name in ("test", "train")}
    return [
        f"{run.task}, learning by {run.rule}: one network, without evolution, seed {params.get('seed')}",
        *_code(found),
        "",
        f"It has {_sizes(genome)}, and learned for {found.get('epochs')} of {params.get('num_epochs')} epochs.",
        *(f"  accuracy, {text:<32}{last[name]:10.3f}" for name, text in ACCURACIES.items() if np.isfinite(last[name])),
        "",
        "Where to look next:",
        *_where_to_look(run, file),
        "",
        *_how_to_go_on(run, "epochs", int(found.get("epochs") or 0)),
    ]


ACCURACIES = {"test": "whole test set", "train": "last epoch of training"}


def _code(found: dict[str, Any]) -> list[str]:
    return [f"Made by {found['code']} of this program."] if found.get("code") else []


def _sizes(genome: Genome) -> str:
    return (
        f"{genome.num_observed} inputs, {genome.num_hidden} hidden neurons, {genome.num_outputs} "
        f"output{'s' * (genome.num_outputs > 1)} and {genome.num_connections} connections{_activations(genome)}"
    )


def _where_to_look(run: RunFolder, network: Path) -> list[str]:
    pictures = [run.path / name for name in ("champion.png", "champion.gif")]
    return [
        f"  tensorboard --logdir {shlex.quote(str(run.path))}",
        f"  {network}",
        *(f"  {picture}" for picture in pictures if picture.is_file()),
    ]


def _how_to_go_on(run: RunFolder, unit: str, done: int) -> list[str]:
    """How to resume, or for a run that has all it was asked for how to have more."""
    asked = run.params.get(f"num_{unit}")
    workers = f" --num_workers {run.params['num_workers']}" if run.params.get("num_workers") else ""
    resume = f"  python {run.script}.py --resume {shlex.quote(str(run.path))}{workers}"
    if isinstance(asked, int) and done >= asked:
        return [f"The run is finished: {done} {unit}. To go on for as many again:", f"{resume} --num_{unit} {2 * done}"]
    return [f"To go on with the experiment ({done} of {asked} {unit} done):", resume]


def _activations(genome: Genome) -> str:
    hidden = genome.activations[genome.num_inputs + genome.num_outputs :]
    if genome.weights is not None or not len(hidden):
        return ""
    counts = {name: int((hidden == i).sum()) for i, name in enumerate(ACTIVATION_NAMES)}
    return " (" + ", ".join(f"{count} {name}" for name, count in counts.items() if count) + ")"


def _values(title: str, values: dict[str, float]) -> list[str]:
    """A title and a line for each value that has a meaning here; nothing where there is none."""
    lines = [f"  {text:<42}{values[name]:10.3f}" for name, text in VALUES.items() if values.get(name) is not None]
    return [title, *lines] if lines else []


VALUES = {
    "mean_reward": "reward, mean over the six shared weights",
    "max_reward": "reward at the best of them",
    "mean_acc": "accuracy, mean over the six shared weights",
    "max_acc": "accuracy at the best of them",
    "acc": "accuracy",
    "reward": "reward (minus the loss)",
    "long_training_acc": "accuracy in the training before it",
}
