"""The readable forward pass of a weight agnostic network, in float64. All other evaluators are tested against it."""

import numpy as np
import numpy.typing as npt

from evolution.genome import ACTIVATION_NAMES, Genome
from networks.activations import ACTIVATIONS

SHARED_WEIGHTS = (-2.0, -1.0, -0.5, 0.5, 1.0, 2.0)  # that a weight agnostic network is evaluated at (Gaier and Ha 2019)

Array = npt.NDArray[np.float64]


def with_bias(genome: Genome, inputs: npt.NDArray) -> npt.NDArray:
    """The inputs (B, observed) as the genome's input neurons see them: (B, I), the bias as a last column of ones."""
    if inputs.ndim != 2 or inputs.shape[1] != genome.num_observed:
        raise ValueError(f"inputs of shape {inputs.shape}; this network takes (B, {genome.num_observed})")
    return np.column_stack([inputs, np.ones(len(inputs), inputs.dtype)]) if genome.use_bias else inputs


def forward(genome: Genome, inputs: npt.ArrayLike, weight: float) -> Array:
    """Outputs (B, O) for inputs (B, I) with one shared weight: a neuron's value is f(weight * sum of its sources).

    A neuron without sources has the sum 0. Raises ValueError for inputs of another shape.
    """
    return neuron_values(genome, inputs, weight)[:, genome.num_inputs : genome.num_inputs + genome.num_outputs]


def neuron_values(genome: Genome, inputs: npt.ArrayLike, weight: float | npt.NDArray) -> Array:
    """The value of every neuron, (B, N), for inputs (B, I); `weight` is shared, or one per connection (E,)."""
    inputs = with_bias(genome, np.asarray(inputs, np.float64))
    weights = np.broadcast_to(np.asarray(weight, np.float64), genome.num_connections)
    values = np.zeros((len(inputs), genome.num_neurons))
    values[:, : genome.num_inputs] = inputs
    for neuron in np.argsort(genome.layers, kind="stable")[genome.num_inputs :]:
        incoming = genome.connections[:, 1] == neuron
        sources = genome.connections[incoming, 0]
        activation = ACTIVATIONS[ACTIVATION_NAMES[genome.activations[neuron]]].numpy
        values[:, neuron] = activation(values[:, sources] @ weights[incoming])
    return values
