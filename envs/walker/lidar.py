"""Ten rays from the hull, ahead and down, and how far each gets before it meets the ground (b2EdgeShape::RayCast)."""

import math

import numpy as np

from envs.walker.bodies import HULL_AT, MAX_FLOAT, ONE, PX, PY, SCALE, ZERO, F, maximum, minimum
from envs.walker.contact import INVERSE_STEP, LEFT_Y, RIGHT_Y, UP_X, UP_Y
from envs.walker.terrain import GROUND, GROUND_X
from networks.jit import lean

NUM_RAYS, RANGE = 10, 160 / SCALE
APART = F(1e-3)  # whatever the rounding
RAY_X = np.array([math.sin(1.5 * i / 10.0) * RANGE for i in range(NUM_RAYS)])
RAY_Y = np.array([math.cos(1.5 * i / 10.0) * RANGE for i in range(NUM_RAYS)])


@lean
def cast(s, ground, lane, values, row):
    """The share of each ray's length that is free, 1 where nothing is met, into values[row + ray, lane].

    Rays run to the right; so the first pieces of ground that one meets, by number, have its first hit. Neighbours are
    asked too, as a corner may be met by both.
    """
    x, y = s[HULL_AT + PX + lane], s[HULL_AT + PY + lane]
    start = min(max(math.floor(x * INVERSE_STEP) - 1, 0), GROUND)
    for ray in range(NUM_RAYS):
        ex, ey = np.float32(np.float64(x) + RAY_X[ray]), np.float32(np.float64(y) - RAY_Y[ray])
        dx, dy = ex - x, ey - y
        slope = dy / dx if ray > 0 else ZERO
        nearest = MAX_FLOAT
        stop = min(max(math.floor(ex * INVERSE_STEP) + 2, 0), GROUND)
        g = start
        while g < stop:
            # The ray's lowest point over this piece; a division less where that is far above both ends.
            low = y + slope * (GROUND_X[g + 1] - x) if GROUND_X[g + 1] < ex else ey
            if ray > 0 and low > maximum(ground[lane, g, LEFT_Y], ground[lane, g, RIGHT_Y]) + APART:
                g += 1
                continue
            share = meet(ground, lane, g, x, y, dx, dy)
            if share < nearest:
                nearest = share
                stop = min(stop, g + 3)
            g += 1
        values[row + ray, lane] = minimum(nearest, ONE)


@lean
def meet(ground, lane, g, x, y, dx, dy):
    """Where the ray (x, y) + t (dx, dy) meets a piece of ground, t in [0, 1]; more where it does not."""
    x1, y1, nx, ny = GROUND_X[g], ground[lane, g, LEFT_Y], -ground[lane, g, UP_X], -ground[lane, g, UP_Y]
    along = nx * dx + ny * dy
    if along == ZERO:
        return MAX_FLOAT
    t = (nx * (x1 - x) + ny * (y1 - y)) / along
    if t < ZERO or t > ONE:
        return MAX_FLOAT
    ex, ey = GROUND_X[g + 1] - x1, ground[lane, g, RIGHT_Y] - y1
    qx, qy = x + t * dx, y + t * dy
    share = ((qx - x1) * ex + (qy - y1) * ey) / (ex * ex + ey * ey)
    return MAX_FLOAT if share < ZERO or share > ONE else t
