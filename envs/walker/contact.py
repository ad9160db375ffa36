"""Which bodies are near which piece of ground, and where they touch.

A contact is a pair of a body and a piece of ground whose widened boxes overlap (the broad phase, b2ContactManager); it
touches where the shapes do (the narrow phase, b2CollideEdgeAndPolygon). The order of contacts decides in which order
they are solved: they are made by number of ground, then of body, and every list is read newest first.
"""

import numpy as np

from envs.walker.bodies import (
    AABB_MARGIN,
    AWAKE,
    BODY,
    CENTROID,
    COS,
    FALLEN,
    FAT_HIGH_X,
    FAT_HIGH_Y,
    FAT_LOW_X,
    FAT_LOW_Y,
    HIGH_X,
    HULL,
    LOW_X,
    LOW_Y,
    MAX_FLOAT,
    MOST_VERTICES,
    NORMALS,
    NUM_BODIES,
    NUM_VERTICES,
    ONE,
    PX,
    PY,
    RADIUS,
    SHIN,
    SIN,
    STILL,
    TOUCH,
    TOUCH_2,
    VERTEX_X,
    VERTEX_Y,
    VERTICES,
    ZERO,
    F,
    copy_row,
    maximum,
    minimum,
)
from envs.walker.terrain import GROUND, GROUND_X, STEP
from networks.compiled import LANES
from networks.jit import lean

MOST_CONTACTS = 128  # of a lane; a body that moves as far as one step allows is near 25 pieces of ground
# A contact's integers: body and ground; points that touch, whether it touches, and whether the continuous step uses it;
# the features that make each point; whether the ground's face is the reference; what the continuous step notes.
PART, PIECE, POINTS, TOUCHING, ENABLED, KEY, KEY_2, BY_GROUND, TIMED, IMPACTS, IN_ISLAND = range(11)
# Its floats: normal and point of the reference face, the points on the other shape, impulses, the time of impact.
NORMAL_X, NORMAL_Y, FACE_X, FACE_Y, POINT_X, POINT_Y, POINT_2_X, POINT_2_Y = range(8)
NORMAL_IMPULSE, TANGENT_IMPULSE, NORMAL_IMPULSE_2, TANGENT_IMPULSE_2, TIME = range(8, 13)
NUM_INTEGERS, NUM_FLOATS = 11, 13

# The ground of a lane, by piece: its right end, height of both ends, normal, and the widened box's lowest and highest.
LEFT_Y, RIGHT_Y, UP_X, UP_Y, BOX_LOW, BOX_HIGH = range(6)
GROUND_FLOATS = 6
_SKIN = RADIUS  # as 32-bit floats, in the order of Box2D
BOX_LEFT = (GROUND_X[:-1] - _SKIN) - AABB_MARGIN
BOX_RIGHT = (GROUND_X[1:] + _SKIN) + AABB_MARGIN
TOLERANCE = F(2) * RADIUS  # shapes with skins touch at this distance
APART = TOLERANCE + F(1e-3)  # whatever the rounding
RELATIVE, ABSOLUTE = F(0.98), F(0.001)  # by how much a body's face must be the better reference
INVERSE_STEP = 1.0 / STEP


@lean
def lay_ground(ground, lane, heights):
    """The pieces of ground (GROUND, GROUND_FLOATS) of a lane, from the heights (LENGTH,) of their ends."""
    for g in range(GROUND):
        left, right = np.float32(heights[g]), np.float32(heights[g + 1])
        dx, dy = GROUND_X[g + 1] - GROUND_X[g], right - left
        inverse = ONE / np.sqrt(dx * dx + dy * dy)
        # The normal of b2EPCollider points down; a body above the ground meets its opposite.
        ground[lane, g, UP_X], ground[lane, g, UP_Y] = -(dy * inverse), dx * inverse
        ground[lane, g, LEFT_Y], ground[lane, g, RIGHT_Y] = left, right
        ground[lane, g, BOX_LOW] = (minimum(left, right) - RADIUS) - AABB_MARGIN
        ground[lane, g, BOX_HIGH] = (maximum(left, right) + RADIUS) + AABB_MARGIN


