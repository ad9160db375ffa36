"""The five bodies: shapes, masses, the rows of their state, and how they move between impulses.

A lane is one walker. All lanes' numbers stand in one flat array of 32-bit floats, row by row; a row has LANES entries.
Loops over lanes thus become vector instructions. Scalar phases take one lane's numbers from the same rows.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from envs.walker.rotation import sine_cosine
from networks.compiled import LANES, WIDTH
from networks.jit import inlined, lean

F = np.float32
ZERO, HALF, ONE = F(0), F(0.5), F(1)
MAX_FLOAT = np.finfo(F).max
EPSILON = np.finfo(F).eps
PI = F(3.14159265359)

# Box2D's settings (b2Settings.h)
SLOP, ANGULAR_SLOP = F(0.005), F(2) / F(180) * PI
RADIUS = F(2) * SLOP  # the skin around every shape
AABB_MARGIN, AABB_MULTIPLIER = F(0.1), F(2)
MAX_TRANSLATION, MAX_ROTATION = F(2), HALF * PI
MAX_TRANSLATION_SQUARED, MAX_ROTATION_SQUARED = MAX_TRANSLATION * MAX_TRANSLATION, MAX_ROTATION * MAX_ROTATION
SLEEP_LINEAR, SLEEP_ANGULAR, TIME_TO_SLEEP = F(0.01) * F(0.01), ANGULAR_SLOP * ANGULAR_SLOP, F(0.5)

# The environment's settings (Gymnasium's bipedal_walker.py), in its units of metres, seconds and kilograms
SCALE, FPS = 30.0, 50
DT, GRAVITY = F(1.0 / FPS), F(-10)
LEG_DOWN, LEG_WIDTH, LEG_HEIGHT = -8 / SCALE, 8 / SCALE, 34 / SCALE
HULL_OUTLINE = ((34, -8), (34, 1), (6, 9), (-30, 9), (-30, -8))  # anticlockwise, as Box2D sorts it
GROUND_FRICTION, HULL_FRICTION, LEG_FRICTION = F(2.5), F(0.1), F(0.2)

Points = npt.NDArray[np.float32]


class Body(NamedTuple):
    """Shape and mass of a body, relative to its origin."""

    vertices: Points  # (V, 2) anticlockwise
    normals: Points  # (V, 2) of the edges, edge i from vertex i
    centroid: Points  # (2,) of the shape, which tells on which side of a piece of ground it is
    inverse_mass: np.float32
    inverse_inertia: np.float32  # about the centre of mass
    center: Points  # (2,) of mass
    friction: np.float32  # with the ground: the geometric mean of both


def _cross(a: Points, b: Points) -> np.float32:
    return a[0] * b[1] - a[1] * b[0]


def polygon(vertices: npt.ArrayLike, density: float, friction: np.float32, box: bool) -> Body:
    """The body with this one shape (b2PolygonShape::Set and ComputeMass, b2Body::ResetMassData), in 32-bit floats."""
    v = np.asarray(vertices, F)
    edges = np.roll(v, -1, axis=0) - v
    normals = np.stack([ONE * edges[:, 1], -ONE * edges[:, 0]], axis=1)
    normals = normals * (ONE / np.sqrt(normals[:, 0] * normals[:, 0] + normals[:, 1] * normals[:, 1]))[:, None]
    third = ONE / F(3)
    area, centroid = ZERO, np.zeros(2, F)
    for p, q in zip(v, np.roll(v, -1, axis=0), strict=True):
        triangle = HALF * _cross(p, q)
        area += triangle
        centroid += triangle * third * (p + q)
    centroid = np.zeros(2, F) if box else centroid * (ONE / area)
    middle = np.zeros(2, F)
    for p in v:
        middle += p
    middle *= ONE / F(len(v))
    area, inertia, center = ZERO, ZERO, np.zeros(2, F)
    for p, q in zip(v - middle, np.roll(v, -1, axis=0) - middle, strict=True):
        double = _cross(p, q)
        triangle = HALF * double
        area += triangle
        center += triangle * third * (p + q)
        squares = p * p + q * p + q * q
        inertia += F(0.25) * third * double * (squares[0] + squares[1])
    mass = F(density) * area
    center *= ONE / area
    from_origin = center + middle
    inertia = F(density) * inertia + mass * (_dot(from_origin, from_origin) - _dot(center, center))
    inverse_mass = ONE / mass
    center = (mass * from_origin) * inverse_mass
    inertia -= mass * _dot(center, center)
    return Body(v, normals, centroid, inverse_mass, ONE / inertia, center, np.sqrt(GROUND_FRICTION * friction))


def _dot(a: Points, b: Points) -> np.float32:
    return a[0] * b[0] + a[1] * b[1]


def _box(width: float, height: float) -> list[tuple[float, float]]:
    return [(-width, -height), (width, -height), (width, height), (-width, height)]


HULL_BODY = polygon([(x / SCALE, y / SCALE) for x, y in HULL_OUTLINE], 5.0, HULL_FRICTION, box=False)
THIGH_BODY = polygon(_box(LEG_WIDTH / 2, LEG_HEIGHT / 2), 1.0, LEG_FRICTION, box=True)
SHIN_BODY = polygon(_box(0.8 * LEG_WIDTH / 2, LEG_HEIGHT / 2), 1.0, LEG_FRICTION, box=True)
BODIES = (HULL_BODY, THIGH_BODY, SHIN_BODY, THIGH_BODY, SHIN_BODY)  # in the order of their creation
NUM_BODIES, MOST_VERTICES = 5, 5
HULL, THIGH, SHIN, THIGH_2, SHIN_2 = range(5)

# The same as arrays that kernels read by a body's number.
NUM_VERTICES = np.array([len(body.vertices) for body in BODIES])
VERTICES, NORMALS = np.zeros((NUM_BODIES, MOST_VERTICES, 2), F), np.zeros((NUM_BODIES, MOST_VERTICES, 2), F)
for _number, _body in enumerate(BODIES):
    VERTICES[_number, : len(_body.vertices)], NORMALS[_number, : len(_body.normals)] = _body.vertices, _body.normals
CENTROID = np.array([body.centroid for body in BODIES])
CENTER = np.array([body.center for body in BODIES])
INVERSE_MASS = np.array([body.inverse_mass for body in BODIES])
INVERSE_INERTIA = np.array([body.inverse_inertia for body in BODIES])
FRICTION = np.array([body.friction for body in BODIES])
REACH = np.array([np.sqrt(((body.vertices - body.center) ** 2).sum(axis=1)).max() for body in BODIES])  # of vertices

HULL_MASS, HULL_INERTIA = HULL_BODY.inverse_mass, HULL_BODY.inverse_inertia
THIGH_MASS, THIGH_INERTIA = THIGH_BODY.inverse_mass, THIGH_BODY.inverse_inertia
SHIN_MASS, SHIN_INERTIA = SHIN_BODY.inverse_mass, SHIN_BODY.inverse_inertia

# ---- rows -----------------------------------------------------------------------------------------------------------

# Of a body: centre of mass, angle and their velocities; sine, cosine and origin of its frame; centre and angle at the
# start of the step; how long it has been still, whether it is awake; the box around it, now and a step ago, and the
# wider one in which it may move without being looked for anew; its vertices in the world.
X, Y, A, VX, VY, W, SIN, COS, PX, PY, X0, Y0, A0, STILL, AWAKE = (row * LANES for row in range(15))
LOW_X, LOW_Y, HIGH_X, HIGH_Y = (row * LANES for row in range(15, 19))
OLD_LOW_X, OLD_LOW_Y, OLD_HIGH_X, OLD_HIGH_Y, OLD_PX, OLD_PY = (row * LANES for row in range(19, 25))
FAT_LOW_X, FAT_LOW_Y, FAT_HIGH_X, FAT_HIGH_Y = (row * LANES for row in range(25, 29))
VERTEX_X, VERTEX_Y, OLD_VERTEX_X, OLD_VERTEX_Y = 29 * LANES, 34 * LANES, 39 * LANES, 44 * LANES
BODY_ROWS = 49
HULL_AT, THIGH_AT, SHIN_AT, THIGH_2_AT, SHIN_2_AT = (body * BODY_ROWS * LANES for body in range(NUM_BODIES))
BODY = BODY_ROWS * LANES  # from one body to the next

# Of a joint: the impulses kept from step to step; whether it stands at a limit; the motor; and what a step prepares.
IMPULSE_X, IMPULSE_Y, IMPULSE_Z, MOTOR, LIMIT, SPEED, MOST = (row * LANES for row in range(7))
RAX, RAY, RBX, RBY, K11, K12, K22, K13, K23, DET_2, DET_3, CROSS_X, CROSS_Y, CROSS_Z = (
    row * LANES for row in range(7, 21)
)
JOINT_ROWS = 21
JOINT = JOINT_ROWS * LANES
JOINTS_AT = NUM_BODIES * BODY
HIP_AT, KNEE_AT, HIP_2_AT, KNEE_2_AT = (JOINTS_AT + joint * JOINT for joint in range(4))

# Of the walker: the force on the hull in the first step, whether impulses are kept from the step before, whether the
# hull has touched the ground, whether the shins do; and what the solvers note.
FORCE, RATIO, FALLEN, TOUCH, TOUCH_2, SOLVED, SEPARATION, STILLNESS = (
    JOINTS_AT + 4 * JOINT + row * LANES for row in range(8)
)
NUM_ROWS = NUM_BODIES * BODY_ROWS + 4 * JOINT_ROWS + 8
NOT_NEGATIVE = (1 << 30) - 1  # tells the compiler that an offset is none from the end


# ---- motion ---------------------------------------------------------------------------------------------------------


@inlined
def minimum(a, b):
    return a if a < b else b


@inlined
def maximum(a, b):
    return a if a > b else b


@inlined
def clamp(a, low, high):
    return maximum(low, minimum(a, high))


@inlined
def copy_row(array, source, target):
    """By a loop, since numba makes a new array where one row is assigned to another."""
    for k in range(array.shape[1]):
        array[target, k] = array[source, k]


@inlined
def integrate_velocity(s, body, inverse_mass, force_at, lanes):
    """Gravity, and the force on the hull, for one body in all lanes (semi-implicit Euler, first half)."""
    for i in range(lanes & -WIDTH):
        force = s[force_at + i] if body == HULL_AT else ZERO
        s[body + X0 + i], s[body + Y0 + i], s[body + A0 + i] = s[body + X + i], s[body + Y + i], s[body + A + i]
        s[body + VX + i] += DT * (inverse_mass * force)
        s[body + VY + i] += DT * (GRAVITY + inverse_mass * ZERO)


@inlined
def bounded(vx, vy, w, h):
    """Velocities that move a body by no more than 2 m and a quarter turn in the time h."""
    dx, dy = h * vx, h * vy
    far = dx * dx + dy * dy
    ratio = MAX_TRANSLATION / np.sqrt(far) if far > MAX_TRANSLATION_SQUARED else ONE
    turn = h * w
    turned = MAX_ROTATION / abs(turn) if turn * turn > MAX_ROTATION_SQUARED else ONE
    return vx * ratio, vy * ratio, w * turned


@inlined
def integrate_position(s, body, lanes):
    """Semi-implicit Euler, second half."""
    for i in range(lanes & -WIDTH):
        vx, vy, w = bounded(s[body + VX + i], s[body + VY + i], s[body + W + i], DT)
        s[body + VX + i], s[body + VY + i], s[body + W + i] = vx, vy, w
        s[body + X + i] += DT * vx
        s[body + Y + i] += DT * vy
        s[body + A + i] += DT * w


@inlined
def frame_in_lane(s, body, number, i):
    """Sine, cosine and origin of a body's frame in lane i, from centre of mass and angle."""
    sine, cosine = sine_cosine(s[body + A + i])
    s[body + SIN + i], s[body + COS + i] = sine, cosine
    s[body + PX + i] = s[body + X + i] - (cosine * CENTER[number, 0] - sine * CENTER[number, 1])
    s[body + PY + i] = s[body + Y + i] - (sine * CENTER[number, 0] + cosine * CENTER[number, 1])


