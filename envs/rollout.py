"""Episodes of compiled environments: rewards and lengths of many networks, or an environment alone, step by step."""

import contextlib
import functools
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.envs.registration import load_env_creator

from envs import compiled, lanes, shared_lanes
from envs.compiled import Found, seam
from envs.compiled.seam import ACTION, REWARD, SINGLE, TERMINATED
from evolution.errors import InputError, RunError
from evolution.genome import Genome
from networks import twins
from networks.compiled import LANES, WIDTH, FlatNetworks, flatten
from networks.jit import kernel

Array = npt.NDArray[np.float64]
Weights = npt.ArrayLike | Sequence[Array]
Kwargs = Mapping[str, Any] | None


def supports(env_name: str, env_kwargs: Kwargs = None) -> bool:
    """Whether there is a kernel for this environment with these arguments."""
    return compiled.find(env_name, env_kwargs) is not None


def takes_argmax(env_name: str, env_kwargs: Kwargs = None) -> bool:
    """Whether the environment's action is the index of the largest output. Raises InputError where it has no kernel."""
    return _find(env_name, env_kwargs).compiled.take_argmax_action


def episodes(
    genomes: Sequence[Genome],
    env_name: str,
    weights: Weights,
    seeds: Sequence[int],
    *,
    take_argmax_action: bool,
    max_episode_steps: int | None = None,
    env_kwargs: Kwargs = None,
    scale_actions: bool = False,
) -> tuple[Array, npt.NDArray[np.int64]]:
    """Cumulative rewards and lengths (N, W, K) of N networks with W weights in K trials.

    `weights` are W values, each shared by all connections (W,), or for each genome W times one weight per connection: N
    arrays (W, E). Trial k starts as `env.reset(seed=seeds[k])` does. Outputs that are the action are clipped to its
    bounds; with `scale_actions` [-1, 1] is mapped onto these first. A network that puts out NaN gets what the
    environment makes of it: the reward NaN, or with argmax the action of the first NaN.

    Raises InputError for an environment without a kernel or for another kind of action than it takes, ValueError for
    networks or weights of another shape, RunError where a kernel has no room for what happens in an episode.
    """
    found = _find(env_name, env_kwargs)
    environment = found.compiled
    if take_argmax_action != environment.take_argmax_action:
        raise InputError(f"take_argmax_action is {take_argmax_action}; {env_name} needs {not take_argmax_action}")
    flat = flatten(genomes)
    shape = flat.num_inputs - flat.use_bias, flat.num_outputs
    if shape != (len(environment.inputs), len(environment.outputs)):
        needed = f"{len(environment.inputs)} inputs and {len(environment.outputs)} outputs"
        raise ValueError(f"networks of {shape[0]} inputs and {shape[1]} outputs; {env_name} has {needed}")
    num_weights, individual, values = _flat_weights(genomes, flat, weights)
    rewards = np.empty((len(genomes), num_weights, len(seeds)))
    lengths = np.empty(rewards.shape, np.int64)
    if not rewards.size:
        return rewards, lengths
    max_steps = max_episode_steps or found.max_episode_steps or compiled.MAX_EPISODE_STEPS
    with _one_line(env_name):
        first, world = _starts(found, seeds), environment.world(found.parameters)
        given = found.parameters, world, scale_actions, flat, values, individual, first, max_steps, rewards, lengths
        if environment.keep is None:
            lanes.play(*given)
        else:
            shared_lanes.play(*given, *shared_lanes.room(environment, len(genomes), rewards.size))
    return rewards, lengths


@contextlib.contextmanager
def _one_line(what: str) -> Iterator[None]:
    """Turns the error of a kernel that has no room for what happens into a RunError."""
    try:
        yield
    except RuntimeError as error:
        raise RunError(f"{what}: {error}") from error