@lean
def find_new(s, contacts, numbers, counts, ground, near, lane, moved):
    """Add the contacts of the bodies in `moved` (a bit each), by ground and body."""
    if moved == 0:
        return
    low, high = MAX_FLOAT, -MAX_FLOAT
    for part in range(NUM_BODIES):
        if moved >> part & 1:
            low = minimum(low, s[part * BODY + FAT_LOW_X + lane])
            high = maximum(high, s[part * BODY + FAT_HIGH_X + lane])
    first = max(0, int(np.floor((low - 0.2) * INVERSE_STEP)) - 1)
    last = min(GROUND - 1, int(np.floor((high + 0.2) * INVERSE_STEP)) + 1)
    for g in range(first, last + 1):
        for part in range(NUM_BODIES):
            if moved >> part & 1 and not near[lane, part, g] and overlaps(s, ground, lane, part, g):
                n = counts[lane]
                if n == MOST_CONTACTS:
                    raise RuntimeError("a walker is near more pieces of ground than its contacts have room for")
                near[lane, part, g] = True
                counts[lane] = n + 1
                contacts[lane, n] = 0
                contacts[lane, n, PART], contacts[lane, n, PIECE], contacts[lane, n, ENABLED] = part, g, 1
                numbers[lane, n] = ZERO
                wake(s, part * BODY, lane)


@lean
def wake(s, body, lane):
    if s[body + AWAKE + lane] == ZERO:
        s[body + AWAKE + lane] = ONE
        s[body + STILL + lane] = ZERO


@lean
def overlaps(s, ground, lane, part, g):
    """Whether the widened boxes of a body and a piece of ground do."""
    body = part * BODY
    if s[body + FAT_LOW_X + lane] - BOX_RIGHT[g] > ZERO or BOX_LEFT[g] - s[body + FAT_HIGH_X + lane] > ZERO:
        return False
    above = s[body + FAT_LOW_Y + lane] - ground[lane, g, BOX_HIGH]
    below = ground[lane, g, BOX_LOW] - s[body + FAT_HIGH_Y + lane]
    return not (above > ZERO or below > ZERO)


@lean
def collide(s, contacts, numbers, counts, ground, near, lane):
    """Drop the contacts whose boxes parted and look anew where the others touch; newest first."""
    kept = 0
    for n in range(counts[lane] - 1, -1, -1):
        part, g = contacts[lane, n, PART], contacts[lane, n, PIECE]
        if overlaps(s, ground, lane, part, g):
            if contacts[lane, n, TOUCHING] or not height(s, ground, lane, part, g, LOW_X) >= APART:
                update(s, contacts, numbers, ground, lane, n)
            else:
                contacts[lane, n, ENABLED] = 1
            kept += 1
        else:
            near[lane, part, g] = False
            if contacts[lane, n, TOUCHING]:
                end(s, lane, part)
            contacts[lane, n, PART] = -1
    if kept < counts[lane]:
        free = 0
        for n in range(counts[lane]):
            if contacts[lane, n, PART] >= 0:
                if free < n:
                    copy_row(contacts[lane], n, free)
                    copy_row(numbers[lane], n, free)
                free += 1
        counts[lane] = free


@lean
def height(s, ground, lane, part, g, box):
    """How far a body's box, now (LOW_X) or a step ago (OLD_LOW_X), is above the line of a piece of ground."""
    at, nx, ny = part * BODY + box + lane, ground[lane, g, UP_X], ground[lane, g, UP_Y]
    x = s[at] if nx > ZERO else s[at + HIGH_X - LOW_X]
    return nx * (x - GROUND_X[g]) + ny * (s[at + LOW_Y - LOW_X] - ground[lane, g, LEFT_Y])


@lean
def begin(s, lane, part):
    """What Gymnasium's ContactDetector notes when a contact begins to touch."""
    if part == HULL:
        s[FALLEN + lane] = ONE
    elif part == SHIN:
        s[TOUCH + lane] = ONE
    elif part == SHIN + 2:
        s[TOUCH_2 + lane] = ONE


