"""The impulses that keep a body and the ground apart and rub against each other (b2ContactSolver).

Contacts that touch are laid out in slots: all walkers' first contact of a body, their second, and so on. The walkers
stand in columns, lined up so that those that touch the ground alike are neighbours: a slot then takes a few vectors of
columns. A column without a contact among them has zeros there, and zero impulses. The ground has no inverse mass, and
nothing bounces (restitution 0), so that the terms of the ground and of bouncing, which are zeros, are left out.
"""

import numpy as np

from envs.walker.bodies import (
    BODY,
    CENTER,
    COS,
    FRICTION,
    HALF,
    HULL,
    INVERSE_INERTIA,
    INVERSE_MASS,
    NOT_NEGATIVE,
    NUM_BODIES,
    ONE,
    RADIUS,
    RATIO,
    SEPARATION,
    SHIN,
    SHIN_2,
    SIN,
    SLOP,
    SOLVED,
    THIGH,
    THIGH_2,
    VX,
    VY,
    ZERO,
    A,
    F,
    W,
    X,
    Y,
    clamp,
    maximum,
)
from envs.walker.contact import (
    BY_GROUND,
    ENABLED,
    FACE_X,
    FACE_Y,
    MOST_CONTACTS,
    NORMAL_IMPULSE,
    NORMAL_IMPULSE_2,
    NORMAL_X,
    NORMAL_Y,
    PART,
    POINT_2_X,
    POINT_2_Y,
    POINT_X,
    POINT_Y,
    POINTS,
    TANGENT_IMPULSE,
    TANGENT_IMPULSE_2,
    TOUCHING,
)
from envs.walker.rotation import sine_cosine
from networks.compiled import LANES, WIDTH
from networks.jit import inlined, lean

MOST_SLOTS = 160
# Rows of a slot: normal, friction, the points from the body's centre of mass, effective masses, impulses, the block of
# two points and its inverse, whether there are two; then what the correction of positions needs.
NX, NY, MU, R1X, R1Y, R2X, R2Y, NORMAL_MASS, TANGENT_MASS, NORMAL_MASS_2, TANGENT_MASS_2 = (
    row * LANES for row in range(11)
)
N1, T1, N2, T2, B11, B12, B22, I11, I12, I22, TWO = (row * LANES for row in range(11, 22))
FACE_NX, FACE_NY, FX, FY, P1X, P1Y, P2X, P2Y, OF_GROUND, COUNT = (row * LANES for row in range(22, 32))
SLOT = 32 * LANES
MOST_CONDITION = F(1000)
BAUMGARTE, IMPACT_BAUMGARTE, MOST_CORRECTION = F(0.2), F(0.75), F(0.2)
ALLOWED, IMPACT_ALLOWED = F(-3) * SLOP, F(-1.5) * SLOP  # separation, when positions count as solved
ORDER = np.array([SHIN_2, THIGH_2, HULL, THIGH, SHIN])  # in which bodies have their slots
VECTOR = 16  # columns; a slot's begin and end at a multiple
COLUMN, COLUMNS, PAIRS = range(3)  # of a slot: its first column, their number, whether one has a contact of two points


@lean
def line_up(contacts, counts, alive, touching, order, lanes):
    """Columns for the lanes: order[k] is the lane in column k, touching[lane, part] how often a body of it touches.

    First those that stand on the newer shin alone, then on both, on the other, on none: each shin's are neighbours.
    """
    for lane in range(lanes):
        touching[lane] = 0
        if alive[lane]:
            for n in range(counts[lane]):
                if contacts[lane, n, TOUCHING] and contacts[lane, n, ENABLED]:
                    touching[lane, contacts[lane, n, PART]] += 1
        new, old, most = touching[lane, SHIN_2], touching[lane, SHIN], MOST_CONTACTS
        place = 3 * most * most - old
        if new > 0:
            place = new if old == 0 else (2 * most - new) * most + old
        k = lane
        touching[lane, NUM_BODIES] = place
        while k > 0 and touching[order[k - 1], NUM_BODIES] > place:
            order[k] = order[k - 1]
            k -= 1
        order[k] = lane


