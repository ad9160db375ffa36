"""What the inputs and outputs of a network mean in the environments and data sets that we know."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from evolution.errors import InputError
from evolution.genome import Genome, loads

DIGITS = tuple(str(digit) for digit in range(10))
LARGEST_UNGRIDDED = 30  # more inputs than this, if a square number, are taken for an image


class Names(NamedTuple):
    """A name for every input that the task provides (the bias not among them), and for every output."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def _leg(number: int) -> tuple[str, ...]:
    joints = (f"hip {number}", f"knee {number}")
    return (*(f"{joint} {what}" for joint in joints for what in ("angle", "speed")), f"leg {number} contact")


_HULL = ("hull angle", "hull angular speed", "horizontal speed", "vertical speed")
# The key is the environment's id without its version.
ENVIRONMENTS = {
    "CartPole": Names(("position", "velocity", "angle", "angular velocity"), ("left", "right")),
    "CartPoleSwingUp": Names(("position", "velocity", "cos angle", "sin angle", "angular velocity"), ("force",)),
    "BipedalWalker": Names(
        (*_HULL, *_leg(1), *_leg(2), *(f"lidar {ray}" for ray in range(1, 11))), ("hip 1", "knee 1", "hip 2", "knee 2")
    ),
}
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
    """The names for `task`, an environment's id or a data set. Raises InputError if the sizes do not fit.

    A task that we have no names for, and None, give numbers.
    """
    names = default_names(genome)
    known = ENVIRONMENTS.get((task or "").split("-v")[0])
    if task in IMAGE_SIDES:
        known = Names(tuple(f"pixel {i}" for i in range(IMAGE_SIDES[task] ** 2)), DIGITS)
    if known is None:
        return names
    if (len(known.inputs), len(known.outputs)) != (genome.num_observed, genome.num_outputs):
        raise InputError(
            f"{task} has {len(known.inputs)} inputs and {len(known.outputs)} outputs, "
            f"this network {genome.num_observed} and {genome.num_outputs}"
        )
    return known


def neuron_names(genome: Genome, names: Names) -> list[str]:
    """A name for each neuron (N,), hidden ones by their id."""
    bias = ["bias"] if genome.use_bias else []
    visible = [*names.inputs, *bias, *names.outputs]
    return visible + [f"hidden {i}" for i in range(len(visible), genome.num_neurons)]


def task_of(path: Path) -> str | None:
    """The environment or data set that a network file was made for: its provenance or its run's `params.yaml` says."""
    content = loads(path.read_bytes())
    provenance = content.get("provenance") if isinstance(content, Mapping) else None
    for source in (provenance, _params_near(path)):
        if isinstance(source, Mapping):
            for key in ("env_name", "dataset"):
                if isinstance(source.get(key), str):
                    return source[key]
    return None


def _params_near(path: Path) -> Any:
    for folder in (path.parent, path.parent.parent):
        try:
            return yaml.safe_load((folder / "params.yaml").read_text())
        except (OSError, ValueError, yaml.YAMLError):
            continue
    return None
