"""The readable forward pass in torch, for CPU and GPU; the same as `networks.reference`, in float64."""

import numpy as np
import torch
from torch import Tensor

from evolution.genome import ACTIVATION_NAMES, Genome
from networks.activations import ACTIVATIONS


def forward(genome: Genome, inputs: Tensor, weight: float) -> Tensor:
    """Outputs (B, O) for inputs (B, observed) with one shared weight, on the inputs' device and in their precision."""
    if inputs.ndim != 2 or inputs.shape[1] != genome.num_observed:
        raise ValueError(f"inputs of shape {tuple(inputs.shape)}; this network takes (B, {genome.num_observed})")
    values = inputs.new_zeros(genome.num_neurons, len(inputs))
    values[: genome.num_observed] = inputs.T
    values[genome.num_observed : genome.num_inputs] = 1  # the bias, where there is one
    for neuron in np.argsort(genome.layers, kind="stable")[genome.num_inputs :].tolist():
        sources = genome.connections[genome.connections[:, 1] == neuron, 0]
        total = values[torch.from_numpy(sources).to(inputs.device).long()].sum(dim=0)
        values[neuron] = ACTIVATIONS[ACTIVATION_NAMES[genome.activations[neuron]]].torch(weight * total)
    return values[genome.num_inputs : genome.num_inputs + genome.num_outputs].T
