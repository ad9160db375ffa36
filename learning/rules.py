"""The learning rules: how the weights of a network change with a batch of images.

Each rule is one class; `learning.LEARNING_RULES` names them. How to add one: docs/adding-a-learning-rule.md.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from evolution.errors import InputError
from evolution.genome import Genome
from learning import LEARNING_RULES
from learning.layers import MaskedLinear, Network

FloatArray = npt.NDArray[np.float32]


class LearningRule:
    """What every rule decides, and the default for each: the gradient of the loss for all weights.

    For each batch the trainer calls `forward`, computes the loss from the outputs, calls `backward`, lets the optimiser
    change the weights of `optimized_layers` by their gradients, and calls `update`.
    """

    def __init__(self, network: Network, feedback: Tensor | None = None) -> None:
        """`feedback`: the fixed backward weights, of `feedback_shape`. Raises ValueError where it has another shape."""
        expected = self.feedback_shape(network.genome)
        if expected is not None and (feedback is None or tuple(feedback.shape) != expected):
            given = "none is given" if feedback is None else f"its shape is {tuple(feedback.shape)}"
            raise ValueError(f"{type(self).__name__} needs feedback of shape {expected}; {given}")
        self.network = network
        self.feedback = feedback
        for layer in network.layers:
            layer.weights.requires_grad_(False)
        for layer in self.optimized_layers():
            layer.weights.requires_grad_()

    @staticmethod
    def feedback_shape(genome: Genome) -> tuple[int, ...] | None:
        """Shape of the random numbers N(0, 1) that the rule draws for each training run; None where it needs none."""
        return None

    def optimized_layers(self) -> Sequence[MaskedLinear]:
        """The layers into which connections are trained by gradient and optimiser."""
        return self.network.layers

    def forward(self, images: Tensor) -> Tensor:
        """Activities of all neurons (B, N) for images (B, observed)."""
        return self.network(images, self.propagate)

    def propagate(self, layer: MaskedLinear, values: Tensor) -> Tensor:
        """Values (B, T) of one layer from those of all layers below (B, M). What is done here decides the way back."""
        return layer(values)

    def backward(self, activities: Tensor, loss: Tensor) -> None:
        """Give the weights of the optimised layers their gradients."""
        loss.backward()

    def update(self, activities: Tensor, lr: float) -> None:
        """Change what the optimiser does not train, from the activities (B, N) of the forward pass."""


class Backprop(LearningRule):
    """Backpropagation: the gradient of the loss for all weights."""


class FeedbackAlignment(LearningRule):
    """The error goes back through fixed random weights on the existing connections (Lillicrap et al. 2016)."""

    @staticmethod
    def feedback_shape(genome: Genome) -> tuple[int, ...]:
        return (genome.num_connections,)

    def __init__(self, network: Network, feedback: Tensor | None = None) -> None:
        super().__init__(network, feedback)
        assert feedback is not None
        self.matrices = {layer: layer.matrix(feedback[layer.connections]) for layer in network.layers}

    def propagate(self, layer: MaskedLinear, values: Tensor) -> Tensor:
        return layer(values, self.matrices[layer])


class LastLayer(LearningRule):
    """Only the connections into the outputs change, by the gradient."""

    def optimized_layers(self) -> Sequence[MaskedLinear]:
        return [self.network.layers[-1]]


class Hebbian(LastLayer):
    """Connections into hidden neurons change by Oja's rule, those into the outputs by the gradient."""

    def update(self, activities: Tensor, lr: float) -> None:
        with torch.no_grad():
            for layer in self.network.layers[:-1]:
                layer.weights.add_(oja(layer, activities, lr))


class DirectFeedbackAlignment(LearningRule):
    """Each hidden neuron gets the output error through a fixed random matrix (Nøkland 2016)."""

    @staticmethod
    def feedback_shape(genome: Genome) -> tuple[int, ...]:
        return (genome.num_hidden, genome.num_outputs)

    def propagate(self, layer: MaskedLinear, values: Tensor) -> Tensor:
        return layer(values.detach())  # no error goes back from one layer to another

    def backward(self, activities: Tensor, loss: Tensor) -> None:
        assert self.feedback is not None
        (errors,) = torch.autograd.grad(loss, activities)  # (B, N): 0 but for the outputs
        errors[:, self.network.hidden] = self.network.outputs(errors) @ self.feedback.T
        activities.backward(errors)


def rule_class(name: str) -> type[LearningRule]:
    """The class of a learning rule. Raises InputError for a name that is not known."""
    if name not in LEARNING_RULES:
        raise InputError(f"unknown learning_rule {name!r:.60}; known are {', '.join(LEARNING_RULES)}")
    return globals()[LEARNING_RULES[name]]


def oja(layer: MaskedLinear, activities: Tensor, lr: float) -> Tensor:
    """Changes (e,) of a layer's weights by Oja's rule: lr * (<post_i pre_j> - <post_i^2> w_ij), averages over a batch.

    E. Oja, A simplified neuron model as a principal component analyzer (1982), for activities (B, N) of a batch.
    """
    pre, post = activities[:, layer.sources], activities[:, layer.neurons]
    correlations = pre.T @ post / len(activities)  # (S, T)
    squares = (post * post).mean(dim=0)  # (T,)
    return lr * (correlations[layer.rows, layer.columns] - squares[layer.columns] * layer.weights)


def oja_update(genome: Genome, images: npt.ArrayLike, lr: float) -> FloatArray:
    """Weight changes (E,) by Oja's rule for images (B, observed); 0 for connections into outputs."""
    network = Network(genome)
    with torch.no_grad():
        activities = network(torch.from_numpy(np.array(images, np.float32)))
        *hidden, outputs = network.layers
        changes = [oja(layer, activities, lr) for layer in hidden]
        return network.by_connection([*changes, torch.zeros_like(outputs.weights)])
