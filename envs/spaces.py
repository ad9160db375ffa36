"""From an environment's observations to the inputs of a network, and from its outputs to actions.

Every space that is finite and flat in the end is served: Box, Discrete, MultiDiscrete, MultiBinary, and Tuple and Dict
of these. Observations are flattened as `gymnasium.spaces.flatten` does: a Discrete one becomes one-hot.
"""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from evolution.errors import InputError

Array = npt.NDArray[np.float64]
SIMPLE = (spaces.Box, spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary)
NEEDED = "Box, Discrete, MultiDiscrete, MultiBinary, or a Tuple or Dict of these is needed"


class Unfit(ValueError):
    """An observation is none of the declared space: what came, and what was declared."""


def kind(space: spaces.Space) -> str:
    """A space in words: its class, and its shape where it has one."""
    return type(space).__name__ + (f" of shape {space.shape}" if space.shape else "")


def _parts(space: spaces.Space, name: str = "") -> Iterator[tuple[str, spaces.Space]]:
    """The simple spaces that a space is made of, in the order in which they are flattened, each with its name."""
    if isinstance(space, spaces.Dict):
        for key, part in space.spaces.items():
            yield from _parts(part, f"{name} {key}".strip())
    elif isinstance(space, spaces.Tuple):
        for i, part in enumerate(space.spaces):
            yield from _parts(part, f"{name}[{i}]")
    else:
        yield name, space


def _check(space: spaces.Space, env_name: str, what: str) -> None:
    """Raise InputError where a space, or a part of it, is none of those that are served."""
    for _, part in _parts(space):
        if not isinstance(part, SIMPLE):
            raise InputError(f"env_name {env_name}: its {what} are {kind(part)}; {NEEDED}")


class Observations:
    """Inputs of a network from observations; `size` is their number (I,).

    With `image_size` an image (H, W) or (H, W, C) becomes grey and so many pixels wide and high first. Raises
    InputError for a space that cannot be served.
    """

    def __init__(self, space: spaces.Space, env_name: str, image_size: int | None = None) -> None:
        _check(space, env_name, "observations")
        self.space, self.image_size = space, image_size
        if image_size is not None:
            shape = space.shape if isinstance(space, spaces.Box) else None
            if shape is None or not (len(shape) == 2 or (len(shape) == 3 and shape[2] in (1, 3))):
                raise InputError(f"observation_size: the observations of {env_name} are {kind(space)}, not images")
        self.size = image_size**2 if image_size else spaces.flatdim(space)
        if not self.size:
            raise InputError(f"env_name {env_name}: its observations are {kind(space)}: there is nothing to see")

    def flatten(self, observation: Any) -> Array:
        """The inputs (I,), float64. Raises Unfit for an observation that is not of the space, or not finite."""
        if isinstance(self.space, spaces.Box):
            values: npt.NDArray[Any] = np.asarray(observation)
            if values.shape != self.space.shape or values.dtype.kind not in "biuf":
                raise Unfit(f"{_came(observation)} where {kind(self.space)} was declared")
            flat = (_grey(values, self.image_size) if self.image_size else values).astype(np.float64).ravel()
        else:
            if not _fits(self.space, observation):
                raise Unfit(f"{_came(observation)} where {self.space} was declared")
            flat = np.asarray(spaces.flatten(self.space, observation), np.float64)
        if not math.isfinite(flat.sum()) and not np.isfinite(flat).all():
            raise Unfit("an observation is not finite")
        return flat

    @property
    def names(self) -> tuple[str, ...]:
        """What each input is, as far as the space tells it: `position[3]`, `state 2`."""
        if self.image_size:
            return tuple(f"pixel {i}" for i in range(self.size))
        found = [name for part in _parts(self.space) for name in _names(*part, "input")]
        return tuple(found)


def _fits(space: spaces.Space, value: Any) -> bool:
    """Whether a value is of the space. The bounds of a Box do not count, since many environments leave them."""
    if isinstance(space, spaces.Dict):
        return (
            isinstance(value, dict)
            and value.keys() == space.spaces.keys()
            and all(_fits(part, value[key]) for key, part in space.spaces.items())
        )
    if isinstance(space, spaces.Tuple):
        return (
            isinstance(value, tuple | list)
            and len(value) == len(space.spaces)
            and all(_fits(part, one) for part, one in zip(space.spaces, value, strict=True))
        )
    if isinstance(space, spaces.Box):
        return np.shape(value) == space.shape and np.asarray(value).dtype.kind in "biuf"
    return bool(space.contains(value))


def _came(observation: Any) -> str:
    if isinstance(observation, np.ndarray):
        return f"an array of shape {observation.shape} of {observation.dtype}"
    return f"{type(observation).__name__} {observation!r:.60}"


