"""A step of the walker's world (b2World::Step): contacts, velocities, positions, impacts."""

from typing import NamedTuple

import numpy as np

from envs.walker import contact_solver, joints
from envs.walker.bodies import (
    AWAKE,
    BODY,
    BODY_ROWS,
    CENTER,
    DT,
    FORCE,
    HIGH_X,
    HIGH_Y,
    HIP_2_AT,
    HIP_AT,
    HULL_AT,
    HULL_INERTIA,
    HULL_MASS,
    INVERSE_INERTIA,
    INVERSE_MASS,
    JOINT,
    JOINTS_AT,
    KNEE_2_AT,
    KNEE_AT,
    LIMIT,
    LOW_X,
    LOW_Y,
    MOST_VERTICES,
    NOT_NEGATIVE,
    NUM_BODIES,
    NUM_ROWS,
    OLD_HIGH_X,
    OLD_HIGH_Y,
    OLD_LOW_X,
    OLD_LOW_Y,
    OLD_PX,
    OLD_PY,
    OLD_VERTEX_X,
    ONE,
    PX,
    PY,
    RATIO,
    SEPARATION,
    SHIN_2_AT,
    SHIN_AT,
    SHIN_INERTIA,
    SHIN_MASS,
    SLEEP_ANGULAR,
    SLEEP_LINEAR,
    SOLVED,
    STILL,
    STILLNESS,
    THIGH_2_AT,
    THIGH_AT,
    THIGH_INERTIA,
    THIGH_MASS,
    TIME_TO_SLEEP,
    VERTEX_X,
    VX,
    VY,
    ZERO,
    A,
    W,
    X,
    Y,
    integrate_position,
    integrate_velocity,
    maximum,
    minimum,
    move_box,
    place,
)
from envs.walker.contact import GROUND_FLOATS, MOST_CONTACTS, NUM_FLOATS, NUM_INTEGERS, collide, find_new
from envs.walker.contact_solver import FACE_NX, MOST_SLOTS, ORDER, SLOT, lay_out, store
from envs.walker.impact import solve_impacts
from envs.walker.joints import HIP_2_LIMITS, HIP_LIMITS, HIP_POINTS, KNEE_LIMITS, KNEE_POINTS
from envs.walker.terrain import GROUND
from networks.compiled import LANES, WIDTH
from networks.jit import inlined, kernel

VELOCITY_ITERATIONS, POSITION_ITERATIONS, FIRST_ITERATIONS = 6 * 30, 2 * 30, 2
JOINTS_END = JOINTS_AT + 4 * JOINT


class World(NamedTuple):
    """The lanes' numbers."""

    s: np.ndarray  # rows of bodies and joints, each LANES wide
    contacts: np.ndarray  # (LANES, MOST_CONTACTS, NUM_INTEGERS), oldest first
    numbers: np.ndarray  # (LANES, MOST_CONTACTS, NUM_FLOATS)
    counts: np.ndarray  # (LANES,) of contacts
    near: np.ndarray  # (LANES, NUM_BODIES, GROUND) whether there is a contact
    ground: np.ndarray  # (LANES, GROUND, GROUND_FLOATS)
    alive: np.ndarray  # (LANES,) whether an episode is in the lane
    # what a step needs and leaves nothing in
    c: np.ndarray  # the slots' rows
    owner: np.ndarray  # (MOST_SLOTS, LANES) the contact in a slot, or -1
    starts: np.ndarray  # (NUM_BODIES + 1,) each body's slots, in the order of the island
    few: np.ndarray  # rows as in `s`, of lanes that need more corrections than others
    few_slots: np.ndarray
    stops: np.ndarray  # (NUM_BODIES,) where their slots end
    columns: np.ndarray  # (LANES,) which lanes they are
    passed: np.ndarray  # (GROUND + NUM_BODIES,)
    simplex: np.ndarray
    indices: np.ndarray
    sweep: np.ndarray
    edge: np.ndarray


@kernel
def new_world():
    return World(
        np.zeros(NUM_ROWS * LANES, np.float32),
        np.zeros((LANES, MOST_CONTACTS, NUM_INTEGERS), np.int32),
        np.zeros((LANES, MOST_CONTACTS, NUM_FLOATS), np.float32),
        np.zeros(LANES, np.int64),
        np.zeros((LANES, NUM_BODIES, GROUND), np.bool_),
        np.zeros((LANES, GROUND, GROUND_FLOATS), np.float32),
        np.zeros(LANES, np.bool_),
        np.zeros(MOST_SLOTS * SLOT, np.float32),
        np.zeros((MOST_SLOTS, LANES), np.int64),
        np.zeros(NUM_BODIES + 1, np.int64),
        np.zeros(NUM_ROWS * LANES, np.float32),
        np.zeros(MOST_SLOTS * SLOT, np.float32),
        np.zeros(NUM_BODIES, np.int64),
        np.zeros(LANES, np.int64),
        np.zeros(GROUND + NUM_BODIES, np.float32),
        np.zeros((4, 7), np.float32),
        np.zeros((4, 2), np.int32),
        np.zeros(6, np.float32),
        np.zeros((2, 2), np.float32),
    )


