"""What the inputs and outputs of a network mean in the environments and data sets that we know."""

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from evolution.errors import InputError
from evolution.files import read
from evolution.genome import Genome, loads
from experiment.parameters import from_yaml

DIGITS = tuple(str(digit) for digit in range(10))
LARGEST_UNGRIDDED = 30  # more inputs than this, if a square number, are taken for an image


class Names(NamedTuple):
    """A name for every input that the task provides (the bias not among them), and for every output."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


IMAGE_SIDES = {"digits": 8, "mnist": 16}


def image_side(genome: Genome) -> int | None:
    """Pixels along one side if the inputs are taken for a square image, else None."""
    side = round(genome.num_observed**0.5)
    return side if side * side == genome.num_observed > LARGEST_UNGRIDDED else None


def default_names(genome: Genome) -> Names:
    """Numbers; an image with ten classes has the digits as outputs."""
    image = image_side(genome)
    inputs = tuple(f"pixel {i}" if image else f"input {i}" for i in range(genome.num_observed))
    if image and genome.num_outputs == len(DIGITS):
        return Names(inputs, DIGITS)
    return Names(inputs, tuple(f"output {i}" for i in range(genome.num_outputs)))


def names_of(genome: Genome, task: str | None) -> Names:
    """The names for `task`, an environment's id or a data set. Raises InputError if a compiled one does not fit.

    A compiled environment says its names itself; for the others of Gymnasium the spaces tell them, as far as they fit.
    A task that we have no names for, and None, give numbers.
    """
    names = default_names(genome)
    sizes = genome.num_observed, genome.num_outputs
    if task is None or not _is_environment(task):
        side = IMAGE_SIDES.get(task or "")
        known = Names(tuple(f"pixel {i}" for i in range(side**2)), DIGITS) if side else names
        return known if (len(known.inputs), len(known.outputs)) == sizes else names
    from envs import compiled

    found = compiled.find(task)
    if found is None:
        known = _from_spaces(task) or names
        return known if (len(known.inputs), len(known.outputs)) == sizes else names
    known = Names(found.compiled.inputs, found.compiled.outputs)
    if (len(known.inputs), len(known.outputs)) != sizes:
        raise InputError(
            f"{task} has {len(known.inputs)} inputs and {len(known.outputs)} outputs, "
            f"this network {genome.num_observed} and {genome.num_outputs}"
        )
    return known


def _is_environment(task: str) -> bool:
    from envs.datasets import DATASETS

    return task not in DATASETS


@functools.cache
def _from_spaces(env_name: str) -> Names | None:
    """What the spaces of one of Gymnasium's own environments tell; a user's is never made for a picture."""
    from envs.gym_task import Rules, is_known, look_at
    from envs.spaces import Actions, Observations

    if not is_known(env_name):
        return None
    try:
        found = look_at(Rules(env_name, {}, None, False))
        inputs, outputs = Observations(found.observation_space, env_name), Actions(found.action_space, env_name)
    except InputError:  # without the arguments of its run it may not be one that can be made
        return None
    return Names(inputs.names, outputs.names)


def neuron_names(genome: Genome, names: Names) -> list[str]:
    """A name for each neuron (N,), hidden ones by their id."""
    bias = ["bias"] if genome.use_bias else []
    visible = [*names.inputs, *bias, *names.outputs]
    return visible + [f"hidden {i}" for i in range(len(visible), genome.num_neurons)]


def task_of(path: Path) -> str | None:
    """The environment or data set that a network file was made for: its provenance or its run's `params.yaml` says."""
    content = loads(read(path))
    provenance = content.get("provenance") if isinstance(content, Mapping) else None
    for source in (provenance, params_near(path)):
        if isinstance(source, Mapping):
            for key in ("env_name", "dataset"):
                if isinstance(source.get(key), str):
                    return source[key]
    return None


def params_near(path: Path) -> dict[str, Any]:
    """The parameters of the run in whose folder, or in a folder of whose, a network's file lies; {} where none is."""
    for folder in (path.parent, path.parent.parent):
        try:
            found = from_yaml(read(folder / "params.yaml"))
        except (OSError, ValueError):
            continue
        if isinstance(found, dict):
            return found
    return {}
