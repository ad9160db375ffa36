"""Continuous collision: when a moving body first touches the ground within a step, and what then happens to it.

Conservative advancement along the axis of least separation (b2TimeOfImpact, Catto 2013). The distance of body and piece
of ground, and the points that witness it, come from the algorithm of Gilbert, Johnson and Keerthi (1988) with
barycentric coordinates (b2Distance; C. Ericson, Real-Time Collision Detection, 2005). A root finder then seeks the time
at which the separation of these points is the target. The body is moved to the time of the earliest impact, corrected,
given new impulses from its contacts alone, and moved on for the rest of the step (b2World::SolveTOI).
"""

import numpy as np

from envs.walker.bodies import (
    A0,
    AWAKE,
    BODY,
    CENTER,
    DT,
    EPSILON,
    HALF,
    HIGH_X,
    HIGH_Y,
    INVERSE_INERTIA,
    INVERSE_MASS,
    LOW_X,
    LOW_Y,
    MAX_FLOAT,
    NUM_BODIES,
    NUM_VERTICES,
    OLD_HIGH_X,
    OLD_LOW_X,
    OLD_VERTEX_X,
    OLD_VERTEX_Y,
    ONE,
    PI,
    PX,
    PY,
    RADIUS,
    REACH,
    SEPARATION,
    SLOP,
    SOLVED,
    VERTEX_X,
    VERTEX_Y,
    VERTICES,
    VX,
    VY,
    X0,
    Y0,
    ZERO,
    A,
    F,
    W,
    X,
    Y,
    bounded,
    copy_row,
    enclose,
    frame_in_lane,
    maximum,
    minimum,
    move_box,
)
from envs.walker.contact import (
    ENABLED,
    IMPACTS,
    IN_ISLAND,
    LEFT_Y,
    PART,
    PIECE,
    RIGHT_Y,
    TIME,
    TIMED,
    TOUCHING,
    UP_X,
    UP_Y,
    find_new,
    height,
    update,
    wake,
)
from envs.walker.contact_solver import (
    COUNT,
    IMPACT_ALLOWED,
    IMPACT_BAUMGARTE,
    N1,
    N2,
    P1X,
    P1Y,
    P2X,
    P2Y,
    SLOT,
    T1,
    T2,
    one_in_lane,
    position_in_lane,
    prepare,
    take,
    two_in_lane,
)
from envs.walker.rotation import sine_cosine
from envs.walker.terrain import GROUND_X
from networks.compiled import LANES
from networks.jit import lean

TWO, QUARTER, THREE, EIGHTH = F(2), F(0.25), F(3), F(0.125)
TARGET = max(SLOP, RADIUS + RADIUS - THREE * SLOP)
TOLERANCE = QUARTER * SLOP
CLEAR = TARGET + TOLERANCE + F(1e-3)  # further apart than this is no impact, whatever the rounding
MOST_IMPACTS, MOST_TOGETHER = 8, 32
POSITION_ITERATIONS, VELOCITY_ITERATIONS = 20, 180
LAST = ONE - F(10) * EPSILON
OUTSIDE = F(0.05)  # beside a piece of ground by more than this is no impact either

# A sweep: centre and angle at its start and end. A simplex's corner: point of the ground, of the body, the difference,
# the barycentric coordinate; and the numbers of both points.
SX0, SY0, SA0, SX1, SY1, SA1 = range(6)
GX, GY, QX, QY, DX, DY, PART_OF = range(7)


@lean
def frame(part, sweep, time):
    """Origin, sine and cosine of a body at a time in [0, 1] of its sweep (b2Sweep::GetTransform)."""
    rest = ONE - time
    x, y = rest * sweep[SX0] + time * sweep[SX1], rest * sweep[SY0] + time * sweep[SY1]
    sine, cosine = sine_cosine(rest * sweep[SA0] + time * sweep[SA1])
    x -= cosine * CENTER[part, 0] - sine * CENTER[part, 1]
    y -= sine * CENTER[part, 0] + cosine * CENTER[part, 1]
    return x, y, sine, cosine


