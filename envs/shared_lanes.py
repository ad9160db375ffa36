"""Episodes as numba kernels, where a step of the environment is dear: those that are alike so far share a lane.

Episodes of one trial whose networks have given the same actions until now are in the same state and have earned the
same, whatever networks and weights they are of. So they ride in one lane, which takes each step once for all of them.
Where their actions part, the first rider and those that act as it does stay; the others leave, and wait by their
actions, in a branch each, for a lane that is free. It is as if each had a lane of its own, bit for bit.
"""

from typing import Any, NamedTuple

import numpy as np

from envs.compiled import seam
from envs.compiled.seam import ACTION, LENGTH, LIVE, OVER, SINGLE, TOTAL
from envs.lanes import act, close_gap, count
from networks.compiled import LANES, WEIGHT, WIDTH, evaluate, new_values
from networks.jit import kernel, lean

MOST_RIDERS = 4096  # at a time, R; as many branches may have to wait


class Riders(NamedTuple):
    """Episodes under way, by their numbers from `head` on.

    An episode's number is (network * num_weights + weight) * num_trials + trial.
    """

    actions: Any  # (R, A)
    bits: Any  # the same numbers as integers
    next: Any  # (R,) who comes after each one in the lane or branch, or -1
    next_of_network: Any  # (R,) who comes after each one among those of its network that ride, or -1
    lane: Any  # (R,)
    first: Any  # (LANES,) of each lane
    first_of_network: Any  # (N,)
    networks: Any  # (N,) those of which any ride
    column: Any  # (LANES,) who computes in each column of the network


class Branches(NamedTuple):
    """Those that wait."""

    kept: Any  # (R, S) what each goes on from
    so_far: Any  # (R, 2) total and length until there
    first: Any  # (R,) of its riders


def room(environment: seam.Compiled, num_networks: int, num_episodes: int) -> tuple[Riders, Branches]:
    """What `play` works in. (Of arrays that a kernel itself puts into a named tuple numba loses count.)"""
    num_riders = min(MOST_RIDERS, num_episodes)
    actions = np.zeros((num_riders, 1 if environment.take_argmax_action else len(environment.outputs)))
    riders = Riders(
        actions,
        bits=actions.view(np.int64),
        next=np.full(num_riders, -1),
        next_of_network=np.full(num_riders, -1),
        lane=np.zeros(num_riders, np.int64),
        first=np.full(LANES, -1),
        first_of_network=np.full(num_networks, -1),
        networks=np.zeros(num_networks, np.int64),
        column=np.zeros(LANES, np.int64),
    )
    branches = Branches(
        kept=np.empty((num_riders, environment.most_kept)),
        so_far=np.empty((num_riders, 2)),
        first=np.full(num_riders, -1),
    )
    return riders, branches


@kernel
def play(
    parameters, world, scale_actions, flat, weights, individual, starts, max_steps, rewards, lengths, riders, branches
):
    """All episodes."""
    num_inputs, num_outputs, _, neuron_start, _, _, connection_start, _, _ = flat
    num_networks, num_weights, num_trials = rewards.shape
    rows: Any = np.int64(1)  # of weights (a bare 1 is a type of its own, for which all would be compiled once more)
    most_neurons = 0
    for n in range(num_networks):
        first, end = neuron_start[n], neuron_start[n + 1]
        most_neurons = max(most_neurons, end - first)
        if individual:
            rows = max(rows, connection_start[end] - connection_start[first])
    values = new_values(rows, num_inputs + most_neurons)
    inputs, state = np.ones((num_inputs, LANES)), np.zeros(seam.num_rows(parameters) * LANES)
    answers = np.zeros(ACTION + num_outputs * LANES)  # rows as the state's
    num_riders = len(riders.next)
    flat_rewards, flat_lengths = rewards.reshape(-1), lengths.reshape(-1)
    for head in range(0, rewards.size, num_riders):
        lanes = 0
        waiting = _begin(riders, branches, starts, head, min(num_riders, rewards.size - head))
        while lanes or waiting:
            while lanes < LANES and waiting:
                waiting -= 1
                seam.start(parameters, world, state, lanes, branches.kept[waiting])
                state[TOTAL + lanes], state[LENGTH + lanes] = branches.so_far[waiting, 0], branches.so_far[waiting, 1]
                state[LIVE + lanes] = state[SINGLE + lanes] = 1.0
                riders.first[lanes] = branches.first[waiting]
                lanes += 1
            width = (lanes + WIDTH - 1) & -WIDTH
            seam.observe(parameters, world, state, inputs, 0, width)
            for i in range(_sort(riders, head, num_weights * num_trials, lanes)):
                n = riders.networks[i]
                episodes = head - n * num_weights * num_trials, num_weights, num_trials
                _answer(
                    parameters,
                    scale_actions,
                    flat,
                    n,
                    values,
                    rows,
                    weights,
                    individual,
                    inputs,
                    riders,
                    episodes,
                    answers,
                )
            for lane in range(lanes):
                waiting = _part(parameters, world, state, lane, riders, branches, waiting)
            seam.step(parameters, world, state, width)
            if not count(state, max_steps, width):
                continue
            for lane in range(lanes - 1, -1, -1):
                if state[OVER + lane] == 1:
                    rider = riders.first[lane]
                    while rider >= 0:
                        flat_rewards[head + rider] = state[TOTAL + lane]
                        flat_lengths[head + rider] = int(state[LENGTH + lane])
                        rider = riders.next[rider]
                    lanes -= 1
                    riders.first[lane] = riders.first[lanes]
                    close_gap(parameters, world, state, lane, lanes)


