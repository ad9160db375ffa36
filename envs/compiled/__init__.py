"""The environments that have a kernel, and which of them an environment's id stands for.

What counts is the class that Gymnasium makes for an id, and its arguments: an alias is found, and an id that was
registered anew for another class is not taken for ours.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import gymnasium
from gymnasium.envs.registration import EnvSpec

from envs.compiled import (
    acrobot,
    bipedal_walker,
    cart_pole,
    mountain_car,
    mountain_car_continuous,
    pendulum,
    swing_up,
)
from envs.compiled.seam import Compiled, connect
from evolution import outside

MAX_EPISODE_STEPS = 10_000  # where neither a parameter nor the environment sets a limit
ENVIRONMENTS: dict[str, Compiled] = {}  # by the class that each computes the same as


def register(compiled: Compiled) -> None:
    """Make a compiled environment known. A module outside of this project calls it where it registers its class."""
    ENVIRONMENTS[compiled.reference] = connect(compiled)


for _module in (cart_pole, swing_up, mountain_car, mountain_car_continuous, pendulum, acrobot, bipedal_walker):
    register(_module.COMPILED)


def import_module_of(env_name: str) -> None:
    """Import the module of `module:name-v0`, which registers the id, and its kernel. Raises InputError."""
    module, colon, _ = env_name.rpartition(":")
    if colon:
        outside.imported(module, f"env_name {env_name}")


class Found(NamedTuple):
    """A compiled environment with its parameters and its limit of steps, where it has one."""

    compiled: Compiled
    parameters: Any
    max_episode_steps: int | None


def find(env_name: str, env_kwargs: Mapping[str, Any] | None = None) -> Found | None:
    """The kernel's environment that computes what Gymnasium would make of this id and these arguments; else None."""
    spec = spec_of(env_name)
    if spec is None or spec.additional_wrappers:
        return None
    compiled = ENVIRONMENTS.get(entry_point(spec))
    if compiled is None:
        return None
    given = {**spec.kwargs, **(env_kwargs or {})}
    parameters = parameters_of(compiled, given)
    return None if parameters is None else Found(compiled, parameters, spec.max_episode_steps)


def parameters_of(compiled: Compiled, given: Mapping[str, Any]) -> Any | None:
    """The arguments as the kernels take them; None where they do not serve one of them."""
    defaults = compiled.parameters()._asdict()
    values: dict[str, Any] = {}
    for name, value in given.items():
        if name in compiled.fixed and value == compiled.fixed[name]:
            continue
        default = defaults.get(name)
        if isinstance(default, bool) and isinstance(value, bool):
            values[name] = value
        elif isinstance(default, float) and isinstance(value, int | float) and not isinstance(value, bool):
            values[name] = float(value)
        else:
            return None
    return compiled.parameters(**values)


def spec_of(env_name: str) -> EnvSpec | None:
    """What Gymnasium has registered for `name-v0`, `name` (the newest version), `module:name-v0` of a loaded module."""
    bare = env_name.rpartition(":")[2]
    if bare in gymnasium.registry:
        return gymnasium.registry[bare]
    stem = f"{bare}-v"
    versions = [key.removeprefix(stem) for key in gymnasium.registry if key.startswith(stem)]
    newest = max((int(version) for version in versions if version.isdecimal()), default=None)
    return None if newest is None else gymnasium.registry[f"{stem}{newest}"]


def entry_point(spec: EnvSpec) -> str:
    """The class that an id stands for, as "module:Class"."""
    made = spec.entry_point
    return made if isinstance(made, str) else f"{made.__module__}:{getattr(made, '__qualname__', '')}"