@lean
def support(part, dx, dy):
    """The body's vertex that lies furthest in a direction of its own frame."""
    best, most = 0, VERTICES[part, 0, 0] * dx + VERTICES[part, 0, 1] * dy
    for k in range(1, NUM_VERTICES[part]):
        value = VERTICES[part, k, 0] * dx + VERTICES[part, k, 1] * dy
        if value > most:
            best, most = k, value
    return best


@lean
def _corner(simplex, indices, k, edge, part, px, py, sine, cosine, a, b):
    """Corner k of the simplex from point a of the ground and vertex b of the body."""
    indices[k, 0], indices[k, 1] = a, b
    vx, vy = VERTICES[part, b, 0], VERTICES[part, b, 1]
    gx, gy = edge[a, 0], edge[a, 1]
    qx, qy = (cosine * vx - sine * vy) + px, (sine * vx + cosine * vy) + py
    simplex[k, GX], simplex[k, GY], simplex[k, QX], simplex[k, QY] = gx, gy, qx, qy
    simplex[k, DX], simplex[k, DY] = qx - gx, qy - gy


@lean
def _metric(simplex, count):
    """Length or area of a simplex."""
    if count < 2:
        return ZERO
    ex, ey = simplex[0, DX] - simplex[1, DX], simplex[0, DY] - simplex[1, DY]
    if count == 2:
        return np.sqrt(ex * ex + ey * ey)
    ux, uy = simplex[1, DX] - simplex[0, DX], simplex[1, DY] - simplex[0, DY]
    vx, vy = simplex[2, DX] - simplex[0, DX], simplex[2, DY] - simplex[0, DY]
    return ux * vy - uy * vx


@lean
def _solve_2(simplex, indices):
    """The closest point of a line segment to the origin; the number of corners that carry it."""
    w1x, w1y, w2x, w2y = simplex[0, DX], simplex[0, DY], simplex[1, DX], simplex[1, DY]
    ex, ey = w2x - w1x, w2y - w1y
    d2 = -(w1x * ex + w1y * ey)
    if d2 <= ZERO:
        simplex[0, PART_OF] = ONE
        return 1
    d1 = w2x * ex + w2y * ey
    if d1 <= ZERO:
        simplex[1, PART_OF] = ONE
        copy_row(simplex, 1, 0)
        copy_row(indices, 1, 0)
        return 1
    inverse = ONE / (d1 + d2)
    simplex[0, PART_OF], simplex[1, PART_OF] = d1 * inverse, d2 * inverse
    return 2


@lean
def _solve_3(simplex, indices):
    """The closest point of a triangle to the origin."""
    w1x, w1y, w2x, w2y = simplex[0, DX], simplex[0, DY], simplex[1, DX], simplex[1, DY]
    w3x, w3y = simplex[2, DX], simplex[2, DY]
    e12x, e12y, e13x, e13y, e23x, e23y = w2x - w1x, w2y - w1y, w3x - w1x, w3y - w1y, w3x - w2x, w3y - w2y
    d12_1, d12_2 = w2x * e12x + w2y * e12y, -(w1x * e12x + w1y * e12y)
    d13_1, d13_2 = w3x * e13x + w3y * e13y, -(w1x * e13x + w1y * e13y)
    d23_1, d23_2 = w3x * e23x + w3y * e23y, -(w2x * e23x + w2y * e23y)
    n = e12x * e13y - e12y * e13x
    d1, d2, d3 = n * (w2x * w3y - w2y * w3x), n * (w3x * w1y - w3y * w1x), n * (w1x * w2y - w1y * w2x)
    if d12_2 <= ZERO and d13_2 <= ZERO:
        simplex[0, PART_OF] = ONE
        return 1
    if d12_1 > ZERO and d12_2 > ZERO and d3 <= ZERO:
        inverse = ONE / (d12_1 + d12_2)
        simplex[0, PART_OF], simplex[1, PART_OF] = d12_1 * inverse, d12_2 * inverse
        return 2
    if d13_1 > ZERO and d13_2 > ZERO and d2 <= ZERO:
        inverse = ONE / (d13_1 + d13_2)
        simplex[0, PART_OF], simplex[2, PART_OF] = d13_1 * inverse, d13_2 * inverse
        copy_row(simplex, 2, 1)
        copy_row(indices, 2, 1)
        return 2
    if d12_1 <= ZERO and d23_2 <= ZERO:
        simplex[1, PART_OF] = ONE
        copy_row(simplex, 1, 0)
        copy_row(indices, 1, 0)
        return 1
    if d13_1 <= ZERO and d23_1 <= ZERO:
        simplex[2, PART_OF] = ONE
        copy_row(simplex, 2, 0)
        copy_row(indices, 2, 0)
        return 1
    if d23_1 > ZERO and d23_2 > ZERO and d1 <= ZERO:
        inverse = ONE / (d23_1 + d23_2)
        simplex[1, PART_OF], simplex[2, PART_OF] = d23_1 * inverse, d23_2 * inverse
        copy_row(simplex, 2, 0)
        copy_row(indices, 2, 0)
        return 2
    inverse = ONE / (d1 + d2 + d3)
    simplex[0, PART_OF], simplex[1, PART_OF], simplex[2, PART_OF] = d1 * inverse, d2 * inverse, d3 * inverse
    return 3


