"""Hips and knees: revolute joints with a motor and two limits (b2RevoluteJoint).

A point of body A and one of body B are held together (two equations), at a limit the angle too (a third); the motor
holds the relative speed within its torque. Impulses are accumulated and clamped, and those of the step before are the
first guess (Catto 2005); afterwards positions are corrected by nonlinear Gauss-Seidel (Catto 2009).
"""

import numpy as np

from envs.walker.bodies import (
    ANGULAR_SLOP,
    CENTER,
    COS,
    CROSS_X,
    CROSS_Y,
    CROSS_Z,
    DET_2,
    DET_3,
    HULL,
    IMPULSE_X,
    IMPULSE_Y,
    IMPULSE_Z,
    K11,
    K12,
    K13,
    K22,
    K23,
    LEG_DOWN,
    LEG_HEIGHT,
    LIMIT,
    MOST,
    MOTOR,
    ONE,
    PI,
    RATIO,
    RAX,
    RAY,
    RBX,
    RBY,
    SHIN,
    SIN,
    SLOP,
    SOLVED,
    SPEED,
    THIGH,
    VX,
    VY,
    ZERO,
    A,
    F,
    W,
    X,
    Y,
    clamp,
)
from envs.walker.rotation import sine_cosine
from networks.compiled import WIDTH
from networks.jit import inlined, lean

MOST_CORRECTION = F(8) / F(180) * PI  # of an angle, in one iteration (b2_maxAngularCorrection)
LOWER, UPPER = F(1), F(2)  # values of LIMIT; 0 is neither

# Lower and upper limit of the angle, and the point that a joint holds, from the centres of mass of its bodies.
# Last the angle between the bodies as they were made, from which a joint's angle counts.
HIP_LIMITS, HIP_2_LIMITS = (F(-0.8), F(1.1), F(-0.05)), (F(-0.8), F(1.1), F(0.05))
KNEE_LIMITS = (F(-1.6), F(-0.1), F(0))
_TOP = (F(0) - CENTER[THIGH, 0], F(LEG_HEIGHT / 2) - CENTER[THIGH, 1])
HIP_POINTS = (F(0) - CENTER[HULL, 0], F(LEG_DOWN) - CENTER[HULL, 1], *_TOP)
KNEE_POINTS = (F(0) - CENTER[THIGH, 0], F(-LEG_HEIGHT / 2) - CENTER[THIGH, 1], *_TOP)
assert CENTER[SHIN].tolist() == CENTER[THIGH].tolist()


