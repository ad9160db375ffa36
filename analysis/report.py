"""What came out of a run, in plain words, and where to look next."""

import argparse
from pathlib import Path
from typing import Any

import yaml

from evolution.errors import InputError
from evolution.genome import ACTIVATION_NAMES, Genome, loads

MEANINGS = {
    "CartPoleSwingUp": "1000 steps; a pole that were upright over the centre all the time would earn 1000",
    "CartPole-v0": "a pole that never falls earns 200",
    "BipedalWalker-v2": "a walk to the far end earns about 300",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", type=Path, help="a run's folder")


def main(arguments: argparse.Namespace) -> None:
    """Say what came out of a run, and where to look next."""
    print(report(arguments.run))


def report(folder: Path) -> str:
    """The text for a run's folder. Raises InputError where the folder holds no run or no champion yet."""
    params_file, champion_file = folder / "params.yaml", folder / "champion_network.json"
    if not params_file.is_file():
        raise InputError(f"{folder}: there is no run in this folder (no params.yaml)")
    if not champion_file.is_file():
        raise InputError(f"{folder}: this run has no champion yet (no champion_network.json)")
    params: dict[str, Any] = yaml.safe_load(params_file.read_text(encoding="utf-8"))
    genome = Genome.load(champion_file)
    found = loads(champion_file.read_bytes()).get("provenance", {})
    task = (
        params.get("env_name")
        or f"{params.get('dataset')}, learning by {params.get('learning_rule', 'evolution alone')}"
    )
    lines = [
        f"{task}: {params.get('population_size')} networks a generation, seed {params.get('seed')}",
        "",
        f"The champion was found in generation {found.get('generation')}. It has {genome.num_observed} inputs, "
        f"{genome.num_hidden} hidden neurons, {genome.num_outputs} output{'s' * (genome.num_outputs > 1)} "
        f"and {genome.num_connections} connections"
        f"{_activations(genome)}.",
        *_fitness(found.get("fitness") or {}, MEANINGS.get(str(params.get("env_name")))),
        "",
        "Where to look next:",
        f"  tensorboard --logdir {folder}",
        f"  {champion_file}",
        *(f"  {picture}" for name in ("champion.png", "champion.gif") if (picture := folder / name).is_file()),
        "",
        f"To go on with the experiment ({params.get('num_generations')} generations in all):",
        f"  python {params.get('script')}.py --resume {folder} --num_workers {params.get('num_workers')}",
    ]
    return "\n".join(lines)


def _activations(genome: Genome) -> str:
    hidden = genome.activations[genome.num_inputs + genome.num_outputs :]
    if genome.weights is not None or not len(hidden):
        return ""
    counts = {name: int((hidden == i).sum()) for i, name in enumerate(ACTIVATION_NAMES)}
    return " (" + ", ".join(f"{count} {name}" for name, count in counts.items() if count) + ")"


def _fitness(fitness: dict[str, float], meaning: str | None) -> list[str]:
    what = {
        "mean_reward": "reward, mean over the six shared weights",
        "max_reward": "reward at the best of them",
        "mean_acc": "accuracy, mean over the six shared weights",
        "max_acc": "accuracy at the best of them",
        "reward": "reward (minus the training loss)",
        "acc": "accuracy in training",
    }
    lines = [f"  {text:<42}{fitness[name]:10.3f}" for name, text in what.items() if fitness.get(name) is not None]
    return [*lines, *([f"  ({meaning})"] if meaning else [])]
