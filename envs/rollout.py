"""Episodes as numba kernels: network and environment in one loop, the episodes of a network side by side.

A lane holds an episode under way. All lanes of a network take a step together, so that the arithmetic runs on vectors;
a lane whose episode has ended takes the next one (another weight or trial of the same network), and when none is left,
the last lane moves into the gap. No lane's arithmetic depends on another's: grouping never changes a result.
"""

import functools
import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.envs.classic_control.cartpole import CartPoleEnv

from envs.cartpole_swingup import (
    CART_MASS,
    FORCE,
    FRICTION,
    GRAVITY,
    MAX_EPISODE_STEPS,
    POLE_LENGTH,
    POLE_MASS,
    TIME_STEP,
    TRACK_LIMIT,
    CartPoleSwingUp,
)
from evolution.errors import InputError
from evolution.genome import Genome
from networks.compiled import LANES, WEIGHT, WIDTH, FlatNetworks, evaluate, flatten, new_values, sine_cosine
from networks.jit import kernel

Array = npt.NDArray[np.float64]
Weights = npt.ArrayLike | Sequence[Array]


class _Environment(NamedTuple):
    make: type[gymnasium.Env]
    max_episode_steps: int
    num_inputs: int
    num_outputs: int
    take_argmax_action: bool


_SWING_UP = _Environment(CartPoleSwingUp, MAX_EPISODE_STEPS, 5, 1, False)
_ENVIRONMENTS = {
    "CartPoleSwingUp": _SWING_UP,
    "CartPoleSwingUp-v0": _SWING_UP,
    "CartPole-v0": _Environment(CartPoleEnv, 200, 4, 2, True),
    "CartPole-v1": _Environment(CartPoleEnv, 500, 4, 2, True),
}


def supports(env_name: str) -> bool:
    """Whether there is a kernel for this environment."""
    return env_name in _ENVIRONMENTS


def episodes(
    genomes: Sequence[Genome],
    env_name: str,
    weights: Weights,
    seeds: Sequence[int],
    *,
    take_argmax_action: bool,
    max_episode_steps: int | None = None,
) -> tuple[Array, npt.NDArray[np.int64]]:
    """Cumulative rewards and lengths (N, W, K) of N networks with W weights in K trials.

    `weights` are W values, each shared by all connections (W,), or for each genome W times one weight per connection: N
    arrays (W, E). Trial k starts as `env.reset(seed=seeds[k])` does. A network that puts out NaN gets what the
    environment makes of it: the reward NaN, or with argmax the action of the first NaN.

    Raises InputError for an environment without a kernel or for another kind of action than it takes, ValueError for
    networks or weights of another shape.
    """
    environment = _environment(env_name)
    if take_argmax_action != environment.take_argmax_action:
        raise InputError(f"take_argmax_action is {take_argmax_action}; {env_name} needs {not take_argmax_action}")
    flat = flatten(genomes)
    shape = flat.num_inputs - flat.use_bias, flat.num_outputs
    if shape != (environment.num_inputs, environment.num_outputs):
        needed = f"{environment.num_inputs} inputs and {environment.num_outputs} outputs"
        raise ValueError(f"networks of {shape[0]} inputs and {shape[1]} outputs; {env_name} has {needed}")
    num_weights, individual, values = _flat_weights(genomes, flat, weights)
    rewards = np.empty((len(genomes), num_weights, len(seeds)))
    lengths = np.empty(rewards.shape, np.int64)
    max_steps = environment.max_episode_steps if max_episode_steps is None else max_episode_steps
    swing_up = environment is _SWING_UP
    _episodes(swing_up, flat, values, individual, starts(env_name, seeds), max_steps, rewards, lengths)
    return rewards, lengths


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


def starts(env_name: str, seeds: Sequence[int]) -> Array:
    """The states (K, 4) that the environment starts from with these seeds."""
    return np.array([_start_of(env_name, int(seed)) for seed in seeds]).reshape(-1, 4)


@functools.lru_cache(maxsize=10_000)  # all networks of a generation start from the same few
def _start_of(env_name: str, seed: int) -> Array:
    environment = _environment(env_name).make()
    environment.reset(seed=seed)
    return environment.state  # type: ignore[attr-defined]


def replay(env_name: str, seed: int, actions: npt.ArrayLike) -> tuple[Array, Array, npt.NDArray[np.bool_]]:
    """What the compiled environment answers to T actions: observations (T + 1, I), rewards (T,), terminated (T,).

    The first observation is that of the start. Goes on after termination, without a limit of steps.
    """
    environment = _environment(env_name)
    return _replay(
        environment is _SWING_UP,
        environment.num_inputs,
        starts(env_name, [seed])[0],
        np.asarray(actions, np.float64).ravel(),
    )


