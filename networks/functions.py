"""Elementary functions as numba kernels of one number, without branches, so that loops over them become vector code.

They use nothing but additions, multiplications, divisions and fused multiply-adds, each of which IEEE 754 rounds in one
way only. So a result is the same on every processor, and does not depend on the numbers beside it. In 64 bits sine,
cosine, exp and tanh; in 32 bits exp and log.
"""

import math

import numpy as np
from numba import types

from networks.jit import kernel, operation


@operation
def fma(context, a, b, c):
    """a * b + c, rounded once, of three numbers of one width."""
    return a(a, a, a), lambda context, builder, signature, arguments: builder.fma(*arguments)


@operation
def _bits(context, x):
    """The 64 bits of a float64 as an integer."""
    return types.int64(types.float64), _bitcast


@operation
def _from_bits(context, x):
    """The float64 that has these 64 bits."""
    return types.float64(types.int64), _bitcast


def _bitcast(context, builder, signature, arguments):
    return builder.bitcast(arguments[0], context.get_value_type(signature.return_type))


# ---- 64 bits -------------------------------------------------------------------------------------------------------

# Adding it rounds to an integer, which then stands in the lowest bits.
ROUND = 1.5 * 2.0**52

# pi/2 and log 2 as sums of two numbers, together good for 107 bits.
HALF_PI, HALF_PI_REST = math.pi / 2, 6.123233995736766e-17
LOG_2, LOG_2_REST = 0.6931471805599453, 2.3190468138462996e-17

# Near-minimax polynomials (Chebyshev interpolation with 60 digits), lowest power first: (sin r - r) / r^3 and
# (cos r - 1 + r^2/2) / r^4 in r^2 for |r| <= pi/4, (exp r - 1 - r) / r^2 in r for |r| <= log(2)/2.
SINE_COEFFICIENTS = (
    -0.16666666666666666, 0.008333333333330946, -0.0001984126983675497,
    2.755731610068303e-06, -2.5051131455427946e-08, 1.591810123027412e-10,
)  # fmt: skip
COSINE_COEFFICIENTS = (
    0.041666666666666664, -0.0013888888888887395, 2.4801587298763433e-05,
    -2.7557317270560326e-07, 2.0876146024689747e-09, -1.1382614868556325e-11,
)  # fmt: skip
EXP_COEFFICIENTS = (
    0.5000000000000001, 0.16666666666666669, 0.04166666666662413, 0.008333333333330062, 0.0013888888917213717,
    0.00019841269863053618, 2.4801521295954376e-05, 2.7557268459997064e-06, 2.7620088445409746e-07,
    2.510038549551032e-08,
)  # fmt: skip


@kernel
def _polynomial(x, coefficients):
    """Horner's scheme for the even and the odd powers apart, which halves the chain of operations; unrolled."""
    square = x * x
    even, odd = coefficients[-2], coefficients[-1]
    for i in range(len(coefficients) - 4, -1, -2):
        even, odd = fma(even, square, coefficients[i]), fma(odd, square, coefficients[i + 1])
    return fma(odd, x, even)


@kernel
def sine_cosine(x):
    """Sine and cosine within 1.5 units in the last place, for |x| <= pi FAR; exact at 0, NaN for NaN.

    Quadrant n and the rest r of x = n pi/2 + r, |r| <= pi/4 (Cody and Waite 1980); then both polynomials, exchanged and
    negated as the quadrant asks.
    """
    shifted = fma(x, 2 / math.pi, ROUND)
    n, quadrant = shifted - ROUND, _bits(shifted)
    r = fma(-n, HALF_PI_REST, fma(-n, HALF_PI, x))
    square = r * r
    sine = fma(_polynomial(square, SINE_COEFFICIENTS), square * r, r)
    cosine = fma(_polynomial(square, COSINE_COEFFICIENTS), square * square, fma(-0.5, square, 1.0))
    odd = (quadrant & 1) != 0
    sine, cosine = (cosine if odd else sine), (sine if odd else cosine)
    return (
        _from_bits(_bits(sine) ^ ((quadrant & 2) << 62)),
        _from_bits(_bits(cosine) ^ (((quadrant + 1) & 2) << 62)),
    )


