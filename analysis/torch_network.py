"""A network as a `torch.nn.Module` whose weights, one per connection, can be trained by gradient descent."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from analysis.plan import Group, Plan
from evolution.genome import Genome
from networks.activations import ACTIVATIONS


class TorchNetwork(torch.nn.Module):
    """Computes in the precision of `weights` (E,) for inputs (B, observed) of any; the outputs (B, O) have the inputs'.

    Training changes existing connections only. The graph and the activations are fixed.
    """

    def __init__(self, genome: Genome, weights: npt.NDArray[np.floating]) -> None:
        super().__init__()
        plan = Plan.of(genome)
        self.weights = torch.nn.Parameter(torch.tensor(weights))
        self.groups = torch.nn.ModuleList([_TorchGroup(group) for group in plan.groups])
        self.use_bias = genome.use_bias
        self.outputs: Tensor
        self.register_buffer("outputs", torch.tensor(plan.outputs))

    def forward(self, inputs: Tensor) -> Tensor:
        values = inputs.to(self.weights.dtype)
        if self.use_bias:
            values = torch.nn.functional.pad(values, (0, 1), value=1.0)
        for group in self.groups:
            values = torch.cat([values, group(values, self.weights)], dim=1)
        return values[:, self.outputs].to(inputs.dtype)


class _TorchGroup(torch.nn.Module):
    def __init__(self, group: Group) -> None:
        super().__init__()
        self.activation = ACTIVATIONS[group.activation].torch
        self.shape = (group.num_before, group.num_neurons)
        self.connections: Tensor
        self.rows: Tensor
        self.columns: Tensor
        for name in ("connections", "rows", "columns"):
            self.register_buffer(name, torch.tensor(getattr(group, name)))

    def forward(self, values: Tensor, weights: Tensor) -> Tensor:
        matrix = weights.new_zeros(self.shape).index_put((self.rows, self.columns), weights[self.connections])
        return self.activation(values @ matrix)
