"""Pendulum: a rod on a motor too weak to lift it at once, as Gymnasium computes it, in the order of its operations.

State: angle from upright and angular velocity, float64; observed in 32-bit floats. The mass and the length are 1.
"""

import math
from typing import NamedTuple

import numpy as np

from envs.compiled.seam import REWARD, TERMINATED, Compiled, rows, start_from_state
from networks.compiled import WIDTH
from networks.functions import sine_cosine
from networks.jit import kernel

F = np.float32
MAX_SPEED, MAX_TORQUE, TIME_STEP = 8.0, 2.0, 0.05


class Pendulum(NamedTuple):
    g: float = 10.0  # gravity


ROWS = rows(3)
ACTION, ANGLE, ANGULAR_VELOCITY = ROWS


@kernel
def observe(parameters, state, values, row, lanes):
    for i in range(lanes & -WIDTH):
        sine, cosine = sine_cosine(state[ANGLE + i])
        values[row, i] = F(cosine)
        values[row + 1, i] = F(sine)
        values[row + 2, i] = F(state[ANGULAR_VELOCITY + i])


@kernel
def step(parameters, state, lanes):
    gravity = 3 * parameters.g / 2
    for i in range(lanes & -WIDTH):
        angle, speed = state[ANGLE + i], state[ANGULAR_VELOCITY + i]
        torque = F(state[ACTION + i])
        torque = F(-MAX_TORQUE) if torque < F(-MAX_TORQUE) else torque  # NaN stays
        torque = F(MAX_TORQUE) if torque > F(MAX_TORQUE) else torque
        from_upright = angle + math.pi
        from_upright = from_upright - math.floor(from_upright / (2 * math.pi)) * (2 * math.pi) - math.pi
        costs = from_upright * from_upright + 0.1 * (speed * speed) + np.float64(F(0.001) * (torque * torque))
        speed = speed + (gravity * sine_cosine(angle)[0] + np.float64(F(3.0) * torque)) * TIME_STEP
        speed = -MAX_SPEED if speed < -MAX_SPEED else speed
        speed = MAX_SPEED if speed > MAX_SPEED else speed
        state[ANGLE + i], state[ANGULAR_VELOCITY + i] = angle + speed * TIME_STEP, speed
        state[REWARD + i] = -costs
        state[TERMINATED + i] = 0.0


COMPILED = Compiled(
    reference="gymnasium.envs.classic_control.pendulum:PendulumEnv",
    parameters=Pendulum,
    inputs=("cos angle", "sin angle", "angular velocity"),
    outputs=("torque",),
    bounds=(-MAX_TORQUE, MAX_TORQUE),
    tolerance=1e-6,  # it observes in 32 bits
    num_rows=len(ROWS),
    start=start_from_state,
    observe=observe,
    step=step,
)
