"""The compiled forward pass against the readable one."""

import hashlib
import math
import os
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from genomes import evolved, genomes
from hypothesis import given, settings
from hypothesis import strategies as st

from evolution.genome import ACTIVATION_NAMES, Genome
from networks import reference
from networks.compiled import LANES, flatten, forward

WEIGHTS = np.array([-2.0, -1.0, -0.5, 0.5, 1.0, 2.0])
EPS = np.finfo(np.float64).eps
LIPSCHITZ = {
    "linear": 1, "sine": math.pi, "cosine": math.pi, "gaussian": 0.61, "tanh": 1, "sigmoid": 0.25, "inverse": 1,
    "abs": 1, "relu": 1,
}  # fmt: skip


def rounding_bound(genome: Genome, inputs: np.ndarray, weight: float | np.ndarray) -> np.ndarray:
    """How far two correct evaluations (B, O) may be apart: rounding errors carried from neuron to neuron.

    Infinite where a step function's input is so near 0 that rounding decides its value.
    """
    values = reference.neuron_values(genome, inputs, weight)
    weights = np.broadcast_to(np.asarray(weight, np.float64), genome.num_connections)
    bound = np.zeros_like(values)
    for neuron in np.argsort(genome.layers, kind="stable")[genome.num_inputs :]:
        incoming = genome.connections[:, 1] == neuron
        sources, w = genome.connections[incoming, 0], np.abs(weights[incoming])
        total = values[:, sources] @ weights[incoming]
        error = bound[:, sources] @ w + (len(sources) + 2) * EPS * (np.abs(values[:, sources]) @ w)
        name = ACTIVATION_NAMES[genome.activations[neuron]]
        if name == "step":
            bound[:, neuron] = np.where((np.abs(total) > error) | (error == 0), 0, np.inf)
        else:
            scale = 8 * EPS * (np.abs(total) + 1) if name in ("sine", "cosine", "gaussian") else 0
            bound[:, neuron] = LIPSCHITZ[name] * (error + scale) + 8 * EPS * np.abs(values[:, neuron])
    return 2 * bound[:, genome.num_inputs : genome.num_inputs + genome.num_outputs]


def single(activation: str) -> Genome:
    """One input, one output, and one hidden neuron between them."""
    names = ["linear", "linear", activation]
    return Genome(
        1,
        1,
        np.array([0, 2, 1], np.int32),
        np.array([ACTIVATION_NAMES.index(name) for name in names], np.int8),
        np.array([[0, 2], [2, 1]], np.int32),
    )


EXACT = {
    "linear": lambda x: x,
    "step": lambda x: float(x > 0),
    "sine": lambda x: math.sin(math.pi * x),
    "cosine": lambda x: math.cos(math.pi * x),
    "gaussian": lambda x: math.exp(-x * x / 2),
    "tanh": math.tanh,
    "sigmoid": lambda x: (math.tanh(x / 2) + 1) / 2,
    "inverse": lambda x: -x,
    "abs": abs,
    "relu": lambda x: max(x, 0.0),
}


@pytest.mark.parametrize("activation", ACTIVATION_NAMES)
def test_activations_agree_with_the_mathematical_library(activation: str) -> None:
    rng = np.random.default_rng(0)
    x = np.concatenate([
        [0.0, 5e-324, 1e-300, -1e-9, 37.5, 38.4, 38.7, 1e3, 1e200, 1e11, 3e12, -1e15],
        np.arange(-40, 40) / 4,  # multiples of a quarter turn, where the sign of a tiny sine decides a step
        rng.normal(size=2000),
        rng.normal(size=500) * 20,
        rng.normal(size=200) * 1e6,
    ])  # fmt: skip
    expected = np.array([EXACT[activation](v) for v in x.tolist()])
    got = forward(single(activation), x[:, None], [1.0])[0, :, 0]
    if activation == "sigmoid":  # (tanh + 1) / 2 cancels
        np.testing.assert_allclose(got, expected, rtol=0, atol=2 * EPS)
    else:
        np.testing.assert_array_max_ulp(got, expected, maxulp=4)
    if activation in ("linear", "step", "inverse", "abs", "relu"):
        np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize(
    ("activation", "at_zero", "at_infinity"),
    [
        ("step", 0.0, 1.0), ("sine", 0.0, np.nan), ("cosine", 1.0, np.nan), ("gaussian", 1.0, 0.0),
        ("tanh", 0.0, 1.0), ("sigmoid", 0.5, 1.0), ("relu", 0.0, np.inf), ("inverse", 0.0, -np.inf),
    ],
)  # fmt: skip
def test_activations_are_exact_at_zero_infinity_and_nan(activation: str, at_zero: float, at_infinity: float) -> None:
    got = forward(single(activation), [[0.0], [np.inf], [np.nan]], [1.0])[0, :, 0]
    nan = 0.0 if activation == "step" else np.nan
    np.testing.assert_array_equal(got, [at_zero, at_infinity, nan])