@lean
def end(s, lane, part):
    """And when one no longer does, even where another of this body still does."""
    if part == SHIN:
        s[TOUCH + lane] = ZERO
    elif part == SHIN + 2:
        s[TOUCH_2 + lane] = ZERO


@lean
def update(s, contacts, numbers, ground, lane, n):
    """Where contact n touches now (b2Contact::Update): points that stay keep their impulses."""
    contact, number = contacts[lane, n], numbers[lane, n]
    points, key, key_2 = contact[POINTS], contact[KEY], contact[KEY_2]
    normal, tangent = number[NORMAL_IMPULSE], number[TANGENT_IMPULSE]
    normal_2, tangent_2 = number[NORMAL_IMPULSE_2], number[TANGENT_IMPULSE_2]
    contact[ENABLED] = 1
    touch(s, contact, number, ground, lane)
    for k in range(contact[POINTS]):
        now = contact[KEY + k]
        number[NORMAL_IMPULSE + 2 * k] = number[TANGENT_IMPULSE + 2 * k] = ZERO
        if points > 0 and now == key:
            number[NORMAL_IMPULSE + 2 * k], number[TANGENT_IMPULSE + 2 * k] = normal, tangent
        elif points > 1 and now == key_2:
            number[NORMAL_IMPULSE + 2 * k], number[TANGENT_IMPULSE + 2 * k] = normal_2, tangent_2
    touching = contact[POINTS] > 0
    if touching != (contact[TOUCHING] != 0):
        wake(s, contact[PART] * BODY, lane)
        contact[TOUCHING] = touching
        if touching:
            begin(s, lane, contact[PART])
        else:
            end(s, lane, contact[PART])


@lean
def feature(index_ground, index_body, face_ground, face_body):
    """What makes a point: a corner or a face (1) of the ground and of the body, by number."""
    return index_ground | index_body << 8 | face_ground << 16 | face_body << 24