@lean
def distance(simplex, indices, count, metric, edge, part, px, py, sine, cosine):
    """Distance of the ground's edge (2, 2) and a body, whose frame is given; with corners and metric of the simplex.

    `count` corners in `indices` are the first guess, with the metric that they had; its second half keeps what was.
    """
    for k in range(count):
        _corner(simplex, indices, k, edge, part, px, py, sine, cosine, indices[k, 0], indices[k, 1])
        simplex[k, PART_OF] = ZERO
    if count > 1:
        now = _metric(simplex, count)
        if now < HALF * metric or TWO * metric < now or now < EPSILON:
            count = 0
    if count == 0:
        _corner(simplex, indices, 0, edge, part, px, py, sine, cosine, 0, 0)
        simplex[0, PART_OF] = ONE
        count = 1
    for _ in range(20):
        before = count
        for k in range(count):
            indices[4 + k, 0], indices[4 + k, 1] = indices[k, 0], indices[k, 1]
        if count == 2:
            count = _solve_2(simplex, indices)
        elif count == 3:
            count = _solve_3(simplex, indices)
        if count == 3:
            break
        w1x, w1y = simplex[0, DX], simplex[0, DY]
        if count == 1:
            dx, dy = -w1x, -w1y
        else:
            ex, ey = simplex[1, DX] - w1x, simplex[1, DY] - w1y
            if ex * -w1y - ey * -w1x > ZERO:
                dx, dy = -ONE * ey, ONE * ex
            else:
                dx, dy = ONE * ey, -ONE * ex
        if dx * dx + dy * dy < EPSILON * EPSILON:
            break
        a = 1 if edge[1, 0] * -dx + edge[1, 1] * -dy > edge[0, 0] * -dx + edge[0, 1] * -dy else 0
        b = support(part, cosine * dx + sine * dy, -sine * dx + cosine * dy)
        _corner(simplex, indices, count, edge, part, px, py, sine, cosine, a, b)
        repeated = False
        for k in range(before):
            repeated |= a == indices[4 + k, 0] and b == indices[4 + k, 1]
        if repeated:
            break
        count += 1
    gx = gy = qx = qy = ZERO
    if count == 1:
        gx, gy, qx, qy = simplex[0, GX], simplex[0, GY], simplex[0, QX], simplex[0, QY]
    elif count == 2:
        p1, p2 = simplex[0, PART_OF], simplex[1, PART_OF]
        gx, gy = p1 * simplex[0, GX] + p2 * simplex[1, GX], p1 * simplex[0, GY] + p2 * simplex[1, GY]
        qx, qy = p1 * simplex[0, QX] + p2 * simplex[1, QX], p1 * simplex[0, QY] + p2 * simplex[1, QY]
    apart = np.sqrt((gx - qx) * (gx - qx) + (gy - qy) * (gy - qy))
    return apart, count, _metric(simplex, count)


POINTS_AXIS, GROUND_AXIS, BODY_AXIS = range(3)