@settings(max_examples=200, deadline=None)
@given(genomes(), st.integers(0, 2**32 - 1), st.integers(0, 2 * LANES))
def test_forward_agrees_with_the_reference(genome: Genome, seed: int, batch: int) -> None:
    inputs = np.random.default_rng(seed).normal(size=(batch, genome.num_observed))
    got = forward(genome, inputs, WEIGHTS)
    assert got.shape == (6, batch, genome.num_outputs)
    for w, weight in enumerate(WEIGHTS):
        expected = reference.forward(genome, inputs, weight)
        assert (np.abs(got[w] - expected) <= rounding_bound(genome, inputs, weight)).all()


def test_the_rounding_bound_is_tight() -> None:
    """The bound is what the test above stands on: for nearly all networks it is far below any real difference."""
    bounds = []
    for seed in range(100):
        genome = evolved(seed, mutations=60)
        inputs = np.random.default_rng(seed).normal(size=(20, 5))
        bounds.append(rounding_bound(genome, inputs, 0.5))
    assert np.mean(np.array(bounds) < 1e-9) > 0.95


def made_exact(genome: Genome) -> Genome:
    """The same graph with activations that do not round."""
    exact = np.array([ACTIVATION_NAMES.index(name) for name in ("linear", "step", "inverse", "abs", "relu")], np.int8)
    return replace(genome, activations=exact[genome.activations % len(exact)])


@settings(max_examples=100, deadline=None)
@given(genomes(max_mutations=25), st.integers(0, 2**32 - 1))
def test_without_rounding_there_is_no_difference_at_all(genome: Genome, seed: int) -> None:
    genome = made_exact(genome)
    inputs = np.random.default_rng(seed).integers(-8, 9, (17, genome.num_observed)) / 8
    got = forward(genome, inputs, WEIGHTS)
    expected = [reference.forward(genome, inputs, weight) for weight in WEIGHTS]
    np.testing.assert_array_equal(got, expected)


@settings(max_examples=100, deadline=None)
@given(genomes(), st.integers(0, 2**32 - 1))
def test_forward_with_a_weight_per_connection(genome: Genome, seed: int) -> None:
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(40, genome.num_observed))
    weights = rng.normal(size=(3, genome.num_connections))
    got = forward(genome, inputs, weights)
    visible = slice(genome.num_inputs, genome.num_inputs + genome.num_outputs)
    for w in range(3):
        expected = reference.neuron_values(genome, inputs, weights[w])[:, visible]
        assert (np.abs(got[w] - expected) <= rounding_bound(genome, inputs, weights[w])).all()
    # Powers of two scale without rounding: equal weights are then the shared weight, to the last bit.
    equal = forward(genome, inputs, np.repeat(WEIGHTS[:, None], genome.num_connections, axis=1))
    np.testing.assert_array_equal(equal, forward(genome, inputs, WEIGHTS))


@settings(max_examples=50, deadline=None)
@given(genomes(), st.integers(1, 3 * LANES), st.data())
def test_examples_do_not_depend_on_their_batch(genome: Genome, batch: int, data: st.DataObject) -> None:
    inputs = np.random.default_rng(batch).normal(size=(batch, genome.num_observed)) * 3
    chosen = data.draw(st.lists(st.integers(0, batch - 1), min_size=1, max_size=20))
    whole, part = forward(genome, inputs, WEIGHTS), forward(genome, inputs[chosen], WEIGHTS[::-1])
    np.testing.assert_array_equal(part[::-1], whole[:, chosen])


