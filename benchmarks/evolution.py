"""Evolution itself: ranking and reproduction, and what its record and checkpoints add to a generation."""

import logging
import tempfile
import time
from collections.abc import Mapping, Sequence
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
    settings = EvolutionSettings(0, 61, 0.05, 0.8, 1000, SELECTION, MUTATION, checkpoint_period=1e9)
    with tempfile.TemporaryDirectory() as folder:
        run = _Folder(Path(folder))
        state = State(0, population, task.evaluate(population, np.random.default_rng(0)), None)
        started = time.perf_counter()
        evolve(task, settings, run, state)
        whole = time.perf_counter() - started
        assert isinstance(run.writer, _Listening)
        keeping = (whole - sum(run.writer.inside)) / len(run.writer.inside)
        run.writer.close()
    return Pairs(np.array([np.nan]), np.array([keeping]))


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


class _Listening(EventLog):
    """Event files that remember how long each generation was without its record."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.inside: list[float] = []

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        super().scalars(values, step)
        if "times/complete_generation" in values:
            self.inside.append(values["times/complete_generation"])


class _Folder:
    def __init__(self, path: Path) -> None:
        self.path, self.log = path, logging.getLogger("benchmark")
        self.writer: EventLog = _Listening(path / "events")

    def file_sizes(self) -> dict[str, int]:
        self.writer.flush()
        return {}
