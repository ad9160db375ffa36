"""Episodes as numba kernels: network and environment in one loop, the episodes of a network side by side.

A lane holds an episode under way. All lanes take a step together, so that the arithmetic runs on vectors; a lane whose
episode has ended takes the next one (another weight or trial), and when none is left, the last lane moves into the gap.
No lane's arithmetic depends on another's: grouping never changes a result.
"""

import numpy as np

from envs.compiled import seam
from envs.compiled.seam import ACTION, LARGEST, LENGTH, LIVE, OVER, REWARD, SINGLE, TERMINATED, TOTAL
from networks.compiled import LANES, WEIGHT, WIDTH, evaluate, new_values
from networks.jit import kernel, lean


@kernel
def play(parameters, world, scale_actions, flat, weights, individual, starts, max_steps, rewards, lengths):
    """All episodes, one network after the other, which computes in the lanes."""
    num_inputs, num_outputs, _, neuron_start, _, activations, connection_start, sources, _ = flat
    num_networks, num_weights, num_trials = rewards.shape
    episode = np.zeros(LANES, np.int64)  # of each lane: weight * num_trials + trial
    for n in range(num_networks):
        first, end = neuron_start[n], neuron_start[n + 1]
        num_connections = connection_start[end] - connection_start[first]
        rows = max(1, num_connections) if individual else 1  # of weights
        values = new_values(rows, num_inputs + end - first)
        first_input, first_output = WEIGHT + rows, len(values) - num_outputs
        state = np.zeros(seam.num_rows(parameters) * LANES)
        lanes = started = 0
        while True:
            while lanes < LANES and started < num_weights * num_trials:
                w, k = divmod(started, num_trials)
                episode[lanes] = started
                if individual:
                    at = connection_start[first] * num_weights + w * num_connections
                    for c in range(num_connections):
                        values[WEIGHT + c, lanes] = weights[at + c]
                else:
                    values[WEIGHT, lanes] = weights[w]
                seam.start(parameters, world, state, lanes, starts[k])
                state[TOTAL + lanes] = state[LENGTH + lanes] = 0.0
                state[LIVE + lanes] = state[SINGLE + lanes] = 1.0
                lanes += 1
                started += 1
            if lanes == 0:
                break
            width = (lanes + WIDTH - 1) & -WIDTH
            seam.observe(parameters, world, state, values, first_input, width)
            evaluate(values, rows, num_inputs, activations, connection_start, sources, first, end, width)
            single = seam.single_precision(parameters)
            act(seam.bounds(parameters), single, scale_actions, values, first_output, num_outputs, state, width)
            seam.step(parameters, world, state, width)
            if not count(state, max_steps, width):
                continue
            for lane in range(lanes - 1, -1, -1):
                if state[OVER + lane] == 1:
                    w, k = divmod(episode[lane], num_trials)
                    rewards[n, w, k] = state[TOTAL + lane]
                    lengths[n, w, k] = int(state[LENGTH + lane])
                    lanes -= 1
                    episode[lane] = episode[lanes]
                    close_gap(parameters, world, state, lane, lanes)
                    for row in range(WEIGHT, first_input):
                        values[row, lane] = values[row, lanes]


@lean
def close_gap(parameters, world, state, lane, last):
    """The last lane moves to where an episode has ended."""
    for row in range(0, len(state), LANES):
        state[row + lane] = state[row + last]
    seam.move(parameters, world, lane, last)
    state[LIVE + last] = 0.0


@lean
def act(bounds, single, scale_actions, values, row, num_outputs, state, lanes):
    """The outputs as actions: `envs.spaces.action` for all lanes."""
    if bounds is None:
        _choose(values, row, num_outputs, state, lanes)
    else:
        low, high = bounds
        for o in range(num_outputs):
            place = ACTION + o * LANES
            for i in range(lanes & -WIDTH):
                action = values[row + o, i]
                action = low + (action + 1.0) / 2.0 * (high - low) if scale_actions else action
                action = low if action < low else action  # NaN stays
                action = high if action > high else action
                state[place + i] = np.float32(action) if single else action


@lean
def _choose(values, row, num_outputs, state, lanes):
    """The index of the largest output, as numpy.argmax: the first of equals, NaN above all."""
    for i in range(lanes & -WIDTH):
        state[ACTION + i] = 0.0
        state[LARGEST + i] = values[row, i]
    for o in range(1, num_outputs):
        for i in range(lanes & -WIDTH):
            output, largest = values[row + o, i], state[LARGEST + i]
            larger = (output > largest) | ((output != output) & (largest == largest))
            state[ACTION + i] = o if larger else state[ACTION + i]
            state[LARGEST + i] = output if larger else largest


@lean
def count(state, max_steps, lanes):
    """Add the step to totals and lengths; gives the number of episodes that end with it."""
    ended = 0
    for i in range(lanes & -WIDTH):
        state[TOTAL + i] += state[REWARD + i]
        state[LENGTH + i] += 1
        over = ((state[TERMINATED + i] > 0) | (state[LENGTH + i] >= max_steps)) & (state[LIVE + i] > 0)
        state[OVER + i] = 1.0 if over else 0.0
        ended += over
    return ended
