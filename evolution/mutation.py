"""Mutations: add node, add connection, change activation. Each takes a genome and gives a new one.

MUTATIONS names them all: another one is a function and a line there, and its probability is a parameter.
"""

from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import accumulate

import numpy as np
import numpy.typing as npt

from evolution.errors import InputError
from evolution.genome import ACTIVATION_NAMES, Genome, IntArray, draw_weights

MAX_DRAWS = 20  # rejected pairs before the free ones are listed; the distribution is the same either way


@dataclass(frozen=True)
class MutationSettings:
    """How a child differs from its parent.

    `probabilities` are by the names of MUTATIONS, which are those of the parameters too; one that is not named has the
    probability 0. Raises InputError unless they sum to 1.
    """

    probabilities: Mapping[str, float] = field(
        default_factory=lambda: {"p_add_node": 0.25, "p_add_connection": 0.25, "p_change_activation": 0.5}
    )
    num_mutations: int = 1
    inherit_weights: bool = False
    connect_outputs: bool = True  # whether add connection may touch the output layer

    def __post_init__(self) -> None:
        unknown = [name for name in self.probabilities if name not in MUTATIONS]
        if unknown:
            raise InputError(f"unknown mutation {unknown[0]!r:.60}; known are {', '.join(MUTATIONS)}")
        total = sum(self.probabilities.values())
        if not abs(total - 1) < 1e-6:
            each = ", ".join(f"{name} {p}" for name, p in self.probabilities.items())
            raise InputError(f"the mutation probabilities must sum to 1: {each} sum to {total:g}")


def mutate(genome: Genome, settings: MutationSettings, rng: np.random.Generator) -> Genome:
    """A child: `num_mutations` mutations, each drawn by the given probabilities.

    A genome with weights keeps them where `inherit_weights` is true (new connections draw theirs); else all are
    redrawn.
    """
    names = [name for name in MUTATIONS if settings.probabilities.get(name)]
    ends = list(accumulate(settings.probabilities[name] for name in names))
    for _ in range(settings.num_mutations):
        drawn = bisect_right(ends, rng.random() * ends[-1], hi=len(ends) - 1)
        genome = MUTATIONS[names[drawn]](genome, settings, rng)
    if genome.weights is not None and not settings.inherit_weights:
        genome = replace(genome, weights=draw_weights(genome.num_connections, rng))
    return genome


def add_node(genome: Genome, rng: np.random.Generator, connection: int | None = None) -> Genome:
    """Split a connection u->v (uniformly drawn unless given): u->v becomes u->n in its place, n->v is appended.

    The new hidden neuron n goes to the layer after u's if that is not v's, else into a new layer between them. In a
    network with weights, u->n keeps the weight and n->v draws one. Without connections nothing happens.
    """
    if not genome.num_connections:
        return genome
    if connection is None:
        connection = int(rng.integers(genome.num_connections))
    source, target = genome.connections[connection].tolist()
    new, layer = genome.num_neurons, int(genome.layers[source]) + 1
    layers = np.append(genome.layers, np.int32(layer))
    if layer == genome.layers[target]:
        layers[:-1] += genome.layers >= layer
    connections = np.concatenate([genome.connections, np.array([[new, target]], np.int32)])
    connections[connection, 1] = new
    if genome.weights is None:
        activation, weights = int(rng.integers(len(ACTIVATION_NAMES))), None
    else:
        activation, weights = genome.hidden_activation, np.append(genome.weights, draw_weights(1, rng))
    activations = np.append(genome.activations, np.int8(activation))
    return replace(genome, layers=layers, activations=activations, connections=connections, weights=weights)


