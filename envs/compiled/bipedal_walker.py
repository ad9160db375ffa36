"""Gymnasium's BipedalWalker-v3 without the hardcore obstacles: start, observation, reward and end."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from envs.compiled.seam import ACTION, REWARD, SINGLE, TERMINATED, Compiled, rows
from envs.walker.bodies import (
    A0,
    AABB_MARGIN,
    AWAKE,
    BODY,
    CENTER,
    COS,
    DT,
    FALLEN,
    FAT_HIGH_X,
    FAT_HIGH_Y,
    FAT_LOW_X,
    FAT_LOW_Y,
    FORCE,
    FPS,
    HIGH_X,
    HIGH_Y,
    HIP_2_AT,
    HIP_AT,
    HULL,
    HULL_AT,
    KNEE_2_AT,
    KNEE_AT,
    LEG_DOWN,
    LEG_HEIGHT,
    LOW_X,
    LOW_Y,
    MOST,
    NUM_BODIES,
    NUM_ROWS,
    OLD_HIGH_X,
    OLD_HIGH_Y,
    OLD_LOW_X,
    OLD_LOW_Y,
    OLD_PX,
    OLD_PY,
    ONE,
    PX,
    PY,
    SCALE,
    SHIN_2_AT,
    SHIN_AT,
    SIN,
    SPEED,
    THIGH_2_AT,
    THIGH_AT,
    TOUCH,
    TOUCH_2,
    VX,
    VY,
    X0,
    Y0,
    ZERO,
    A,
    W,
    X,
    Y,
    enclose,
    place,
)
from envs.walker.contact import (
    LEFT_Y,
    MOST_CONTACTS,
    NUM_FLOATS,
    NUM_INTEGERS,
    RIGHT_Y,
    find_new,
    lay_ground,
)
from envs.walker.joints import HIP_2_LIMITS, HIP_LIMITS
from envs.walker.lidar import NUM_RAYS, cast
from envs.walker.rotation import sine_cosine
from envs.walker.simulation import World
from envs.walker.simulation import new_world as new_arrays
from envs.walker.simulation import step as move_on
from envs.walker.terrain import GRASS, GROUND, LENGTH, START_X, START_Y, STEP, terrain
from networks.compiled import LANES, WIDTH
from networks.jit import inlined, lean

TORQUE, HIP_SPEED, KNEE_SPEED = 80.0, 4.0, 6.0
WIDTH_SHOWN, HEIGHT_SHOWN = 600 / SCALE, 400 / SCALE  # of the window, by which velocities are scaled
GOAL = (LENGTH - GRASS) * STEP
COST = 0.00035 * TORQUE

ROWS = rows(5)
SHAPING = ACTION + 4 * LANES


class Walker(NamedTuple):
    """It takes no arguments but the one that the kernels do not serve."""


def new_world(parameters: Walker) -> World:
    return new_arrays()


def start_of(parameters: Walker, seed: int) -> npt.NDArray[np.float64]:
    """All that an episode starts from (S,): what `start` puts into a lane, after the one step that reset makes."""
    heights, force = terrain(seed)
    world, state, kept = new_arrays(), np.zeros(ACTION + len(ROWS) * LANES), np.empty((1, MOST_KEPT))
    _put_up(world, heights, np.float32(force))
    step(world, state, WIDTH)  # from here, not in a kernel: it is compiled only for what episodes call it with
    return kept[0, : keep(world, 0, kept, 0)].copy()


@lean
def _put_up(world, heights, force):
    """The walker of Gymnasium's reset in lane 0, before its first step."""
    s = world.s
    lay_ground(world.ground, 0, heights)
    for body in range(NUM_BODIES):
        leg = -1.0 if body < 3 else 1.0
        at = body * BODY
        px, py = np.float32(START_X), np.float32(START_Y)
        angle = ZERO
        if body != HULL:
            if body == 1 or body == 3:
                py = np.float32(START_Y - LEG_HEIGHT / 2 - LEG_DOWN)
            else:
                py = np.float32(START_Y - LEG_HEIGHT * 3 / 2 - LEG_DOWN)
            angle = np.float32(leg * 0.05)
        sine, cosine = sine_cosine(angle)
        s[at + A] = s[at + A0] = angle
        s[at + X] = s[at + X0] = (cosine * CENTER[body, 0] - sine * CENTER[body, 1]) + px
        s[at + Y] = s[at + Y0] = (sine * CENTER[body, 0] + cosine * CENTER[body, 1]) + py
        s[at + AWAKE] = ONE
        # In the first step the sweep's box starts from the frame that follows from the centre of mass.
        place(s, at, body, WIDTH)
        s[at + OLD_LOW_X], s[at + OLD_LOW_Y] = s[at + LOW_X], s[at + LOW_Y]
        s[at + OLD_HIGH_X], s[at + OLD_HIGH_Y] = s[at + HIGH_X], s[at + HIGH_Y]
        s[at + OLD_PX], s[at + OLD_PY] = s[at + PX], s[at + PY]
        s[at + SIN], s[at + COS], s[at + PX], s[at + PY] = sine, cosine, px, py
        enclose(s, at, body, 0, 1)
        s[at + FAT_LOW_X], s[at + FAT_LOW_Y] = s[at + LOW_X] - AABB_MARGIN, s[at + LOW_Y] - AABB_MARGIN
        s[at + FAT_HIGH_X], s[at + FAT_HIGH_Y] = s[at + HIGH_X] + AABB_MARGIN, s[at + HIGH_Y] + AABB_MARGIN
    s[FORCE] = force
    world.alive[0] = True
    find_new(s, world.contacts, world.numbers, world.counts, world.ground, world.near, 0, (1 << NUM_BODIES) - 1)


