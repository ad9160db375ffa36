"""Mutations: what each does to a genome worked out by hand, and what none may ever break."""

from dataclasses import replace

import numpy as np
import pytest
from genomes import WANN_MUTATIONS, WLNN_MUTATIONS, evolved, genomes
from hypothesis import given, settings
from hypothesis import strategies as st

from evolution.errors import InputError
from evolution.genome import ACTIVATION_NAMES, Genome
from evolution.mutation import (
    MUTATIONS,
    MutationSettings,
    _draw_free_pair,
    add_connection,
    add_node,
    change_activation,
    compact_layers,
    mutate,
)
from networks.reference import forward, neuron_values


def chain(with_weights=False):
    """0 -> 2 -> 1 and 0 -> 1: one input, one output (1), one hidden neuron (2)."""
    weights = [0.5, 0.25, -1.0] if with_weights else None
    kind = {"activation_name": "relu", "weights": weights} if with_weights else {"activation_names": ["linear"] * 3}
    return Genome.from_dict(
        {
            "in_size": 1,
            "out_size": 1,
            "num_neurons": 3,
            "neurons_in_layer": [[0], [2], [1]],
            "connections": [[0, 2], [2, 1], [0, 1]],
            **kind,
        }
    )


def test_add_node_splits_in_place_and_opens_a_layer_where_it_must():
    child = add_node(chain(), np.random.default_rng(0), connection=0)  # 0 -> 2 are neighbours: a new layer
    assert child.connections.tolist() == [[0, 3], [2, 1], [0, 1], [3, 2]]
    assert child.layers.tolist() == [0, 3, 2, 1]
    child = add_node(chain(), np.random.default_rng(0), connection=2)  # 0 -> 1 skips layer 1: there is room
    assert child.connections.tolist() == [[0, 2], [2, 1], [0, 3], [3, 1]]
    assert child.layers.tolist() == [0, 2, 1, 1]


def test_add_node_keeps_the_weight_on_the_first_half():
    child = add_node(chain(with_weights=True), np.random.default_rng(0), connection=1)
    assert child.connections.tolist() == [[0, 2], [2, 3], [0, 1], [3, 1]]
    assert child.weights[:3].tolist() == [0.5, 0.25, -1.0]
    assert abs(child.weights[3]) < 0.6  # N(0, 0.1^2)
    assert ACTIVATION_NAMES[child.activations[3]] == "relu"


def test_add_node_draws_connections_and_activations_uniformly():
    rng = np.random.default_rng(0)
    genome = evolved(3, 4, 2, mutations=6)
    children = [add_node(genome, rng) for _ in range(4000)]
    split = [int(np.flatnonzero((c.connections[:-1] != genome.connections).any(axis=1))[0]) for c in children]
    for drawn, kinds in ((split, genome.num_connections), ([c.activations[-1] for c in children], 10)):
        counts, expected = np.bincount(drawn, minlength=kinds), 4000 / kinds
        assert len(counts) == kinds
        assert ((counts - expected) ** 2 / expected).sum() < 2 * kinds + 20


def test_add_node_without_connections_does_nothing():
    empty = Genome.initial(3, 2, 0.0, np.random.default_rng(0))
    assert add_node(empty, np.random.default_rng(0)) is empty


def test_add_connection_fills_the_graph_and_then_stops():
    rng = np.random.default_rng(0)
    genome = Genome.initial(4, 3, 0.5, rng)
    for _ in range(3):
        genome = add_node(genome, rng)
    layer = genome.layers
    free = int((layer[:, None] < layer[None, :]).sum()) - genome.num_connections
    for _ in range(free):
        bigger = add_connection(genome, rng)
        assert bigger.num_connections == genome.num_connections + 1
        genome = bigger
    genome.check()
    assert add_connection(genome, rng) is genome