def add_connection(genome: Genome, rng: np.random.Generator, *, connect_outputs: bool = True) -> Genome:
    """Connect a source, uniform among neurons below the output layer, with a target, uniform in the layers above it.

    Pairs are drawn until one is not connected yet. With `connect_outputs` false, sources lie below the last hidden
    layer and targets are hidden neurons. Where no pair is left nothing happens.
    """
    top = genome.num_layers - (1 if connect_outputs else 2)  # the highest layer that may receive a connection
    if top < 1:
        return genome
    # Every connection runs upwards, so the graph is full exactly when it has as many as there are upward pairs.
    in_layer = np.bincount(genome.layers)[: top + 1]
    up_to_layer = in_layer.cumsum()
    num_pairs = int((in_layer[1:] * up_to_layer[:-1]).sum())
    sources, targets = genome.connections[:, 0], genome.connections[:, 1]
    num_taken = len(targets) if connect_outputs else int(np.count_nonzero(genome.layers[targets] <= top))
    if num_taken == num_pairs:
        return genome

    order = np.argsort(genome.layers, kind="stable")[: up_to_layer[-1]]  # neurons by layer
    num_sources = int(up_to_layer[-2])
    taken = sources.astype(np.int64) * genome.num_neurons + targets
    for _ in range(MAX_DRAWS):
        source = int(order[int(rng.random() * num_sources)])
        first = int(up_to_layer[genome.layers[source]])
        target = int(order[first + int(rng.random() * (len(order) - first))])
        if not (taken == source * genome.num_neurons + target).any():
            break
    else:
        source, target = _draw_free_pair(genome, order, up_to_layer, taken, rng)
    connections = np.concatenate([genome.connections, np.array([[source, target]], np.int32)])
    weights = None if genome.weights is None else np.append(genome.weights, draw_weights(1, rng))
    return replace(genome, connections=connections, weights=weights)


def _draw_free_pair(
    genome: Genome,
    order: npt.NDArray[np.intp],
    up_to_layer: npt.NDArray[np.intp],
    taken: npt.NDArray[np.int64],
    rng: np.random.Generator,
) -> tuple[int, int]:
    """What drawing again and again would end with: a free pair, with probability proportional to 1/(targets above)."""
    num_sources = int(up_to_layer[-2])
    sources = np.repeat(order[:num_sources], len(order))
    targets = np.tile(order, num_sources)
    free = genome.layers[targets] > genome.layers[sources]
    free &= ~np.isin(sources * genome.num_neurons + targets, taken)
    sources, targets = sources[free], targets[free]
    chance = (1 / (len(order) - up_to_layer[genome.layers[sources]])).cumsum()
    chosen = int(np.searchsorted(chance, rng.random() * chance[-1], side="right"))
    return int(sources[chosen]), int(targets[chosen])


def change_activation(genome: Genome, rng: np.random.Generator) -> Genome:
    """Give a uniformly drawn hidden neuron another activation, uniform among the nine others."""
    if not genome.num_hidden:
        return genome
    neuron = genome.num_inputs + genome.num_outputs + int(rng.integers(genome.num_hidden))
    step = 1 + int(rng.integers(len(ACTIVATION_NAMES) - 1))
    activations = genome.activations.copy()
    activations[neuron] = (activations[neuron] + step) % len(ACTIVATION_NAMES)
    return replace(genome, activations=activations)


def compact_layers(genome: Genome) -> Genome:
    """Let every hidden neuron without a source in the layer directly below sink, until none can; empty layers go.

    A hidden neuron then stands one layer above its highest source. The function computed does not change.
    """
    visible = genome.num_inputs + genome.num_outputs
    sources, targets = genome.connections[:, 0], genome.connections[:, 1]
    into_hidden = targets >= visible
    sources, targets = sources[into_hidden], targets[into_hidden]
    layers: IntArray = np.zeros(genome.num_neurons, np.int32)
    layers[visible:] = 1
    while True:  # the longest path from an input; ends after as many rounds as there are layers
        raised = layers.copy()
        np.maximum.at(raised, targets, layers[sources] + 1)
        if (raised == layers).all():
            break
        layers = raised
    layers[genome.num_inputs : visible] = layers.max() + 1
    return genome if (layers == genome.layers).all() else replace(genome, layers=layers)


def _split(genome: Genome, settings: MutationSettings, rng: np.random.Generator) -> Genome:
    """Add node; a network with weights is made compact after it."""
    child = add_node(genome, rng)
    return child if child.weights is None else compact_layers(child)


def _connect(genome: Genome, settings: MutationSettings, rng: np.random.Generator) -> Genome:
    return add_connection(genome, rng, connect_outputs=settings.connect_outputs)


def _change(genome: Genome, settings: MutationSettings, rng: np.random.Generator) -> Genome:
    return change_activation(genome, rng)


Mutation = Callable[[Genome, MutationSettings, np.random.Generator], Genome]
# By the parameter that is its probability. The order is that in which the probabilities divide what is drawn.
MUTATIONS: dict[str, Mutation] = {
    "p_add_node": _split,
    "p_add_connection": _connect,
    "p_change_activation": _change,
}