@lean
def lay_out(s, c, owner, starts, slots, touching, order, contacts, numbers, counts, lanes):
    """Slots starts[b]..starts[b + 1] - 1 of the body ORDER[b], prepared and with warm impulses."""
    starts[0] = 0
    for b in range(NUM_BODIES):
        most = 0
        for lane in range(lanes):
            most = max(most, touching[lane, ORDER[b]])
        starts[b + 1] = starts[b] + most
        if starts[b + 1] > MOST_SLOTS:
            raise RuntimeError("walkers touch the ground in more places than their solver has room for")
        for slot in range(starts[b], starts[b + 1]):
            first, stop = lanes, 0
            for k in range(lanes):
                owner[slot, k] = -1
                if touching[order[k], ORDER[b]] > slot - starts[b]:
                    first, stop = min(first, k), k + 1
            first &= -VECTOR
            slots[slot, COLUMN], slots[slot, COLUMNS] = first, min((stop + VECTOR - 1) & -VECTOR, lanes) - first
            slots[slot, PAIRS] = 0
            for row in range(slot * SLOT + first, (slot + 1) * SLOT + first, LANES):
                for i in range(slots[slot, COLUMNS] & -WIDTH):
                    c[row + i] = ZERO
    for k in range(lanes):
        lane = order[k]
        for b in range(NUM_BODIES):
            part, slot = ORDER[b], starts[b]
            if touching[lane, part] == 0:
                continue
            for n in range(counts[lane] - 1, -1, -1):
                if contacts[lane, n, PART] == part and contacts[lane, n, TOUCHING] and contacts[lane, n, ENABLED]:
                    owner[slot, k] = n
                    at, body, points = slot * SLOT + k, part * BODY + k, contacts[lane, n, POINTS]
                    number = numbers[lane, n]
                    take(c, at, contacts[lane, n], number)
                    prepare(c, at, part, s[body + X], s[body + Y], s[body + SIN], s[body + COS], points)
                    ratio = s[RATIO + k]
                    c[at + N1], c[at + T1] = ratio * number[NORMAL_IMPULSE], ratio * number[TANGENT_IMPULSE]
                    if points == 2:
                        c[at + N2], c[at + T2] = ratio * number[NORMAL_IMPULSE_2], ratio * number[TANGENT_IMPULSE_2]
                        slots[slot, PAIRS] = 1
                    warm(s, c, at, part, body)
                    slot += 1


@lean
def take(c, at, contact, number):
    """The contact's geometry into its place in a slot."""
    c[at + FACE_NX], c[at + FACE_NY] = number[NORMAL_X], number[NORMAL_Y]
    c[at + FX], c[at + FY] = number[FACE_X], number[FACE_Y]
    c[at + P1X], c[at + P1Y] = number[POINT_X], number[POINT_Y]
    c[at + P2X], c[at + P2Y] = number[POINT_2_X], number[POINT_2_Y]
    c[at + OF_GROUND] = ONE if contact[BY_GROUND] else ZERO
    c[at + COUNT] = ONE if contact[POINTS] == 1 else ONE + ONE