def _environment(env_name: str) -> _Environment:
    if env_name not in _ENVIRONMENTS:
        raise InputError(f"no compiled environment {env_name!r}; there are {', '.join(_ENVIRONMENTS)}")
    return _ENVIRONMENTS[env_name]


# ---- kernels ----------------------------------------------------------------------------------------------------

# Rows of the state, each LANES wide. They lie in one flat array at fixed distances, by which the compiler knows that
# they do not overlap.
POSITION, VELOCITY, ANGLE, ANGULAR_VELOCITY, SINE, COSINE = (row * LANES for row in range(6))
ACTION, REWARD, TOTAL, LENGTH, LIVE, OVER = (row * LANES for row in range(6, 12))
STATE_SIZE = 12 * LANES


@kernel
def _episodes(swing_up, flat, weights, individual, starts, max_steps, rewards, lengths):
    num_inputs, num_outputs, _, neuron_start, _, activations, connection_start, sources, _ = flat
    num_weights, num_trials = rewards.shape[1:]
    num_episodes = num_weights * num_trials
    episode = np.zeros(LANES, np.int64)  # of each lane: weight * num_trials + trial
    for network in range(len(rewards)):
        first, end = neuron_start[network], neuron_start[network + 1]
        first_connection, per_weight = 0, 1
        if individual:
            first_connection = connection_start[first]
            per_weight = connection_start[end] - first_connection
        values = new_values(per_weight, num_inputs + end - first)
        first_input = WEIGHT + per_weight
        first_output = first_input + num_inputs + end - first - num_outputs
        state = np.zeros(STATE_SIZE)
        lanes = started = 0
        while True:
            while lanes < LANES and started < num_episodes:
                episode[lanes] = started
                w = started // num_trials
                for c in range(per_weight):
                    values[WEIGHT + c, lanes] = weights[first_connection * num_weights + w * per_weight + c]
                _start(state, lanes, starts[started % num_trials])
                lanes += 1
                started += 1
            if lanes == 0:
                break
            width = (lanes + WIDTH - 1) & -WIDTH
            if swing_up:
                _observe_swing_up(state, values, first_input, width)
            else:
                _observe_cart_pole(state, values, first_input, width)
            evaluate(values, per_weight, num_inputs, activations, connection_start, sources, first, end, width)
            if swing_up:
                for i in range(width):
                    state[ACTION + i] = values[first_output, i]
                ended = _step_swing_up(state, max_steps, width)
            else:
                _choose(values, first_output, state, width)
                ended = _step_cart_pole(state, max_steps, width)
            if not ended:
                continue
            for lane in range(lanes - 1, -1, -1):
                if state[OVER + lane] == 1:
                    w, k = divmod(episode[lane], num_trials)
                    rewards[network, w, k] = state[TOTAL + lane]
                    lengths[network, w, k] = int(state[LENGTH + lane])
                    lanes -= 1
                    episode[lane] = episode[lanes]
                    for row in range(0, STATE_SIZE, LANES):
                        state[row + lane] = state[row + lanes]
                    state[LIVE + lanes] = 0.0
                    for c in range(per_weight):
                        values[WEIGHT + c, lane] = values[WEIGHT + c, lanes]


@kernel
def _replay(swing_up, num_inputs, start, actions):
    state = np.zeros(STATE_SIZE)
    values = np.empty((num_inputs, LANES))
    observations = np.empty((len(actions) + 1, num_inputs))
    rewards, terminated = np.empty(len(actions)), np.empty(len(actions), np.bool_)
    for lane in range(WIDTH):
        _start(state, lane, start)
    for t in range(len(actions) + 1):
        if swing_up:
            _observe_swing_up(state, values, 0, WIDTH)
        else:
            _observe_cart_pole(state, values, 0, WIDTH)
        observations[t] = values[:, 0]
        if t == len(actions):
            break
        state[ACTION : ACTION + WIDTH] = actions[t]
        if swing_up:
            terminated[t] = _step_swing_up(state, np.inf, WIDTH) > 0
        else:
            terminated[t] = _step_cart_pole(state, np.inf, WIDTH) > 0
        rewards[t] = state[REWARD]
    return observations, rewards, terminated


@kernel
def _start(state, lane, start):
    sine, cosine = sine_cosine(start[2])
    state[POSITION + lane], state[VELOCITY + lane] = start[0], start[1]
    state[ANGLE + lane], state[ANGULAR_VELOCITY + lane] = start[2], start[3]
    state[SINE + lane], state[COSINE + lane] = sine, cosine
    state[TOTAL + lane] = state[LENGTH + lane] = 0.0
    state[LIVE + lane] = 1.0


@kernel
def _observe_swing_up(state, values, row, lanes):
    for i in range(lanes & -WIDTH):
        values[row, i] = state[POSITION + i]
        values[row + 1, i] = state[VELOCITY + i]
    for i in range(lanes & -WIDTH):
        values[row + 2, i] = state[COSINE + i]
        values[row + 3, i] = state[SINE + i]
        values[row + 4, i] = state[ANGULAR_VELOCITY + i]