@lean
def prepare(s, joint, a, b, mass_a, inertia_a, mass_b, inertia_b, points, limits, lanes):
    """What the iterations of a step need, the state of the limits, and the impulses of the step before."""
    for i in range(lanes & -WIDTH):
        sine_a, cosine_a, sine_b, cosine_b = s[a + SIN + i], s[a + COS + i], s[b + SIN + i], s[b + COS + i]
        rax, ray = cosine_a * points[0] - sine_a * points[1], sine_a * points[0] + cosine_a * points[1]
        rbx, rby = cosine_b * points[2] - sine_b * points[3], sine_b * points[2] + cosine_b * points[3]
        k11 = mass_a + mass_b + ray * ray * inertia_a + rby * rby * inertia_b
        k12 = -ray * rax * inertia_a - rby * rbx * inertia_b
        k13 = -ray * inertia_a - rby * inertia_b
        k22 = mass_a + mass_b + rax * rax * inertia_a + rbx * rbx * inertia_b
        k23 = rax * inertia_a + rbx * inertia_b
        k33 = inertia_a + inertia_b
        cross_x, cross_y, cross_z = k22 * k33 - k23 * k23, k23 * k13 - k12 * k33, k12 * k23 - k22 * k13
        det_2 = k11 * k22 - k12 * k12
        det_3 = (k11 * cross_x + k12 * cross_y) + k13 * cross_z
        s[joint + RAX + i], s[joint + RAY + i], s[joint + RBX + i], s[joint + RBY + i] = rax, ray, rbx, rby
        s[joint + K11 + i], s[joint + K12 + i], s[joint + K22 + i] = k11, k12, k22
        s[joint + K13 + i], s[joint + K23 + i] = k13, k23
        s[joint + CROSS_X + i], s[joint + CROSS_Y + i], s[joint + CROSS_Z + i] = cross_x, cross_y, cross_z
        s[joint + DET_2 + i] = ONE / det_2 if det_2 != ZERO else ZERO
        s[joint + DET_3 + i] = ONE / det_3 if det_3 != ZERO else ZERO
    for i in range(lanes & -WIDTH):
        angle = (s[b + A + i] - s[a + A + i]) - limits[2]
        limit = UPPER if angle >= limits[1] else ZERO
        limit = LOWER if angle <= limits[0] else limit
        kept = (limit == s[joint + LIMIT + i]) & (limit != ZERO)
        ratio = s[RATIO + i]
        impulse_z = (s[joint + IMPULSE_Z + i] if kept else ZERO) * ratio
        px, py = s[joint + IMPULSE_X + i] * ratio, s[joint + IMPULSE_Y + i] * ratio
        motor = s[joint + MOTOR + i] * ratio
        s[joint + LIMIT + i], s[joint + MOTOR + i] = limit, motor
        s[joint + IMPULSE_X + i], s[joint + IMPULSE_Y + i], s[joint + IMPULSE_Z + i] = px, py, impulse_z
        s[a + VX + i] -= mass_a * px
        s[a + VY + i] -= mass_a * py
        rax, ray, rbx, rby = s[joint + RAX + i], s[joint + RAY + i], s[joint + RBX + i], s[joint + RBY + i]
        s[a + W + i] -= inertia_a * (((rax * py - ray * px) + motor) + impulse_z)
        s[b + VX + i] += mass_b * px
        s[b + VY + i] += mass_b * py
        s[b + W + i] += inertia_b * (((rbx * py - rby * px) + motor) + impulse_z)


@inlined
def velocity_in_lane(s, joint, a, b, mass_a, inertia_a, mass_b, inertia_b, i):
    """One iteration in a lane: the motor, then the point and, at a limit, the angle."""
    motor_mass = ONE / (inertia_a + inertia_b)
    vax, vay, wa = s[a + VX + i], s[a + VY + i], s[a + W + i]
    vbx, vby, wb = s[b + VX + i], s[b + VY + i], s[b + W + i]
    old, most = s[joint + MOTOR + i], s[joint + MOST + i]
    motor = clamp(old + -motor_mass * (wb - wa - s[joint + SPEED + i]), -most, most)
    s[joint + MOTOR + i] = motor
    wa -= inertia_a * (motor - old)
    wb += inertia_b * (motor - old)
    rax, ray, rbx, rby = s[joint + RAX + i], s[joint + RAY + i], s[joint + RBX + i], s[joint + RBY + i]
    cx = ((vbx + -wb * rby) - vax) - -wa * ray
    cy = ((vby + wb * rbx) - vay) - wa * rax
    cz = wb - wa
    k11, k12, k22, det_2 = s[joint + K11 + i], s[joint + K12 + i], s[joint + K22 + i], s[joint + DET_2 + i]
    k13, k23, det_3 = s[joint + K13 + i], s[joint + K23 + i], s[joint + DET_3 + i]
    crx, cry, crz = s[joint + CROSS_X + i], s[joint + CROSS_Y + i], s[joint + CROSS_Z + i]
    k33 = inertia_a + inertia_b
    x = -(det_3 * ((cx * crx + cy * cry) + cz * crz))
    y = -(det_3 * ((k11 * (cy * k33 - cz * k23) + k12 * (cz * k13 - cx * k33)) + k13 * (cx * k23 - cy * k13)))
    z = -(det_3 * ((k11 * (k22 * cz - k23 * cy) + k12 * (k23 * cx - k12 * cz)) + k13 * (k12 * cy - k22 * cx)))
    old_z, limit = s[joint + IMPULSE_Z + i], s[joint + LIMIT + i]
    new_z = old_z + z
    free = ((limit == LOWER) & (new_z < ZERO)) | ((limit == UPPER) & (new_z > ZERO)) | (limit == ZERO)
    bx, by = -cx + old_z * k13, -cy + old_z * k23
    reduced_x, reduced_y = det_2 * (k22 * bx - k12 * by), det_2 * (k11 * by - k12 * bx)
    x, y, z = (reduced_x if free else x), (reduced_y if free else y), (-old_z if free else z)
    s[joint + IMPULSE_Z + i] = ZERO if free else new_z
    s[joint + IMPULSE_X + i] += x
    s[joint + IMPULSE_Y + i] += y
    turn_a, turn_b = (rax * y - ray * x) + z, (rbx * y - rby * x) + z
    s[a + VX + i], s[a + VY + i], s[a + W + i] = vax - mass_a * x, vay - mass_a * y, wa - inertia_a * turn_a
    s[b + VX + i], s[b + VY + i], s[b + W + i] = vbx + mass_b * x, vby + mass_b * y, wb + inertia_b * turn_b