@lean
def prepare(c, at, part, x, y, sine, cosine, points):
    """Normal, points and effective masses (InitializeVelocityConstraints) for a body's place; impulses are zero."""
    mass, inertia = INVERSE_MASS[part], INVERSE_INERTIA[part]
    px = x - (cosine * CENTER[part, 0] - sine * CENTER[part, 1])
    py = y - (sine * CENTER[part, 0] + cosine * CENTER[part, 1])
    nx, ny, fx, fy = c[at + FACE_NX], c[at + FACE_NY], c[at + FX], c[at + FY]
    by_ground = c[at + OF_GROUND] != ZERO
    if not by_ground:
        nx, ny = cosine * nx - sine * ny, sine * nx + cosine * ny
        fx, fy = (cosine * fx - sine * fy) + px, (sine * fx + cosine * fy) + py
    for k in range(points):
        qx, qy = c[at + P1X + 2 * k * LANES], c[at + P1Y + 2 * k * LANES]
        if by_ground:
            qx, qy = (cosine * qx - sine * qy) + px, (sine * qx + cosine * qy) + py
        depth = RADIUS - ((qx - fx) * nx + (qy - fy) * ny)
        rx, ry = HALF * ((qx + depth * nx) + (qx - RADIUS * nx)), HALF * ((qy + depth * ny) + (qy - RADIUS * ny))
        c[at + R1X + 2 * k * LANES], c[at + R1Y + 2 * k * LANES] = rx - x, ry - y
    if not by_ground:
        nx, ny = -nx, -ny
    c[at + NX], c[at + NY], c[at + MU] = nx, ny, FRICTION[part]
    for k in range(points):
        rx, ry = c[at + R1X + 2 * k * LANES], c[at + R1Y + 2 * k * LANES]
        across, along = rx * ny - ry * nx, rx * -nx - ry * ny
        normal, tangent = mass + inertia * across * across, mass + inertia * along * along
        c[at + NORMAL_MASS + 2 * k * LANES] = ONE / normal if normal > ZERO else ZERO
        c[at + TANGENT_MASS + 2 * k * LANES] = ONE / tangent if tangent > ZERO else ZERO
        c[at + N1 + 2 * k * LANES] = c[at + T1 + 2 * k * LANES] = ZERO
    c[at + TWO] = ZERO
    if points == 2:
        across, across_2 = c[at + R1X] * ny - c[at + R1Y] * nx, c[at + R2X] * ny - c[at + R2Y] * nx
        k11, k22 = mass + inertia * across * across, mass + inertia * across_2 * across_2
        k12 = mass + inertia * across * across_2
        if k11 * k11 < MOST_CONDITION * (k11 * k22 - k12 * k12):
            det = k11 * k22 - k12 * k12
            if det != ZERO:
                det = ONE / det
            c[at + B11], c[at + B12], c[at + B22] = k11, k12, k22
            c[at + I11], c[at + I12], c[at + I22] = det * k22, -det * k12, det * k11
            c[at + TWO] = ONE
        else:  # the points say the same: the first is enough
            c[at + TANGENT_MASS_2] = ZERO


@lean
def warm(s, c, at, part, body):
    """The impulses of the step before; of one point where the block is of one."""
    mass, inertia = INVERSE_MASS[part], INVERSE_INERTIA[part]
    nx, ny = c[at + NX], c[at + NY]
    for k in range(2 if c[at + TWO] != ZERO else 1):
        normal, tangent = c[at + N1 + 2 * k * LANES], c[at + T1 + 2 * k * LANES]
        px, py = normal * nx + tangent * ny, normal * ny + tangent * -nx
        s[body + W] += inertia * (c[at + R1X + 2 * k * LANES] * py - c[at + R1Y + 2 * k * LANES] * px)
        s[body + VX] += mass * px
        s[body + VY] += mass * py


@inlined
def rub(vx, vy, w, nx, ny, rx, ry, mass, inertia, there, tangent_mass, old, most):
    """Velocities after friction at a point that is there, and its impulse. The tangent is (ny, -nx)."""
    slip = (vx + -w * ry) * ny + (vy + w * rx) * -nx
    new = clamp(old + tangent_mass * -slip, -most, most) if there else old
    px, py = (new - old) * ny, (new - old) * -nx
    return vx + mass * px, vy + mass * py, w + inertia * (rx * py - ry * px), new


@inlined
def one_in_lane(s, c, body, mass, inertia, at, i):
    """One iteration of a slot where nobody has two points: friction, then the normal impulse."""
    vx, vy, w = s[body + VX + i], s[body + VY + i], s[body + W + i]
    nx, ny, rx, ry = c[at + NX + i], c[at + NY + i], c[at + R1X + i], c[at + R1Y + i]
    old, tangent = c[at + N1 + i], c[at + T1 + i]
    most = c[at + MU + i] * old
    vx, vy, w, tangent = rub(vx, vy, w, nx, ny, rx, ry, mass, inertia, True, c[at + TANGENT_MASS + i], tangent, most)
    velocity = (vx + -w * ry) * nx + (vy + w * rx) * ny
    new = maximum(old + -c[at + NORMAL_MASS + i] * velocity, ZERO)
    c[at + N1 + i], c[at + T1 + i] = new, tangent
    px, py = (new - old) * nx, (new - old) * ny
    s[body + VX + i], s[body + VY + i] = vx + mass * px, vy + mass * py
    s[body + W + i] = w + inertia * (rx * py - ry * px)


