"""Sine and cosine of 32-bit floats as the C library gives them."""

import numpy as np

from networks.jit import inlined

# Polynomials and reduction of W. Dijkstra's sincosf (Arm's optimized routines, in glibc since 2.28): the angle is
# reduced to a quadrant and the polynomials are evaluated in 64 bits, so that nearly all results are those rounded once.
_hex = float.fromhex
QUADRANTS, HALF_PI = _hex("0x1.45F306DC9C883p+23"), _hex("0x1.921FB54442D18p0")  # 2^24 / (pi/2), pi/2
C1, C2 = _hex("-0x1.ffffffd0c621cp-2"), _hex("0x1.55553e1068f19p-5")
C3, C4 = _hex("-0x1.6c087e89a359dp-10"), _hex("0x1.99343027bf8c3p-16")
S1, S2, S3 = _hex("-0x1.555545995a603p-3"), _hex("0x1.1107605230bc4p-7"), _hex("-0x1.994eb3774cf24p-13")
QUARTER, ONE, TWO, THREE, FOUR = (np.float32(value) for value in (0.25, 1, 2, 3, 4))


@inlined
def sine_cosine(angle):
    """Sine and cosine of a float32; below 120 radians those of glibc, but for one in some ten million beyond 3."""
    x = np.float64(angle)
    n = np.floor((np.trunc(x * QUADRANTS) + 8388608.0) * 5.9604644775390625e-08)
    x = x - n * HALF_PI
    x2 = x * x
    x3, x4 = x2 * x, x2 * x2
    sine = (x + x3 * S1) + (x3 * x2) * (S2 + x2 * S3)
    cosine = ((1.0 + x2 * C1) + x4 * C2) + (x4 * x2) * (C3 + x2 * C4)
    # From here on in 32 bits, of which a vector holds twice as many.
    sine, cosine, n = np.float32(sine), np.float32(cosine), np.float32(n)
    quadrant = n - FOUR * np.floor(n * QUARTER)
    odd = (quadrant == ONE) | (quadrant == THREE)
    s, c = (cosine if odd else sine), (sine if odd else cosine)
    s = -s if quadrant >= TWO else s
    c = -c if (quadrant == ONE) | (quadrant == TWO) else c
    return s, c
