"""What a network's graph looks like in numbers."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from evolution.genome import Genome


class Degrees(NamedTuple):
    """Connections at each neuron: into those that can have any (not inputs), out of those (not outputs), and at all."""

    incoming: npt.NDArray[np.int64]  # (N - I,)
    outgoing: npt.NDArray[np.int64]  # (N - O,)
    total: npt.NDArray[np.int64]  # (N,)


def degrees(genome: Genome) -> Degrees:
    """In-, out- and total degree of a genome's neurons, in the order of their ids."""
    incoming = np.bincount(genome.connections[:, 1], minlength=genome.num_neurons)
    outgoing = np.bincount(genome.connections[:, 0], minlength=genome.num_neurons)
    is_output = np.zeros(genome.num_neurons, bool)
    is_output[genome.num_inputs : genome.num_inputs + genome.num_outputs] = True
    return Degrees(incoming[genome.num_inputs :], outgoing[~is_output], incoming + outgoing)


def used_neurons(genome: Genome) -> npt.NDArray[np.bool_]:
    """(N,) whether a neuron lies on a path from an input to an output."""
    outputs = slice(genome.num_inputs, genome.num_inputs + genome.num_outputs)
    order = np.argsort(genome.layers[genome.connections[:, 0]], kind="stable")
    connections = genome.connections[order].tolist()
    reached = np.zeros(genome.num_neurons, bool)
    reached[: genome.num_inputs] = True
    for source, target in connections:
        reached[target] |= reached[source]
    reaching = np.zeros(genome.num_neurons, bool)
    reaching[outputs] = True
    order = np.argsort(-genome.layers[genome.connections[:, 1]], kind="stable")
    for source, target in genome.connections[order].tolist():
        reaching[source] |= reaching[target]
    return reached & reaching


def statistics(genome: Genome) -> dict[str, float]:
    """Sizes and degrees of a network.

    In-degrees are averaged over the neurons that can have incoming connections (hidden and outputs), out-degrees over
    inputs and hidden neurons, total degrees over all; `_std` is the population standard deviation. Used neurons and
    connections lie on a path from an input to an output.
    """
    used = used_neurons(genome)
    sources, targets = genome.connections[:, 0], genome.connections[:, 1]
    result = {
        "connections": genome.num_connections,
        "neurons": genome.num_neurons,
        "hidden_neurons": genome.num_hidden,
        "layers": genome.num_layers,
        "used_connections": int(np.count_nonzero(used[sources] & used[targets])),
        "used_neurons": int(used.sum()),
        "used_inputs": int(used[: genome.num_inputs].sum()),
    }
    for name, values in zip(("in", "out", "total"), degrees(genome), strict=True):
        result[f"{name}_degree_mean"] = values.mean()
        result[f"{name}_degree_std"] = values.std()
    return {name: float(value) for name, value in result.items()}