@inlined
def two_in_lane(s, c, body, mass, inertia, at, i):
    """One iteration of a slot: friction point by point, then both normal impulses together."""
    vx, vy, w = s[body + VX + i], s[body + VY + i], s[body + W + i]
    nx, ny, mu = c[at + NX + i], c[at + NY + i], c[at + MU + i]
    r1x, r1y, r2x, r2y = c[at + R1X + i], c[at + R1Y + i], c[at + R2X + i], c[at + R2Y + i]
    a1, a2, t1, t2 = c[at + N1 + i], c[at + N2 + i], c[at + T1 + i], c[at + T2 + i]
    two = c[at + TWO + i] != ZERO
    vx, vy, w, t1 = rub(vx, vy, w, nx, ny, r1x, r1y, mass, inertia, True, c[at + TANGENT_MASS + i], t1, mu * a1)
    vx, vy, w, t2 = rub(vx, vy, w, nx, ny, r2x, r2y, mass, inertia, two, c[at + TANGENT_MASS_2 + i], t2, mu * a2)
    c[at + T1 + i], c[at + T2 + i] = t1, t2
    # Normal: b = v - K a; the solution x of the linear complementarity problem is the first of four cases that holds.
    v1 = (vx + -w * r1y) * nx + (vy + w * r1x) * ny
    v2 = (vx + -w * r2y) * nx + (vy + w * r2x) * ny
    mass_1, mass_2 = c[at + NORMAL_MASS + i], c[at + NORMAL_MASS_2 + i]
    k11, k12, k22 = c[at + B11 + i], c[at + B12 + i], c[at + B22 + i]
    i11, i12, i22 = c[at + I11 + i], c[at + I12 + i], c[at + I22 + i]
    one = maximum(a1 + -mass_1 * v1, ZERO)
    b1, b2 = v1 - (k11 * a1 + k12 * a2), v2 - (k12 * a1 + k22 * a2)
    both_1, both_2 = -(i11 * b1 + i12 * b2), -(i12 * b1 + i22 * b2)
    first, second = -mass_1 * b1, -mass_2 * b2
    none = (b1 >= ZERO) & (b2 >= ZERO)
    x1, x2 = (ZERO if none else a1), (ZERO if none else a2)
    only = (second >= ZERO) & (k12 * second + b1 >= ZERO)
    x1, x2 = (ZERO if only else x1), (second if only else x2)
    only = (first >= ZERO) & (k12 * first + b2 >= ZERO)
    x1, x2 = (first if only else x1), (ZERO if only else x2)
    both = (both_1 >= ZERO) & (both_2 >= ZERO)
    x1, x2 = (both_1 if both else x1), (both_2 if both else x2)
    x1, x2 = (x1 if two else one), (x2 if two else a2)
    d1, d2 = x1 - a1, x2 - a2
    c[at + N1 + i], c[at + N2 + i] = x1, x2
    p1x, p1y, p2x, p2y = d1 * nx, d1 * ny, d2 * nx, d2 * ny
    s[body + VX + i], s[body + VY + i] = vx + mass * (p1x + p2x), vy + mass * (p1y + p2y)
    s[body + W + i] = w + inertia * ((r1x * p1y - r1y * p1x) + (r2x * p2y - r2y * p2x))


@lean
def solve_velocity(s, c, slots, body, mass, inertia, slot):
    """One iteration of a body's slot."""
    at, here = slot * SLOT + slots[slot, COLUMN] & NOT_NEGATIVE, body + slots[slot, COLUMN] & NOT_NEGATIVE
    if slots[slot, PAIRS]:
        for i in range(slots[slot, COLUMNS] & -WIDTH):
            two_in_lane(s, c, here, mass, inertia, at, i)
    else:
        for i in range(slots[slot, COLUMNS] & -WIDTH):
            one_in_lane(s, c, here, mass, inertia, at, i)


