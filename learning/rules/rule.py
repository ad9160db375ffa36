"""What every learning rule decides, in torch, with a default for each. How to add one:
docs/adding-a-learning-rule.md.
"""

from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from evolution.genome import Genome
from learning.layers import MaskedLinear, Network
from learning.passes import Chunk
from learning.settings import TrainingSettings

FloatArray = npt.NDArray[np.float32]


class Draws(NamedTuple):
    """What a rule's training has of its own at random."""

    feedback: FloatArray | None = None  # of the rule's `feedback_shape`
    seed: int = 0  # of all that is drawn anew for each batch, see `learning/noise.py`


class LearningRule:
    """The default: backpropagation, the gradient of the loss for all weights.

    For each batch the trainer calls `learn`, lets the optimiser change `parameters` by their gradients, and calls
    `update`. `step` counts the batches from 0.
    """

    only_outputs: ClassVar[bool] = False  # the optimiser changes the connections into the outputs alone
    trains_all: ClassVar[bool] = False  # connections change too that lead to no output, even by detours
    is_random: ClassVar[bool] = False  # it draws anew for each batch
    remembers: ClassVar[tuple[str, ...]] = ()  # the tensors that it changes besides weights; they are in checkpoints

    def __init__(self, network: Network, settings: TrainingSettings | None = None, draws: Draws | None = None) -> None:
        """Raises ValueError for feedback weights that are missing or of a wrong shape."""
        draws = draws or Draws()
        self.check_feedback(network.genome, draws.feedback)
        self.network, self.settings, self.seed, self.step = network, settings or TrainingSettings(), draws.seed, 0
        self.feedback = self.tensor(draws.feedback) if draws.feedback is not None else torch.empty(0)
        for layer in network.layers:
            layer.weights.requires_grad_(False)
        for layer in self.optimized_layers():
            layer.weights.requires_grad_()

    @staticmethod
    def feedback_shape(genome: Genome) -> tuple[int, ...] | None:
        """Shape of the random numbers N(0, 1) that the rule draws for each training run; None where it needs none.

        (E,) for a number for each connection, (H, O) for one from each output to each hidden neuron, by id.
        """
        return None

    @classmethod
    def check_feedback(cls, genome: Genome, feedback: FloatArray | None) -> None:
        """Raise ValueError where these are not the feedback weights that the rule needs for this genome."""
        expected = cls.feedback_shape(genome)
        if expected is not None and (feedback is None or tuple(feedback.shape) != expected):
            given = "none is given" if feedback is None else f"its shape is {tuple(feedback.shape)}"
            raise ValueError(f"{cls.__name__} needs feedback of shape {expected}; {given}")

    def optimized_layers(self) -> Sequence[MaskedLinear]:
        """The layers into which connections are trained by gradient and optimiser."""
        return self.network.layers[-1:] if self.only_outputs else self.network.layers

    def parameters(self) -> list[Tensor]:
        """All that the optimiser changes."""
        return [layer.weights for layer in self.optimized_layers()]

    def learn(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Give the parameters their gradients for images (B, observed) with labels (B,).

        Gives the activities of all neurons (B, N), and the mean cross-entropy of the outputs as logits.
        """
        activities = self.forward(images)
        loss = cross_entropy(self.network.outputs(activities), labels)
        self.backward(activities, labels, loss)
        return activities.detach(), loss

    def forward(self, images: Tensor) -> Tensor:
        """Activities of all neurons (B, N) for images (B, observed)."""
        return self.network(images, self.propagate)

    def propagate(self, layer: MaskedLinear, values: Tensor) -> Tensor:
        """Values (B, T) of one layer from those of all layers below (B, M). What is done here decides the way back."""
        return layer(values)

    def backward(self, activities: Tensor, labels: Tensor, loss: Tensor) -> None:
        """Give the parameters their gradients."""
        loss.backward()

    def backward_weights(self) -> Tensor | None:
        """(E,) what an error is multiplied with on its way back through a connection; None where it takes none."""
        genome = self.network.genome
        return self.feedback if self.feedback_shape(genome) == (genome.num_connections,) else None

    def update(self, activities: Tensor) -> None:
        """Change what the optimiser does not train, after it, from the activities (B, N) that `learn` gave."""

    @staticmethod
    def kernel(chunk: Chunk) -> Any:
        """The state of its kernel, see `learning/passes.py`; a rule that has none trains with torch alone."""
        return None

    @classmethod
    def has_kernel(cls) -> bool:
        """Whether `kernel` is there."""
        return cls.kernel is not LearningRule.kernel

    # ---- helpers ----------------------------------------------------------------------------------------------------

    @staticmethod
    def set_gradient(layer: MaskedLinear, values: Tensor, errors: Tensor) -> None:
        """The gradient <y_i delta_j> of a layer's weights, for values y (B, N) and errors delta (B, N) of the sums.

        The errors hold the average's factor 1/B already.
        """
        products = values[:, layer.sources].T @ errors[:, layer.neurons]  # (S, T)
        layer.weights.grad = products[layer.rows, layer.columns]

    def tensor(self, array: FloatArray) -> Tensor:
        """A copy of the array where the network is."""
        return torch.tensor(array, dtype=torch.float32, device=self.network.hidden.device)

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """What a checkpoint must hold besides weights and optimiser, so that training goes on as if never
        interrupted.
        """
        arrays = {name: getattr(self, name).detach().cpu().numpy().copy() for name in self.remembers}
        return arrays | ({"step": np.array(self.step)} if arrays or self.is_random else {})

    def load_state(self, arrays: dict[str, npt.NDArray[Any]]) -> None:
        """Take over what `state` gave. Raises ValueError for arrays that do not fit."""
        expected = self.state()
        if arrays.keys() != expected.keys():
            raise ValueError(
                f"the rule's state is {', '.join(arrays) or 'empty'}, not {', '.join(expected) or 'empty'}"
            )
        for name, array in arrays.items():
            if (array.shape, array.dtype) != (expected[name].shape, expected[name].dtype):
                raise ValueError(f"the rule's {name} is an array {array.shape} of {array.dtype}")
            if name == "step":
                self.step = int(array)
            else:
                with torch.no_grad():
                    getattr(self, name).copy_(torch.from_numpy(array.copy()))
