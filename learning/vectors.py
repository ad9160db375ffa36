"""Sixteen 32-bit floats as one value in numba kernels.

Without leave to reorder additions a compiler cannot vectorise a dot product, and with that leave the result depends on
the processor. Here the kernel itself says which partial sums there are: sixteen side by side. Every operation is the
same IEEE operation on every processor, with registers of any width, so the bits are the same too.
"""

import math
from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils
from numba.extending import models, register_model

from networks.jit import kernel, operation

VECTOR = 16  # floats in a value

_INDEX = ir.IntType(32)
_VECTOR = ir.VectorType(ir.FloatType(), VECTOR)


class _Lanes(types.Type):
    def __init__(self) -> None:
        super().__init__(name=f"Lanes({VECTOR} x float32)")


_lanes = _Lanes()


@register_model(_Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, lanes: _Lanes) -> None:
        super().__init__(manager, lanes, _VECTOR)


def _indices(indices: list[int]) -> ir.Constant:
    return ir.Constant(ir.VectorType(_INDEX, VECTOR), [ir.Constant(_INDEX, i) for i in indices])


def _address(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    """Where element [row, column] of a 2-d array lies, as the address of sixteen floats."""
    array = context.make_array(signature.args[0])(context, builder, args[0])
    index = [context.cast(builder, args[i], signature.args[i], types.intp) for i in (1, 2)]
    pointer = cgutils.get_item_pointer(context, builder, signature.args[0], array, index, wraparound=False)
    return builder.bitcast(pointer, _VECTOR.as_pointer())


@operation
def load(typing: Any, array: Any, row: Any, column: Any) -> Any:
    """`array[row, column : column + 16]` of a C-contiguous float32 array; no bounds are checked."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        lanes = builder.load(_address(context, builder, signature, args))
        lanes.align = 4
        return lanes

    return _lanes(array, row, column), generate


@operation
def store(typing: Any, array: Any, row: Any, column: Any, lanes: Any) -> Any:
    """`array[row, column : column + 16] = lanes`, the counterpart of `load`."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.store(args[3], _address(context, builder, signature, args)).align = 4
        return context.get_dummy_value()

    return types.void(array, row, column, lanes), generate


@operation
def broadcast(typing: Any, value: Any) -> Any:
    """A float32 in all lanes."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        empty = ir.Constant(_VECTOR, ir.Undefined)
        first = builder.insert_element(empty, args[0], ir.Constant(_INDEX, 0))
        return builder.shuffle_vector(first, empty, _indices([0] * VECTOR))

    return _lanes(types.float32), generate


@operation
def add(typing: Any, a: Any, b: Any) -> Any:
    """a + b."""
    return _lanes(a, b), lambda context, builder, signature, args: builder.fadd(*args)


@operation
def subtract(typing: Any, a: Any, b: Any) -> Any:
    """a - b."""
    return _lanes(a, b), lambda context, builder, signature, args: builder.fsub(*args)


@operation
def multiply(typing: Any, a: Any, b: Any) -> Any:
    """a * b."""
    return _lanes(a, b), lambda context, builder, signature, args: builder.fmul(*args)


@operation
def divide(typing: Any, a: Any, b: Any) -> Any:
    """a / b."""
    return _lanes(a, b), lambda context, builder, signature, args: builder.fdiv(*args)


@operation
def multiply_add(typing: Any, a: Any, b: Any, c: Any) -> Any:
    """a * b + c, rounded once."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        function_type = ir.FunctionType(_VECTOR, [_VECTOR] * 3)
        function = cgutils.get_or_insert_function(builder.module, function_type, f"llvm.fma.v{VECTOR}f32")
        return builder.call(function, args)

    return _lanes(a, b, c), generate


@operation
def where_greater(typing: Any, a: Any, b: Any, x: Any, y: Any) -> Any:
    """x where a > b, else y; y where a or b is NaN."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.select(builder.fcmp_ordered(">", args[0], args[1]), args[2], args[3])

    return _lanes(a, b, x, y), generate


@operation
def total(typing: Any, lanes: Any) -> Any:
    """The sum of the lanes, halves added to halves, a float32."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        (value,) = args
        half = VECTOR // 2
        while half:
            other = builder.shuffle_vector(value, value, _indices([(i + half) % VECTOR for i in range(VECTOR)]))
            value = builder.fadd(value, other)
            half //= 2
        return builder.extract_element(value, ir.Constant(_INDEX, 0))

    return types.float32(lanes), generate


@operation
def _power_of_two(typing: Any, shifted: Any) -> Any:
    """2^k of `_SHIFT + k`, whose lowest bits are k: they become the exponent's."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        integers = ir.VectorType(_INDEX, VECTOR)
        bits = builder.shl(builder.bitcast(args[0], integers), _indices([23] * VECTOR))
        return builder.bitcast(builder.add(bits, _indices([127 << 23] * VECTOR)), _VECTOR)

    return _lanes(shifted), generate


_SHIFT = np.float32(1.5 * 2**23)  # a float32 of this size has no digits after the point: adding it rounds
_LOWEST = np.float32(-100 * math.log(2))
_LN2_HIGH = np.float32(355 / 512)  # ln 2 in two parts: an integer times the first is exact
_LN2_LOW = np.float32(math.log(2) - 355 / 512)
_INVERSE_LN2 = np.float32(1 / math.log(2))
_TAYLOR = tuple(np.float32(1 / math.factorial(i)) for i in range(8))


@kernel
def exp(x: Any) -> Any:
    """exp(x) for x <= 0, to about a unit in the last place; 0 below 2^-100, and NaN stays NaN.

    x = k ln 2 + r with |r| <= (ln 2) / 2, and the power series of exp(r).
    """
    shifted = multiply_add(x, broadcast(_INVERSE_LN2), broadcast(_SHIFT))
    k = subtract(shifted, broadcast(_SHIFT))
    r = multiply_add(k, broadcast(-_LN2_HIGH), x)
    r = multiply_add(k, broadcast(-_LN2_LOW), r)
    series = broadcast(_TAYLOR[7])
    for i in range(6, -1, -1):
        series = multiply_add(r, series, broadcast(_TAYLOR[i]))
    zero = broadcast(np.float32(0))
    return where_greater(broadcast(_LOWEST), x, zero, multiply(series, _power_of_two(shifted)))