def _flat_weights(genomes: Sequence[Genome], flat: FlatNetworks, weights: Weights) -> tuple[int, bool, Array]:
    """W, whether the connections' weights differ, and all weights: (W,), or network by network the flattened (W, C)."""
    if np.ndim(weights[0]) == 0:  # type: ignore[index]
        shared = np.asarray(weights, np.float64)
        return len(shared), False, shared
    arrays = [np.asarray(array, np.float64) for array in weights]  # type: ignore[union-attr]
    num_weights = len(arrays[0])
    if [array.shape for array in arrays] != [(num_weights, genome.num_connections) for genome in genomes]:
        raise ValueError(f"weights of shapes {[array.shape for array in arrays]}; each network needs its (W, E)")
    ends = flat.connection_start[flat.neuron_start]
    used = [flat.connections[start:end] for start, end in pairwise(ends)]
    return num_weights, True, np.concatenate([array[:, c].ravel() for array, c in zip(arrays, used, strict=True)])


def starts(env_name: str, seeds: Sequence[int], env_kwargs: Kwargs = None) -> Array:
    """The states (K, S) that the environment starts from with these seeds."""
    with _one_line(env_name):
        return _starts(_find(env_name, env_kwargs), seeds)


def _starts(found: Found, seeds: Sequence[int]) -> Array:
    return np.array([_start_of(found, int(seed)) for seed in seeds])


@functools.lru_cache(maxsize=10_000)  # all networks of a generation start from the same few
def _start_of(found: Found, seed: int) -> Array:
    environment, parameters, _ = found
    if environment.start_of is not None:
        return environment.start_of(parameters, seed)
    reference: Any = load_env_creator(environment.reference)(**parameters._asdict())
    reference.reset(seed=seed)
    return np.asarray(reference.state, np.float64)


def replay(
    env_name: str, seed: int, actions: npt.ArrayLike, env_kwargs: Kwargs = None
) -> tuple[Array, Array, npt.NDArray[np.bool_]]:
    """What the compiled environment answers to T actions: observations (T + 1, I), rewards (T,), terminated (T,).

    `actions` are (T,), or (T, A) where an action is A numbers, and are handed to the environment as they are. The first
    observation is that of the start. Goes on after termination, without a limit of steps.
    """
    found = _find(env_name, env_kwargs)
    single = np.asarray(actions).dtype == np.float32
    with _one_line(env_name):
        return _replay(found, seed, np.asarray(actions, np.float64), single)


def _replay(found: Found, seed: int, actions: Array, single: bool) -> tuple[Array, Array, npt.NDArray[np.bool_]]:
    """In Python: the kernels that the loop calls are not compiled once more within another."""
    environment, parameters, _ = found
    num_inputs = len(environment.inputs)
    actions = actions.reshape(-1, 1 if environment.take_argmax_action else len(environment.outputs))
    world = environment.world(parameters)
    state, values = np.zeros(ACTION + environment.num_rows * LANES), np.empty((num_inputs, LANES))
    environment.start(world, state, 0, _start_of(found, seed))
    state[SINGLE] = single
    observations, rewards = np.empty((len(actions) + 1, num_inputs)), np.empty(len(actions))
    terminated = np.empty(len(actions), np.bool_)
    for t in range(len(actions) + 1):
        environment.observe(world, state, values, 0, WIDTH)
        observations[t] = values[:, 0]
        if t < len(actions):
            state[ACTION : ACTION + actions.shape[1] * LANES : LANES] = actions[t]
            environment.step(world, state, WIDTH)
            rewards[t], terminated[t] = state[REWARD], state[TERMINATED] > 0
    return observations, rewards, terminated


