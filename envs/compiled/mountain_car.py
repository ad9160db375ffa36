"""MountainCar (A. Moore 1990), as Gymnasium computes it, in the order of its operations.

State: position and velocity, float64; observed in 32-bit floats. A car that is too weak rocks itself up a hill of
height sin(3 position).
"""

from typing import NamedTuple

import numpy as np

from envs.compiled.seam import REWARD, TERMINATED, Compiled, rows, start_from_state
from networks.compiled import WIDTH
from networks.functions import sine_cosine
from networks.jit import kernel

FORCE, GRAVITY, MAX_SPEED = 0.001, 0.0025, 0.07
LEFT, RIGHT, GOAL = -1.2, 0.6, 0.5


class MountainCar(NamedTuple):
    goal_velocity: float = 0.0


ROWS = rows(3)
ACTION, POSITION, VELOCITY = ROWS


@kernel
def observe(parameters, state, values, row, lanes):
    for i in range(lanes & -WIDTH):
        values[row, i] = np.float32(state[POSITION + i])
        values[row + 1, i] = np.float32(state[VELOCITY + i])


@kernel
def step(parameters, state, lanes):
    goal_velocity = parameters.goal_velocity
    for i in range(lanes & -WIDTH):
        position, velocity = state[POSITION + i], state[VELOCITY + i]
        velocity = velocity + ((state[ACTION + i] - 1) * FORCE + sine_cosine(3 * position)[1] * (-GRAVITY))
        velocity = min(max(velocity, -MAX_SPEED), MAX_SPEED)
        position = min(max(position + velocity, LEFT), RIGHT)
        velocity = 0.0 if (position == LEFT) & (velocity < 0) else velocity
        state[POSITION + i], state[VELOCITY + i] = position, velocity
        state[REWARD + i] = -1.0
        state[TERMINATED + i] = 1.0 if (position >= GOAL) & (velocity >= goal_velocity) else 0.0


COMPILED = Compiled(
    reference="gymnasium.envs.classic_control.mountain_car:MountainCarEnv",
    parameters=MountainCar,
    inputs=("position", "velocity"),
    outputs=("left", "nothing", "right"),
    tolerance=1e-6,  # it observes in 32 bits
    num_rows=len(ROWS),
    start=start_from_state,
    observe=observe,
    step=step,
)