@settings(max_examples=100, deadline=None)
@given(genomes())
def test_flatten_leaves_out_exactly_what_reaches_no_output(genome: Genome) -> None:
    visible = genome.num_inputs + genome.num_outputs
    reaches = set(range(genome.num_inputs, visible))
    while True:
        more = {s for s, t in genome.connections.tolist() if t in reaches} - reaches
        if not more:
            break
        reaches |= more
    flat = flatten([genome])
    assert sorted(flat.neurons) == sorted(n for n in reaches if n >= genome.num_inputs)
    assert flat.neurons[-genome.num_outputs :].tolist() == list(range(genome.num_inputs, visible))
    np.testing.assert_array_equal(flat.activations, genome.activations[flat.neurons])
    id_of_row = [*range(genome.num_inputs), *flat.neurons]
    for n, (start, stop) in enumerate(pairwise(flat.connection_start)):
        assert (flat.sources[start:stop] < genome.num_inputs + n).all()  # topological
        expected = np.flatnonzero(genome.connections[:, 1] == flat.neurons[n])
        np.testing.assert_array_equal(flat.connections[start:stop], expected)
        assert [id_of_row[s] for s in flat.sources[start:stop]] == genome.connections[expected, 0].tolist()


def test_flatten_of_a_population_is_that_of_each_network() -> None:
    population = [evolved(seed, mutations=3 * seed) for seed in range(20)]
    whole = flatten(population)
    for i, genome in enumerate(population):
        alone = flatten([genome])
        start, stop = whole.neuron_start[i : i + 2]
        first, last = whole.connection_start[[start, stop]]
        np.testing.assert_array_equal(whole.neurons[start:stop], alone.neurons)
        np.testing.assert_array_equal(whole.activations[start:stop], alone.activations)
        np.testing.assert_array_equal(whole.connection_start[start : stop + 1] - first, alone.connection_start)
        np.testing.assert_array_equal(whole.sources[first:last], alone.sources)
        np.testing.assert_array_equal(whole.connections[first:last], alone.connections)


def test_a_network_by_hand() -> None:
    """Bias, a dead neuron, an output without sources, one that skips a layer: 2 inputs (one is the bias), 2 outputs."""
    genome = Genome(
        2,
        2,
        np.array([0, 0, 2, 2, 1, 1], np.int32),
        np.array([ACTIVATION_NAMES.index(n) for n in ("linear", "linear", "linear", "cosine", "abs", "sine")], np.int8),
        np.array([[0, 4], [1, 4], [4, 2], [1, 2], [0, 5]], np.int32),
        use_bias=True,
    )
    got = forward(genome, [[3.0], [-5.0]], [2.0, -1.0])
    # |w (x + 1)| goes with the bias to the first output: w (|w (x + 1)| + 1); the second is cos 0.
    np.testing.assert_array_equal(got, [[[18, 1], [18, 1]], [[-5, 1], [-5, 1]]])
    assert 5 not in flatten([genome]).neurons
    assert 5 not in flatten([genome, genome]).neurons


def test_wrong_shapes_are_refused() -> None:
    genome = evolved(0)
    with pytest.raises(ValueError, match=r"inputs of shape \(3, 4\); this network takes \(B, 5\)"):
        forward(genome, np.zeros((3, 4)), [1.0])
    with pytest.raises(ValueError, match="weights of shape"):
        forward(genome, np.zeros((3, 5)), np.zeros((1, genome.num_connections + 1)))
    with pytest.raises(ValueError, match="weights of shape"):
        forward(genome, np.zeros((3, 5)), 1.0)
    with pytest.raises(ValueError, match="one number of inputs and outputs"):
        flatten([genome, evolved(0, num_inputs=4)])
    with pytest.raises(ValueError, match="one number of inputs and outputs"):
        flatten([])


def digest() -> str:
    """Of the bits of many outputs, all activations among them."""
    inputs = np.random.default_rng(0).normal(size=(50, 5))
    outputs = [forward(evolved(seed, mutations=100), inputs, WEIGHTS) for seed in range(20)]
    return hashlib.sha256(np.array(outputs).tobytes()).hexdigest()


def test_the_bits_are_the_same_without_vector_instructions(tmp_path: os.PathLike) -> None:
    plain = {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": "", "NUMBA_CACHE_DIR": str(tmp_path)}
    script = "import sys; sys.path[:0] = sys.argv[1:]; from test_compiled import digest; print(digest())"
    command = [sys.executable, "-c", script, os.path.dirname(__file__), os.path.dirname(os.path.dirname(__file__))]
    result = subprocess.run(command, env={**os.environ, **plain}, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == digest()
