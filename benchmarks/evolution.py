"""Evolution itself: ranking and reproduction, and what logging and checkpoints add to a generation."""

import logging
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.measure import Pairs, Row, measure
from evolution import checkpoint
from evolution.checkpoint import State
from evolution.events import EventLog
from evolution.genome import Genome
from evolution.loop import EvolutionSettings, evolve
from evolution.mutation import MutationSettings, mutate
from evolution.ranking import rank
from evolution.selection import SelectionSettings, next_generation
from evolution.task import Fitness, Task

POPULATION, CONNECTIONS = 960, 500
MUTATION = MutationSettings(p_add_node=0.25, p_add_connection=0.25, p_change_activation=0.5)
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

    with tempfile.TemporaryDirectory() as folder:
        keeper = checkpoint.Keeper(Path(folder), checkpoint.to_bytes, period=0)
        keep = measure(lambda: keeper.update(State(0, population, _fitness(fitness), None)), 10)
    return [
        Row("ranking and reproduction", size, measure(reproduce, 10), "<= 50 ms"),
        Row("a checkpoint (at most one a minute)", size, keep, "<= 1 % of 60 s"),
        Row("log, TensorBoard and bookkeeping", f"{POPULATION} genomes", record_times(population), "", "generation"),
    ]


def grown_population() -> list[Genome]:
    """Genomes of one size that are not copies of each other."""
    rng = np.random.default_rng(0)
    genome = Genome.initial(256, 10, 0.05, rng)
    while genome.num_connections < CONNECTIONS:
        genome = mutate(genome, MUTATION, rng)
    return [mutate(genome, MUTATION, rng) for _ in range(POPULATION)]


def record_times(population: Sequence[Genome]) -> Pairs:
    """What a generation costs in which evaluation takes no time, ranking and reproduction aside: seconds (10,)."""
    task = _Instant(population[0])
    settings = EvolutionSettings(0, 11, 0.05, 0.8, 1000, SELECTION, MUTATION, checkpoint_period=1e9)
    with tempfile.TemporaryDirectory() as folder:
        run = _Folder(Path(folder))
        state = State(0, population, task.evaluate(population, np.random.default_rng(0)), None)
        starts: list[float] = []
        task.started = starts.append
        evolve(task, settings, run, state)
        run.writer.close()
    whole = np.diff([*starts, time.perf_counter()])
    return Pairs(np.full(len(whole), np.nan), whole)


def _fitness(values: np.ndarray) -> Fitness:
    return Fitness({"mean_reward": values[:, 0], "max_reward": values[:, 1]}, ("mean_reward", "max_reward"))


class _Instant(Task):
    """A task that costs nothing and never finds a better champion."""

    def __init__(self, genome: Genome) -> None:
        self.num_inputs, self.num_outputs = genome.num_observed, genome.num_outputs
        self.started = lambda moment: None

    def evaluate(self, population: Sequence[Genome], rng: np.random.Generator) -> Fitness:
        self.started(time.perf_counter())
        return _fitness(rng.random((len(population), 2)))

    def test(self, genome: Genome, rng: np.random.Generator) -> dict[str, float]:
        return {}


class _Folder:
    def __init__(self, path: Path) -> None:
        self.path, self.log, self.writer = path, logging.getLogger("benchmark"), EventLog(path / "events")

    def file_sizes(self) -> dict[str, int]:
        self.writer.flush()
        return {}
