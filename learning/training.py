"""Training and testing one network with torch: readable, and what the compiled kernels are tested against."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from evolution.errors import InputError
from evolution.genome import Genome
from learning.layers import Network
from learning.rules import rule_class

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.integer]
Images = FloatArray | Tensor  # (n, observed); a tensor where it already lies on the device
Labels = npt.NDArray[np.int64] | Tensor  # (n,)
Device = torch.device | str

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": torch.optim.SGD,
    "adam": torch.optim.Adam,
    "adadelta": torch.optim.Adadelta,
}


@dataclass(frozen=True)
class Training:
    """What training gives: the weights by epoch, and loss and accuracy of every batch before its update."""

    weights_by_epoch: FloatArray  # (num_epochs + 1, E) those it began with, then those after each epoch
    losses: FloatArray  # (num_epochs, batches)
    accuracies: FloatArray  # (num_epochs, batches)

    @property
    def weights(self) -> FloatArray:
        """The weights that training ends with (E,)."""
        return self.weights_by_epoch[-1]


class Trainer:
    """One network in training: its weights, its learning rule, and the optimiser's state.

    `feedback` are the rule's fixed backward weights, see `draw_feedback`. With `train_only_outputs` only the
    connections into the outputs change, by the gradient, whatever the rule: all rules train those alike. Raises
    InputError for an unknown rule or optimiser, ValueError for feedback of a wrong shape.
    """

    def __init__(
        self,
        genome: Genome,
        *,
        learning_rule: str = "backprop",
        optimizer: str = "adam",
        lr: float = 0.01,
        train_only_outputs: bool = False,
        feedback: FloatArray | None = None,
        device: Device = "cpu",
    ) -> None:
        rule = rule_class(effective_rule(learning_rule, train_only_outputs))
        if optimizer not in OPTIMIZERS:
            raise InputError(f"unknown optimizer {optimizer!r:.60}; known are {', '.join(OPTIMIZERS)}")
        self.network = Network(genome).to(device)
        self.rule = rule(self.network, None if feedback is None else to_tensor(feedback, device))
        self.lr = lr
        self.optimizer = OPTIMIZERS[optimizer]([layer.weights for layer in self.rule.optimized_layers()], lr=lr)

    def step(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Learn from one batch; its mean loss and its accuracy before the weights change."""
        activities, loss = self.set_gradients(images, labels)
        self.optimizer.step()
        self.rule.update(activities, self.lr)
        accuracy = (self.network.outputs(activities).argmax(1) == labels).float().mean()
        return loss.detach(), accuracy

    def set_gradients(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Forward and backward pass; the activities (B, N) and the mean cross-entropy of the outputs as logits."""
        self.optimizer.zero_grad()
        activities = self.rule.forward(images)
        loss = cross_entropy(self.network.outputs(activities), labels)
        self.rule.backward(activities, loss)
        return activities.detach(), loss

    def epoch(self, images: Images, labels: Labels, order: IntArray, batch_size: int) -> tuple[FloatArray, FloatArray]:
        """Learn from all images in the given order (n,), a last partial batch left out.

        Gives the losses and accuracies (batches,) of the batches, each before its update.
        """
        device = self.network.hidden.device
        images, labels = to_tensor(images, device), to_tensor(labels, device)
        count = len(order) // batch_size
        batches = to_tensor(order, device)[: count * batch_size].view(count, batch_size)
        steps = [self.step(images[batch], labels[batch]) for batch in batches]
        losses, accuracies = (torch.stack(values).cpu().numpy() for values in zip(*steps, strict=True))
        return losses, accuracies

    @property
    def weights(self) -> FloatArray:
        """The present weights (E,), in the order of the genome's connections."""
        return self.network.by_connection([layer.weights for layer in self.network.layers])


def train(
    genome: Genome,
    images: Images,
    labels: Labels,
    *,
    learning_rule: str = "backprop",
    optimizer: str = "adam",
    lr: float = 0.01,
    num_epochs: int = 5,
    batch_size: int = 256,
    train_only_outputs: bool = False,
    order: IntArray | None = None,
    feedback: FloatArray | None = None,
    rng: np.random.Generator | None = None,
    device: Device = "cpu",
) -> Training:
    """Train a genome from its own weights on images (n, observed) with labels (n,).

    `order` (num_epochs, n) is a permutation of the images for each epoch, `feedback` what `draw_feedback` gives; both
    are drawn from `rng` where they are not given. Raises InputError where a batch is larger than the data set, and
    otherwise as `Trainer` does.
    """
    check_batch_size(batch_size, len(images))
    rule = effective_rule(learning_rule, train_only_outputs)
    if order is None:
        order = draw_order(num_epochs, len(images), _given(rng, "order"))
    if feedback is None and rule_class(rule).feedback_shape(genome) is not None:
        feedback = draw_feedback(genome, rule, _given(rng, "feedback"))
    if len(order) != num_epochs:
        raise ValueError(f"an order of {len(order)} epochs for {num_epochs}")
    trainer = Trainer(genome, learning_rule=rule, optimizer=optimizer, lr=lr, feedback=feedback, device=device)
    images, labels = to_tensor(images, device), to_tensor(labels, device)
    weights, epochs = [trainer.weights], []
    for permutation in order:
        epochs.append(trainer.epoch(images, labels, permutation, batch_size))
        weights.append(trainer.weights)
    losses, accuracies = (np.stack(values) for values in zip(*epochs, strict=True))
    return Training(np.stack(weights), losses, accuracies)


def test(
    genome: Genome,
    images: Images,
    labels: Labels,
    batch_size: int,
    device: Device = "cpu",  # noqa: PT028 - no test of pytest's
) -> tuple[float, float]:
    """Mean cross-entropy and accuracy over all images. Batches limit the memory; a partial one counts by its size."""
    network = Network(genome).to(device)
    images, labels = to_tensor(images, device), to_tensor(labels, device)
    loss = correct = 0.0
    with torch.no_grad():
        for batch, truth in zip(images.split(batch_size), labels.split(batch_size), strict=True):
            outputs = network.outputs(network(batch))
            loss += float(cross_entropy(outputs, truth, reduction="sum"))
            correct += int((outputs.argmax(1) == truth).sum())
    return loss / len(images), correct / len(images)


def forward(genome: Genome, images: Images) -> FloatArray:
    """Outputs (B, O), float32, for images (B, observed) with the genome's weights."""
    network = Network(genome)
    with torch.no_grad():
        return network.outputs(network(to_tensor(images, "cpu"))).numpy()


def connection_gradients(
    genome: Genome, images: Images, labels: Labels, learning_rule: str, feedback: FloatArray | None = None
) -> FloatArray:
    """The gradient (E,) of the mean cross-entropy as the rule sees it, in the order of the genome's connections.

    0 where the rule uses none. `feedback`: the fixed backward weights, (E,) for feedback alignment, (H, O) for direct
    feedback alignment, whose row h belongs to the hidden neuron I+O+h.
    """
    trainer = Trainer(genome, learning_rule=learning_rule, feedback=feedback)
    trainer.set_gradients(to_tensor(images, "cpu"), to_tensor(labels, "cpu"))
    weights = [layer.weights for layer in trainer.network.layers]
    return trainer.network.by_connection([torch.zeros_like(w) if w.grad is None else w.grad for w in weights])


def connection_updates(
    genome: Genome,
    images: Images,
    labels: Labels,
    learning_rule: str,
    optimizer: str,
    lr: float,
    feedback: FloatArray | None = None,
) -> FloatArray:
    """The weight changes (E,) of one update, from a fresh optimiser, in the order of the genome's connections."""
    trainer = Trainer(genome, learning_rule=learning_rule, optimizer=optimizer, lr=lr, feedback=feedback)
    before = trainer.weights
    trainer.step(to_tensor(images, "cpu"), to_tensor(labels, "cpu"))
    return trainer.weights - before


def draw_order(num_epochs: int, num_images: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """A new random permutation of the images for each epoch, (num_epochs, n)."""
    return np.stack([rng.permutation(num_images) for _ in range(num_epochs)])


def draw_feedback(genome: Genome, learning_rule: str, rng: np.random.Generator) -> FloatArray | None:
    """The fixed backward weights of one training run, from N(0, 1); None for a rule that has none.

    (E,) in the order of the connections for feedback alignment, (H, O) for direct feedback alignment.
    """
    shape = rule_class(learning_rule).feedback_shape(genome)
    return None if shape is None else rng.standard_normal(shape, dtype=np.float32)


def effective_rule(learning_rule: str, train_only_outputs: bool) -> str:
    """The rule that really trains: `last_layer` where only the outputs are trained, since all rules do that alike."""
    rule_class(learning_rule)  # an unknown name is an error either way
    return "last_layer" if train_only_outputs else learning_rule


def check_batch_size(batch_size: int, num_images: int) -> None:
    """Raise InputError where a batch is larger than the data set: no batch would be left to train on."""
    if not 1 <= batch_size <= num_images:
        raise InputError(f"batch_size is {batch_size}; there are {num_images} training images, so 1..{num_images}")


def _given(rng: np.random.Generator | None, what: str) -> np.random.Generator:
    if rng is None:
        raise ValueError(f"neither {what} nor a generator (rng) to draw it from is given")
    return rng


def to_tensor(array: npt.NDArray | Tensor, device: Device) -> Tensor:
    """The same numbers on the device, as 32-bit floats or 64-bit integers; where they are that, in the same memory."""
    with warnings.catch_warnings():
        # Workers share the data set as a read-only memory map, which torch would warn of; nothing here writes to it.
        warnings.filterwarnings("ignore", message=".*not writable")
        tensor = torch.as_tensor(array, device=device)
    return tensor.to(torch.float32 if tensor.is_floating_point() else torch.int64)
