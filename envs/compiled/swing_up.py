"""CartPoleSwingUp, the same as `envs/cartpole_swingup.py`, whose constants it has.

State: position, velocity, angle, angular velocity, and the angle's sine and cosine; float64, as is what is observed.
"""

import math
from typing import NamedTuple

from envs.cartpole_swingup import (
    CART_MASS,
    FORCE,
    FRICTION,
    GRAVITY,
    POLE_LENGTH,
    POLE_MASS,
    TIME_STEP,
    TRACK_LIMIT,
)
from envs.compiled.seam import REWARD, TERMINATED, Compiled, rows, start_from_state
from networks.compiled import WIDTH
from networks.functions import sine_cosine
from networks.jit import kernel


class SwingUp(NamedTuple):
    """It takes no arguments."""


ROWS = rows(7)
ACTION, POSITION, VELOCITY, ANGLE, ANGULAR_VELOCITY, SINE, COSINE = ROWS


@kernel
def start(parameters, state, lane, first):
    start_from_state(parameters, state, lane, first)
    state[SINE + lane], state[COSINE + lane] = sine_cosine(first[2])


@kernel
def observe(parameters, state, values, row, lanes):
    for i in range(lanes & -WIDTH):
        values[row, i] = state[POSITION + i]
        values[row + 1, i] = state[VELOCITY + i]
    for i in range(lanes & -WIDTH):
        values[row + 2, i] = state[COSINE + i]
        values[row + 3, i] = state[SINE + i]
        values[row + 4, i] = state[ANGULAR_VELOCITY + i]


@kernel
def step(parameters, state, lanes):
    m, total, length = POLE_MASS, CART_MASS + POLE_MASS, POLE_LENGTH
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
        state[POSITION + i], state[VELOCITY + i] = position, velocity
        state[ANGLE + i], state[ANGULAR_VELOCITY + i] = angle, angular_velocity
        state[SINE + i], state[COSINE + i] = s, c
        state[REWARD + i] = (c + 1) / 2 * sine_cosine(position / TRACK_LIMIT * (math.pi / 2))[1]
        state[TERMINATED + i] = 1.0 if abs(position) > TRACK_LIMIT else 0.0


COMPILED = Compiled(
    reference="envs.cartpole_swingup:CartPoleSwingUp",
    parameters=SwingUp,
    inputs=("position", "velocity", "cos angle", "sin angle", "angular velocity"),
    outputs=("force",),
    bounds=(-1.0, 1.0),
    tolerance=1e-9,
    num_rows=len(ROWS),
    start=start,
    observe=observe,
    step=step,
)
