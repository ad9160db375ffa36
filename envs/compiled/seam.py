"""What a compiled environment is, and how the kernels of the episode loop find its functions.

numba compiles the loop anew for each type of its arguments. Every environment has a type of its own, the named tuple
of its parameters; by that type the loop's calls of `start`, `observe`, `step` and the others below are resolved while
it is compiled. So the loop knows no environment by name, and calls their functions as if they stood in it.

Many episodes are under way at once, each in a lane; there are LANES of them. A state is one flat array
of rows, each LANES wide, at fixed distances, by which the compiler knows that rows do not overlap. The loop's own rows
come first, then the environment's, its actions first among them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from numba.extending import overload

from networks.compiled import LANES
from networks.jit import kernel

Array = npt.NDArray[np.float64]

REWARD, TERMINATED, TOTAL, LENGTH, LIVE, OVER, LARGEST, SINGLE = (row * LANES for row in range(8))
ACTION = 8 * LANES


def rows(count: int) -> tuple[int, ...]:
    """Where the rows of an environment begin: its actions (the first is at ACTION), then what its state is made of."""
    return tuple(ACTION + row * LANES for row in range(count))


@dataclass(frozen=True, eq=False)
class Compiled:
    """A compiled environment. `world` below is the named tuple of its parameters, or what `new_world` made of them.

    - `start(world, state, lane, first)` puts a lane to an episode's start; `first` (S,) is what `start_of` gave.
    - `observe(world, state, values, row, lanes)` writes input i of the first lanes to `values[row + i, lane]`.
    - `step(world, state, lanes)` takes `state[ACTION + ...]`, moves the first lanes on, sets REWARD and TERMINATED.

    `lanes` is a multiple of WIDTH; loops go over `range(lanes & -WIDTH)`, so that the compiler sees it. A lane's
    numbers must not depend on another lane's.
    """

    reference: str  # the class that it computes the same as, "module:Class", as Gymnasium registers it
    parameters: type[Any]  # a NamedTuple: the class's arguments that the kernels serve, with their defaults
    inputs: tuple[str, ...]  # what the observations are called
    outputs: tuple[str, ...]  # the actions
    num_rows: int  # of a lane's state: the actions (one where the largest output is taken), and its own
    start: Any
    observe: Any
    step: Any
    bounds: tuple[float, float] | None = None  # of the actions; None where the index of the largest output is taken
    single_precision: bool = False  # whether the loop rounds actions to 32 bits, as the reference's action space does
    tolerance: float = 1e-5  # of twenty steps against the reference, relative to 1 + |value|
    fixed: Mapping[str, Any] = field(default_factory=dict)  # arguments that it serves with this value only
    start_of: Callable[[Any, int], Array] | None = None  # (parameters, seed): (S,); else the reference's `state`
    new_world: Callable[[Any], Any] | None = None  # (parameters): arrays for what does not fit in rows of float64
    move: Any = None  # kernel (world, lane, source): does for the world's arrays what the loop does for the rows
    # Where a step is dear: kernel (world, lane, kept, n), which writes to kept[n] what `start` goes on from, as if all
    # were one episode, and gives how many numbers that are, most_kept at most. With it, alike episodes share a lane.
    keep: Any = None
    most_kept: int = 0

    @property
    def take_argmax_action(self) -> bool:
        return self.bounds is None

    def world(self, parameters: Any) -> Any:
        """What the kernels get as their first argument."""
        return parameters if self.new_world is None else self.new_world(parameters)


@kernel
def start_from_state(parameters, state, lane, first):
    """`start` where the reference's state is all of it: the rows that follow the one of the action."""
    for k in range(len(first)):
        state[ACTION + (1 + k) * LANES + lane] = first[k]


_BY_PARAMETERS: dict[type, Compiled] = {}


def connect(compiled: Compiled) -> Compiled:
    """Let the loop find the kernels by the type of the parameters."""
    _BY_PARAMETERS[compiled.parameters] = compiled
    return compiled


def _of(parameters: Any) -> Compiled:
    """The environment that a numba type stands for."""
    return _BY_PARAMETERS[parameters.instance_class]


# ---- what the loop calls --------------------------------------------------------------------------------------------
# Put in place of each call: a function in between would be compiled by itself, with all that it calls.


def start(parameters: Any, world: Any, state: Array, lane: int, first: Array) -> None:
    """A lane at the start of an episode."""


def observe(parameters: Any, world: Any, state: Array, values: Array, row: int, lanes: int) -> None:
    """The observations as the first inputs of a network."""


def step(parameters: Any, world: Any, state: Array, lanes: int) -> None:
    """A step of all lanes."""


def move(parameters: Any, world: Any, lane: int, source: int) -> None:
    """The world's arrays of a lane become those of another."""


def keep(parameters: Any, world: Any, lane: int, kept: Array, n: int) -> int:
    """A lane as what `start` goes on from, in kept[n]; the count of numbers."""
    raise NotImplementedError


def bounds(parameters: Any) -> Any:
    """The least and the largest action, or None."""


def single_precision(parameters: Any) -> Any:
    """Whether actions are rounded to 32 bits."""


def num_rows(parameters: Any) -> Any:
    """Of a lane's state, the loop's own included."""


@overload(start, inline="always")
def _start(parameters, world, state, lane, first):
    kernel = _of(parameters).start
    return lambda parameters, world, state, lane, first: kernel(world, state, lane, first)


@overload(observe, inline="always")
def _observe(parameters, world, state, values, row, lanes):
    kernel = _of(parameters).observe
    return lambda parameters, world, state, values, row, lanes: kernel(world, state, values, row, lanes)


@overload(step, inline="always")
def _step(parameters, world, state, lanes):
    kernel = _of(parameters).step
    return lambda parameters, world, state, lanes: kernel(world, state, lanes)


@overload(move, inline="always")
def _move(parameters, world, lane, source):
    kernel = _of(parameters).move
    if kernel is None:
        return lambda parameters, world, lane, source: None
    return lambda parameters, world, lane, source: kernel(world, lane, source)


@overload(keep, inline="always")
def _keep(parameters, world, lane, kept, n):
    kernel = _of(parameters).keep
    return lambda parameters, world, lane, kept, n: kernel(world, lane, kept, n)


@overload(bounds, inline="always")
def _bounds(parameters):
    pair = _of(parameters).bounds
    return lambda parameters: pair


@overload(single_precision, inline="always")
def _single_precision(parameters):
    value = _of(parameters).single_precision
    return lambda parameters: value


@overload(num_rows, inline="always")
def _num_rows(parameters):
    count = ACTION // LANES + _of(parameters).num_rows
    return lambda parameters: count