@kernel
def _step_swing_up(state, max_steps, lanes):
    """`envs.cartpole_swingup.step` for all lanes; gives the number of episodes that end with this step."""
    m, total, length = POLE_MASS, CART_MASS + POLE_MASS, POLE_LENGTH
    ended = 0
    for i in range(lanes & -WIDTH):
        position, velocity = state[POSITION + i], state[VELOCITY + i]
        angle, angular_velocity = state[ANGLE + i], state[ANGULAR_VELOCITY + i]
        s, c = state[SINE + i], state[COSINE + i]
        action = state[ACTION + i]
        action = -1.0 if action < -1.0 else action  # NaN stays
        action = 1.0 if action > 1.0 else action
        centrifugal = m * length * (angular_velocity * angular_velocity) * s
        push = FORCE * action - FRICTION * velocity
        inertia = 4 * total - 3 * m * (c * c)
        cart = (-2 * centrifugal + 3 * m * GRAVITY * s * c + 4 * push) / inertia
        pole = (-3 * centrifugal * c + 6 * total * GRAVITY * s + 6 * push * c) / (length * inertia)
        position, velocity = position + TIME_STEP * velocity, velocity + TIME_STEP * cart
        angle, angular_velocity = angle + TIME_STEP * angular_velocity, angular_velocity + TIME_STEP * pole
        s, c = sine_cosine(angle)
        reward = (c + 1) / 2 * sine_cosine(position / TRACK_LIMIT * (math.pi / 2))[1]
        state[POSITION + i], state[VELOCITY + i] = position, velocity
        state[ANGLE + i], state[ANGULAR_VELOCITY + i] = angle, angular_velocity
        state[SINE + i], state[COSINE + i] = s, c
        state[REWARD + i] = reward
        state[TOTAL + i] += reward
        state[LENGTH + i] += 1
        over = ((abs(position) > TRACK_LIMIT) | (state[LENGTH + i] >= max_steps)) & (state[LIVE + i] > 0)
        state[OVER + i] = 1.0 if over else 0.0
        ended += over
    return ended


@kernel
def _observe_cart_pole(state, values, row, lanes):
    for i in range(lanes & -WIDTH):  # Gymnasium observes in 32-bit floats
        values[row, i] = np.float32(state[POSITION + i])
        values[row + 1, i] = np.float32(state[VELOCITY + i])
    for i in range(lanes & -WIDTH):
        values[row + 2, i] = np.float32(state[ANGLE + i])
        values[row + 3, i] = np.float32(state[ANGULAR_VELOCITY + i])


@kernel
def _choose(values, row, state, lanes):
    """The action 0 or 1 whose output is the larger, as numpy.argmax: the first of equals, NaN above all."""
    for i in range(lanes & -WIDTH):
        left, right = values[row, i], values[row + 1, i]
        state[ACTION + i] = 1.0 if (right > left) | ((right != right) & (left == left)) else 0.0


@kernel
def _step_cart_pole(state, max_steps, lanes):
    """A step of Gymnasium's CartPole, in the order of its operations, for all lanes; gives the number that end."""
    pole_mass, total_mass, half_length = 0.1, 0.1 + 1.0, 0.5
    limit = 12 * 2 * math.pi / 360
    ended = 0
    for i in range(lanes & -WIDTH):
        position, velocity = state[POSITION + i], state[VELOCITY + i]
        angle, angular_velocity = state[ANGLE + i], state[ANGULAR_VELOCITY + i]
        force = 10.0 if state[ACTION + i] == 1 else -10.0
        s, c = sine_cosine(angle)
        push = (force + pole_mass * half_length * (angular_velocity * angular_velocity) * s) / total_mass
        pole = (9.8 * s - c * push) / (half_length * (4.0 / 3.0 - pole_mass * (c * c) / total_mass))
        cart = push - pole_mass * half_length * pole * c / total_mass
        position, velocity = position + 0.02 * velocity, velocity + 0.02 * cart
        angle, angular_velocity = angle + 0.02 * angular_velocity, angular_velocity + 0.02 * pole
        state[POSITION + i], state[VELOCITY + i] = position, velocity
        state[ANGLE + i], state[ANGULAR_VELOCITY + i] = angle, angular_velocity
        state[REWARD + i] = 1.0
        state[TOTAL + i] += 1.0
        state[LENGTH + i] += 1
        out = (abs(position) > 2.4) | (abs(angle) > limit)
        over = (out | (state[LENGTH + i] >= max_steps)) & (state[LIVE + i] > 0)
        state[OVER + i] = 1.0 if over else 0.0
        ended += over
    return ended
