"""A step of the walker's world (b2World::Step): contacts, velocities, positions, impacts."""

from typing import NamedTuple

import numpy as np

from envs.walker import contact_solver, joints
from envs.walker.bodies import (
    AWAKE,
    BODY,
    BODY_ROWS,
    CENTER,
    COS,
    DT,
    FORCE,
    HIGH_X,
    HIGH_Y,
    HIP_2_AT,
    HIP_AT,
    HULL_AT,
    HULL_INERTIA,
    HULL_MASS,
    IMPULSE_X,
    IMPULSE_Y,
    IMPULSE_Z,
    INVERSE_INERTIA,
    INVERSE_MASS,
    JOINT,
    JOINTS_AT,
    KNEE_2_AT,
    KNEE_AT,
    LIMIT,
    LOW_X,
    LOW_Y,
    MOST,
    MOST_VERTICES,
    MOTOR,
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
    SIN,
    SLEEP_ANGULAR,
    SLEEP_LINEAR,
    SOLVED,
    SPEED,
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
from envs.walker.contact_solver import (
    COLUMN,
    COLUMNS,
    COUNT,
    FACE_NX,
    MOST_SLOTS,
    ORDER,
    PAIRS,
    SLOT,
    VECTOR,
    lay_out,
    line_up,
    store,
)
from envs.walker.impact import solve_impacts
from envs.walker.joints import HIP_2_LIMITS, HIP_LIMITS, HIP_POINTS, KNEE_LIMITS, KNEE_POINTS
from envs.walker.terrain import GROUND
from networks.compiled import LANES, WIDTH
from networks.jit import inlined, lean

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
    q: np.ndarray  # rows as in `s`, a walker in each column: what is solved
    order: np.ndarray  # (LANES,) the lane in each column
    touching: np.ndarray  # (LANES, NUM_BODIES + 1) how often each body touches, and by what the lanes are lined up
    c: np.ndarray  # the slots' rows
    owner: np.ndarray  # (MOST_SLOTS, LANES) the contact in a slot's column, or -1
    slots: np.ndarray  # (MOST_SLOTS, 3) the columns of each slot
    starts: np.ndarray  # (NUM_BODIES + 1,) each body's slots, in ORDER
    few: np.ndarray  # rows as in `q`, of walkers that need more corrections than others
    few_c: np.ndarray
    few_slots: np.ndarray
    columns: np.ndarray  # (LANES,) which columns they are
    passed: np.ndarray  # (GROUND + NUM_BODIES,)
    simplex: np.ndarray
    indices: np.ndarray
    sweep: np.ndarray
    edge: np.ndarray


def new_world() -> World:
    return World(
        np.zeros(NUM_ROWS * LANES, np.float32),
        np.zeros((LANES, MOST_CONTACTS, NUM_INTEGERS), np.int32),
        np.zeros((LANES, MOST_CONTACTS, NUM_FLOATS), np.float32),
        np.zeros(LANES, np.int64),
        np.zeros((LANES, NUM_BODIES, GROUND), np.bool_),
        np.zeros((LANES, GROUND, GROUND_FLOATS), np.float32),
        np.zeros(LANES, np.bool_),
        np.zeros(NUM_ROWS * LANES, np.float32),
        np.zeros(LANES, np.int64),
        np.zeros((LANES, NUM_BODIES + 1), np.int64),
        np.zeros(MOST_SLOTS * SLOT, np.float32),
        np.zeros((MOST_SLOTS, LANES), np.int64),
        np.zeros((MOST_SLOTS, 3), np.int64),
        np.zeros(NUM_BODIES + 1, np.int64),
        np.zeros(NUM_ROWS * LANES, np.float32),
        np.zeros(MOST_SLOTS * SLOT, np.float32),
        np.zeros((MOST_SLOTS, 3), np.int64),
        np.zeros(LANES, np.int64),
        np.zeros(GROUND + NUM_BODIES, np.float32),
        np.zeros((4, 7), np.float32),
        np.zeros((8, 2), np.int32),
        np.zeros(6, np.float32),
        np.zeros((2, 2), np.float32),
    )


@inlined
def step(world, lanes):
    """Move the first lanes on by one step. In place in the environment's step, so that it is compiled once."""
    s, q, c, contacts, numbers, counts = world.s, world.q, world.c, world.contacts, world.numbers, world.counts
    owner, starts, slots, touching, order = world.owner, world.starts, world.slots, world.touching, world.order
    for lane in range(lanes):
        if world.alive[lane]:
            collide(s, contacts, numbers, counts, world.ground, world.near, lane)
    for i in range(lanes & -WIDTH):  # the motors were set, which wakes
        for body in range(NUM_BODIES):
            s[body * BODY + AWAKE + i] = ONE
    for part in range(NUM_BODIES):
        integrate_velocity(s, part * BODY & NOT_NEGATIVE, INVERSE_MASS[part], FORCE, lanes)
    line_up(contacts, counts, world.alive, touching, order, lanes)
    take(s, q, order, world.alive, lanes)
    lay_out(q, c, owner, starts, slots, touching, order, contacts, numbers, counts, lanes)
    prepare_joints(q, lanes)
    solve_velocities(q, c, slots, starts, lanes)
    store(c, owner, starts, slots, order, numbers)
    solve_positions(q, c, owner, starts, slots, world.few, world.few_c, world.few_slots, world.columns, lanes)
    give(s, q, order, lanes)
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


# The rows that are solved, and those that the solvers read beside them.
SOLVED_ROWS = np.array(
    [body + row for body in range(0, JOINTS_AT, BODY) for row in (X, Y, A, VX, VY, W)]
    + [
        joint + row
        for joint in range(JOINTS_AT, JOINTS_END, JOINT)
        for row in (IMPULSE_X, IMPULSE_Y, IMPULSE_Z, MOTOR, LIMIT)
    ]
    + [SOLVED]
)
READ_ROWS = np.array(
    [body + row for body in range(0, JOINTS_AT, BODY) for row in (SIN, COS)]
    + [joint + row for joint in range(JOINTS_AT, JOINTS_END, JOINT) for row in (SPEED, MOST)]
    + [RATIO]
)


@lean
def take(s, q, order, alive, lanes):
    """The walkers into their columns."""
    for lane in range(lanes):
        s[SOLVED + lane] = ZERO if alive[lane] else ONE
    for rows in (SOLVED_ROWS, READ_ROWS):
        for row in rows:
            for k in range(lanes & -WIDTH):
                q[row + k] = s[row + order[k]]


@lean
def give(s, q, order, lanes):
    """And back, as far as they have changed."""
    for row in SOLVED_ROWS:
        for k in range(lanes & -WIDTH):
            s[row + order[k]] = q[row + k]


# The joints in the order of the island, depth first from the newest body: places of the joint and its bodies, masses,
# the points that they hold, and limits.
ISLAND = np.array(
    [
        (KNEE_2_AT, THIGH_2_AT, SHIN_2_AT),
        (HIP_2_AT, HULL_AT, THIGH_2_AT),
        (HIP_AT, HULL_AT, THIGH_AT),
        (KNEE_AT, THIGH_AT, SHIN_AT),
    ]
)
AT_KNEE = (THIGH_MASS, THIGH_INERTIA, SHIN_MASS, SHIN_INERTIA)
AT_HIP = (HULL_MASS, HULL_INERTIA, THIGH_MASS, THIGH_INERTIA)
MASSES = np.array([AT_KNEE, AT_HIP, AT_HIP, AT_KNEE])
POINTS = np.array([KNEE_POINTS, HIP_POINTS, HIP_POINTS, KNEE_POINTS])
LIMITS = np.array([KNEE_LIMITS, HIP_2_LIMITS, HIP_LIMITS, KNEE_LIMITS])


@lean
def prepare_joints(s, lanes):
    for j in range(4):
        joint, a, b = ISLAND[j]
        mass_a, inertia_a, mass_b, inertia_b = MASSES[j]
        joints.prepare(s, joint, a, b, mass_a, inertia_a, mass_b, inertia_b, POINTS[j], LIMITS[j], lanes)


@lean
def alone(s, j, lanes):
    """One iteration of the velocities of a joint that stands beside no other."""
    joint, a, b = ISLAND[j]
    mass_a, inertia_a, mass_b, inertia_b = MASSES[j]
    joints.solve_velocity(s, joint, a, b, mass_a, inertia_a, mass_b, inertia_b, lanes)


@inlined
def _hip(s, i):
    joints.velocity_in_lane(s, HIP_AT, HULL_AT, THIGH_AT, HULL_MASS, HULL_INERTIA, THIGH_MASS, THIGH_INERTIA, i)


@inlined
def _hip_2(s, i):
    joints.velocity_in_lane(s, HIP_2_AT, HULL_AT, THIGH_2_AT, HULL_MASS, HULL_INERTIA, THIGH_MASS, THIGH_INERTIA, i)


@inlined
def _knee(s, i):
    joints.velocity_in_lane(s, KNEE_AT, THIGH_AT, SHIN_AT, THIGH_MASS, THIGH_INERTIA, SHIN_MASS, SHIN_INERTIA, i)


@inlined
def _knee_2(s, i):
    joints.velocity_in_lane(s, KNEE_2_AT, THIGH_2_AT, SHIN_2_AT, THIGH_MASS, THIGH_INERTIA, SHIN_MASS, SHIN_INERTIA, i)


@lean
def _hip_and_next_knee_2(s, lanes):
    for i in range(lanes & -WIDTH):
        _hip(s, i)
        _knee_2(s, i)


@lean
def _knee_and_next_hip_2(s, lanes):
    for i in range(lanes & -WIDTH):
        _knee(s, i)
        _hip_2(s, i)


@lean
def _touching(s, c, slots, starts, b):
    """One iteration of the contacts of a body, by its place in ORDER."""
    part = ORDER[b]
    for slot in range(starts[b], starts[b + 1]):
        contact_solver.solve_velocity(s, c, slots, part * BODY, INVERSE_MASS[part], INVERSE_INERTIA[part], slot)


@lean
def _shins(s, c, slots, starts):
    """One iteration of both shins' contacts in turn: one shin's do not wait for the other's."""
    for n in range(max(starts[1], starts[5] - starts[4])):
        if n < starts[1]:
            contact_solver.solve_velocity(s, c, slots, SHIN_2_AT, SHIN_MASS, SHIN_INERTIA, n)
        if starts[4] + n < starts[5]:
            contact_solver.solve_velocity(s, c, slots, SHIN_AT, SHIN_MASS, SHIN_INERTIA, starts[4] + n)


@lean
def solve_velocities(s, c, slots, starts, lanes):
    """180 iterations of joints and contacts. (They seldom come to rest before: the last bits go on to change.)

    Box2D goes through knee 2, hip 2, hip, knee and then the contacts of each body, and each waits for the one before.
    Here what has no body in common stands side by side, as a joint and one of the next iteration.
    """
    for j in range(2):
        alone(s, j, lanes)
    _touching(s, c, slots, starts, np.int64(0))
    for n in range(1, VELOCITY_ITERATIONS + 1):
        _touching(s, c, slots, starts, np.int64(1))
        if n < VELOCITY_ITERATIONS:
            _hip_and_next_knee_2(s, lanes)
        else:
            alone(s, np.int64(2), lanes)
        _touching(s, c, slots, starts, np.int64(2))
        if n < VELOCITY_ITERATIONS:
            _knee_and_next_hip_2(s, lanes)
            _shins(s, c, slots, starts)
        else:
            alone(s, np.int64(3), lanes)
            _touching(s, c, slots, starts, np.int64(4))
        _touching(s, c, slots, starts, np.int64(3))


@lean
def solve_positions(s, c, owner, starts, slots, few, few_c, few_slots, columns, lanes):
    """Velocities into positions, then up to 60 corrections of each walker until its errors are small.

    Two are enough for most; others, as a walker that stands with a knee at its limit, need all of them. These move
    together, into as few vectors as they fill. One that two have left as it was would be so after all of them.
    """
    for part in range(NUM_BODIES):
        integrate_position(s, part * BODY & NOT_NEGATIVE, lanes)
    _remember(s, few, lanes)
    # A bare FIRST_ITERATIONS is a type of its own, for which all of it would be compiled once more.
    if _correct(s, c, starts, slots, np.int64(FIRST_ITERATIONS), lanes):
        return
    count = _gather(s, c, owner, starts, slots, few, few_c, few_slots, columns, lanes)
    rest = POSITION_ITERATIONS - FIRST_ITERATIONS
    _correct(few, few_c, starts, few_slots, rest, (count + WIDTH - 1) & -WIDTH)
    for k in range(count):
        for body in range(0, JOINTS_AT, BODY):
            for row in (X, Y, A):
                s[body + row + columns[k]] = few[body + row + k]
        s[SOLVED + columns[k]] = few[SOLVED + k]


@lean
def _correct(s, c, starts, slots, iterations, lanes):
    """So many corrections at most; whether they are enough for all."""
    for _ in range(iterations):
        for i in range(lanes & -WIDTH):
            s[SEPARATION + i] = ZERO
        _apart(s, c, slots, starts)
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


@lean
def _remember(s, few, lanes):
    for body in range(0, JOINTS_AT, BODY):
        for row in (X, Y, A):
            for i in range(lanes & -WIDTH):
                few[body + row + i] = s[body + row + i]


@lean
def has_moved(s, few, k):
    """Whether the walker in column k is elsewhere than `_remember` noted."""
    moved = False
    for body in range(0, JOINTS_AT, BODY):
        for row in (X, Y, A):
            moved |= few[body + row + k] != s[body + row + k]
    return moved


@lean
def _gather(s, c, owner, starts, slots, few, few_c, few_slots, columns, lanes):
    """What corrections need of the walkers that are not SOLVED and have moved, side by side; their number."""
    count = 0
    for k in range(lanes):
        if s[SOLVED + k] != ONE and has_moved(s, few, k):
            columns[count] = k
            count += 1
    for k in range(count):
        for body in range(0, JOINTS_AT, BODY):
            for row in (X, Y, A):
                few[body + row + k] = s[body + row + columns[k]]
        for joint in range(JOINTS_AT, JOINTS_END, JOINT):
            few[joint + LIMIT + k] = s[joint + LIMIT + columns[k]]
        few[SOLVED + k] = s[SOLVED + columns[k]]
    wide = (count + WIDTH - 1) & -WIDTH
    for k in range(count, wide):
        few[SOLVED + k] = ONE
    for slot in range(starts[NUM_BODIES]):
        first, stop = wide, 0
        for k in range(count):
            if owner[slot, columns[k]] >= 0:
                first, stop = min(first, k), k + 1
        first &= -VECTOR
        few_slots[slot, COLUMN], few_slots[slot, PAIRS] = first, slots[slot, PAIRS]
        few_slots[slot, COLUMNS] = max(min((stop + VECTOR - 1) & -VECTOR, wide) - first, 0)
        for k in range(first, stop):
            for row in range(slot * SLOT + FACE_NX, (slot + 1) * SLOT, LANES):
                few_c[row + k] = c[row + columns[k]] if owner[slot, columns[k]] >= 0 else ZERO
        for k in range(max(first, stop), first + few_slots[slot, COLUMNS]):
            few_c[slot * SLOT + COUNT + k] = ZERO
    return count


@lean
def _apart(s, c, slots, starts):
    for b in range(NUM_BODIES):
        part, start, stop = ORDER[b], starts[b], starts[b + 1]
        cx, cy, mass, inertia = CENTER[part, 0], CENTER[part, 1], INVERSE_MASS[part], INVERSE_INERTIA[part]
        contact_solver.solve_position(s, c, slots, part * BODY, cx, cy, mass, inertia, start, stop)


@lean
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


@lean
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


@lean
def place_bodies(s, lanes):
    for part in range(NUM_BODIES):
        _place(s, part * BODY & NOT_NEGATIVE, part, lanes)


@lean
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


@lean
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
assert (POSITION_ITERATIONS - FIRST_ITERATIONS) % FIRST_ITERATIONS == 0
