"""MountainCar with a force as its action (A. Moore 1990), as Gymnasium computes it.

State: position and velocity. Gymnasium keeps them in 64-bit floats at the start and in 32-bit floats from the first
step on, and so computes with these; `MOVED` is 0 until then.
"""

from typing import NamedTuple

import numpy as np

from envs.compiled.mountain_car import observe
from envs.compiled.seam import REWARD, TERMINATED, Compiled, rows, start_from_state
from networks.compiled import WIDTH
from networks.functions import sine_cosine
from networks.jit import kernel

F = np.float32
POWER, GRAVITY, MAX_SPEED = F(0.0015), 0.0025, F(0.07)
LEFT, RIGHT, GOAL = F(-1.2), F(0.6), F(0.45)


class MountainCarContinuous(NamedTuple):
    goal_velocity: float = 0.0


ROWS = rows(4)
ACTION, POSITION, VELOCITY, MOVED = ROWS


@kernel
def start(parameters, state, lane, first):
    start_from_state(parameters, state, lane, first)
    state[MOVED + lane] = 0.0


@kernel
def step(parameters, state, lanes):
    goal_velocity = F(parameters.goal_velocity)
    for i in range(lanes & -WIDTH):
        old, action = state[POSITION + i], F(state[ACTION + i])
        moved = state[MOVED + i] > 0
        force = F(-1) if action < F(-1) else action  # NaN stays
        force = F(1) if force > F(1) else force
        cosine = sine_cosine(np.float64(F(3) * F(old)) if moved else 3 * old)[1]
        velocity = F(state[VELOCITY + i]) + (force * POWER - F(GRAVITY * cosine))
        velocity = MAX_SPEED if velocity > MAX_SPEED else velocity
        velocity = -MAX_SPEED if velocity < -MAX_SPEED else velocity
        position = F(old) + velocity if moved else F(old + velocity)
        position = RIGHT if position > RIGHT else position
        position = LEFT if position < LEFT else position
        velocity = F(0) if (position == LEFT) & (velocity < F(0)) else velocity
        over = (position >= GOAL) & (velocity >= goal_velocity)
        state[POSITION + i], state[VELOCITY + i], state[MOVED + i] = position, velocity, 1.0
        state[REWARD + i] = (100.0 if over else 0.0) - np.float64(action) * np.float64(action) * 0.1
        state[TERMINATED + i] = 1.0 if over else 0.0


COMPILED = Compiled(
    reference="gymnasium.envs.classic_control.continuous_mountain_car:Continuous_MountainCarEnv",
    parameters=MountainCarContinuous,
    inputs=("position", "velocity"),
    outputs=("force",),
    bounds=(-1.0, 1.0),
    tolerance=1e-6,  # it observes in 32 bits
    num_rows=len(ROWS),
    start=start,
    observe=observe,
    step=step,
)
