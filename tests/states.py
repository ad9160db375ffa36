"""Run states for tests, small and with everything in them that a checkpoint can hold."""

import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from genomes import evolved

from evolution import checkpoint
from evolution.loop import Champion, EvolutionSettings, State, generations, last_test
from evolution.mutation import MutationSettings
from evolution.selection import SelectionSettings
from evolution.task import Fitness, Task
from experiment import observers
from experiment.folder import EVOLUTION, Run

SIZE = 6


def state(*, with_weights: bool, use_bias: bool = False, champion: bool = True, generation: int = 7) -> State:
    rng = np.random.default_rng(0)
    shape = {"with_weights": with_weights, "use_bias": use_bias, "p_initial": 0.6}
    population = [evolved(seed, 4, 2, mutations=3 * seed, **shape) for seed in range(SIZE)]
    values = {"reward": rng.normal(size=SIZE), "acc": rng.random(SIZE)}
    values["reward"][2] = -np.inf
    trained = None
    if with_weights:
        trained = [replace(g, weights=rng.normal(size=g.num_connections).astype(np.float32)) for g in population]
    values_of_best = {"reward": 1.5, "acc": float("nan")}
    best = Champion(
        population[3], 5, values_of_best, population[3] if trained is None else trained[3], {"test_acc": 0.5}
    )
    return State(generation, population, Fitness(values, ("reward", "acc"), trained), best if champion else None)


def settings(*, with_weights: bool, use_bias: bool = False, num_generations: int = 9) -> EvolutionSettings:
    """Those of a run that the state could be of."""
    return EvolutionSettings(
        seed=1,
        num_generations=num_generations,
        p_initial_connection_enabled=0.6,
        objectives={"p_complexity_objective": 0.5},
        test_every=2,
        selection=SelectionSettings(SIZE, 2, 0.2, 0.2),
        mutation=MutationSettings({"p_add_node": 0.5, "p_add_connection": 0.5}, inherit_weights=with_weights),
        learns=with_weights,
        use_bias=use_bias,
    )


def encoded(meta: Any, arrays: dict[str, np.ndarray]) -> bytes:
    """A checkpoint file with this content, whatever it is, and the checksum that belongs to it."""
    buffer = io.BytesIO()
    np.savez(buffer, meta=np.frombuffer(json.dumps(meta).encode(), np.uint8), **arrays)
    body = buffer.getvalue()
    return checkpoint.MAGIC + hashlib.sha256(body).hexdigest().encode() + b"\n" + body


class Noise(Task):
    """The task that the state could be of: rewards by chance, weights as they are."""

    num_inputs, num_outputs = 4, 2

    def evaluate(self, population, rng):
        values = {"reward": rng.normal(size=len(population)), "acc": rng.random(len(population))}
        trained = None if population[0].weights is None else population
        return Fitness(values, ("reward", "acc"), trained)

    def test(self, genome, rng):
        return {}


def opened(path: Path) -> Run:
    """A run's folder without a script around it."""
    path.mkdir(exist_ok=True)
    run = Run(path)
    run.open()
    return run


def evolve(
    task: Task,
    settings: EvolutionSettings,
    path: Path,
    state: State | None = None,
    *,
    period: float = 60.0,
    others: Sequence[Any] = (),
) -> State:
    """Evolve in a folder with everything written as the scripts do, but pictures."""
    run = opened(path)
    try:
        watching = [
            observers.ChampionFile(path, {}, state),
            observers.TensorBoard(run.writer),
            observers.Log(run.log, settings.num_generations),
            *others,
        ]
        if settings.learns:
            watching.append(observers.Population(path, run.writer, 2, {}))
        with observers.Checkpoints(run, EVOLUTION, period, state) as checkpoints:
            end = observers.watch(generations(task, settings, state), [*watching, checkpoints], state)
        observers.finish(last_test(task, settings, end), watching)
        return end
    finally:
        run.close()
