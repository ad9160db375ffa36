"""The forward pass of weight agnostic networks as numba kernels, in float64, on flat arrays.

Lanes lie side by side: the value of one neuron for several inputs (examples of a batch, or episodes under way) is one
row, and every loop over a row is compiled to vector instructions. The activation functions are therefore polynomials
without branches (`networks/functions.py`) and not calls of the mathematical library. So a lane's result depends neither
on its neighbours nor on how lanes are grouped, and is the same on every processor.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba.extending import overload

from evolution.genome import Genome
from networks.activations import registered
from networks.jit import kernel, lean

Array = npt.NDArray[np.float64]

LANES = 64  # of one pass; a multiple of WIDTH, so that no loop over lanes has a scalar rest
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


@lean
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
                set_sum(values, a, b, lanes)
                for c in range(start + 2, stop - 1):
                    add_to_sum(values, first_input + sources[c], lanes)
                a, b = SUM, first_input + sources[stop - 1]
        activate(activations[n], values, weight, a, b, first_input + num_inputs + n - first, lanes)


# `lanes & -WIDTH` is `lanes`; it tells the compiler that vectors fill it, so that it leaves out the scalar rest.


@lean
def set_sum(values, a, b, lanes):
    for i in range(lanes & -WIDTH):
        values[SUM, i] = values[a, i] + values[b, i]


@lean
def add_to_sum(values, a, lanes):
    for i in range(lanes & -WIDTH):
        values[SUM, i] += values[a, i]


@lean
def _add_product(values, a, b, lanes):
    for i in range(lanes & -WIDTH):
        values[SUM, i] += values[a, i] * values[b, i]


# ---- activations --------------------------------------------------------------------------------------------------


def activate(activation, values, weight, a, b, out, lanes):
    """Row `out` becomes f(weight * (a + b)), all of them rows; for kernels only."""
    raise NotImplementedError


@overload(activate, inline="always")
def _activate(activation, values, weight, a, b, out, lanes):
    """`activate` with a branch for each activation that there is when the first kernel compiles: numba has no loop
    over functions, and a call through a pointer would end the vectors."""
    functions: dict[str, Any] = {"WIDTH": WIDTH}
    source = "def activate(activation, values, weight, a, b, out, lanes):\n"
    for code, known in enumerate(registered()):
        branch = BRANCH if known.limit is None else LIMITED_BRANCH
        source += branch.format(word="elif" if code else "if", k=code)
        functions |= {f"f{code}": known.kernel, f"beyond{code}": known.beyond, f"LIMIT{code}": known.limit}
    exec(source, functions)
    return functions["activate"]


BRANCH = """
    {word} activation == {k}:
        for i in range(lanes & -WIDTH):
            values[out, i] = f{k}(values[weight, i] * (values[a, i] + values[b, i]))
"""
LIMITED_BRANCH = """
    {word} activation == {k}:
        far = 0
        for i in range(lanes & -WIDTH):
            x = values[weight, i] * (values[a, i] + values[b, i])
            far += abs(x) > LIMIT{k}
            values[out, i] = f{k}(x)
        if far:
            for i in range(lanes):
                x = values[weight, i] * (values[a, i] + values[b, i])
                values[out, i] = beyond{k}(x) if abs(x) > LIMIT{k} else values[out, i]
"""