class Steps:
    """An episode of a compiled environment, step by step, as `episodes` plays it.

    `observation` (I,) is what a network sees now, `state` (S,) what the reference calls its `state`.
    """

    @staticmethod
    def are_there(env_name: str, env_kwargs: Kwargs = None) -> bool:
        """Whether there is a kernel, and the reference holds everything in its `state`, as the classic ones do."""
        found = compiled.find(env_name, env_kwargs)
        return found is not None and found.compiled.start_of is None and found.compiled.new_world is None

    def __init__(self, env_name: str, seed: int, env_kwargs: Kwargs = None) -> None:
        found = _find(env_name, env_kwargs)
        if not self.are_there(env_name, env_kwargs):
            raise InputError(f"{env_name} is more than its state: its episodes are not played step by step")
        self._parameters = found.parameters
        self._num_actions = 1 if found.compiled.take_argmax_action else len(found.compiled.outputs)
        first = _starts(found, [seed])[0]
        self._size = len(first)
        self._rows = np.zeros((ACTION // LANES + found.compiled.num_rows) * LANES)
        self._values = np.empty((len(found.compiled.inputs), LANES))
        _begin(self._parameters, first, self._rows, self._values)

    @property
    def observation(self) -> Array:
        return self._values[:, 0].copy()

    @property
    def state(self) -> Array:
        first = ACTION + self._num_actions * LANES  # the state's rows come after the actions
        return self._rows[first : first + self._size * LANES : LANES].copy()

    def step(self, action: npt.ArrayLike) -> tuple[float, bool]:
        """Take an action, as `replay` does; the reward, and whether the episode has ended."""
        actions = np.asarray(action, np.float64).reshape(self._num_actions)
        _advance(self._parameters, actions, self._rows, self._values)
        return float(self._rows[REWARD]), bool(self._rows[TERMINATED] > 0)


TWIN_STEPS = 20


@functools.cache
def check(found: Found) -> None:
    """Whether the kernels still do what their reference does, by twenty steps, once in a process. Raises RunError."""
    environment, parameters, _ = found
    rng = np.random.default_rng(0)
    reference: Any = load_env_creator(environment.reference)(**parameters._asdict())
    if environment.bounds is None:
        actions = rng.integers(len(environment.outputs), size=(TWIN_STEPS, 1)).astype(np.float64)
    else:
        actions = rng.uniform(*environment.bounds, size=(TWIN_STEPS, len(environment.outputs)))
        actions = actions.astype(reference.action_space.dtype)
    single = actions.dtype == np.float32
    what = f"twenty steps of {environment.reference.rpartition(':')[2]}"
    with _one_line(what):
        observations, *others = _replay(found, 0, actions.astype(np.float64), single)
    expected = [np.append(reference.reset(seed=0)[0], [0.0, 0.0])]
    for action in actions:
        observation, reward, terminated, _, _ = reference.step(_as_taken(reference, action))
        expected.append(np.append(observation, [reward, terminated]))
        if terminated:  # what comes after is nobody's
            break
    reference.close()
    ours = np.column_stack([observations, *(np.append(0.0, values) for values in others)])[: len(expected)]
    twins.agree(what, environment.step, type(reference), ours, np.array(expected), environment.tolerance)


def _as_taken(reference: Any, action: Array) -> Any:
    """An action of the kernels as the reference takes it."""
    space = reference.action_space
    return int(action[0]) if isinstance(space, gymnasium.spaces.Discrete) else action.astype(space.dtype)


def _find(env_name: str, env_kwargs: Kwargs) -> Found:
    found = compiled.find(env_name, env_kwargs)
    if found is None:
        there_are = ", ".join(name for name in gymnasium.registry if supports(name))
        given = f" with {dict(env_kwargs)}" if env_kwargs else ""
        raise InputError(f"no compiled environment {env_name!r}{given}; there are {there_are}")
    return found


@kernel
def _begin(parameters, first, state, values):
    for lane in range(WIDTH):
        seam.start(parameters, parameters, state, lane, first)
        state[SINGLE + lane] = 1.0
    seam.observe(parameters, parameters, state, values, 0, WIDTH)


@kernel
def _advance(parameters, action, state, values):
    for a in range(len(action)):
        place = ACTION + a * LANES
        state[place : place + WIDTH] = action[a]
    seam.step(parameters, parameters, state, WIDTH)
    seam.observe(parameters, parameters, state, values, 0, WIDTH)