MOST_KEPT = NUM_ROWS + LENGTH + 1 + MOST_CONTACTS * (NUM_INTEGERS + NUM_FLOATS)


@lean
def keep(world, lane, kept, branch):
    """A lane's rows, ground and contacts as kept[branch], which `start` takes; how many numbers they are."""
    for row in range(NUM_ROWS):
        kept[branch, row] = world.s[row * LANES + lane]
    for g in range(GROUND):
        kept[branch, NUM_ROWS + g] = world.ground[lane, g, LEFT_Y]
        kept[branch, NUM_ROWS + g + 1] = world.ground[lane, g, RIGHT_Y]
    count = world.counts[lane]
    kept[branch, NUM_ROWS + LENGTH] = count
    at = NUM_ROWS + LENGTH + 1
    for n in range(count):
        for k in range(NUM_INTEGERS):
            kept[branch, at + n * NUM_INTEGERS + k] = world.contacts[lane, n, k]
        for k in range(NUM_FLOATS):
            kept[branch, at + count * NUM_INTEGERS + n * NUM_FLOATS + k] = world.numbers[lane, n, k]
    return at + count * (NUM_INTEGERS + NUM_FLOATS)


@lean
def start(world, state, lane, first):
    for row in range(NUM_ROWS):
        world.s[row * LANES + lane] = np.float32(first[row])
    lay_ground(world.ground, lane, first[NUM_ROWS : NUM_ROWS + LENGTH])
    count = int(first[NUM_ROWS + LENGTH])
    world.counts[lane] = count
    for part in range(NUM_BODIES):
        for g in range(GROUND):
            world.near[lane, part, g] = False
    at = NUM_ROWS + LENGTH + 1
    for n in range(count):
        for k in range(NUM_INTEGERS):
            world.contacts[lane, n, k] = int(first[at + n * NUM_INTEGERS + k])
        for k in range(NUM_FLOATS):
            world.numbers[lane, n, k] = np.float32(first[at + count * NUM_INTEGERS + n * NUM_FLOATS + k])
        world.near[lane, world.contacts[lane, n, 0], world.contacts[lane, n, 1]] = True
    world.alive[lane] = True
    state[SHAPING + lane] = shaping(world.s, lane)


@lean
def move(world, lane, source):
    world.alive[source] = False
    if lane == source:
        return
    for row in range(NUM_ROWS):
        world.s[row * LANES + lane] = world.s[row * LANES + source]
    world.counts[lane] = world.counts[source]
    for n in range(world.counts[source]):
        copy_item(world.contacts, n, source, lane)
        copy_item(world.numbers, n, source, lane)
    for part in range(NUM_BODIES):
        copy_item(world.near, part, source, lane)
    for g in range(GROUND):
        copy_item(world.ground, g, source, lane)


@inlined
def copy_item(array, n, source, target):
    for k in range(array.shape[2]):
        array[target, n, k] = array[source, n, k]


@lean
def shaping(s, lane):
    """What progress and an upright hull are worth; a step's reward is its change."""
    return 130.0 * np.float64(s[HULL_AT + PX + lane]) / SCALE - 5.0 * abs(np.float64(s[HULL_AT + A + lane]))


