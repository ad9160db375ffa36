"""What makes evolutions of architectures that learn stand still: the crowding distance, lucky weights, or chance?

A copied network keeps the weights that it drew, and its result with them; a child draws anew. So a lucky draw is hard
to beat, by its own children too. Four kinds of evolution tell that apart from the rest: as the program does it; with
weights drawn anew in every generation, for copies too; with a random order within fronts, in place of the crowding
distance; and with a distance that is not divided by the objectives' ranges, as in the thesis's program.
`python -m benchmarks.luck hebbian 0 1 2` runs a rule with these seeds, on MNIST, and prints a row for each.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from unittest import mock

import numpy as np
import numpy.typing as npt

from analysis import arguments as take
from analysis.__main__ import status_of
from analysis.rewiring import fresh
from envs import datasets
from evolution import ranking
from evolution.genome import Genome
from evolution.loop import EvolutionSettings, State, generations
from evolution.mutation import MUTATIONS, MutationSettings
from evolution.selection import SelectionSettings
from evolution.task import Fitness
from evolution.workers import Workers
from experiment.parameters import from_yaml
from learning.settings import TrainingSettings
from learning.task import LearningTask

PARAMS = Path(__file__).resolve().parent.parent / "params" / "wlnn-mnist"
AS_IT_IS, REDRAWN, UNCROWDED, RAW = "as it is", "copies draw anew", "no crowding distance", "distance not normalised"
KINDS = (AS_IT_IS, REDRAWN, UNCROWDED, RAW)
NUM_GENERATIONS, POPULATION, TOURNAMENT, NUM_EPOCHS = 101, 60, 10, 1
HEAD = ("rule", "evolution", "seed", "champion", "mean", "connections", "layers", "longest pause", "luck of the best")


class Redrawn(LearningTask):
    """Every network draws its weights anew whenever it is trained."""

    def evaluate(self, population: Sequence[Genome], rng: np.random.Generator) -> Fitness:
        return super().evaluate(redraw(population, rng.spawn(1)[0]), rng)


def redraw(population: Sequence[Genome], rng: np.random.Generator) -> list[Genome]:
    return [fresh(genome, own) for genome, own in zip(population, rng.spawn(len(population)), strict=True)]


@contextmanager
def distances(kind: str, seed: int) -> Iterator[None]:
    """The order within each front: random, or by a distance of another kind, or as it is."""
    rng = np.random.default_rng(seed)

    def at_random(values: npt.NDArray) -> npt.NDArray:
        return rng.random(len(values))

    def raw(values: npt.NDArray, normalised=ranking.crowding_distance) -> npt.NDArray:
        ranges = [np.ptp(objective) or 1.0 for objective in values.T]
        return sum(normalised(values[:, [k]]) * extent for k, extent in enumerate(ranges))

    others = {UNCROWDED: at_random, RAW: raw}
    with mock.patch.object(ranking, "crowding_distance", others[kind]) if kind in others else nullcontext():
        yield


def evolve(rule: str, kind: str, seed: int) -> list[str]:
    """A row of the table."""
    params = from_yaml((PARAMS / f"mnist-{rule}.yaml").read_text("utf-8")) | {"num_epochs": NUM_EPOCHS}
    settings = EvolutionSettings(
        seed=seed,
        num_generations=NUM_GENERATIONS,
        p_initial_connection_enabled=params["p_initial_connection_enabled"],
        objectives={"p_complexity_objective": params["p_complexity_objective"]},
        test_every=NUM_GENERATIONS,
        selection=SelectionSettings(POPULATION, TOURNAMENT, params["cull_ratio"], params["elite_ratio"]),
        mutation=MutationSettings(
            probabilities={name: params[name] for name in MUTATIONS if name in params},
            num_mutations=params["num_mutations_per_generation"],
            connect_outputs=False,
        ),
        learns=True,
    )
    make = Redrawn if kind == REDRAWN else LearningTask
    task = make(
        datasets.load("mnist"),
        TrainingSettings.of(params),
        num_epochs_long=NUM_EPOCHS,
        batch_size_eval=1000,
        evaluation_period="last_epoch",
        workers=Workers(1),
    )
    improved = [0]
    with distances(kind, seed):
        state = _last(generations(task, settings), improved)
    pauses = np.diff([*improved, NUM_GENERATIONS - 1])
    champion = state.champion
    assert champion is not None
    values = [champion.values["acc"], float(np.nanmean(state.fitness.values["acc"]))]
    row = [rule, kind, str(seed), *(f"{value:.3f}" for value in values)]
    connections = float(np.mean([genome.num_connections for genome in state.population]))
    layers = float(np.mean([genome.num_layers for genome in state.population]))
    return [*row, f"{connections:.0f}", f"{layers:.1f}", str(pauses.max()), f"{luck(task, state, seed):.3f}"]


def _last(states: Iterator[State], improved: list[int]) -> State:
    """The last state; the generations that brought a new champion are added to `improved`."""
    for state in states:
        if state.challenge is not None and state.challenge.won:
            improved.append(state.generation)
    return state


def luck(task: LearningTask, state: State, seed: int) -> float:
    """By how much the accuracy of the best fifth is above that of the same networks with other weights."""
    acc = state.fitness.values["acc"]
    best = np.argsort(-acc)[: len(acc) // 5]
    rng = np.random.default_rng(seed)
    again = task.evaluate(redraw([state.population[i] for i in best], rng), rng).values["acc"]
    return float(acc[best].mean() - again.mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "rule", choices=[file.stem.removeprefix("mnist-") for file in sorted(PARAMS.glob("mnist-*.yaml"))]
    )
    parser.add_argument("seeds", type=take.seed, nargs="+")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS, help="of evolution (default: all)")
    given = parser.parse_args()
    print(f"| {' | '.join(HEAD)} |\n|{' --- |' * len(HEAD)}")
    for seed in given.seeds:
        for kind in given.kinds:
            print(f"| {' | '.join(evolve(given.rule, kind, seed))} |", flush=True)


if __name__ == "__main__":
    sys.exit(status_of(main))