@lean
def axis_of(indices, count, edge, part, sweep, time):
    """The axis along which ground and body are apart: its kind, direction, and a point on its face."""
    px, py, sine, cosine = frame(part, sweep, time)
    a, b = indices[0, 0], indices[0, 1]
    vx, vy = VERTICES[part, b, 0], VERTICES[part, b, 1]
    if count == 1:
        ax, ay = ((cosine * vx - sine * vy) + px) - edge[a, 0], ((sine * vx + cosine * vy) + py) - edge[a, 1]
        ax, ay = _normalized(ax, ay)
        return POINTS_AXIS, ax, ay, ZERO, ZERO
    if indices[0, 0] == indices[1, 0]:
        ux, uy = VERTICES[part, indices[1, 1], 0], VERTICES[part, indices[1, 1], 1]
        ax, ay = _normalized(ONE * (uy - vy), -ONE * (ux - vx))
        nx, ny = cosine * ax - sine * ay, sine * ax + cosine * ay
        fx, fy = HALF * (vx + ux), HALF * (vy + uy)
        qx, qy = (cosine * fx - sine * fy) + px, (sine * fx + cosine * fy) + py
        if (edge[a, 0] - qx) * nx + (edge[a, 1] - qy) * ny < ZERO:
            ax, ay = -ax, -ay
        return BODY_AXIS, ax, ay, fx, fy
    a2 = indices[1, 0]
    ax, ay = _normalized(ONE * (edge[a2, 1] - edge[a, 1]), -ONE * (edge[a2, 0] - edge[a, 0]))
    fx, fy = HALF * (edge[a, 0] + edge[a2, 0]), HALF * (edge[a, 1] + edge[a2, 1])
    qx, qy = (cosine * vx - sine * vy) + px, (sine * vx + cosine * vy) + py
    if (qx - fx) * ax + (qy - fy) * ay < ZERO:
        ax, ay = -ax, -ay
    return GROUND_AXIS, ax, ay, fx, fy


@lean
def _normalized(x, y):
    length = np.sqrt(x * x + y * y)
    if length < EPSILON:
        return x, y
    inverse = ONE / length
    return x * inverse, y * inverse


@lean
def separation(kind, ax, ay, fx, fy, edge, part, sweep, time, a, b):
    """Separation along the axis at a time, of points a and b; where they are -1, of the deepest. Gives them too."""
    px, py, sine, cosine = frame(part, sweep, time)
    if kind == BODY_AXIS:
        nx, ny = cosine * ax - sine * ay, sine * ax + cosine * ay
        qx, qy = (cosine * fx - sine * fy) + px, (sine * fx + cosine * fy) + py
        if a < 0:
            a = 1 if edge[1, 0] * -nx + edge[1, 1] * -ny > edge[0, 0] * -nx + edge[0, 1] * -ny else 0
        return (edge[a, 0] - qx) * nx + (edge[a, 1] - qy) * ny, a, b
    if kind == POINTS_AXIS and a < 0:
        a = 1 if edge[1, 0] * ax + edge[1, 1] * ay > edge[0, 0] * ax + edge[0, 1] * ay else 0
    if b < 0:
        b = support(part, cosine * -ax + sine * -ay, -sine * -ax + cosine * -ay)
    vx, vy = VERTICES[part, b, 0], VERTICES[part, b, 1]
    qx, qy = (cosine * vx - sine * vy) + px, (sine * vx + cosine * vy) + py
    gx, gy = (edge[a, 0], edge[a, 1]) if kind == POINTS_AXIS else (fx, fy)
    return (qx - gx) * ax + (qy - gy) * ay, a, b


