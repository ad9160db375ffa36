"""Acrobot (R. Sutton 1996), as Gymnasium computes it: two links, of which only the joint between them has a motor.

State: the angle of the first link from hanging, the second's from the first, and their speeds, float64; observed in
32-bit floats. Equations of motion of Sutton and Barto's book, with links of mass 1, length 1, inertia 1, and the
classical Runge-Kutta method over 0.2 s.
"""

import math
from typing import NamedTuple

import numpy as np

from envs.compiled.seam import REWARD, TERMINATED, Compiled, rows, start_from_state
from networks.compiled import WIDTH
from networks.functions import sine_cosine
from networks.jit import kernel

F = np.float32
GRAVITY, CENTRE, TIME_STEP = 9.8, 0.5, 0.2  # the centre of mass along a link
MAX_SPEED_1, MAX_SPEED_2 = 4 * math.pi, 9 * math.pi


class Acrobot(NamedTuple):
    """No arguments."""


ROWS = rows(5)
ACTION, ANGLE_1, ANGLE_2, SPEED_1, SPEED_2 = ROWS


@kernel
def observe(parameters, state, values, row, lanes):
    for i in range(lanes & -WIDTH):
        sine_1, cosine_1 = sine_cosine(state[ANGLE_1 + i])
        sine_2, cosine_2 = sine_cosine(state[ANGLE_2 + i])
        values[row, i] = F(cosine_1)
        values[row + 1, i] = F(sine_1)
        values[row + 2, i] = F(cosine_2)
        values[row + 3, i] = F(sine_2)
        values[row + 4, i] = F(state[SPEED_1 + i])
        values[row + 5, i] = F(state[SPEED_2 + i])


@kernel
def accelerations(angle_1, angle_2, speed_1, speed_2, torque):
    """Angular accelerations of both links (Sutton and Barto 1998, section 11.3)."""
    sine, cosine = sine_cosine(angle_2)
    d1 = CENTRE * CENTRE + (1.0 + CENTRE * CENTRE + 2 * CENTRE * cosine) + 1.0 + 1.0
    d2 = (CENTRE * CENTRE + CENTRE * cosine) + 1.0
    phi2 = CENTRE * GRAVITY * sine_cosine(angle_1 + angle_2 - math.pi / 2)[1]
    phi1 = (
        -CENTRE * (speed_2 * speed_2) * sine
        - 2 * CENTRE * speed_2 * speed_1 * sine
        + (CENTRE + 1.0) * GRAVITY * sine_cosine(angle_1 - math.pi / 2)[1]
        + phi2
    )
    pushed = torque + d2 / d1 * phi1 - CENTRE * (speed_1 * speed_1) * sine - phi2
    second = pushed / (CENTRE * CENTRE + 1.0 - d2 * d2 / d1)
    return -(d2 * second + phi1) / d1, second


@kernel
def wrapped(angle):
    """The angle within [-pi, pi]."""
    turns = 2 * math.pi
    if angle > math.pi:
        return angle - math.ceil((angle - math.pi) / turns) * turns
    if angle < -math.pi:
        return angle + math.ceil((-math.pi - angle) / turns) * turns
    return angle


@kernel
def step(parameters, state, lanes):
    h = TIME_STEP
    for i in range(lanes & -WIDTH):
        torque = state[ACTION + i] - 1.0
        a, b = state[ANGLE_1 + i], state[ANGLE_2 + i]
        u, v = state[SPEED_1 + i], state[SPEED_2 + i]
        du1, dv1 = accelerations(a, b, u, v, torque)
        u2, v2 = u + h / 2 * du1, v + h / 2 * dv1
        du2, dv2 = accelerations(a + h / 2 * u, b + h / 2 * v, u2, v2, torque)
        u3, v3 = u + h / 2 * du2, v + h / 2 * dv2
        du3, dv3 = accelerations(a + h / 2 * u2, b + h / 2 * v2, u3, v3, torque)
        u4, v4 = u + h * du3, v + h * dv3
        du4, dv4 = accelerations(a + h * u3, b + h * v3, u4, v4, torque)
        a = wrapped(a + h / 6.0 * (u + 2 * u2 + 2 * u3 + u4))
        b = wrapped(b + h / 6.0 * (v + 2 * v2 + 2 * v3 + v4))
        u = min(max(u + h / 6.0 * (du1 + 2 * du2 + 2 * du3 + du4), -MAX_SPEED_1), MAX_SPEED_1)
        v = min(max(v + h / 6.0 * (dv1 + 2 * dv2 + 2 * dv3 + dv4), -MAX_SPEED_2), MAX_SPEED_2)
        state[ANGLE_1 + i], state[ANGLE_2 + i] = a, b
        state[SPEED_1 + i], state[SPEED_2 + i] = u, v
        over = -sine_cosine(a)[1] - sine_cosine(b + a)[1] > 1.0
        state[REWARD + i] = 0.0 if over else -1.0
        state[TERMINATED + i] = 1.0 if over else 0.0


COMPILED = Compiled(
    reference="gymnasium.envs.classic_control.acrobot:AcrobotEnv",
    parameters=Acrobot,
    inputs=("cos angle 1", "sin angle 1", "cos angle 2", "sin angle 2", "angular velocity 1", "angular velocity 2"),
    outputs=("torque -1", "torque 0", "torque 1"),
    tolerance=1e-6,  # it observes in 32 bits
    num_rows=len(ROWS),
    start=start_from_state,
    observe=observe,
    step=step,
)