@lean
def place(s, body, number, lanes):
    """Frame, vertices and box of a body in all lanes."""
    for i in range(lanes & -WIDTH):
        frame_in_lane(s, body, number, i)
    enclose(s, body, number, 0, lanes & -WIDTH)


@lean
def enclose(s, body, number, first, stop):
    """Vertices and box of a body in lanes first..stop - 1, from its frame."""
    for k in range(NUM_VERTICES[number]):
        x, y, row = VERTICES[number, k, 0], VERTICES[number, k, 1], body + k * LANES
        for i in range(first, stop):
            sine, cosine = s[body + SIN + i], s[body + COS + i]
            s[row + VERTEX_X + i] = (cosine * x - sine * y) + s[body + PX + i]
            s[row + VERTEX_Y + i] = (sine * x + cosine * y) + s[body + PY + i]
    for i in range(first, stop):
        s[body + LOW_X + i] = s[body + HIGH_X + i] = s[body + VERTEX_X + i]
        s[body + LOW_Y + i] = s[body + HIGH_Y + i] = s[body + VERTEX_Y + i]
    for k in range(1, NUM_VERTICES[number]):
        row = body + k * LANES
        for i in range(first, stop):
            x, y = s[row + VERTEX_X + i], s[row + VERTEX_Y + i]
            s[body + LOW_X + i], s[body + HIGH_X + i] = (
                minimum(s[body + LOW_X + i], x),
                maximum(s[body + HIGH_X + i], x),
            )
            s[body + LOW_Y + i], s[body + HIGH_Y + i] = (
                minimum(s[body + LOW_Y + i], y),
                maximum(s[body + HIGH_Y + i], y),
            )
    for i in range(first, stop):
        s[body + LOW_X + i], s[body + LOW_Y + i] = s[body + LOW_X + i] - RADIUS, s[body + LOW_Y + i] - RADIUS
        s[body + HIGH_X + i], s[body + HIGH_Y + i] = s[body + HIGH_X + i] + RADIUS, s[body + HIGH_Y + i] + RADIUS


@lean
def move_box(s, body, i, low_x, low_y, high_x, high_y, dx, dy):
    """Widen the box of lane i's body where it no longer holds all of (low, high); says whether it had to.

    b2DynamicTree::MoveProxy: a margin, and twice the displacement ahead.
    """
    if (
        s[body + FAT_LOW_X + i] <= low_x
        and s[body + FAT_LOW_Y + i] <= low_y
        and high_x <= s[body + FAT_HIGH_X + i]
        and high_y <= s[body + FAT_HIGH_Y + i]
    ):
        return False
    low_x, low_y = low_x - AABB_MARGIN, low_y - AABB_MARGIN
    high_x, high_y = high_x + AABB_MARGIN, high_y + AABB_MARGIN
    dx, dy = AABB_MULTIPLIER * dx, AABB_MULTIPLIER * dy
    if dx < ZERO:
        low_x += dx
    else:
        high_x += dx
    if dy < ZERO:
        low_y += dy
    else:
        high_y += dy
    s[body + FAT_LOW_X + i], s[body + FAT_LOW_Y + i] = low_x, low_y
    s[body + FAT_HIGH_X + i], s[body + FAT_HIGH_Y + i] = high_x, high_y
    return True