def _grey(image: npt.NDArray, size: int) -> Any:
    import cv2

    pixels: Any = image.astype(np.float32)
    if pixels.ndim == 3:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY) if pixels.shape[2] == 3 else pixels[:, :, 0]
    return cv2.resize(pixels, (size, size), interpolation=cv2.INTER_AREA)


def _names(name: str, space: spaces.Space, otherwise: str) -> Iterator[str]:
    size = int(space.nvec.sum()) if isinstance(space, spaces.MultiDiscrete) else spaces.flatdim(space)
    if isinstance(space, spaces.Discrete):
        yield from (f"{name or otherwise} {int(space.start) + i}" for i in range(size))
    elif size == 1 and name:
        yield name
    else:
        yield from (f"{name}[{i}]" if name else f"{otherwise} {i}" for i in range(size))


class Actions:
    """Actions from the outputs of a network; `size` is the number of outputs (O,).

    Discrete: the index of the largest output, of equals the first; MultiDiscrete: the same for each group of outputs;
    MultiBinary: which outputs are above 0; Box: the outputs, clipped to the space, where `scale` is true after [-1, 1]
    was mapped onto its bounds, rounded where it holds whole numbers. Raises InputError for a space that cannot be
    served, and for bounds that are not finite with `scale`.
    """

    def __init__(self, space: spaces.Space, env_name: str, scale: bool = False) -> None:
        _check(space, env_name, "actions")
        self.space, self.scale = space, scale
        if scale:
            boxes = [part for _, part in _parts(space) if isinstance(part, spaces.Box)]
            if not boxes or not all(np.isfinite(box.low).all() and np.isfinite(box.high).all() for box in boxes):
                raise InputError(f"scale_actions: the actions of {env_name} are {kind(space)}; a bounded Box is needed")
        self.size = sum(_num_outputs(part) for _, part in _parts(space))
        if not self.size:
            raise InputError(f"env_name {env_name}: its actions are {kind(space)}: there is nothing to do")

    def choose(self, outputs: Array) -> Any | None:
        """The action, or None where an output that is to be the action itself is NaN."""
        action, _ = self._of(self.space, outputs, 0)
        return action

    def _of(self, space: spaces.Space, outputs: Array, first: int) -> tuple[Any, int]:
        if isinstance(space, spaces.Dict):
            chosen: dict[str, Any] = {}
            for key, part in space.spaces.items():
                chosen[key], first = self._of(part, outputs, first)
            return (None if any(value is None for value in chosen.values()) else chosen), first
        if isinstance(space, spaces.Tuple):
            each = []
            for part in space.spaces:
                one, first = self._of(part, outputs, first)
                each.append(one)
            return (None if any(value is None for value in each) else tuple(each)), first
        last = first + _num_outputs(space)
        own = outputs[first:last]
        if isinstance(space, spaces.Discrete):
            return int(space.start) + int(np.argmax(own)), last
        if isinstance(space, spaces.MultiDiscrete):
            ends = np.cumsum(space.nvec.ravel())
            groups = np.split(own, ends[:-1])
            indices = np.array([np.argmax(group) for group in groups]).reshape(space.nvec.shape)
            return (space.start + indices).astype(space.dtype), last
        if isinstance(space, spaces.MultiBinary):
            return (own > 0).reshape(space.shape).astype(space.dtype), last
        assert isinstance(space, spaces.Box)
        return self._box(space, own.reshape(space.shape)), last

    def _box(self, space: spaces.Box, values: Array) -> npt.NDArray | None:
        if np.isnan(values).any():
            return None
        if self.scale:
            low, high = space.low.astype(np.float64), space.high.astype(np.float64)
            values = low + (np.clip(values, -1, 1) + 1) / 2 * (high - low)
        values = np.clip(values, space.low, space.high)
        if space.dtype is not None and np.issubdtype(space.dtype, np.integer):
            values = np.rint(values)
        return values.astype(space.dtype)

    @property
    def names(self) -> tuple[str, ...]:
        """What each output is: `action 2`, `steer[0]`."""
        return tuple(name for part in _parts(self.space) for name in _names(*part, "action"))


def _num_outputs(space: spaces.Space) -> int:
    return int(space.nvec.sum()) if isinstance(space, spaces.MultiDiscrete) else spaces.flatdim(space)


def takes_argmax(space: spaces.Space, env_name: str, given: bool | None) -> bool:
    """Whether the largest output is the action; it follows from the space.

    Raises InputError where `given` says otherwise, and for what is given where actions have several parts.
    """
    right = isinstance(space, spaces.Discrete | spaces.MultiDiscrete)
    if given is None or given == right:
        return right
    if isinstance(space, spaces.Tuple | spaces.Dict):
        return right  # each part by its own kind
    raise InputError(
        f"take_argmax_action is {str(given).lower()}; the actions of {env_name} are {kind(space)}: "
        f"it must be {str(right).lower()}, or left out"
    )