@inlined
def step(world, lanes):
    """Move the first lanes on by one step. In place in the environment's step, so that it is compiled once."""
    s, c, contacts, numbers, counts = world.s, world.c, world.contacts, world.numbers, world.counts
    for lane in range(lanes):
        if world.alive[lane]:
            collide(s, contacts, numbers, counts, world.ground, world.near, lane)
    for i in range(lanes & -WIDTH):  # the motors were set, which wakes
        for body in range(NUM_BODIES):
            s[body * BODY + AWAKE + i] = ONE
    for part in range(NUM_BODIES):
        integrate_velocity(s, part * BODY & NOT_NEGATIVE, INVERSE_MASS[part], FORCE, lanes)
    lay_out(s, c, world.owner, world.starts, contacts, numbers, counts, world.alive, lanes)
    prepare_joints(s, lanes)
    solve_velocities(s, c, world.starts, lanes)
    store(c, world.owner, world.starts, numbers, lanes)
    solve_positions(
        s,
        c,
        world.owner,
        world.starts,
        world.alive,
        world.few,
        world.few_slots,
        world.stops,
        world.columns,
        lanes,
    )
    for i in range(lanes & -WIDTH):
        s[FORCE + i] = ZERO
    place_bodies(s, lanes)
    for i in range(lanes & -WIDTH):
        s[RATIO + i] = ONE
    rest(s, lanes)
    for lane in range(lanes):
        if world.alive[lane]:
            moved = 0
            for part in range(NUM_BODIES):
                moved |= synchronize(s, part, lane) << part
            find_new(s, contacts, numbers, counts, world.ground, world.near, lane, moved)
            solve_impacts(
                s,
                c,
                contacts,
                numbers,
                counts,
                world.ground,
                world.near,
                world.passed,
                world.simplex,
                world.indices,
                world.sweep,
                world.edge,
                lane,
            )


@kernel
def prepare_joints(s, lanes):
    """In the order of the island: depth first from the newest body."""
    joints.prepare(
        s,
        KNEE_2_AT,
        THIGH_2_AT,
        SHIN_2_AT,
        THIGH_MASS,
        THIGH_INERTIA,
        SHIN_MASS,
        SHIN_INERTIA,
        KNEE_POINTS,
        KNEE_LIMITS,
        lanes,
    )
    joints.prepare(
        s,
        HIP_2_AT,
        HULL_AT,
        THIGH_2_AT,
        HULL_MASS,
        HULL_INERTIA,
        THIGH_MASS,
        THIGH_INERTIA,
        HIP_POINTS,
        HIP_2_LIMITS,
        lanes,
    )
    joints.prepare(
        s, HIP_AT, HULL_AT, THIGH_AT, HULL_MASS, HULL_INERTIA, THIGH_MASS, THIGH_INERTIA, HIP_POINTS, HIP_LIMITS, lanes
    )
    joints.prepare(
        s,
        KNEE_AT,
        THIGH_AT,
        SHIN_AT,
        THIGH_MASS,
        THIGH_INERTIA,
        SHIN_MASS,
        SHIN_INERTIA,
        KNEE_POINTS,
        KNEE_LIMITS,
        lanes,
    )


@kernel
def _knee_2(s, limited, lanes):
    joints.solve_velocity(
        s, KNEE_2_AT, THIGH_2_AT, SHIN_2_AT, THIGH_MASS, THIGH_INERTIA, SHIN_MASS, SHIN_INERTIA, limited, lanes
    )


@kernel
def _hip_2(s, limited, lanes):
    joints.solve_velocity(
        s, HIP_2_AT, HULL_AT, THIGH_2_AT, HULL_MASS, HULL_INERTIA, THIGH_MASS, THIGH_INERTIA, limited, lanes
    )


@kernel
def _hip(s, limited, lanes):
    joints.solve_velocity(
        s, HIP_AT, HULL_AT, THIGH_AT, HULL_MASS, HULL_INERTIA, THIGH_MASS, THIGH_INERTIA, limited, lanes
    )


@kernel
def _knee(s, limited, lanes):
    joints.solve_velocity(
        s, KNEE_AT, THIGH_AT, SHIN_AT, THIGH_MASS, THIGH_INERTIA, SHIN_MASS, SHIN_INERTIA, limited, lanes
    )


