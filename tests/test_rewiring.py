"""The networks that a champion is compared with: what they keep, and that all that could be are equally likely."""

from itertools import combinations

import numpy as np
import pytest
from genomes import evolved
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from analysis.rewiring import dense, dense_sizes, fresh, mutated, rewired
from evolution.genome import LINEAR, RELU, Genome

PARAMS = {"p_initial_connection_enabled": 0.05}


def small() -> Genome:
    """Inputs 0, 1, 2; outputs 3, 4; hidden 5, 6 in layer 1 and 7 in layer 2; connections skip layers."""
    connections = [[0, 5], [1, 5], [1, 6], [2, 6], [2, 3], [5, 7], [6, 7], [6, 3], [7, 4]]
    return Genome(
        3,
        2,
        np.array([0, 0, 0, 3, 3, 1, 1, 2], np.int32),
        np.array([LINEAR] * 5 + [RELU] * 3, np.int8),
        np.array(connections, np.int32),
        weights=np.arange(9, dtype=np.float32),
    )


def graph(genome: Genome) -> frozenset[tuple[int, int]]:
    return frozenset(map(tuple, genome.connections.tolist()))


def every_graph(genome: Genome) -> set[frozenset[tuple[int, int]]]:
    """All graphs of the same layers and degrees, by trying every set of upward pairs, source by source."""
    n = genome.num_neurons
    out_degrees = np.bincount(genome.connections[:, 0], minlength=n)
    in_degrees = np.bincount(genome.connections[:, 1], minlength=n)
    found = set()

    def extend(source: int, pairs: list[tuple[int, int]], left: np.ndarray) -> None:
        if source == n:
            if not left.any():
                found.add(frozenset(pairs))
            return
        above = [t for t in range(n) if genome.layers[t] > genome.layers[source] and left[t]]
        for targets in combinations(above, out_degrees[source]):
            rest = left.copy()
            rest[list(targets)] -= 1
            extend(source + 1, [*pairs, *((source, t) for t in targets)], rest)

    extend(0, [], in_degrees)
    return found


def test_the_chain_reaches_every_graph_equally_often():
    """Against enumeration: chi-square over all graphs with these layers and degrees."""
    genome = small()
    graphs = every_graph(genome)
    assert len(graphs) == 35
    assert graph(genome) in graphs
    rng = np.random.default_rng(0)
    counts = dict.fromkeys(graphs, 0)
    for _ in range(3500):
        counts[graph(rewired(genome, rng, exchanges=12))] += 1
    assert stats.chisquare(list(counts.values())).pvalue > 0.001


def test_too_short_a_chain_stays_near_its_beginning():
    """The test above can fail: after few steps the first graph is too frequent."""
    genome, rng = small(), np.random.default_rng(0)
    stayed = sum(graph(rewired(genome, rng, exchanges=1)) == graph(genome) for _ in range(720))
    assert stayed > 5 * 720 / 35


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 40))
def test_rewiring_keeps_layers_and_degrees(seed, mutations):
    genome = evolved(seed, 12, 3, p_initial=0.3, mutations=mutations, with_weights=True)
    found = rewired(genome, np.random.default_rng(seed), exchanges=5)
    found.check()
    assert (found.layers == genome.layers).all()
    for column in (0, 1):
        degrees = [np.bincount(g.connections[:, column], minlength=g.num_neurons) for g in (found, genome)]
        np.testing.assert_array_equal(*degrees)


def test_rewiring_where_nothing_can_be_exchanged():
    for pairs in (1.0, 0.0):
        full = Genome.initial(3, 2, pairs, np.random.default_rng(0), with_weights=True)
        assert graph(rewired(full, np.random.default_rng(0))) == graph(full)


def test_a_long_chain_forgets_where_it_began():
    """Of 400 connections, hardly more are where they were than between two rewired graphs."""
    genome = evolved(0, 64, 10, p_initial=0.2, mutations=270, with_weights=True)
    rng = np.random.default_rng(0)
    one, other = graph(rewired(genome, rng)), graph(rewired(genome, rng))
    assert len(one & graph(genome)) <= 1.5 * len(one & other)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 60))
def test_mutated_networks_have_the_same_sizes(seed, mutations):
    genome = evolved(seed, 6, 3, p_initial=0.1, mutations=mutations, with_weights=True)
    found = mutated(genome, PARAMS, np.random.default_rng(seed))
    found.check()
    assert (found.num_connections, found.num_hidden) == (genome.num_connections, genome.num_hidden)
    assert found.weights is not None


def test_dense_layers_stand_next_below_and_above():
    genome = evolved(0, 64, 10, p_initial=0.3, mutations=20, with_weights=True)
    sizes = dense_sizes(genome)
    networks = [dense(genome, size, np.random.default_rng(0)) for size in sizes]
    assert [network.num_connections for network in networks] == [size * 74 for size in sizes]
    assert networks[0].num_connections <= genome.num_connections < networks[1].num_connections
    assert dense_sizes(Genome.initial(64, 10, 0.01, np.random.default_rng(0))) == [1]
    assert dense_sizes(dense(genome, 3, np.random.default_rng(0))) == [3]


@pytest.mark.parametrize(("spread", "expected"), [((), 0.1), ((0.5,), 0.5)])
def test_fresh_weights_have_the_spread_asked_for(spread, expected):
    genome = dense(small(), 400, np.random.default_rng(0))
    weights = fresh(genome, np.random.default_rng(1), *spread).weights
    assert weights.std() == pytest.approx(expected, rel=0.05)
    assert weights.dtype == np.float32