@lean
def time_of_impact(simplex, indices, edge, part, sweep):
    """Whether the body touches the ground during its sweep, and the part of it that has passed then."""
    turn = TWO * PI
    turns = turn * np.floor(sweep[SA0] / turn)
    sweep[SA0] -= turns
    sweep[SA1] -= turns
    start, count, metric = ZERO, np.int64(0), ZERO
    for _ in range(20):
        px, py, sine, cosine = frame(part, sweep, start)
        apart, count, metric = distance(simplex, indices, count, metric, edge, part, px, py, sine, cosine)
        if apart <= ZERO:
            return False, ZERO
        if apart < TARGET + TOLERANCE:
            return True, start
        kind, ax, ay, fx, fy = axis_of(indices, count, edge, part, sweep, start)
        stop = ONE
        for _ in range(16):
            last, a, b = separation(kind, ax, ay, fx, fy, edge, part, sweep, stop, -1, -1)
            if last > TARGET + TOLERANCE:
                return False, ONE
            if last > TARGET - TOLERANCE:
                start = stop
                break
            first, a, b = separation(kind, ax, ay, fx, fy, edge, part, sweep, start, a, b)
            if first < TARGET - TOLERANCE:
                return False, start
            if first <= TARGET + TOLERANCE:
                return True, start
            low, high = start, stop
            for k in range(50):
                secant = low + (TARGET - first) * (high - low) / (last - first)
                middle = secant if k & 1 else HALF * (low + high)
                value, a, b = separation(kind, ax, ay, fx, fy, edge, part, sweep, middle, a, b)
                if abs(value - TARGET) < TOLERANCE:
                    stop = middle
                    break
                if value > TARGET:
                    low, first = middle, value
                else:
                    high, last = middle, value
    return False, start


@lean
def clear(s, ground, lane, part, g):
    """Whether a body stays, in its whole sweep, so far above a piece of ground or beside it that there is no impact.

    Every vertex lies between its start and its end, but for the turn: a chord is at most reach * turn^2 / 8 off.
    """
    body = part * BODY + lane
    turn = s[body + A] - s[body + A0]
    off = REACH[part] * turn * turn * EIGHTH
    if minimum(s[body + LOW_X], s[body + OLD_LOW_X]) > GROUND_X[g + 1] + OUTSIDE + off:
        return True
    if maximum(s[body + HIGH_X], s[body + OLD_HIGH_X]) < GROUND_X[g] - OUTSIDE - off:
        return True
    need = CLEAR + off
    if height(s, ground, lane, part, g, LOW_X) >= need and height(s, ground, lane, part, g, OLD_LOW_X) >= need:
        return True
    x1, y1, nx, ny = GROUND_X[g], ground[lane, g, LEFT_Y], ground[lane, g, UP_X], ground[lane, g, UP_Y]
    for k in range(NUM_VERTICES[part]):
        row = body + k * LANES
        if nx * (s[row + VERTEX_X] - x1) + ny * (s[row + VERTEX_Y] - y1) < need:
            return False
        if nx * (s[row + OLD_VERTEX_X] - x1) + ny * (s[row + OLD_VERTEX_Y] - y1) < need:
            return False
    return True


@lean
def solve_impacts(s, c, contacts, numbers, counts, ground, near, passed, scratch, indices, sweep, edge, lane):
    """The impacts of a lane within this step, the earliest first."""
    for n in range(counts[lane]):
        contacts[lane, n, TIMED] = contacts[lane, n, IMPACTS] = contacts[lane, n, IN_ISLAND] = 0
    passed[:] = ZERO  # how much of the step has passed for a piece of ground, and behind them for the bodies
    while True:  # np.int64: a bare -1 is a type of its own, for which all below would be compiled once more
        earliest, first = np.int64(-1), ONE
        for n in range(counts[lane] - 1, -1, -1):
            if not contacts[lane, n, ENABLED] or contacts[lane, n, IMPACTS] > MOST_IMPACTS:
                continue
            if not contacts[lane, n, TIMED]:
                part = contacts[lane, n, PART]
                if s[part * BODY + AWAKE + lane] == ZERO:
                    continue
                time = _time(s, contacts, ground, passed, scratch, indices, sweep, edge, lane, n)
                numbers[lane, n, TIME] = time
                contacts[lane, n, TIMED] = 1
            if numbers[lane, n, TIME] < first:
                earliest, first = n, numbers[lane, n, TIME]  # type: ignore[assignment]
        if earliest < 0 or first > LAST:
            return
        _solve(s, c, contacts, numbers, counts, ground, near, passed, lane, earliest, first)