@kernel
def _touching(s, c, starts, lanes):
    """A loop, not a call for each body: every call would be compiled and optimised by itself, at every level above."""
    for b in range(NUM_BODIES):
        part = ORDER[b]
        contact_solver.solve_velocity(
            s, c, part * BODY, INVERSE_MASS[part], INVERSE_INERTIA[part], starts[b], starts[b + 1], lanes
        )


@kernel
def solve_velocities(s, c, starts, lanes):
    """180 iterations of joints and contacts. (They seldom come to rest before: the last bits go on to change.)"""
    knee_2, hip_2 = joints.at_limit(s, KNEE_2_AT, lanes), joints.at_limit(s, HIP_2_AT, lanes)
    hip, knee = joints.at_limit(s, HIP_AT, lanes), joints.at_limit(s, KNEE_AT, lanes)
    for _ in range(VELOCITY_ITERATIONS):
        _knee_2(s, knee_2, lanes)
        _hip_2(s, hip_2, lanes)
        _hip(s, hip, lanes)
        _knee(s, knee, lanes)
        _touching(s, c, starts, lanes)


@kernel
def solve_positions(s, c, owner, starts, alive, few, few_slots, stops, columns, lanes):
    """Velocities into positions, then up to 60 corrections of each lane until its errors are small.

    Two are enough for most lanes; others, as of a walker that stands with a knee at its limit, need all of them. These
    move together, into as few vectors as they fill.
    """
    for part in range(NUM_BODIES):
        integrate_position(s, part * BODY & NOT_NEGATIVE, lanes)
    for i in range(lanes):
        s[SOLVED + i] = ZERO if alive[i] else ONE
    # A bare FIRST_ITERATIONS is a type of its own, for which all of it would be compiled once more.
    if _correct(s, c, starts, starts[1:], np.int64(FIRST_ITERATIONS), lanes):
        return
    count = _gather(s, c, owner, starts, few, few_slots, stops, columns, lanes)
    _correct(few, few_slots, starts, stops, POSITION_ITERATIONS - FIRST_ITERATIONS, (count + WIDTH - 1) & -WIDTH)
    for k in range(count):
        for body in range(0, JOINTS_AT, BODY):
            for row in (X, Y, A):
                s[body + row + columns[k]] = few[body + row + k]
        s[SOLVED + columns[k]] = few[SOLVED + k]


@kernel
def _correct(s, c, starts, stops, iterations, lanes):
    """So many corrections at most; whether they are enough for all lanes."""
    for _ in range(iterations):
        for i in range(lanes & -WIDTH):
            s[SEPARATION + i] = ZERO
        _apart(s, c, starts, stops, lanes)
        _joined(s, lanes)
        solved = True
        for i in range(lanes & -WIDTH):
            bad = (s[SOLVED + i] < ZERO) | (s[SEPARATION + i] < contact_solver.ALLOWED)
            # SOLVED is 1 from the iteration on that finds all errors small; that one's corrections are kept.
            s[SOLVED + i] = ONE if s[SOLVED + i] == ONE else (ZERO if bad else ONE)
            solved &= s[SOLVED + i] == ONE
        if solved:
            return True
    return False


@kernel
def _gather(s, c, owner, starts, few, few_slots, stops, columns, lanes):
    """What corrections need of the lanes that are not SOLVED, side by side; their number."""
    count = 0
    for lane in range(lanes):
        if s[SOLVED + lane] != ONE:
            columns[count] = lane
            count += 1
    for k in range(count):
        for body in range(0, JOINTS_AT, BODY):
            for row in (X, Y, A):
                few[body + row + k] = s[body + row + columns[k]]
        for joint in range(JOINTS_AT, JOINTS_END, JOINT):
            few[joint + LIMIT + k] = s[joint + LIMIT + columns[k]]
        few[SOLVED + k] = s[SOLVED + columns[k]]
    for k in range(count, (count + WIDTH - 1) & -WIDTH):
        few[SOLVED + k] = ONE
    for b in range(NUM_BODIES):
        stops[b] = starts[b]
        for slot in range(starts[b], starts[b + 1]):
            for k in range(count):
                if owner[slot, columns[k]] >= 0:
                    stops[b] = slot + 1
                for row in range(slot * SLOT + FACE_NX, (slot + 1) * SLOT, LANES):
                    few_slots[row + k] = c[row + columns[k]]
    return count


@kernel
def _apart(s, c, starts, stops, lanes):
    for b in range(NUM_BODIES):
        part, start, stop = ORDER[b], starts[b], stops[b]
        cx, cy, mass, inertia = CENTER[part, 0], CENTER[part, 1], INVERSE_MASS[part], INVERSE_INERTIA[part]
        contact_solver.solve_position(s, c, part * BODY, cx, cy, mass, inertia, start, stop, lanes)


