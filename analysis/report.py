"""What came out of a run, in plain words, and where to look next."""

import argparse
from pathlib import Path

from analysis.runs import CHAMPION, RunFolder
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
        "--html", type=Path, metavar="FILE", help="write a study as one page, to be opened in a browser"
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
    """The text for a run's folder. Raises InputError where the folder holds no run or no champion yet."""
    run = RunFolder(folder)
    params, genome = run.params, run.champion
    champion_file = folder / CHAMPION
    if genome is None:
        raise InputError(f"{folder}: this run has no champion yet (no {CHAMPION})")
    found = loads(champion_file.read_bytes()).get("provenance", {})
    task = f"{run.task}, learning by {run.rule}" if run.learns else run.task
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
        f"  python {run.script}.py --resume {folder} --num_workers {params.get('num_workers')}",
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