def test_add_connection_that_may_not_touch_the_outputs():
    rng = np.random.default_rng(0)
    genome = evolved(5, 6, 3, with_weights=True, mutations=40)
    outputs = set(range(6, 9))
    while (bigger := add_connection(genome, rng, connect_outputs=False)) is not genome:
        assert not outputs & set(bigger.connections[-1].tolist())
        genome = bigger
    hidden = genome.layers[9:]
    pairs = sum(int((genome.layers[:6] < h).sum()) + int((hidden < h).sum()) for h in hidden)
    assert pairs == int((genome.connections[:, 1] >= 9).sum())
    flat = Genome.initial(6, 3, 0.5, rng, with_weights=True)
    assert add_connection(flat, rng, connect_outputs=False) is flat


def pair_distribution(genome):
    """The chance of each free pair by the rule itself: draw source, draw target, again until free."""
    top = genome.num_layers - 1
    sources = np.flatnonzero(genome.layers < top)
    chance = {}
    taken = set(map(tuple, genome.connections.tolist()))
    for s in sources.tolist():
        targets = np.flatnonzero(genome.layers > genome.layers[s]).tolist()
        for t in targets:
            if (s, t) not in taken:
                chance[s, t] = 1 / len(targets)
    total = sum(chance.values())
    return {pair: p / total for pair, p in chance.items()}


@pytest.mark.parametrize("crowded", [False, True])
def test_add_connection_draws_pairs_as_the_rule_says(crowded):
    rng = np.random.default_rng(1)
    genome = evolved(8, 3, 2, mutations=8)
    if crowded:  # so full that drawing gives up and the free pairs are listed
        while len(pair_distribution(genome)) > 3:
            genome = add_connection(genome, rng)
    expected = pair_distribution(genome)
    draws = 4000
    seen = dict.fromkeys(expected, 0)
    for _ in range(draws):
        seen[tuple(add_connection(genome, rng).connections[-1].tolist())] += 1
    chi_square = sum((seen[p] - draws * e) ** 2 / (draws * e) for p, e in expected.items())
    assert chi_square < 2 * len(expected) + 20


def test_listing_the_free_pairs_draws_as_the_rule_says():
    rng = np.random.default_rng(2)
    genome = evolved(8, 3, 2, mutations=8)
    expected = pair_distribution(genome)
    order = np.argsort(genome.layers, kind="stable")
    taken = genome.connections[:, 0].astype(np.int64) * genome.num_neurons + genome.connections[:, 1]
    up_to = np.bincount(genome.layers).cumsum()
    seen = dict.fromkeys(expected, 0)
    for _ in range(4000):
        seen[_draw_free_pair(genome, order, up_to, taken, rng)] += 1
    assert sum((seen[p] - 4000 * e) ** 2 / (4000 * e) for p, e in expected.items()) < 2 * len(expected) + 20


def test_change_activation_draws_one_of_the_nine_others():
    rng = np.random.default_rng(0)
    seen = {int(change_activation(chain(), rng).activations[2]) for _ in range(300)}
    assert seen == set(range(1, 10))  # all but linear
    flat = Genome.initial(3, 2, 0.5, rng)
    assert change_activation(flat, rng) is flat


def test_compacting_by_hand():
    tall = Genome.from_dict(
        {
            "in_size": 2,
            "out_size": 1,
            "num_neurons": 6,
            "activation_name": "relu",
            "neurons_in_layer": [[0, 1], [3], [5], [4], [2]],
            "connections": [[0, 3], [1, 5], [3, 4], [4, 2], [5, 2]],
            "weights": [1, 2, 3, 4, 5],
        }
    )
    assert compact_layers(tall).layers.tolist() == [0, 0, 3, 1, 2, 1]