@lean
def _time(s, contacts, ground, passed, scratch, indices, sweep, edge, lane, n):
    """When, in this step, contact n first touches; 1 where it does not."""
    part, g = contacts[lane, n, PART], contacts[lane, n, PIECE]
    of_body, body = len(passed) - NUM_BODIES + part, part * BODY + lane
    if passed[of_body] == ZERO and passed[g] == ZERO and clear(s, ground, lane, part, g):
        return ONE
    if passed[g] < passed[of_body]:
        passed[g] = passed[of_body]
    elif passed[of_body] < passed[g]:
        advance(s, body, passed, of_body, passed[g])
    start = passed[g]
    sweep[SX0], sweep[SY0], sweep[SA0] = s[body + X0], s[body + Y0], s[body + A0]
    sweep[SX1], sweep[SY1], sweep[SA1] = s[body + X], s[body + Y], s[body + A]
    edge[0, 0], edge[0, 1] = GROUND_X[g], ground[lane, g, LEFT_Y]
    edge[1, 0], edge[1, 1] = GROUND_X[g + 1], ground[lane, g, RIGHT_Y]
    touches, part_of_rest = time_of_impact(scratch, indices, edge, part, sweep)
    return minimum(start + (ONE - start) * part_of_rest, ONE) if touches else ONE


@lean
def advance(s, body, passed, which, time):
    """The start of a body's sweep becomes where it is at a time (b2Sweep::Advance)."""
    share = (time - passed[which]) / (ONE - passed[which])
    rest = ONE - share
    s[body + X0] = rest * s[body + X0] + share * s[body + X]
    s[body + Y0] = rest * s[body + Y0] + share * s[body + Y]
    s[body + A0] = rest * s[body + A0] + share * s[body + A]
    passed[which] = time


@lean
def put(s, part, lane):
    """Frame, vertices and box of one lane's body."""
    body = part * BODY
    frame_in_lane(s, body, part, lane)
    enclose(s, body, part, lane, lane + 1)


@lean
def _solve(s, c, contacts, numbers, counts, ground, near, passed, lane, earliest, time):
    """The impact of one contact, with all others that the body then has."""
    part, piece = contacts[lane, earliest, PART], contacts[lane, earliest, PIECE]
    body, of_body = part * BODY + lane, len(passed) - NUM_BODIES + part
    kept_0 = s[body + X0], s[body + Y0], s[body + A0], s[body + X], s[body + Y], s[body + A]
    kept_passed, kept_ground = passed[of_body], passed[piece]
    advance(s, body, passed, of_body, time)
    passed[piece] = time
    s[body + X], s[body + Y], s[body + A] = s[body + X0], s[body + Y0], s[body + A0]
    put(s, part, lane)
    update(s, contacts, numbers, ground, lane, earliest)
    contacts[lane, earliest, TIMED] = 0
    contacts[lane, earliest, IMPACTS] += 1
    if not contacts[lane, earliest, TOUCHING]:
        contacts[lane, earliest, ENABLED] = 0
        s[body + X0], s[body + Y0], s[body + A0], s[body + X], s[body + Y], s[body + A] = kept_0
        passed[of_body], passed[piece] = kept_passed, kept_ground
        put(s, part, lane)
        return
    wake(s, part * BODY, lane)
    together = np.int64(1)
    take(c, lane, contacts[lane, earliest], numbers[lane, earliest])
    contacts[lane, earliest, IN_ISLAND] = 1
    for n in range(counts[lane] - 1, -1, -1):
        if contacts[lane, n, PART] != part or contacts[lane, n, IN_ISLAND] or together == MOST_TOGETHER:
            continue
        before = passed[contacts[lane, n, PIECE]]
        passed[contacts[lane, n, PIECE]] = time
        update(s, contacts, numbers, ground, lane, n)
        if contacts[lane, n, TOUCHING]:
            contacts[lane, n, IN_ISLAND] = 1
            take(c, together * SLOT + lane, contacts[lane, n], numbers[lane, n])
            together += 1
        else:
            passed[contacts[lane, n, PIECE]] = before
    _respond(s, c, part, lane, together, (ONE - time) * DT)
    dx, dy, low_x, low_y, high_x, high_y = _swept(s, part, lane)
    moved = move_box(s, part * BODY, lane, low_x, low_y, high_x, high_y, dx, dy)
    for n in range(counts[lane]):
        if contacts[lane, n, PART] == part:
            contacts[lane, n, TIMED] = contacts[lane, n, IN_ISLAND] = 0
    find_new(s, contacts, numbers, counts, ground, near, lane, (1 << part) if moved else 0)


