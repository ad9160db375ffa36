"""The forward pass of weight agnostic networks as numba kernels, in float64, on flat arrays.

Lanes lie side by side: the value of one neuron for several inputs (examples of a batch, or episodes under way) is one
row, and every loop over a row is compiled to vector instructions. The activation functions are therefore polynomials
without branches and not calls of the mathematical library. They use nothing but additions, multiplications, divisions
and fused multiply-adds, each of which IEEE 754 rounds in one way only. So a lane's result depends neither on its
neighbours nor on how lanes are grouped, and is the same on every processor.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import types

from evolution.genome import ACTIVATION_NAMES, Genome
from networks.jit import inlined, kernel, operation

Array = npt.NDArray[np.float64]

LANES = 32  # of one pass; a multiple of WIDTH, so that no loop over lanes has a scalar rest
WIDTH = 8  # lanes are filled up to a multiple of it


class FlatNetworks(NamedTuple):
    """Networks as the kernels read them, one after the other, without the neurons that reach no output.

    A network's neurons have one row each: first the inputs, by id, then all others that reach an output, in topological
    order; the outputs are the last `num_outputs` of them. M neurons (inputs apart) and C connections in all networks.
    """

    num_inputs: int  # the bias included
    num_outputs: int
    use_bias: bool
    neuron_start: npt.NDArray[np.int64]  # (N + 1,) where each network's neurons begin
    neurons: npt.NDArray[np.int32]  # (M,) their ids in the genome
    activations: npt.NDArray[np.int8]  # (M,)
    connection_start: npt.NDArray[np.int64]  # (M + 1,) where each neuron's incoming connections begin
    sources: npt.NDArray[np.int32]  # (C,) the row that a connection comes from
    connections: npt.NDArray[np.int32]  # (C,) its index in the genome's connections


def flatten(genomes: Sequence[Genome]) -> FlatNetworks:
    """The genomes as flat arrays; a neuron's incoming connections keep the genome's order.

    Raises ValueError unless all have the same numbers of inputs and outputs.
    """
    shapes = {(g.num_inputs, g.num_outputs, g.use_bias) for g in genomes}
    if len(shapes) != 1:
        raise ValueError(f"networks of one number of inputs and outputs are needed, not {sorted(shapes)}")
    ((num_inputs, num_outputs, use_bias),) = shapes
    arrays = _flatten(
        num_inputs,
        num_outputs,
        np.array([g.num_neurons for g in genomes]),
        np.concatenate([g.layers for g in genomes]),
        np.concatenate([g.activations for g in genomes]),
        np.array([g.num_connections for g in genomes]),
        np.concatenate([g.connections for g in genomes]),
    )
    return FlatNetworks(num_inputs, num_outputs, use_bias, *arrays)


@kernel
def _flatten(num_inputs, num_outputs, neuron_counts, layers, activations, connection_counts, connections):
    neuron_start = np.zeros(len(neuron_counts) + 1, np.int64)
    neurons = np.empty(len(layers), np.int32)
    flat_activations = np.empty(len(layers), np.int8)
    connection_start = np.zeros(len(layers) + 1, np.int64)
    sources = np.empty(len(connections), np.int32)
    flat_connections = np.empty(len(connections), np.int32)
    m = c = first_neuron = first_connection = 0
    for network in range(len(neuron_counts)):
        count, edges = neuron_counts[network], connection_counts[network]
        layer = layers[first_neuron : first_neuron + count]
        activation = activations[first_neuron : first_neuron + count]
        edge = connections[first_connection : first_connection + edges]
        by_layer = _counting_sort(layer, layer[num_inputs] + 1)[0]
        incoming, start = _counting_sort(edge[:, 1], count)
        live = np.zeros(count, np.bool_)
        live[num_inputs : num_inputs + num_outputs] = True
        for neuron in by_layer[::-1]:
            if live[neuron]:
                for e in incoming[start[neuron] : start[neuron + 1]]:
                    live[edge[e, 0]] = True
        row = np.arange(count)
        for neuron in by_layer[num_inputs:]:
            if live[neuron]:
                row[neuron] = num_inputs + m - neuron_start[network]
                neurons[m], flat_activations[m] = neuron, activation[neuron]
                for e in incoming[start[neuron] : start[neuron + 1]]:
                    sources[c], flat_connections[c] = row[edge[e, 0]], e
                    c += 1
                m += 1
                connection_start[m] = c
        neuron_start[network + 1] = m
        first_neuron += count
        first_connection += edges
    return neuron_start, neurons[:m], flat_activations[:m], connection_start[: m + 1], sources[:c], flat_connections[:c]


@kernel
def _counting_sort(keys, num_keys):
    """Indices that sort the keys 0..num_keys-1, stable, and where each key begins (num_keys + 1,)."""
    start = np.zeros(num_keys + 1, np.int64)
    for key in keys:
        start[key + 1] += 1
    start = np.cumsum(start)
    order = np.empty(len(keys), np.int64)
    free = start.copy()
    for i, key in enumerate(keys):
        order[free[key]] = i
        free[key] += 1
    return order, start


def forward(genome: Genome, inputs: npt.ArrayLike, weights: npt.ArrayLike) -> Array:
    """Outputs (W, B, O) for inputs (B, I) and W shared weights (W,), or W times one weight per connection (W, E).

    The same as `networks.reference.forward` within rounding. Raises ValueError for arrays of another shape.
    """
    inputs = np.ascontiguousarray(inputs, np.float64)
    if inputs.ndim != 2 or inputs.shape[1] != genome.num_observed:
        raise ValueError(f"inputs of shape {inputs.shape}; this network takes (B, {genome.num_observed})")
    flat = flatten([genome])
    weights = np.asarray(weights, np.float64)
    if weights.shape[1:] not in ((), (genome.num_connections,)) or weights.ndim == 0:
        raise ValueError(f"weights of shape {weights.shape}; (W,) or (W, {genome.num_connections}) is needed")
    rows = weights[:, flat.connections] if weights.ndim == 2 else weights[:, None]
    outputs = np.empty((len(weights), len(inputs), genome.num_outputs))
    _forward(flat, inputs, np.ascontiguousarray(rows), outputs)
    return outputs


@kernel
def _forward(flat, inputs, weights, outputs):
    num_inputs, num_outputs, use_bias, neuron_start, _, activations, connection_start, sources, _ = flat
    first, end = neuron_start
    num_weights = weights.shape[1]
    needed = np.zeros(num_inputs + end, np.bool_)
    for source in sources:
        needed[source] = True
    values = new_values(num_weights, num_inputs + end)
    num_rows, lanes = values.shape
    first_input, first_output = WEIGHT + num_weights, num_rows - num_outputs
    for start in range(0, len(inputs), lanes):
        stop = min(start + lanes, len(inputs))
        for i in range(num_inputs - use_bias):
            if needed[i]:
                for b in range(start, stop):
                    values[first_input + i, b - start] = inputs[b, i]
        for w in range(len(weights)):
            for c in range(num_weights):
                values[WEIGHT + c] = weights[w, c]
            evaluate(values, num_weights, num_inputs, activations, connection_start, sources, first, end, lanes)
            for o in range(num_outputs):
                for b in range(start, stop):
                    outputs[w, b, o] = values[first_output + o, b - start]


# The working memory of one network has LANES columns and these rows: constants, a sum under way, the shared weight (or
# all weights, where they differ), and the neurons.
ZERO, ONE, SUM, WEIGHT = range(4)


@kernel
def new_values(num_weights, num_neurons):
    """Working memory (rows, LANES). The inputs are 1 until they are set, as the bias has to be."""
    values = np.ones((WEIGHT + num_weights + num_neurons, LANES))
    values[ZERO] = 0.0
    return values


@kernel
def evaluate(values, num_weights, num_inputs, activations, connection_start, sources, first, end, lanes):
    """Neurons first..end-1 of flat networks, which are one network, for the first `lanes` lanes, a multiple of WIDTH.

    Reads the rows of weights and inputs and fills those of all other neurons. One row of weights is the weight that all
    connections of a lane share; else there is a row per connection, in the order of `FlatNetworks.connections`.
    """
    first_input = WEIGHT + num_weights
    first_connection = connection_start[first]
    for n in range(first, end):
        start, stop = connection_start[n], connection_start[n + 1]
        # The neuron's input is weight * (a + b), all of them rows.
        weight, a, b = ONE, ZERO, ZERO
        if num_weights > 1:
            a = SUM
            for i in range(lanes & -WIDTH):
                values[SUM, i] = 0.0
            for c in range(start, stop):
                _add_product(values, first_input + sources[c], WEIGHT + c - first_connection, lanes)
        elif stop > start:
            weight, a = WEIGHT, first_input + sources[start]
            if stop > start + 1:
                b = first_input + sources[start + 1]
            if stop > start + 2:
                _set_sum(values, a, b, lanes)
                for c in range(start + 2, stop - 1):
                    _add(values, first_input + sources[c], lanes)
                a, b = SUM, first_input + sources[stop - 1]
        activate(activations[n], values, weight, a, b, first_input + num_inputs + n - first, lanes)


# `lanes & -WIDTH` is `lanes`; it tells the compiler that vectors fill it, so that it leaves out the scalar rest.


@kernel
def _set_sum(values, a, b, lanes):
    for i in range(lanes & -WIDTH):
        values[SUM, i] = values[a, i] + values[b, i]


@kernel
def _add(values, a, lanes):
    for i in range(lanes & -WIDTH):
        values[SUM, i] += values[a, i]


@kernel
def _add_product(values, a, b, lanes):
    for i in range(lanes & -WIDTH):
        values[SUM, i] += values[a, i] * values[b, i]


LINEAR, STEP, SINE, COSINE, GAUSSIAN, TANH, SIGMOID, INVERSE, ABS, RELU = range(len(ACTIVATION_NAMES))


@inlined
def activate(activation, values, weight, a, b, out, lanes):
    """Row `out` becomes f(weight * (a + b)), all of them rows."""
    if activation == LINEAR:
        for i in range(lanes & -WIDTH):
            values[out, i] = values[weight, i] * (values[a, i] + values[b, i])
    elif activation == STEP:
        for i in range(lanes & -WIDTH):
            values[out, i] = _step(values[weight, i] * (values[a, i] + values[b, i]))
    elif activation == SINE:
        far = 0
        for i in range(lanes & -WIDTH):
            x = values[weight, i] * (values[a, i] + values[b, i])
            far += abs(x) > FAR
            values[out, i] = _sine(x)
        if far:
            for i in range(lanes):
                x = values[weight, i] * (values[a, i] + values[b, i])
                values[out, i] = math.sin(math.pi * x) if abs(x) > FAR else values[out, i]
    elif activation == COSINE:
        far = 0
        for i in range(lanes & -WIDTH):
            x = values[weight, i] * (values[a, i] + values[b, i])
            far += abs(x) > FAR
            values[out, i] = _cosine(x)
        if far:
            for i in range(lanes):
                x = values[weight, i] * (values[a, i] + values[b, i])
                values[out, i] = math.cos(math.pi * x) if abs(x) > FAR else values[out, i]
    elif activation == GAUSSIAN:
        for i in range(lanes & -WIDTH):
            values[out, i] = _gaussian(values[weight, i] * (values[a, i] + values[b, i]))
    elif activation == TANH:
        for i in range(lanes & -WIDTH):
            values[out, i] = _tanh(values[weight, i] * (values[a, i] + values[b, i]))
    elif activation == SIGMOID:
        for i in range(lanes & -WIDTH):
            values[out, i] = _sigmoid(values[weight, i] * (values[a, i] + values[b, i]))
    elif activation == INVERSE:
        for i in range(lanes & -WIDTH):
            values[out, i] = _inverse(values[weight, i] * (values[a, i] + values[b, i]))
    elif activation == ABS:
        for i in range(lanes & -WIDTH):
            values[out, i] = _abs(values[weight, i] * (values[a, i] + values[b, i]))
    elif activation == RELU:
        for i in range(lanes & -WIDTH):
            values[out, i] = _relu(values[weight, i] * (values[a, i] + values[b, i]))


# ---- functions of one number, without branches ------------------------------------------------------------------


@operation
def _fma(context, a, b, c):
    """a * b + c, rounded once."""
    signature = types.float64(types.float64, types.float64, types.float64)
    return signature, lambda context, builder, signature, arguments: builder.fma(*arguments)


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


# Adding it rounds to an integer, which then stands in the lowest bits.
ROUND = 1.5 * 2.0**52

# pi/2 and log 2 as sums of two numbers, together good for 107 bits.
HALF_PI, HALF_PI_REST = math.pi / 2, 6.123233995736766e-17
LOG_2, LOG_2_REST = 0.6931471805599453, 2.3190468138462996e-17
FAR = 1e12  # half turns; beyond, sine and cosine are left to the library

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
        even, odd = _fma(even, square, coefficients[i]), _fma(odd, square, coefficients[i + 1])
    return _fma(odd, x, even)


@kernel
def sine_cosine(x):
    """Sine and cosine within 1.5 units in the last place, for |x| <= pi FAR; exact at 0, NaN for NaN.

    Quadrant n and the rest r of x = n pi/2 + r, |r| <= pi/4 (Cody and Waite 1980); then both polynomials, exchanged and
    negated as the quadrant asks.
    """
    shifted = _fma(x, 2 / math.pi, ROUND)
    n, quadrant = shifted - ROUND, _bits(shifted)
    r = _fma(-n, HALF_PI_REST, _fma(-n, HALF_PI, x))
    square = r * r
    sine = _fma(_polynomial(square, SINE_COEFFICIENTS), square * r, r)
    cosine = _fma(_polynomial(square, COSINE_COEFFICIENTS), square * square, _fma(-0.5, square, 1.0))
    odd = (quadrant & 1) != 0
    sine, cosine = (cosine if odd else sine), (sine if odd else cosine)
    return (
        _from_bits(_bits(sine) ^ ((quadrant & 2) << 62)),
        _from_bits(_bits(cosine) ^ (((quadrant + 1) & 2) << 62)),
    )


@kernel
def _step(x):
    return 1.0 if x > 0 else 0.0


@kernel
def _inverse(x):
    return -x


@kernel
def _abs(x):
    return abs(x)


@kernel
def _relu(x):
    return 0.0 if x < 0 else x  # NaN stays


@kernel
def _sine(x):
    return sine_cosine(math.pi * x)[0]


@kernel
def _cosine(x):
    return sine_cosine(math.pi * x)[1]


@kernel
def _gaussian(x):
    return _exp(-x * x / 2)


@kernel
def _sigmoid(x):
    return (_tanh(x / 2) + 1) / 2


@kernel
def _reduced_exp(x):
    """(p, t) with exp x = (1 + p) 2^k, where k stands in the lowest bits of t."""
    t = _fma(x, 1 / LOG_2, ROUND)
    k = t - ROUND
    r = _fma(-k, LOG_2_REST, _fma(-k, LOG_2, x))
    return _fma(_polynomial(r, EXP_COEFFICIENTS), r * r, r), t


@kernel
def _power_of_two(t, offset):
    """2^(k + offset), where k stands in the lowest bits of t."""
    return _from_bits((_bits(t) << 52) + ((1023 + offset) << 52))


@kernel
def _exp(x):
    """exp x for x <= 0, within one unit in the last place; 0 below -745.2, where float64 ends."""
    p, t = _reduced_exp(-800.0 if x < -800.0 else x)
    power = _power_of_two(t, 512)  # in two steps, because 2^k alone may be too small for a float64
    return _fma(p, power, power) * 2.0**-512


@kernel
def _tanh(x):
    """tanh x = e / (e + 2) with e = exp(2x) - 1, within 2.5 units in the last place."""
    double = 2 * abs(x)
    p, t = _reduced_exp(44.0 if double > 44.0 else double)
    power = _power_of_two(t, 0)
    e = _fma(p, power, power - 1)
    return math.copysign(e / (e + 2), x)