@lean
def touch(s, contact, number, ground, lane):
    """The points where a body and a piece of ground touch (b2EPCollider::Collide for an edge without neighbours)."""
    contact[POINTS] = 0
    part, g = contact[PART], contact[PIECE]
    body, count = part * BODY, NUM_VERTICES[part]
    x1, y1, x2, y2 = GROUND_X[g], ground[lane, g, LEFT_Y], GROUND_X[g + 1], ground[lane, g, RIGHT_Y]
    nx, ny = ground[lane, g, UP_X], ground[lane, g, UP_Y]
    sine, cosine = s[body + SIN + lane], s[body + COS + lane]
    px, py = s[body + PX + lane], s[body + PY + lane]
    # The side of the ground on which the body's centre is.
    cx = (cosine * CENTROID[part, 0] - sine * CENTROID[part, 1]) + px
    cy = (sine * CENTROID[part, 0] + cosine * CENTROID[part, 1]) + py
    front = -nx * (cx - x1) + -ny * (cy - y1) >= ZERO
    if front:
        nx, ny = -nx, -ny
    by_ground = MAX_FLOAT
    for k in range(count):
        vx, vy = s[body + VERTEX_X + k * LANES + lane], s[body + VERTEX_Y + k * LANES + lane]
        by_ground = minimum(nx * (vx - x1) + ny * (vy - y1), by_ground)
    if by_ground > TOLERANCE:
        return
    by_body, best = -MAX_FLOAT, -1
    most_opposite, opposite = MAX_FLOAT, 0
    for k in range(count):
        mx = cosine * NORMALS[part, k, 0] - sine * NORMALS[part, k, 1]
        my = sine * NORMALS[part, k, 0] + cosine * NORMALS[part, k, 1]
        vx, vy = s[body + VERTEX_X + k * LANES + lane], s[body + VERTEX_Y + k * LANES + lane]
        apart = minimum(-mx * (vx - x1) + -my * (vy - y1), -mx * (vx - x2) + -my * (vy - y2))
        if apart > TOLERANCE:
            return
        if apart > by_body:
            by_body, best = apart, k
        along = nx * mx + ny * my
        if along < most_opposite:
            most_opposite, opposite = along, k
    reference_is_ground = not (by_body > RELATIVE * by_ground + ABSOLUTE)
    if reference_is_ground:
        other = opposite + 1 if opposite + 1 < count else 0
        ax, ay = s[body + VERTEX_X + opposite * LANES + lane], s[body + VERTEX_Y + opposite * LANES + lane]
        bx, by = s[body + VERTEX_X + other * LANES + lane], s[body + VERTEX_Y + other * LANES + lane]
        key_a, key_b = feature(0, opposite, 1, 0), feature(0, other, 1, 0)
        index_a, index_b = opposite, other
        first, second = (0, 1) if front else (1, 0)
        fx, fy, ex, ey = (x1, y1, x2, y2) if front else (x2, y2, x1, y1)
        mx, my = nx, ny
    else:
        other = best + 1 if best + 1 < count else 0
        ax, ay, bx, by = x1, y1, x2, y2
        key_a, key_b = feature(0, best, 0, 1), feature(0, best, 0, 1)
        index_a, index_b = best, best
        first, second = best, other
        fx, fy = s[body + VERTEX_X + best * LANES + lane], s[body + VERTEX_Y + best * LANES + lane]
        ex, ey = s[body + VERTEX_X + other * LANES + lane], s[body + VERTEX_Y + other * LANES + lane]
        mx = cosine * NORMALS[part, best, 0] - sine * NORMALS[part, best, 1]
        my = sine * NORMALS[part, best, 0] + cosine * NORMALS[part, best, 1]
    # Clip the other shape's edge to the reference face (Sutherland and Hodgman 1974), at its start and its end.
    sx, sy = my, -mx
    clipped, ax, ay, bx, by, key_a, key_b, index_a, index_b = clip(
        ax, ay, bx, by, key_a, key_b, index_a, index_b, sx, sy, sx * fx + sy * fy, first
    )
    if not clipped:
        return
    sx, sy = -sx, -sy
    clipped, ax, ay, bx, by, key_a, key_b, index_a, index_b = clip(
        ax, ay, bx, by, key_a, key_b, index_a, index_b, sx, sy, sx * ex + sy * ey, second
    )
    if not clipped:
        return
    contact[BY_GROUND] = reference_is_ground
    if reference_is_ground:
        number[NORMAL_X], number[NORMAL_Y], number[FACE_X], number[FACE_Y] = mx, my, fx, fy
    else:
        number[NORMAL_X], number[NORMAL_Y] = NORMALS[part, best, 0], NORMALS[part, best, 1]
        number[FACE_X], number[FACE_Y] = VERTICES[part, best, 0], VERTICES[part, best, 1]
    points = 0
    for k in range(2):
        x, y, key = (ax, ay, key_a) if k == 0 else (bx, by, key_b)
        if mx * (x - fx) + my * (y - fy) <= TOLERANCE:
            if reference_is_ground:
                dx, dy = x - px, y - py
                x, y = cosine * dx + sine * dy, -sine * dx + cosine * dy
            else:
                key = (key >> 8 & 255) | (key & 255) << 8 | (key >> 24) << 16 | (key >> 16 & 255) << 24
            number[POINT_X + 2 * points], number[POINT_Y + 2 * points] = x, y
            contact[KEY + points] = key
            points += 1
    contact[POINTS] = points


@lean
def clip(ax, ay, bx, by, key_a, key_b, index_a, index_b, sx, sy, offset, corner):
    """The part of edge a-b behind a line (b2ClipSegmentToLine); whether two points are left, and they."""
    da, db = (sx * ax + sy * ay) - offset, (sx * bx + sy * by) - offset
    if da <= ZERO and db <= ZERO:
        return True, ax, ay, bx, by, key_a, key_b, index_a, index_b
    if da * db < ZERO:
        part = da / (da - db)
        x, y = ax + part * (bx - ax), ay + part * (by - ay)
        key = feature(corner, index_a, 0, 1)
        if da <= ZERO:
            return True, ax, ay, x, y, key_a, key, index_a, index_a
        return True, bx, by, x, y, key_b, key, index_b, index_a
    return False, ax, ay, bx, by, key_a, key_b, index_a, index_b


assert NORMALS.shape[1] == MOST_VERTICES
