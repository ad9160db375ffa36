"""Run states for tests, small and with everything in them that a checkpoint can hold."""

import hashlib
import io
import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
from genomes import evolved

from evolution import checkpoint
from evolution.checkpoint import Champion, State
from evolution.events import EventLog
from evolution.loop import EvolutionSettings
from evolution.mutation import MutationSettings
from evolution.selection import SelectionSettings
from evolution.task import Fitness, Task

SIZE = 6


def state(*, with_weights: bool, use_bias: bool = False, champion: bool = True, generation: int = 7) -> State:
    rng = np.random.default_rng(0)
    shape = {"with_weights": with_weights, "use_bias": use_bias, "p_initial": 0.6}
    population = [evolved(seed, 4, 2, mutations=3 * seed, **shape) for seed in range(SIZE)]
    values = {"reward": rng.normal(size=SIZE), "acc": rng.random(SIZE)}
    values["reward"][2] = -np.inf
    weights = None
    if with_weights:
        weights = [rng.normal(size=g.num_connections).astype(np.float32) for g in population]
    best = Champion(population[3], 5, {"reward": 1.5, "acc": float("nan")}, None if weights is None else weights[3])
    sizes = {"run.log": 10, "tensorboard_summary/events.out.tfevents.1": 20}
    return State(generation, population, Fitness(values, ("reward", "acc"), weights), best if champion else None, sizes)


def settings(*, with_weights: bool, use_bias: bool = False, num_generations: int = 9) -> EvolutionSettings:
    """Those of a run that the state could be of."""
    return EvolutionSettings(
        seed=1,
        num_generations=num_generations,
        p_initial_connection_enabled=0.6,
        p_complexity_objective=0.5,
        test_every=2,
        selection=SelectionSettings(SIZE, 2, 0.2, 0.2),
        mutation=MutationSettings(0.5, 0.5, inherit_weights=with_weights),
        with_weights=with_weights,
        use_bias=use_bias,
    )


def encoded(meta: Any, arrays: dict[str, np.ndarray]) -> bytes:
    """A checkpoint file with this content, whatever it is, and the checksum that belongs to it."""
    buffer = io.BytesIO()
    np.savez(buffer, meta=np.frombuffer(json.dumps(meta).encode(), np.uint8), **arrays)
    body = buffer.getvalue()
    return checkpoint.MAGIC + hashlib.sha256(body).hexdigest().encode() + b"\n" + body


def put(folder: Path, sizes: dict[str, int]) -> None:
    """Files of these lengths."""
    for name, size in sizes.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(bytes(size))


class Noise(Task):
    """The task that the state could be of: rewards by chance, weights as they are."""

    num_inputs, num_outputs = 4, 2

    def evaluate(self, population, rng):
        values = {"reward": rng.normal(size=len(population)), "acc": rng.random(len(population))}
        weights = None if population[0].weights is None else [genome.weights for genome in population]
        return Fitness(values, ("reward", "acc"), weights)

    def test(self, genome, rng):
        return {}


class Folder:
    """A run's folder without a script around it."""

    def __init__(self, path: Path) -> None:
        self.path, self.log = path, logging.getLogger("neuroevolution.test")
        self.writer = EventLog(path / "tensorboard_summary")

    def file_sizes(self) -> dict[str, int]:
        self.writer.flush()
        return {}

    def close(self) -> None:
        self.writer.close()
