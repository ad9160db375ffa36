"""Networks that keep a part of another's graph: its degrees, its sizes, or its number of connections alone."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from evolution.genome import WEIGHT_STD, Genome, draw_weights
from evolution.mutation import add_connection, add_node, compact_layers

EXCHANGES = 100  # that are tried for each connection; many more change nothing that we measured


def rewired(genome: Genome, rng: np.random.Generator, exchanges: int = EXCHANGES) -> Genome:
    """A graph drawn uniformly from all that have the same layers, and the same in- and out-degree of every neuron.

    A Markov chain of `exchanges` steps for each connection: two connections a->b and c->d, drawn uniformly, become
    a->d and c->b where both run upwards and neither is there yet; else the step changes nothing. A step is as likely
    as the one back, so that all graphs become equally likely (Milo et al. 2003). Every graph is reached: two that
    differ have a cycle of connections that are in one and in the other by turns; its lowest source may connect to all
    targets in the cycle, and an exchange at that source makes the cycle shorter. The weights stay where they are.
    """
    count = genome.num_connections
    if count < 2:
        return genome
    sources, targets = genome.connections[:, 0].tolist(), genome.connections[:, 1].tolist()
    layers = genome.layers.tolist()
    there = set(zip(sources, targets, strict=True))
    for i, j in rng.integers(count, size=(exchanges * count, 2)).tolist():
        a, b, c, d = sources[i], targets[i], sources[j], targets[j]
        if layers[a] >= layers[d] or layers[c] >= layers[b] or (a, d) in there or (c, b) in there:
            continue
        there -= {(a, b), (c, d)}
        there |= {(a, d), (c, b)}
        targets[i], targets[j] = d, b
    connections = np.column_stack([sources, targets]).astype(np.int32)
    return replace(genome, connections=connections)


def mutated(genome: Genome, params: Mapping[str, Any], rng: np.random.Generator) -> Genome:
    """A new genome, mutated at random until it has as many connections and hidden neurons as this one.

    It begins as in `run-wlnn-mnist.py`, with each pair of input and output connected with the run's probability, or
    with fewer of them where the hidden neurons need room, at least one. Nodes and connections are added in random
    order; as in the run, connections touch no output, unless all other pairs are taken.
    """
    p_initial = params["p_initial_connection_enabled"]
    new = _initial(genome, p_initial, rng)
    room = genome.num_connections - genome.num_hidden
    if not new.num_connections or new.num_connections > room:
        full = new if new.num_connections else _initial(genome, 1.0, rng)
        kept = np.sort(rng.choice(full.num_connections, min(room, new.num_connections or 1), replace=False))
        new = replace(full, connections=full.connections[kept], weights=draw_weights(len(kept), rng))
    nodes = rng.permutation(np.repeat([True, False], [genome.num_hidden, room - new.num_connections]))
    for is_node in nodes:
        new = compact_layers(add_node(new, rng)) if is_node else add_connection(new, rng, connect_outputs=False)
    while new.num_connections < genome.num_connections:
        before = new.num_connections
        new = add_connection(new, rng, connect_outputs=False)
        if new.num_connections == before:
            new = add_connection(new, rng)
    return new


def dense_sizes(genome: Genome) -> list[int]:
    """Neurons of one dense hidden layer whose connections are next below and above the genome's; one if they fit."""
    each = genome.num_inputs + genome.num_outputs
    below, rest = divmod(genome.num_connections, each)
    return [size for size in ([below, below + 1] if rest else [below]) if size]


def dense(genome: Genome, num_hidden: int, rng: np.random.Generator) -> Genome:
    """One hidden layer, every input connected with it, and all of it with every output."""
    return _initial(genome, 1.0, rng, num_hidden)


def _initial(genome: Genome, p_enabled: float, rng: np.random.Generator, num_hidden: int = 0) -> Genome:
    """A new genome with the inputs and outputs of this one."""
    return Genome.initial(
        genome.num_observed,
        genome.num_outputs,
        p_enabled,
        rng,
        num_hidden=num_hidden,
        with_weights=True,
        use_bias=genome.use_bias,
    )


def fresh(genome: Genome, rng: np.random.Generator, spread: float = WEIGHT_STD) -> Genome:
    """The network with weights as a new genome has them, or the same draws with another standard deviation."""
    weights = rng.standard_normal(genome.num_connections, dtype=np.float32) * np.float32(spread)
    return replace(genome, weights=weights)
