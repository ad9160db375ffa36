"""Evolution itself: ranking and reproduction, and what its record and checkpoints add to a generation."""

import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from benchmarks.measure import Pairs, Row, measure
from evolution.genome import Genome
from evolution.loop import EvolutionSettings, State, generations
from evolution.mutation import MutationSettings, mutate
from evolution.ranking import rank
from evolution.selection import SelectionSettings, next_generation
from evolution.task import Fitness, Task
from experiment import observers
from experiment.folder import EVOLUTION, Run

POPULATION, CONNECTIONS = 960, 500
MUTATION = MutationSettings()
SELECTION = SelectionSettings(POPULATION, 64, 0.2, 0.2)


def rows() -> list[Row]:
    """The table's lines: one reproduction, one checkpoint, and the record of one generation."""
    population = grown_population()
    size = f"{POPULATION} genomes of {CONNECTIONS} connections"
    rng = np.random.default_rng(1)
    fitness = rng.random((POPULATION, 2))

    def reproduce() -> None:
        order = rank(fitness)
        next_generation([population[i] for i in order], SELECTION, MUTATION, rng)

    with _run() as run:
        checkpoints = observers.Checkpoints(run, EVOLUTION, period=0)
        keep = measure(lambda: checkpoints(State(0, population, _fitness(fitness), None)), 10)
    return [
        Row("ranking and reproduction", size, measure(reproduce, 10), "<= 50 ms"),
        Row("a checkpoint (at most one a minute)", size, keep, "<= 1 % of 60 s"),
        Row(
            "log, TensorBoard and bookkeeping",
            f"{POPULATION} genomes",
            record_times(population),
            "<= 2 %",
            "generation",
        ),
    ]


def grown_population() -> list[Genome]:
    """Genomes of one size that are not copies of each other."""
    rng = np.random.default_rng(0)
    genome = Genome.initial(256, 10, 0.05, rng)
    while genome.num_connections < CONNECTIONS:
        genome = mutate(genome, MUTATION, rng)
    return [mutate(genome, MUTATION, rng) for _ in range(POPULATION)]


def record_times(population: Sequence[Genome]) -> Pairs:
    """Seconds (1,) from the end of a generation to the beginning of the next; two checkpoints in 60 are included."""
    task = _Instant(population[0])
    settings = EvolutionSettings(num_generations=61, test_every=1000, selection=SELECTION, mutation=MUTATION)
    with _run() as run:
        state = State(0, population, task.evaluate(population, np.random.default_rng(0)), None)
        inside: list[float] = []
        watching = [
            observers.TensorBoard(run.writer),
            observers.Log(run.log, settings.num_generations),
            lambda state: inside.append(state.times["complete_generation"]),
        ]
        started = time.perf_counter()
        with observers.Checkpoints(run, EVOLUTION, period=1e9) as checkpoints:
            observers.watch(generations(task, settings, state), [*watching, checkpoints])
        whole = time.perf_counter() - started
    return Pairs(np.array([np.nan]), np.array([(whole - sum(inside)) / len(inside)]))


@contextmanager
def _run() -> Iterator[Run]:
    """A run's folder without a script around it."""
    with tempfile.TemporaryDirectory() as folder:
        run = Run(Path(folder))
        run.open()
        yield run
        run.close()


def _fitness(values: np.ndarray) -> Fitness:
    return Fitness({"mean_reward": values[:, 0], "max_reward": values[:, 1]}, ("mean_reward", "max_reward"))


class _Instant(Task):
    """A task that costs nothing and never finds a better champion."""

    def __init__(self, genome: Genome) -> None:
        self.num_inputs, self.num_outputs = genome.num_observed, genome.num_outputs

    def evaluate(self, population: Sequence[Genome], rng: np.random.Generator) -> Fitness:
        return _fitness(rng.random((len(population), 2)))

    def test(self, genome: Genome, rng: np.random.Generator) -> dict[str, float]:
        return {}
