"""The ground, and what else a seed decides: as Gymnasium's BipedalWalker draws it."""

import numpy as np
import numpy.typing as npt
from gymnasium.utils import seeding

from envs.walker.bodies import LEG_HEIGHT, SCALE

LENGTH, GRASS, START_PAD = 200, 10, 20  # in steps
STEP, HEIGHT = 14 / SCALE, 400 / SCALE / 4
INITIAL_FORCE = 5
GROUND = LENGTH - 1  # pieces, numbered by x
START_X, START_Y = STEP * START_PAD / 2, HEIGHT + 2 * LEG_HEIGHT  # of the hull

GROUND_X = np.array([i * STEP for i in range(LENGTH)], np.float32)


def terrain(seed: int) -> tuple[npt.NDArray[np.float64], float]:
    """Heights (LENGTH,) of the ground's corners and the force that pushes the hull in the first step."""
    rng, _ = seeding.np_random(seed)
    heights, velocity, height, counter, pause = np.empty(LENGTH), 0.0, HEIGHT, START_PAD, False
    for i in range(LENGTH):
        if not pause:
            velocity = 0.8 * velocity + 0.01 * np.sign(HEIGHT - height)
            if i > START_PAD:
                velocity += rng.uniform(-1, 1) / SCALE
            height += velocity
        pause = False
        heights[i] = height
        counter -= 1
        if counter == 0:
            counter, pause = int(rng.integers(GRASS // 2, GRASS)), True
    rng.random(LENGTH // 20 * (1 + 2 * 5))  # the clouds: a place each, and five corners
    return heights, rng.uniform(-INITIAL_FORCE, INITIAL_FORCE)
