"""The order in which libraries of dense tensors compute a network: groups of neurons, one after the other."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from evolution.genome import ACTIVATION_NAMES, Genome


@dataclass(frozen=True)
class Group:
    """Neurons of one layer with one activation: one product of the values so far with a matrix, one activation."""

    activation: str
    num_before: int  # values computed before
    num_neurons: int
    connections: npt.NDArray[np.int64]  # (e,) which of the genome's connections lead here,
    rows: npt.NDArray[np.int64]  # (e,) from which value, by position,
    columns: npt.NDArray[np.int64]  # (e,) to which neuron of the group

    def matrix(self, weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """(num_before, num_neurons) for the weights (E,) of all connections."""
        matrix = np.zeros((self.num_before, self.num_neurons))
        matrix[self.rows, self.columns] = weights[self.connections]
        return matrix


@dataclass(frozen=True)
class Plan:
    """All groups, sources before targets. The values are the inputs (the bias last), then group by group."""

    groups: tuple[Group, ...]
    outputs: npt.NDArray[np.int64]  # (O,) the positions of the outputs among all values

    @classmethod
    def of(cls, genome: Genome) -> "Plan":
        order = np.lexsort((genome.activations, genome.layers))
        order = np.concatenate([np.arange(genome.num_inputs), order[genome.layers[order] > 0]])
        positions = np.argsort(order)
        sources, targets = positions[genome.connections].T
        keys = np.column_stack([genome.layers, genome.activations])[order]
        starts = np.flatnonzero((keys[1:] != keys[:-1]).any(axis=1)) + 1
        starts = starts[starts > genome.num_inputs]
        starts = np.concatenate([[genome.num_inputs], starts])
        groups = []
        for start, end in zip(starts.tolist(), [*starts[1:].tolist(), genome.num_neurons], strict=True):
            connections = np.flatnonzero((targets >= start) & (targets < end))
            name = ACTIVATION_NAMES[genome.activations[order[start]]]
            rows, columns = sources[connections], targets[connections] - start
            groups.append(Group(name, start, end - start, connections, rows, columns))
        return cls(tuple(groups), positions[genome.num_inputs : genome.num_inputs + genome.num_outputs])
