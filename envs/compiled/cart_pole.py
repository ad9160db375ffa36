"""CartPole (Barto, Sutton and Anderson 1983), as Gymnasium computes it, in the order of its operations.

State: position, velocity, angle, angular velocity, all float64; observed in 32-bit floats.
"""

import math
from typing import NamedTuple

import numpy as np

from envs.compiled.seam import REWARD, TERMINATED, Compiled, rows, start_from_state
from networks.compiled import WIDTH
from networks.functions import sine_cosine
from networks.jit import kernel

GRAVITY, POLE_MASS, TOTAL_MASS, HALF_LENGTH, FORCE, TIME_STEP = 9.8, 0.1, 0.1 + 1.0, 0.5, 10.0, 0.02
TRACK_LIMIT, ANGLE_LIMIT = 2.4, 12 * 2 * math.pi / 360


class CartPole(NamedTuple):
    sutton_barto_reward: bool = False  # 0 a step and -1 at the end, in place of 1 a step


ROWS = rows(5)
ACTION, POSITION, VELOCITY, ANGLE, ANGULAR_VELOCITY = ROWS


@kernel
def observe(parameters, state, values, row, lanes):
    for i in range(lanes & -WIDTH):
        values[row, i] = np.float32(state[POSITION + i])
        values[row + 1, i] = np.float32(state[VELOCITY + i])
    for i in range(lanes & -WIDTH):
        values[row + 2, i] = np.float32(state[ANGLE + i])
        values[row + 3, i] = np.float32(state[ANGULAR_VELOCITY + i])


@kernel
def step(parameters, state, lanes):
    sutton_barto = parameters.sutton_barto_reward
    for i in range(lanes & -WIDTH):
        position, velocity = state[POSITION + i], state[VELOCITY + i]
        angle, angular_velocity = state[ANGLE + i], state[ANGULAR_VELOCITY + i]
        force = FORCE if state[ACTION + i] == 1 else -FORCE
        s, c = sine_cosine(angle)
        push = (force + POLE_MASS * HALF_LENGTH * (angular_velocity * angular_velocity) * s) / TOTAL_MASS
        pole = (GRAVITY * s - c * push) / (HALF_LENGTH * (4.0 / 3.0 - POLE_MASS * (c * c) / TOTAL_MASS))
        cart = push - POLE_MASS * HALF_LENGTH * pole * c / TOTAL_MASS
        position, velocity = position + TIME_STEP * velocity, velocity + TIME_STEP * cart
        angle, angular_velocity = angle + TIME_STEP * angular_velocity, angular_velocity + TIME_STEP * pole
        state[POSITION + i], state[VELOCITY + i] = position, velocity
        state[ANGLE + i], state[ANGULAR_VELOCITY + i] = angle, angular_velocity
        over = (abs(position) > TRACK_LIMIT) | (abs(angle) > ANGLE_LIMIT)
        fallen = -1.0 if over else 0.0
        state[REWARD + i] = fallen if sutton_barto else 1.0
        state[TERMINATED + i] = 1.0 if over else 0.0


COMPILED = Compiled(
    reference="gymnasium.envs.classic_control.cartpole:CartPoleEnv",
    parameters=CartPole,
    inputs=("position", "velocity", "angle", "angular velocity"),
    outputs=("left", "right"),
    tolerance=1e-6,  # it observes in 32 bits
    num_rows=len(ROWS),
    start=start_from_state,
    observe=observe,
    step=step,
)
