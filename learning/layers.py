"""A genome as torch layers: one masked linear layer per genome layer, and its feedback alignment twin.

The activities of all neurons are kept, (B, N), in the order of their layers: inputs first, outputs last, and within a
layer by id. A neuron's place in that order is its column.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from evolution.errors import InputError
from evolution.genome import ACTIVATION_NAMES, Genome
from networks.activations import ACTIVATIONS


class FeedbackLinear(torch.autograd.Function):
    """values (B, S) @ weights (S, T), through which the error goes back by a fixed matrix (S, T) instead.

    Feedback alignment (Lillicrap et al. 2016): `dvalues = error @ feedback.T`, where backpropagation has weights.T.
    The gradient of the weights is that of any linear layer, with the error as it arrives.
    """

    @staticmethod
    def forward(ctx: Any, values: Tensor, weights: Tensor, feedback: Tensor) -> Tensor:
        ctx.save_for_backward(values, feedback)
        return values @ weights

    @staticmethod
    def backward(ctx: Any, *errors: Tensor) -> tuple[Tensor | None, Tensor, None]:
        (error,) = errors
        values, feedback = ctx.saved_tensors
        back = error @ feedback.T if ctx.needs_input_grad[0] else None  # images need none
        return back, values.T @ error, None


class MaskedLinear(torch.nn.Module):
    """One layer of a genome: f(values[:, sources] @ W), over the S neurons that connect to its T neurons.

    Only existing connections have a weight; W (S, T) is made from them for each pass, with zeros elsewhere, so that
    nothing that a rule or an optimiser does can bring a missing connection to life.
    """

    connections: Tensor  # (e,) which of the genome's connections lead here,
    sources: Tensor  # (S,) the columns of the neurons they come from,
    rows: Tensor  # (e,) from which of the sources,
    columns: Tensor  # (e,) to which of the T neurons
    weights: torch.nn.Parameter  # (e,)

    def __init__(self, genome: Genome, layer: int, column_of: npt.NDArray[np.intp]) -> None:
        super().__init__()
        assert genome.weights is not None
        neurons = np.flatnonzero(genome.layers == layer)
        connections = np.flatnonzero(genome.layers[genome.connections[:, 1]] == layer)
        start, targets = int(column_of[neurons[0]]), column_of[genome.connections[connections, 1]]
        sources, rows = np.unique(column_of[genome.connections[connections, 0]], return_inverse=True)
        self.neurons = slice(start, start + len(neurons))  # the columns of the layer's own neurons
        self.shape = (len(sources), len(neurons))
        self.activation = _activation(genome.activations[neurons])
        for name, array in {
            "connections": connections,
            "sources": sources,
            "rows": rows,
            "columns": targets - start,
        }.items():
            self.register_buffer(name, torch.from_numpy(array))
        self.weights = torch.nn.Parameter(torch.from_numpy(genome.weights[connections]))

    def matrix(self, weights: Tensor) -> Tensor:
        """(S, T) from one value per connection (e,)."""
        flat = weights.new_zeros(self.shape[0] * self.shape[1])
        return flat.scatter(0, self.rows * self.shape[1] + self.columns, weights).view(self.shape)

    def forward(self, values: Tensor, feedback: Tensor | None = None) -> Tensor:
        """Values (B, T) of this layer from those of all layers below (B, M).

        With `feedback` (S, T) the error goes back through it in place of the weights.
        """
        return self.activation(self.sums(values, feedback))

    def sums(self, values: Tensor, feedback: Tensor | None = None) -> Tensor:
        """What `forward` applies the activation to, (B, T)."""
        sources, matrix = values[:, self.sources], self.matrix(self.weights)
        return sources @ matrix if feedback is None else FeedbackLinear.apply(sources, matrix, feedback)


class Network(torch.nn.Module):
    """A genome with weights, made to compute and to learn."""

    def __init__(self, genome: Genome) -> None:
        super().__init__()
        if genome.weights is None:
            raise InputError("this network has no weights to train: it is a weight agnostic one")
        order = np.argsort(genome.layers, kind="stable")
        column_of = np.argsort(order)
        self.genome = genome
        self.layers: Sequence[MaskedLinear] = torch.nn.ModuleList(  # type: ignore[assignment]
            MaskedLinear(genome, layer, column_of) for layer in range(1, genome.num_layers)
        )
        self.hidden: Tensor  # (H,) the columns of the hidden neurons, by id
        self.register_buffer("hidden", torch.from_numpy(column_of[genome.num_inputs + genome.num_outputs :]))

    def forward(self, images: Tensor, propagate: Callable[[MaskedLinear, Tensor], Tensor] | None = None) -> Tensor:
        """The activities of all neurons (B, N) for images (B, observed).

        `propagate(layer, values)` computes a layer from all that is below it; without it, the layer itself does.
        """
        if images.ndim != 2 or images.shape[1] != self.genome.num_observed:
            raise ValueError(f"images of shape {tuple(images.shape)}; it takes (B, {self.genome.num_observed})")
        values = torch.nn.functional.pad(images, (0, 1), value=1.0) if self.genome.use_bias else images
        for layer in self.layers:
            values = torch.cat([values, propagate(layer, values) if propagate else layer(values)], dim=1)
        return values

    def outputs(self, activities: Tensor) -> Tensor:
        """(B, O) of the activities (B, N)."""
        return activities[:, -self.genome.num_outputs :]

    def by_connection(self, values: Sequence[Tensor]) -> npt.NDArray[np.float32]:
        """(E,) in the order of the genome's connections, from one (e,) per layer."""
        result = np.empty(self.genome.num_connections, np.float32)
        for layer, array in zip(self.layers, values, strict=True):
            result[layer.connections.cpu().numpy()] = array.detach().cpu().numpy()
        return result


def _activation(indices: npt.NDArray[np.int8]) -> Callable[[Tensor], Tensor]:
    """The function (B, T) -> (B, T) that applies the t-th of T activations to column t."""
    kinds, kind = np.unique(indices, return_inverse=True)
    functions = [ACTIVATIONS[ACTIVATION_NAMES[k]].torch for k in kinds]
    if len(functions) == 1:
        return functions[0]
    groups = [np.flatnonzero(kind == k) for k in range(len(kinds))]
    back = np.argsort(np.concatenate(groups))

    def apply(sums: Tensor) -> Tensor:
        return torch.cat([f(sums[:, group]) for f, group in zip(functions, groups, strict=True)], dim=1)[:, back]

    return apply
