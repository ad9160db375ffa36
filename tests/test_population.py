"""A population as one shared graph: against the readable reference, by hand, and against itself in other company."""

import math
import warnings
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from genomes import WANN_MUTATIONS, evolved
from hypothesis import given, settings
from hypothesis import strategies as st
from test_compiled import rounding_bound

from evolution.genome import ACTIVATION_NAMES, LINEAR, Genome
from evolution.mutation import add_connection, change_activation, mutate
from networks import functions, population, reference
from networks.population import BLOCK, forward, losses, share

WEIGHTS = np.array([-2.0, -1.0, -0.5, 0.5, 1.0, 2.0])


@st.composite
def populations(draw: st.DrawFn) -> list[Genome]:
    """A few unrelated genomes of one shape, children and children's children of them, and copies."""
    num_inputs, num_outputs, use_bias = draw(st.integers(1, 8)), draw(st.integers(1, 5)), draw(st.booleans())
    p_initial = draw(st.sampled_from([0.0, 0.05, 0.3, 0.7, 1.0]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    genomes = [
        evolved(int(rng.integers(2**32)), num_inputs, num_outputs, p_initial, mutations, use_bias=use_bias)
        for mutations in draw(st.lists(st.integers(0, 80), min_size=1, max_size=3))
    ]
    for _ in range(draw(st.integers(0, 6))):
        parent = genomes[int(rng.integers(len(genomes)))]
        genomes.append(mutate(parent, WANN_MUTATIONS, rng) if rng.random() < 0.8 else parent)
    return genomes


def sixteenths(genomes: Sequence[Genome], count: int, seed: int = 0) -> np.ndarray:
    """Inputs (count, observed) as the digits have them: 0, 1/16, .. 1."""
    return np.random.default_rng(seed).integers(0, 17, (count, genomes[0].num_observed)) / 16


def network(
    num_inputs: int, num_outputs: int, connections: list[list[int]], activations: dict[int, str] | None = None
) -> Genome:
    """A genome from its connections: every neuron one layer above its highest source, the outputs in the last."""
    edges = np.array(connections, np.int32).reshape(-1, 2)
    visible = num_inputs + num_outputs
    num_neurons = max(visible, int(edges.max(initial=0)) + 1)
    layers = np.zeros(num_neurons, np.int32)
    layers[visible:] = 1
    for _ in range(num_neurons):
        for source, target in connections:
            if target >= visible:
                layers[target] = max(layers[target], layers[source] + 1)
    layers[num_inputs:visible] = layers.max() + 1
    indices = np.full(num_neurons, LINEAR, np.int8)
    for neuron, name in (activations or {}).items():
        indices[neuron] = ACTIVATION_NAMES.index(name)
    genome = Genome(num_inputs, num_outputs, layers, indices, edges)
    genome.check()
    return genome


def renumbered(genome: Genome, seed: int) -> Genome:
    """The same network with its connections in another order and its hidden neurons under other ids."""
    rng = np.random.default_rng(seed)
    visible = genome.num_inputs + genome.num_outputs
    new_id = np.concatenate([np.arange(visible), visible + rng.permutation(genome.num_hidden)]).astype(np.int32)
    old_id = np.argsort(new_id)
    connections = new_id[genome.connections[rng.permutation(genome.num_connections)]]
    return replace(
        genome, layers=genome.layers[old_id], activations=genome.activations[old_id], connections=connections
    )


def reference_losses(genome: Genome, inputs: np.ndarray, labels: np.ndarray, weight: float) -> tuple[float, float]:
    """Mean cross-entropy and accuracy in 64 bits."""
    outputs = reference.forward(genome, inputs, weight)
    below = outputs - outputs.max(axis=1, keepdims=True)
    log_probability = below - np.log(np.exp(below).sum(axis=1, keepdims=True))
    hits = outputs.argmax(axis=1) == labels
    return -float(log_probability[np.arange(len(labels)), labels].mean()), float(hits.mean())


def distinct_neurons(genomes: Sequence[Genome]) -> int:
    """How many neurons that reach an output differ, found in Python with a dictionary."""
    found: dict[tuple, int] = {}
    needed = set()
    for genome in genomes:
        number = {i: -1 - i for i in range(genome.num_inputs)}
        live = set(range(genome.num_inputs, genome.num_inputs + genome.num_outputs))
        order = np.argsort(genome.layers, kind="stable")[genome.num_inputs :].tolist()
        sources = {n: genome.connections[genome.connections[:, 1] == n, 0].tolist() for n in order}
        for n in order:
            key = (int(genome.activations[n]), *sorted(number[s] for s in sources[n]))
            number[n] = found.setdefault(key, len(found))
        for n in reversed(order):
            if n in live:
                live.update(sources[n])
                needed.add(number[n])
    return len(needed)


# ---- outputs --------------------------------------------------------------------------------------------------------


@settings(max_examples=120, deadline=None)
@given(populations(), st.integers(0, 2**32 - 1), st.booleans())
def test_outputs_agree_with_the_reference(genomes: list[Genome], seed: int, digits: bool) -> None:
    rng = np.random.default_rng(seed)
    inputs = sixteenths(genomes, 5, seed) if digits else rng.standard_normal((5, genomes[0].num_observed))
    weights = np.append(WEIGHTS, rng.uniform(-2, 2))
    outputs = forward(genomes, inputs, weights)
    assert outputs.shape == (len(genomes), len(weights), 5, genomes[0].num_outputs)
    for genome, of_network in zip(genomes, outputs, strict=True):
        for weight, of_weight in zip(weights, of_network, strict=True):
            difference = np.abs(of_weight - reference.forward(genome, inputs, weight))
            assert (difference <= rounding_bound(genome, inputs, weight)).all()


@pytest.mark.parametrize("activation", ACTIVATION_NAMES)
def test_outputs_worked_out_by_hand(activation: str) -> None:
    """f(w (x0 + x1)) into output 0, which is tanh; output 1 has no source."""
    genome = network(2, 2, [[0, 4], [1, 4], [4, 2]], {2: "tanh", 4: activation, 3: "cosine"})
    inputs = np.array([[0.25, 0.5], [1.0, -1.0], [-0.5, 0.0]])
    f = {
        "linear": lambda x: x, "step": lambda x: float(x > 0), "sine": lambda x: math.sin(math.pi * x),
        "cosine": lambda x: math.cos(math.pi * x), "gaussian": lambda x: math.exp(-x * x / 2), "tanh": math.tanh,
        "sigmoid": lambda x: 1 / (1 + math.exp(-x)), "inverse": lambda x: -x, "abs": abs, "relu": lambda x: max(x, 0),
    }[activation]  # fmt: skip
    for w, outputs in zip(WEIGHTS, forward([genome], inputs, WEIGHTS)[0], strict=True):
        expected = [[math.tanh(w * f(w * x)), 1.0] for x in (0.75, 0.0, -0.5)]
        np.testing.assert_allclose(outputs, expected, rtol=1e-14, atol=1e-15)


def test_the_bias_is_one_and_not_observed() -> None:
    genome = replace(network(3, 1, [[0, 3], [2, 3]]), use_bias=True)
    outputs = forward([genome], [[10.0, 99.0], [-3.0, 99.0]], [0.5])
    assert outputs.tolist() == [[[[5.5], [-1.0]]]]


def test_a_neuron_that_two_neurons_turn_out_to_be_counts_twice() -> None:
    twice = network(1, 1, [[0, 2], [0, 3], [2, 1], [3, 1]], {2: "abs", 3: "abs"})
    once = network(1, 1, [[0, 2], [2, 1]], {2: "abs"})
    graph = share([twice, once])
    assert (graph.num_unshared, graph.num_neurons) == (5, 3)
    assert sorted(np.diff(graph.source_start).tolist()) == [0, 1, 2]
    assert forward([twice, once], [[-3.0]], [0.5]).tolist() == [[[[1.5]]], [[[0.75]]]]


def test_no_examples_and_no_weights() -> None:
    genomes = [evolved(0), evolved(1)]
    assert forward(genomes, np.zeros((0, 5)), WEIGHTS).shape == (2, 6, 0, 2)
    assert forward(genomes, np.zeros((3, 5)), []).shape == (2, 0, 3, 2)


# ---- sharing --------------------------------------------------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(populations(), st.integers(0, 2**32 - 1))
def test_each_distinct_neuron_is_there_once(genomes: list[Genome], seed: int) -> None:
    genomes = [*genomes, *(renumbered(genome, seed) for genome in genomes)]
    graph = share(genomes)
    assert graph.num_neurons == distinct_neurons(genomes)
    assert graph.num_unshared >= graph.num_neurons
    # Topological: a sum's sources come before its neurons.
    sum_of = np.repeat(np.arange(len(graph.source_start) - 1), np.diff(graph.source_start))
    assert (graph.sources < graph.neuron_start[sum_of]).all()
    # No output is lost, nothing is there that none needs.
    assert set(range(graph.num_neurons)) == {*graph.outputs.ravel().tolist(), *graph.sources.tolist()}


def test_copies_share_everything() -> None:
    genome = evolved(3, 16, 10, 0.2, 100)
    one, many = share([genome]), share([genome, renumbered(genome, 1), genome, renumbered(genome, 2)])
    assert one.num_neurons == many.num_neurons
    assert many.num_unshared == 4 * one.num_unshared
    assert (many.outputs == many.outputs[0]).all()


def test_a_child_adds_what_it_changed_and_what_depends_on_it() -> None:
    parent = network(3, 2, [[0, 5], [1, 5], [5, 3], [5, 6], [2, 6], [6, 4]], {5: "tanh", 6: "relu"})
    alone = share([parent]).num_neurons
    top = replace(parent, activations=parent.activations.copy())
    top.activations[6] = ACTIVATION_NAMES.index("sine")
    assert share([parent, top]).num_neurons == alone + 2  # neuron 6 and output 4
    assert len(share([parent, top]).input_set) == len(share([parent]).input_set) + 1  # 6 keeps its sum
    rng = np.random.default_rng(0)
    for child in (change_activation(parent, rng), add_connection(parent, rng)):
        assert alone < share([parent, child]).num_neurons <= alone + 4


def test_equal_outputs_are_one_neuron() -> None:
    genome = network(2, 3, [[0, 2], [1, 2], [0, 3], [1, 3], [0, 4]])
    graph = share([genome])
    assert graph.outputs[0, 0] == graph.outputs[0, 1] != graph.outputs[0, 2]
    loss, accuracy = losses([genome], [[1.0, 2.0]] * 2, [0, 1], [1.0])
    np.testing.assert_allclose(loss, [[math.log(2 + math.exp(-2.0))]], rtol=1e-6)
    assert accuracy.tolist() == [[0.5]]  # both have the largest; the first counts


# ---- losses ---------------------------------------------------------------------------------------------------------


@settings(max_examples=80, deadline=None)
@given(populations(), st.integers(0, 2**32 - 1), st.integers(1, 150))
def test_losses_agree_with_the_reference(genomes: list[Genome], seed: int, batch: int) -> None:
    inputs = sixteenths(genomes, batch, seed)
    labels = np.random.default_rng(seed).integers(0, genomes[0].num_outputs, batch)
    loss, accuracy = losses(genomes, inputs, labels, WEIGHTS)
    for n, genome in enumerate(genomes):
        for w, weight in enumerate(WEIGHTS):
            expected = reference_losses(genome, inputs, labels, weight)
            outputs = reference.forward(genome, inputs, weight)
            bound = rounding_bound(genome, inputs, weight) + 1e-7 * np.abs(outputs)  # logits are 32-bit
            if np.isfinite(bound).all():
                tolerance = 2 * bound.max(axis=1).mean() + 1e-6 * (1 + abs(expected[0]))
                assert loss[n, w] == pytest.approx(expected[0], abs=tolerance)
            best = outputs.max(axis=1, keepdims=True)
            rivals = (best - outputs <= bound + bound.max(axis=1, keepdims=True)).sum(axis=1)
            if (rivals == 1).all():
                assert accuracy[n, w] == expected[1]


def test_losses_worked_out_by_hand() -> None:
    """Logits (w x0, w x1, 0)."""
    genome = network(2, 3, [[0, 2], [1, 3]])
    loss, accuracy = losses([genome], [[1.0, 3.0], [-2.0, 0.0]], [1, 0], [1.0, -1.0])
    first = math.log(math.e + math.exp(3) + 1) - 3, math.log(math.exp(-2) + 2) + 2
    second = math.log(math.exp(-1) + math.exp(-3) + 1) + 3, math.log(math.exp(2) + 2) - 2
    np.testing.assert_allclose(loss, [[sum(first) / 2, sum(second) / 2]], rtol=1e-6)
    assert accuracy.tolist() == [[0.5, 0.5]]


def test_a_network_without_connections_guesses() -> None:
    genome = network(2, 10, [])
    labels = np.array([0, 0, 1, 5])
    loss, accuracy = losses([genome], np.ones((4, 2)), labels, WEIGHTS)
    np.testing.assert_allclose(loss, math.log(10), rtol=1e-6)
    assert (accuracy == 0.5).all()  # all outputs are the same, so the class is 0


@pytest.mark.parametrize("size", [30.0, 79.0, 81.0, 200.0, 1e6, 1e30])
def test_large_logits(size: float) -> None:
    genome = network(2, 2, [[0, 2], [1, 3]])
    inputs = [[size, 0.0], [0.0, size], [size, -size], [size, size - 1], [0.5, 0.25]]
    expected = [reference_losses(genome, np.array([row]), np.array([1]), 1.0)[0] for row in inputs]
    for row, value in zip(inputs, expected, strict=True):
        loss, _ = losses([genome], [row], [1], [1.0])
        assert loss[0, 0] == pytest.approx(value, rel=1e-6, abs=1e-7)
    loss, accuracy = losses([genome], inputs, [1] * 5, [1.0])
    assert loss[0, 0] == pytest.approx(np.mean(expected), rel=1e-6)
    assert accuracy[0, 0] == 0.2


@pytest.mark.parametrize(
    ("row", "hits"),
    [([np.nan, 1.0], [1, 0]), ([1.0, np.nan], [0, 1]), ([np.nan, np.nan], [1, 0]), ([np.inf, 0.0], [1, 0]),
     ([np.inf, np.inf], [1, 0]), ([-np.inf, -np.inf], [1, 0]), ([1e39, 0.0], [1, 0])],
)  # fmt: skip
def test_an_output_that_is_not_finite_spoils_its_network_alone(row: list[float], hits: list[int]) -> None:
    spoiled, sound = network(2, 2, [[0, 2], [1, 3]]), network(2, 2, [])
    inputs = np.array([[0.5, 0.5], row])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for label, hit in enumerate(hits):
            loss, accuracy = losses([spoiled, sound], inputs[1:], [label], [1.0])
            assert not np.isfinite(loss[0, 0])
            assert accuracy[0, 0] == hit
            loss, _ = losses([spoiled, sound], inputs, [0, label], [1.0])
            assert not np.isfinite(loss[0, 0])
            np.testing.assert_allclose(loss[1, 0], math.log(2), rtol=1e-6)


# ---- not a bit differs ----------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(populations(), st.integers(0, 2**32 - 1), st.integers(1, 3 * BLOCK))
def test_company_order_numbering_and_threads_change_no_bit(genomes: list[Genome], seed: int, batch: int) -> None:
    rng = np.random.default_rng(seed)
    inputs = rng.standard_normal((batch, genomes[0].num_observed)) * rng.choice([1.0, 50.0])
    labels = rng.integers(0, genomes[0].num_outputs, batch)
    loss, accuracy = losses(genomes, inputs, labels, WEIGHTS)
    outputs = forward(genomes, inputs, WEIGHTS)

    threaded = losses(genomes, inputs, labels, WEIGHTS, num_threads=int(rng.integers(2, 5)))
    assert loss.tobytes() == threaded[0].tobytes()
    assert accuracy.tobytes() == threaded[1].tobytes()

    order = rng.permutation(len(genomes))
    others = [renumbered(genomes[i], seed) for i in order]
    assert loss[order].tobytes() == losses(others, inputs, labels, WEIGHTS)[0].tobytes()
    assert outputs[order].tobytes() == forward(others, inputs, WEIGHTS).tobytes()

    n, w = int(rng.integers(len(genomes))), int(rng.integers(len(WEIGHTS)))
    alone = losses([genomes[n]], inputs, labels, WEIGHTS[w : w + 1])
    assert loss[n, w].tobytes() == alone[0].tobytes()
    assert accuracy[n, w] == alone[1]
    assert outputs[n, w].tobytes() == forward([genomes[n]], inputs, WEIGHTS[w : w + 1]).tobytes()


def test_reading_the_batch_in_pieces_changes_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    genomes = [evolved(seed, 16, 10, 0.3, 40) for seed in range(4)]
    inputs, labels = sixteenths(genomes, 5 * BLOCK + 7), np.arange(5 * BLOCK + 7) % 10
    whole = losses(genomes, inputs, labels, WEIGHTS)[0], forward(genomes, inputs, WEIGHTS)
    for blocks in (1, 2, 5):
        monkeypatch.setattr(population, "CHUNK", blocks)
        assert whole[0].tobytes() == losses(genomes, inputs, labels, WEIGHTS, num_threads=2)[0].tobytes()
        assert whole[1].tobytes() == forward(genomes, inputs, WEIGHTS).tobytes()


def test_32_bit_inputs_and_strided_ones_are_the_same_inputs() -> None:
    genomes = [evolved(seed, 8, 3) for seed in range(3)]
    inputs, labels = sixteenths(genomes, 100), np.arange(100) % 3
    expected = losses(genomes, inputs, labels, WEIGHTS)[0]
    for same in (inputs.astype(np.float32), np.asfortranarray(inputs), np.repeat(inputs, 2, axis=0)[::2]):
        assert (losses(genomes, same, labels, WEIGHTS)[0] == expected).all()
    assert (losses(genomes, inputs, labels.astype(np.uint8), list(WEIGHTS))[0] == expected).all()


# ---- functions of the cross-entropy ---------------------------------------------------------------------------------


def units_in_the_last_place(found: np.ndarray, exact: np.ndarray) -> float:
    """The largest error in units of the 32-bit numbers' last place."""
    return float(np.max(np.abs(found - exact) / np.spacing(np.abs(exact).astype(np.float32)).astype(np.float64)))


def test_exp_and_log_are_good_to_the_last_place() -> None:
    x = np.linspace(-87, 87, 100_001).astype(np.float32)
    found = np.array([functions.exp_32(value) for value in x], np.float64)
    assert units_in_the_last_place(found, np.exp(x.astype(np.float64))) < 1.1
    y = np.concatenate([np.linspace(1, 2.9, 50_001), np.logspace(0, 38, 50_001)]).astype(np.float32)
    found = np.array([functions.log_32(value) for value in y], np.float64)
    exact = np.log(y.astype(np.float64))
    assert found[0] == 0
    assert units_in_the_last_place(found[exact > 0], exact[exact > 0]) < 2


# ---- wrong input ----------------------------------------------------------------------------------------------------


def test_wrong_shapes_and_labels_are_refused() -> None:
    genomes = [evolved(0), evolved(1)]
    inputs = np.zeros((4, 5))
    with pytest.raises(ValueError, match=r"inputs of shape \(4, 6\); these networks take \(B, 5\)"):
        forward(genomes, np.zeros((4, 6)), WEIGHTS)
    with pytest.raises(ValueError, match=r"weights of shape \(1, 6\)"):
        forward(genomes, inputs, WEIGHTS[None])
    for labels in ([0, 1, 2], [0, 1, 0, 2], [0, 1, 0, -1], [0.0, 1.0, 0.0, 1.0], [[0, 1, 0, 1]]):
        with pytest.raises(ValueError, match="labels"):
            losses(genomes, inputs, labels, WEIGHTS)
    with pytest.raises(ValueError, match="labels"):
        losses(genomes, inputs[:0], np.zeros(0, int), WEIGHTS)
    with pytest.raises(ValueError, match="networks of one number of inputs and outputs"):
        share([genomes[0], evolved(1, num_inputs=6)])
