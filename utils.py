"""What the scripts share: from parameters to settings, to a folder, to the observers of a run."""

from collections.abc import Iterable
from contextlib import ExitStack, closing
from dataclasses import fields
from typing import Any

import numpy as np
import numpy.typing as npt

from analysis import graph
from evolution import loop
from evolution.errors import InputError
from evolution.genome import Genome
from evolution.loop import EvolutionSettings
from evolution.mutation import MUTATIONS, MutationSettings
from evolution.objectives import OBJECTIVES
from evolution.selection import SelectionSettings
from evolution.task import Task
from evolution.workers import Workers
from experiment import folder, observers, origin
from experiment.folder import Run
from experiment.observers import Observer
from experiment.parameters import Params
from experiment.program import run_script

__all__ = ["Params", "check_settings", "evolve", "run_script", "workers"]


def evolve(params: Params, task: Task, *others: Observer, portraits: bool = True) -> None:
    """Evolve networks for `task` in a run's folder: from the beginning, or from where it stopped.

    `others` see every state beside what is written (experiment/observers.py); with `portraits` tested champions are
    drawn. Raises InputError where the parameters do not fit each other or the task.
    """
    settings = evolution_settings(params)
    check_sizes(params, task.num_inputs, task.num_outputs)
    with ExitStack() as stack:
        stack.enter_context(closing(task))
        run, state = stack.enter_context(
            folder.open_run(params, folder.EVOLUTION, lambda state: loop.check(state, task, settings))
        )
        run.log.info("evaluation: %s", task.evaluator_name)
        bar = stack.enter_context(observers.Bar(settings.num_generations, state, "gen", observers.summary))
        checkpoints = stack.enter_context(observers.Checkpoints(run, folder.EVOLUTION, params.checkpoint_period, state))
        drawing = [_portraits(run, params, settings)] if portraits else []
        watching = [*drawing, *recorders(run, params, settings, state), bar, *others, checkpoints]
        state = observers.watch(loop.generations(task, settings, state), watching, state)
        checkpoints.save()
        observers.finish(loop.last_test(task, settings, state), watching)


def recorders(run: Run, params: Params, settings: EvolutionSettings, state: loop.State | None = None) -> list[Observer]:
    """What writes an evolution down in the run's folder."""
    provenance = origin.provenance(params)
    found: list[Observer] = [
        observers.ChampionFile(run.path, provenance, state),
        observers.TensorBoard(run.writer),
        observers.Log(run.log, settings.num_generations),
    ]
    if settings.learns:
        found.append(observers.Population(run.path, run.writer, params.save_networks_every, provenance))
    if params.max_minutes is not None:
        found.append(observers.Deadline(params.max_minutes))
    return found


def evolution_settings(params: Params) -> EvolutionSettings:
    """What `generations` needs, from the parameters. Raises InputError where they do not fit each other."""
    learns = params.experiment.learns
    if learns and not params.p_initial_connection_enabled:
        raise InputError("p_initial_connection_enabled is 0: a network that learns would never get a connection")
    return EvolutionSettings(
        seed=params.seed,
        num_generations=params.num_generations,
        p_initial_connection_enabled=params.p_initial_connection_enabled,
        objectives=_given(params, OBJECTIVES),
        test_every=params.test_every,
        selection=SelectionSettings(**_given(params, [field.name for field in fields(SelectionSettings)])),
        mutation=MutationSettings(
            probabilities=_given(params, MUTATIONS),
            num_mutations=params.num_mutations_per_generation,
            inherit_weights=learns and params.inherit_weights,
            connect_outputs=not learns,
        ),
        learns=learns,
        use_bias=params.use_bias,
        hidden_activation=getattr(params, "hidden_activation", "relu"),
    )


def _given(params: Params, names: Iterable[str]) -> dict[str, Any]:
    return {name: getattr(params, name) for name in names if hasattr(params, name)}


def check_sizes(params: Params, num_inputs: int, num_outputs: int) -> None:
    """Raise InputError where `num_inputs` or `num_outputs` are given as parameters and are not the task's."""
    for name, known in (("num_inputs", num_inputs), ("num_outputs", num_outputs)):
        given = getattr(params, name)
        if given is not None and given != known:
            raise InputError(f"{name} is {given}, but {params.task_name} has {known}")


def workers(params: Params) -> Workers:
    """The run's workers: no more of this machine than there are networks to evaluate."""
    return Workers(min(params.num_workers, params.population_size), params.backend, params.scheduler_address)


def _portraits(run: Run, params: Params, settings: EvolutionSettings) -> Observer:
    def draw(genome: Genome) -> npt.NDArray[np.uint8]:
        from analysis import draw, names  # matplotlib takes a while to import

        return draw.image(genome, names.names_of(genome, params.task_name), "Champion")

    return observers.Portraits(run, draw, graph.statistics, settings.test_every)


def check_settings(params: Params) -> None:
    """Settle what follows from the data set, as a run does; raise InputError where parameters do not fit each other."""
    if "images" in params.experiment.groups:
        from envs.datasets import preparation_of  # whoever plays episodes needs no images

        params.image_size, params.deskew = preparation_of(params.dataset, params.image_size, params.deskew)
    if params.experiment.evolves:
        evolution_settings(params)