@lean
def _respond(s, c, part, lane, together, rest):
    """Positions, then velocities of the body from its contacts alone, then its motion for the rest of the step."""
    body, mass, inertia = part * BODY, INVERSE_MASS[part], INVERSE_INERTIA[part]
    cx, cy = CENTER[part, 0], CENTER[part, 1]
    s[SOLVED + lane] = ZERO
    for _ in range(POSITION_ITERATIONS):
        s[SEPARATION + lane] = ZERO
        for k in range(together):
            position_in_lane(s, c, body, cx, cy, mass, inertia, k * SLOT, IMPACT_BAUMGARTE, 0, 2, lane)
        if s[SEPARATION + lane] >= IMPACT_ALLOWED:
            break
    at = body + lane
    s[at + X0], s[at + Y0], s[at + A0] = s[at + X], s[at + Y], s[at + A]
    sine, cosine = sine_cosine(s[at + A])
    for k in range(together):
        points = 2 if c[k * SLOT + lane + COUNT] > ONE else 1
        prepare(c, k * SLOT + lane, part, s[at + X], s[at + Y], sine, cosine, points)
    for _ in range(VELOCITY_ITERATIONS // 2):
        vx, vy, w, changed = s[at + VX], s[at + VY], s[at + W], False
        for k in range(together):  # impulses, in rows that are needed no more
            kept = k * SLOT + lane
            c[kept + P1X], c[kept + P1Y], c[kept + P2X], c[kept + P2Y] = (
                c[kept + N1],
                c[kept + T1],
                c[kept + N2],
                c[kept + T2],
            )
        for _ in range(2):
            for k in range(together):
                if c[k * SLOT + lane + COUNT] > ONE:
                    two_in_lane(s, c, body, mass, inertia, k * SLOT, lane)
                else:
                    one_in_lane(s, c, body, mass, inertia, k * SLOT, lane)
        for k in range(together):
            kept = k * SLOT + lane
            changed |= c[kept + P1X] != c[kept + N1] or c[kept + P1Y] != c[kept + T1]
            changed |= c[kept + P2X] != c[kept + N2] or c[kept + P2Y] != c[kept + T2]
        if not changed and vx == s[at + VX] and vy == s[at + VY] and w == s[at + W]:
            break  # at rest, or the last bits go to and fro: all further pairs would leave this too
    vx, vy, w = bounded(s[at + VX], s[at + VY], s[at + W], rest)
    s[at + VX], s[at + VY], s[at + W] = vx, vy, w
    s[at + X] += rest * vx
    s[at + Y] += rest * vy
    s[at + A] += rest * w
    put(s, part, lane)


@lean
def _swept(s, part, lane):
    """Displacement of the body's origin and the box around it from the impact to the end of the step."""
    at = part * BODY + lane
    px, py, low_x, low_y, high_x, high_y = (
        s[at + PX],
        s[at + PY],
        s[at + LOW_X],
        s[at + LOW_Y],
        s[at + HIGH_X],
        s[at + HIGH_Y],
    )
    sine, cosine = sine_cosine(s[at + A0])
    x = s[at + X0] - (cosine * CENTER[part, 0] - sine * CENTER[part, 1])
    y = s[at + Y0] - (sine * CENTER[part, 0] + cosine * CENTER[part, 1])
    start_x = start_y = MAX_FLOAT
    end_x = end_y = -MAX_FLOAT
    for k in range(NUM_VERTICES[part]):
        vx = (cosine * VERTICES[part, k, 0] - sine * VERTICES[part, k, 1]) + x
        vy = (sine * VERTICES[part, k, 0] + cosine * VERTICES[part, k, 1]) + y
        start_x, start_y, end_x, end_y = (
            minimum(start_x, vx),
            minimum(start_y, vy),
            maximum(end_x, vx),
            maximum(end_y, vy),
        )
    low_x, low_y = minimum(start_x - RADIUS, low_x), minimum(start_y - RADIUS, low_y)
    high_x, high_y = maximum(end_x + RADIUS, high_x), maximum(end_y + RADIUS, high_y)
    return px - x, py - y, low_x, low_y, high_x, high_y


assert VELOCITY_ITERATIONS % 2 == 0