@lean
def solve_velocity(s, joint, a, b, mass_a, inertia_a, mass_b, inertia_b, lanes):
    """One iteration of any joint: slower than where the compiler knows which, as it cannot see that rows lie apart."""
    for i in range(lanes & -WIDTH):
        velocity_in_lane(s, joint, a, b, mass_a, inertia_a, mass_b, inertia_b, i)


@lean
def solve_position(s, joint, a, b, mass_a, inertia_a, mass_b, inertia_b, points, limits, lanes):
    """One iteration in the lanes that are not SOLVED yet (1); those that are wrong by more than a slop get -1."""
    motor_mass = ONE / (inertia_a + inertia_b)
    for i in range(lanes & -WIDTH):
        active, limit = s[SOLVED + i] <= ZERO, s[joint + LIMIT + i]
        ax, ay, angle_a = s[a + X + i], s[a + Y + i], s[a + A + i]
        bx, by, angle_b = s[b + X + i], s[b + Y + i], s[b + A + i]
        angle = (angle_b - angle_a) - limits[2]
        below, above = angle - limits[0], angle - limits[1]
        push_up = -motor_mass * clamp(below + ANGULAR_SLOP, -MOST_CORRECTION, ZERO)
        push_down = -motor_mass * clamp(above - ANGULAR_SLOP, ZERO, MOST_CORRECTION)
        push, wrong = (push_up if limit == LOWER else ZERO), (-below if limit == LOWER else ZERO)
        push, wrong = (push_down if limit == UPPER else push), (above if limit == UPPER else wrong)
        new_a, new_b = angle_a - inertia_a * push, angle_b + inertia_b * push
        sine_a, cosine_a = sine_cosine(new_a)
        sine_b, cosine_b = sine_cosine(new_b)
        rax, ray = cosine_a * points[0] - sine_a * points[1], sine_a * points[0] + cosine_a * points[1]
        rbx, rby = cosine_b * points[2] - sine_b * points[3], sine_b * points[2] + cosine_b * points[3]
        cx, cy = ((bx + rbx) - ax) - rax, ((by + rby) - ay) - ray
        apart = np.sqrt(cx * cx + cy * cy)
        k11 = mass_a + mass_b + inertia_a * ray * ray + inertia_b * rby * rby
        k12 = -inertia_a * rax * ray - inertia_b * rbx * rby
        k22 = mass_a + mass_b + inertia_a * rax * rax + inertia_b * rbx * rbx
        det = k11 * k22 - k12 * k12
        det = ONE / det if det != ZERO else ZERO
        x, y = -(det * (k22 * cx - k12 * cy)), -(det * (k11 * cy - k12 * cx))
        s[a + X + i], s[a + Y + i] = (ax - mass_a * x if active else ax), (ay - mass_a * y if active else ay)
        s[b + X + i], s[b + Y + i] = (bx + mass_b * x if active else bx), (by + mass_b * y if active else by)
        new_a, new_b = new_a - inertia_a * (rax * y - ray * x), new_b + inertia_b * (rbx * y - rby * x)
        s[a + A + i], s[b + A + i] = (new_a if active else angle_a), (new_b if active else angle_b)
        bad = active & ((apart > SLOP) | (wrong > ANGULAR_SLOP))
        s[SOLVED + i] = -ONE if bad else s[SOLVED + i]