@lean
def _begin(riders, branches, starts, head, num_riders):
    """All riders of a trial wait for its start; the number of trials."""
    num_trials, waiting = len(starts), 0
    for k in range(num_trials):
        first = -1
        for rider in range((k - head) % num_trials, num_riders, num_trials):
            riders.next[rider] = first
            first = rider
        if first >= 0:
            for i in range(starts.shape[1]):
                branches.kept[waiting, i] = starts[k, i]
            branches.so_far[waiting, 0] = branches.so_far[waiting, 1] = 0.0
            branches.first[waiting] = first
            waiting += 1
    return waiting


@lean
def _sort(riders, head, episodes, lanes):
    """List the riders of the lanes by network; the number of networks."""
    num_networks = 0
    for lane in range(lanes):
        rider = riders.first[lane]
        while rider >= 0:
            riders.lane[rider] = lane
            n = (head + rider) // episodes
            if riders.first_of_network[n] < 0:
                riders.networks[num_networks] = n
                num_networks += 1
            riders.next_of_network[rider], riders.first_of_network[n] = riders.first_of_network[n], rider
            rider = riders.next[rider]
    return num_networks


@lean
def _answer(parameters, scale_actions, flat, n, values, rows, weights, individual, inputs, riders, episodes, answers):
    """The actions of the riders of network n, side by side. Empties its list.

    `episodes` are the number of rider 0 among the network's own, and the numbers of weights and trials.
    """
    num_inputs, num_outputs, _, neuron_start, _, activations, connection_start, sources, _ = flat
    first, end = neuron_start[n], neuron_start[n + 1]
    num_connections = connection_start[end] - connection_start[first]
    first_weight = connection_start[first]
    head, num_weights, num_trials = episodes
    rider = riders.first_of_network[n]
    riders.first_of_network[n] = -1
    while rider >= 0:
        columns = 0
        while rider >= 0 and columns < LANES:
            w, lane = (head + rider) // num_trials, riders.lane[rider]
            if individual:
                for c in range(num_connections):
                    values[WEIGHT + c, columns] = weights[first_weight * num_weights + w * num_connections + c]
            else:
                values[WEIGHT, columns] = weights[w]
            for i in range(num_inputs):
                values[WEIGHT + rows + i, columns] = inputs[i, lane]
            riders.column[columns] = rider
            columns += 1
            rider = riders.next_of_network[rider]
        width = (columns + WIDTH - 1) & -WIDTH
        evaluate(values, rows, num_inputs, activations, connection_start, sources, first, end, width)
        last = WEIGHT + rows + num_inputs + end - first - num_outputs
        single = seam.single_precision(parameters)
        act(seam.bounds(parameters), single, scale_actions, values, last, num_outputs, answers, width)
        for a in range(riders.actions.shape[1]):
            for k in range(columns):
                riders.actions[riders.column[k], a] = answers[ACTION + a * LANES + k]


@lean
def _part(parameters, world, state, lane, riders, branches, waiting):
    """The lane takes its first rider's action; who acts otherwise leaves. Gives the number of branches then."""
    first, before = riders.first[lane], waiting
    last, rider = first, riders.next[first]
    while rider >= 0:
        following = riders.next[rider]
        if _alike(riders.bits, rider, first):
            riders.next[last] = rider
            last = rider
        else:
            branch = before
            while branch < waiting and not _alike(riders.bits, rider, branches.first[branch]):
                branch += 1
            if branch == waiting:
                seam.keep(parameters, world, lane, branches.kept, branch)
                branches.so_far[branch, 0], branches.so_far[branch, 1] = state[TOTAL + lane], state[LENGTH + lane]
                branches.first[branch] = -1
                waiting += 1
            riders.next[rider] = branches.first[branch]
            branches.first[branch] = rider
        rider = following
    riders.next[last] = -1
    for a in range(riders.actions.shape[1]):
        state[ACTION + a * LANES + lane] = riders.actions[first, a]
    return waiting


@lean
def _alike(bits, rider, other):
    """Whether two riders' actions are the same bits: 0 is not -0, and NaN may be NaN."""
    differing = 0
    for a in range(bits.shape[1]):
        differing += bits[rider, a] != bits[other, a]
    return differing == 0