@kernel
def _reduced_exp(x):
    """(p, t) with exp x = (1 + p) 2^k, where k stands in the lowest bits of t."""
    t = fma(x, 1 / LOG_2, ROUND)
    k = t - ROUND
    r = fma(-k, LOG_2_REST, fma(-k, LOG_2, x))
    return fma(_polynomial(r, EXP_COEFFICIENTS), r * r, r), t


@kernel
def _power_of_two(t, offset):
    """2^(k + offset), where k stands in the lowest bits of t."""
    return _from_bits((_bits(t) << 52) + ((1023 + offset) << 52))


@kernel
def exp(x):
    """exp x for x <= 0, within one unit in the last place; 0 below -745.2, where float64 ends."""
    p, t = _reduced_exp(-800.0 if x < -800.0 else x)
    power = _power_of_two(t, 512)  # in two steps, because 2^k alone may be too small for a float64
    return fma(p, power, power) * 2.0**-512


@kernel
def tanh(x):
    """tanh x = e / (e + 2) with e = exp(2x) - 1, within 2.5 units in the last place."""
    double = 2 * abs(x)
    p, t = _reduced_exp(44.0 if double > 44.0 else double)
    power = _power_of_two(t, 0)
    e = fma(p, power, power - 1)
    return math.copysign(e / (e + 2), x)


# ---- 32 bits -------------------------------------------------------------------------------------------------------

# In a kernel 32-bit numbers stay 32-bit only among themselves.
ONE, TWO = np.float32(1), np.float32(2)
ROUND_32 = np.float32(1.5 * 2.0**23)  # adding it rounds to an integer, which then stands in the lowest bits
EXPONENT, EXPONENT_OF_1 = np.int32(23), np.int32(127 << 23)  # where the exponent's bits begin, and those of 1
BITS_OF_SQRT_HALF = np.int32(0x3F3504F3)
LOG_2_32, LOG_2_32_REST, INVERSE_LOG_2 = (np.float32(x) for x in (0.6931472, -1.9046542e-09, 1.442695))

# Minimax polynomials (Remez, with 40 digits), lowest power first: (exp r - 1 - r) / r^2 in r for |r| <= log(2)/2,
# and (log m - 2s) / s^3 in s^2, where s = (m - 1) / (m + 1), for 1/sqrt(2) <= m <= sqrt(2).
EXP_0, EXP_1, EXP_2, EXP_3, EXP_4 = (
    np.float32(c) for c in (0.5, 0.16666543, 0.04166628, 0.008366584, 0.001394645)
)  # fmt: skip
LOG_A, LOG_B, LOG_C = (np.float32(c) for c in (0.66666776, 0.39977497, 0.29873073))


@kernel
def exp_32(x):
    """exp x for |x| <= 87, within 1.1 units in the last place."""
    t = fma(x, INVERSE_LOG_2, ROUND_32)
    k = t - ROUND_32
    r = fma(-k, LOG_2_32_REST, fma(-k, LOG_2_32, x))
    p = fma(fma(fma(fma(EXP_4, r, EXP_3), r, EXP_2), r, EXP_1), r, EXP_0)
    power = np.int32((np.float32(t).view(np.int32) << EXPONENT) + EXPONENT_OF_1).view(np.float32)
    return fma(fma(p, r * r, r), power, power)


@kernel
def log_32(x):
    """log x of a finite x >= 1, within 2 units in the last place."""
    bits = np.float32(x).view(np.int32)
    k = (bits - BITS_OF_SQRT_HALF) >> EXPONENT
    m = np.int32(bits - (k << EXPONENT)).view(np.float32)
    s = (m - ONE) / (m + ONE)
    square = s * s
    p = fma(fma(LOG_C, square, LOG_B), square, LOG_A)
    return fma(np.float32(k), LOG_2_32, fma(p, square * s, TWO * s))