@kernel
def _joined(s, lanes):
    joints.solve_position(
        s,
        KNEE_2_AT,
        THIGH_2_AT,
        SHIN_2_AT,
        THIGH_MASS,
        THIGH_INERTIA,
        SHIN_MASS,
        SHIN_INERTIA,
        KNEE_POINTS,
        KNEE_LIMITS,
        lanes,
    )
    joints.solve_position(
        s,
        HIP_2_AT,
        HULL_AT,
        THIGH_2_AT,
        HULL_MASS,
        HULL_INERTIA,
        THIGH_MASS,
        THIGH_INERTIA,
        HIP_POINTS,
        HIP_2_LIMITS,
        lanes,
    )
    joints.solve_position(
        s, HIP_AT, HULL_AT, THIGH_AT, HULL_MASS, HULL_INERTIA, THIGH_MASS, THIGH_INERTIA, HIP_POINTS, HIP_LIMITS, lanes
    )
    joints.solve_position(
        s,
        KNEE_AT,
        THIGH_AT,
        SHIN_AT,
        THIGH_MASS,
        THIGH_INERTIA,
        SHIN_MASS,
        SHIN_INERTIA,
        KNEE_POINTS,
        KNEE_LIMITS,
        lanes,
    )


@kernel
def _place(s, body, number, lanes):
    """A body's frame, vertices and box after the step; in an episode's first step the old ones are the start's own."""
    for i in range(lanes & -WIDTH):
        first = s[RATIO + i] == ZERO
        s[body + OLD_LOW_X + i] = s[body + OLD_LOW_X + i] if first else s[body + LOW_X + i]
        s[body + OLD_LOW_Y + i] = s[body + OLD_LOW_Y + i] if first else s[body + LOW_Y + i]
        s[body + OLD_HIGH_X + i] = s[body + OLD_HIGH_X + i] if first else s[body + HIGH_X + i]
        s[body + OLD_HIGH_Y + i] = s[body + OLD_HIGH_Y + i] if first else s[body + HIGH_Y + i]
        s[body + OLD_PX + i] = s[body + OLD_PX + i] if first else s[body + PX + i]
        s[body + OLD_PY + i] = s[body + OLD_PY + i] if first else s[body + PY + i]
    for row in range(0, 2 * MOST_VERTICES * LANES, LANES):
        for i in range(lanes & -WIDTH):
            s[body + OLD_VERTEX_X + row + i] = s[body + VERTEX_X + row + i]
    place(s, body, number, lanes)


@kernel
def place_bodies(s, lanes):
    for part in range(NUM_BODIES):
        _place(s, part * BODY & NOT_NEGATIVE, part, lanes)


@kernel
def rest(s, lanes):
    """A walker whose parts have all been still for half a second falls asleep: its velocities become zero."""
    for i in range(lanes & -WIDTH):
        s[STILLNESS + i] = TIME_TO_SLEEP + ONE
    for body in range(0, JOINTS_AT, BODY):
        for i in range(lanes & -WIDTH):
            vx, vy, w = s[body + VX + i], s[body + VY + i], s[body + W + i]
            moving = (w * w > SLEEP_ANGULAR) | (vx * vx + vy * vy > SLEEP_LINEAR)
            still = ZERO if moving else s[body + STILL + i] + DT
            s[body + STILL + i] = still
            s[STILLNESS + i] = minimum(s[STILLNESS + i], still)
    for body in range(0, JOINTS_AT, BODY):
        for i in range(lanes & -WIDTH):
            asleep = (s[STILLNESS + i] >= TIME_TO_SLEEP) & (s[SOLVED + i] == ONE)
            s[body + VX + i] = ZERO if asleep else s[body + VX + i]
            s[body + VY + i] = ZERO if asleep else s[body + VY + i]
            s[body + W + i] = ZERO if asleep else s[body + W + i]
            s[body + STILL + i] = ZERO if asleep else s[body + STILL + i]
            s[body + AWAKE + i] = ZERO if asleep else ONE


@kernel
def synchronize(s, part, lane):
    """Let the widened box hold the body's whole sweep; 1 where it had to be widened."""
    at = part * BODY + lane
    return (
        1
        if move_box(
            s,
            part * BODY,
            lane,
            minimum(s[at + OLD_LOW_X], s[at + LOW_X]),
            minimum(s[at + OLD_LOW_Y], s[at + LOW_Y]),
            maximum(s[at + OLD_HIGH_X], s[at + HIGH_X]),
            maximum(s[at + OLD_HIGH_Y], s[at + HIGH_Y]),
            s[at + PX] - s[at + OLD_PX],
            s[at + PY] - s[at + OLD_PY],
        )
        else 0
    )


assert BODY == BODY_ROWS * LANES