@lean
def store(c, owner, starts, slots, order, numbers):
    """Keep the impulses for the next step."""
    for slot in range(starts[NUM_BODIES]):
        for k in range(slots[slot, COLUMN], slots[slot, COLUMN] + slots[slot, COLUMNS]):
            n, at, lane = owner[slot, k], slot * SLOT + k, order[k]
            if n >= 0:
                numbers[lane, n, NORMAL_IMPULSE], numbers[lane, n, TANGENT_IMPULSE] = c[at + N1], c[at + T1]
                if c[at + TWO] != ZERO:
                    numbers[lane, n, NORMAL_IMPULSE_2], numbers[lane, n, TANGENT_IMPULSE_2] = c[at + N2], c[at + T2]


@inlined
def position_in_lane(s, c, body, cx, cy, mass, inertia, at, factor, column, points, i):
    """One correction of a slot's points in a lane that is not SOLVED; the deepest SEPARATION is noted."""
    active = s[SOLVED + column + i] <= ZERO
    nx, ny, fx, fy = c[at + FACE_NX + i], c[at + FACE_NY + i], c[at + FX + i], c[at + FY + i]
    by_ground, count = c[at + OF_GROUND + i] != ZERO, c[at + COUNT + i]
    x, y, angle = s[body + X + i], s[body + Y + i], s[body + A + i]
    deepest = s[SEPARATION + column + i]
    for k in range(points):
        present = active & (count > (ONE if k == 1 else ZERO))
        sine, cosine = sine_cosine(angle)
        px, py = x - (cosine * cx - sine * cy), y - (sine * cx + cosine * cy)
        qx, qy = (c[at + P1X + i], c[at + P1Y + i]) if k == 0 else (c[at + P2X + i], c[at + P2Y + i])
        wqx, wqy = (cosine * qx - sine * qy) + px, (sine * qx + cosine * qy) + py
        wnx, wny = cosine * nx - sine * ny, sine * nx + cosine * ny
        wfx, wfy = (cosine * fx - sine * fy) + px, (sine * fx + cosine * fy) + py
        qx, qy = (wqx if by_ground else qx), (wqy if by_ground else qy)
        mx, my = (nx if by_ground else wnx), (ny if by_ground else wny)
        gx, gy = (fx if by_ground else wfx), (fy if by_ground else wfy)
        separation = (((qx - gx) * mx + (qy - gy) * my) - RADIUS) - RADIUS
        mx, my = (mx if by_ground else -mx), (my if by_ground else -my)
        rx, ry = qx - x, qy - y
        deepest = separation if present & (separation < deepest) else deepest
        error = clamp(factor * (separation + SLOP), -MOST_CORRECTION, ZERO)
        across = rx * my - ry * mx
        total = mass + inertia * across * across
        impulse = -error / total if total > ZERO else ZERO
        ix, iy = impulse * mx, impulse * my
        new_x, new_y, new_angle = x + mass * ix, y + mass * iy, angle + inertia * (rx * iy - ry * ix)
        x, y, angle = (new_x if present else x), (new_y if present else y), (new_angle if present else angle)
    s[body + X + i], s[body + Y + i], s[body + A + i] = x, y, angle
    s[SEPARATION + column + i] = deepest


@lean
def solve_position(s, c, slots, body, cx, cy, mass, inertia, start, stop):
    """One iteration of a body's slots."""
    for slot in range(start, stop):
        column = slots[slot, COLUMN] & NOT_NEGATIVE
        at, here = slot * SLOT + column & NOT_NEGATIVE, body + column & NOT_NEGATIVE
        if slots[slot, PAIRS]:
            for i in range(slots[slot, COLUMNS] & -WIDTH):
                position_in_lane(s, c, here, cx, cy, mass, inertia, at, BAUMGARTE, column, 2, i)
        else:
            for i in range(slots[slot, COLUMNS] & -WIDTH):
                position_in_lane(s, c, here, cx, cy, mass, inertia, at, BAUMGARTE, column, 1, i)


assert (Y, A, VY, W) == (X + LANES, X + 2 * LANES, VX + LANES, VX + 2 * LANES)