@lean
def observe(world, state, values, row, lanes):
    s = world.s
    for lane in range(lanes):
        if not world.alive[lane]:
            continue
        values[row, lane] = s[HULL_AT + A + lane]
        values[row + 1, lane] = np.float32(2.0 * np.float64(s[HULL_AT + W + lane]) / FPS)
        values[row + 2, lane] = np.float32(0.3 * np.float64(s[HULL_AT + VX + lane]) * WIDTH_SHOWN / FPS)
        values[row + 3, lane] = np.float32(0.3 * np.float64(s[HULL_AT + VY + lane]) * HEIGHT_SHOWN / FPS)
        _leg(s, values, row + 4, THIGH_AT, SHIN_AT, HIP_LIMITS[2], TOUCH, lane)
        _leg(s, values, row + 9, THIGH_2_AT, SHIN_2_AT, HIP_2_LIMITS[2], TOUCH_2, lane)
        cast(s, world.ground, lane, values, row + 14)


@lean
def _leg(s, values, row, thigh, shin, reference, touch, lane):
    hip = (s[thigh + A + lane] - s[HULL_AT + A + lane]) - reference
    hip_speed = s[thigh + W + lane] - s[HULL_AT + W + lane]
    knee = s[shin + A + lane] - s[thigh + A + lane]
    knee_speed = s[shin + W + lane] - s[thigh + W + lane]
    values[row, lane] = hip
    values[row + 1, lane] = np.float32(np.float64(hip_speed) / HIP_SPEED)
    values[row + 2, lane] = np.float32(np.float64(knee) + 1.0)
    values[row + 3, lane] = np.float32(np.float64(knee_speed) / KNEE_SPEED)
    values[row + 4, lane] = s[touch + lane]


@lean
def step(world, state, lanes):
    s = world.s
    _set_motor(s, HIP_AT, state, ACTION, HIP_SPEED, lanes)
    _set_motor(s, KNEE_AT, state, ACTION + LANES, KNEE_SPEED, lanes)
    _set_motor(s, HIP_2_AT, state, ACTION + 2 * LANES, HIP_SPEED, lanes)
    _set_motor(s, KNEE_2_AT, state, ACTION + 3 * LANES, KNEE_SPEED, lanes)
    move_on(world, lanes)
    for lane in range(lanes):
        if world.alive[lane]:
            _reward(s, state, lane)


@lean
def _set_motor(s, joint, state, action_at, speed, lanes):
    for i in range(lanes & -WIDTH):
        action = state[action_at + i]
        action = 0.0 if action != action else action  # NaN ends the episode, see below
        sign = 1.0 if action > 0 else 0.0
        sign = -1.0 if action < 0 else sign
        size = abs(action)
        size = 1.0 if size > 1.0 else size
        s[joint + SPEED + i] = np.float32(speed * sign)
        s[joint + MOST + i] = DT * np.float32(TORQUE * size)


@lean
def _reward(s, state, lane):
    now = shaping(s, lane)
    for k in range(4):
        action = state[ACTION + k * LANES + lane]
        if action != action:
            state[REWARD + lane], state[TERMINATED + lane] = np.nan, 1.0
            return
    single = state[SINGLE + lane] != 0
    reward = now - state[SHAPING + lane]
    reward_32 = np.float32(reward)
    for k in range(4):
        size = min(abs(state[ACTION + k * LANES + lane]), 1.0)
        reward -= COST * size
        reward_32 -= np.float32(COST) * np.float32(size)
    state[SHAPING + lane] = now
    x = s[HULL_AT + PX + lane]
    lost = s[FALLEN + lane] != ZERO or x < ZERO
    # numpy sums in 32 bits what are 32-bit actions
    state[REWARD + lane] = -100.0 if lost else (np.float64(reward_32) if single else reward)
    state[TERMINATED + lane] = 1.0 if lost or np.float64(x) > GOAL else 0.0


LEG_INPUTS = ("hip angle", "hip speed", "knee angle", "knee speed", "ground contact")
COMPILED = Compiled(
    reference="gymnasium.envs.box2d.bipedal_walker:BipedalWalker",
    parameters=Walker,
    inputs=(
        "hull angle",
        "hull angular velocity",
        "horizontal velocity",
        "vertical velocity",
        *(f"{name} {leg}" for leg in (1, 2) for name in LEG_INPUTS),
        *(f"lidar {ray}" for ray in range(NUM_RAYS)),
    ),
    outputs=("hip 1", "knee 1", "hip 2", "knee 2"),
    bounds=(-1.0, 1.0),
    single_precision=True,
    tolerance=0.0,  # the same bits
    fixed={"hardcore": False},
    num_rows=len(ROWS),
    start=start,
    observe=observe,
    step=step,
    start_of=start_of,
    new_world=new_world,
    move=move,
    keep=keep,
    most_kept=MOST_KEPT,
)