@settings(max_examples=200, deadline=None)
@given(genomes() | genomes(with_weights=True), st.integers(0, 2**32))
def test_compacting_keeps_the_function_and_leaves_no_gap(genome, seed):
    compact = compact_layers(genome)
    compact.check()
    inputs = np.random.default_rng(seed).normal(size=(3, genome.num_observed))
    np.testing.assert_array_equal(forward(compact, inputs, 0.7), forward(genome, inputs, 0.7))
    visible = genome.num_inputs + genome.num_outputs
    for neuron in range(visible, genome.num_neurons):
        sources = compact.connections[compact.connections[:, 1] == neuron, 0]
        highest = max(compact.layers[sources], default=0)
        assert compact.layers[neuron] == highest + 1


@settings(max_examples=60, deadline=None)
@given(genomes(max_mutations=0), st.integers(0, 2**32), st.integers(1, 120))
def test_no_sequence_of_mutations_breaks_a_weight_agnostic_network(genome, seed, count):
    rng = np.random.default_rng(seed)
    for _ in range(count):
        before = [genome.layers.copy(), genome.activations.copy(), genome.connections.copy()]
        child = mutate(genome, WANN_MUTATIONS, rng)
        child.check()
        for array, kept in zip((genome.layers, genome.activations, genome.connections), before, strict=True):
            np.testing.assert_array_equal(array, kept)  # the parent is as it was
        assert (child.activations[: child.num_inputs + child.num_outputs] == 0).all()
        genome = child


@settings(max_examples=60, deadline=None)
@given(genomes(with_weights=True, max_mutations=0), st.integers(0, 2**32), st.integers(1, 60))
def test_no_sequence_of_mutations_breaks_a_learning_network(genome, seed, count):
    rng = np.random.default_rng(seed)
    initial = {tuple(pair) for pair in genome.connections.tolist()}
    for _ in range(count):
        genome = mutate(genome, WLNN_MUTATIONS, rng)
        genome.check()
        assert compact_layers(genome) is genome
        assert len(genome.weights) == genome.num_connections
    outputs = range(genome.num_inputs, genome.num_inputs + genome.num_outputs)
    into_outputs = [tuple(p) for p in genome.connections.tolist() if p[1] in outputs]
    assert len(into_outputs) == len(initial)  # splitting moves them, nothing adds to them


def test_without_inheritance_all_weights_are_redrawn_and_with_it_none():
    rng = np.random.default_rng(0)
    parent = evolved(2, 6, 3, with_weights=True)
    redrawn = mutate(parent, WLNN_MUTATIONS, rng)
    assert not np.isin(redrawn.weights, parent.weights).any()
    for _ in range(20):
        settings_ = replace(WLNN_MUTATIONS, inherit_weights=True)
        child = mutate(parent, settings_, rng)
        np.testing.assert_array_equal(child.weights[: parent.num_connections], parent.weights)
        x = rng.normal(size=(2, 6))
        assert np.isfinite(neuron_values(child, x, child.weights)).all()


def of(*probabilities):
    return MutationSettings(dict(zip(MUTATIONS, probabilities, strict=True)))


@pytest.mark.parametrize("p", [(0.5, 0.5, 0.5), (0.3, 0.3, 0.3), (0, 0, 0), (float("nan"), 0.5, 0.5)])
def test_probabilities_must_sum_to_one(p):
    with pytest.raises(InputError, match="sum to 1") as error:
        of(*p)
    assert all(str(value) in str(error.value) for value in p)


def test_probabilities_sum_to_one_within_rounding():
    of(0.1, 0.2, 0.7)
    of(1 / 3, 1 / 3, 1 / 3)


def test_mutations_come_with_their_probabilities():
    rng = np.random.default_rng(0)
    genome = evolved(4, 6, 4, mutations=20)
    kinds = {"node": 0, "connection": 0, "activation": 0}
    for _ in range(2000):
        child = mutate(genome, of(0.2, 0.3, 0.5), rng)
        if child.num_neurons > genome.num_neurons:
            kinds["node"] += 1
        elif child.num_connections > genome.num_connections:
            kinds["connection"] += 1
        else:
            kinds["activation"] += 1
    assert abs(kinds["node"] - 400) < 80
    assert abs(kinds["connection"] - 600) < 90
