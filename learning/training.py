"""Training and testing one network with torch: readable, and what the compiled kernels are tested against."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from evolution.genome import Genome
from learning.layers import Network
from learning.rules import Draws, LearningRule, rule_class
from learning.settings import OPTIMIZER_NAMES, TrainingSettings, as_settings, check_batch_size

__all__ = [
    "Draws",
    "Trainer",
    "Training",
    "TrainingSettings",
    "connection_gradients",
    "draw",
    "forward",
    "test",
    "train",
]

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
assert tuple(OPTIMIZERS) == OPTIMIZER_NAMES


@dataclass(frozen=True)
class Training:
    """What training gives: the weights by epoch, and loss and accuracy of every batch before its update."""

    weights_by_epoch: FloatArray  # (num_epochs + 1, E) those it began with, then those after each epoch
    losses: FloatArray  # (num_epochs, batches)
    accuracies: FloatArray  # (num_epochs, batches)
    feedback: FloatArray | None = None  # the rule's backward weights at the end; None where it has none

    @property
    def weights(self) -> FloatArray:
        """The weights that training ends with (E,)."""
        return self.weights_by_epoch[-1]


class Trainer:
    """One network in training: its weights, its learning rule, and the optimiser's state.

    `draws` are what `draw` gives, or `feedback` its feedback weights alone. The settings may be given as `fields`.
    Raises InputError for an unknown rule or optimiser, ValueError for feedback of a wrong shape.
    """

    def __init__(
        self,
        genome: Genome,
        settings: TrainingSettings | None = None,
        *,
        draws: Draws | None = None,
        feedback: FloatArray | None = None,
        device: Device = "cpu",
        **fields: Any,
    ) -> None:
        self.settings = as_settings(settings, fields)
        self.network = Network(genome).to(device)
        cls = rule_class(self.settings.learning_rule)
        self.rule: LearningRule = cls(self.network, self.settings, draws or Draws(feedback))

    @cached_property
    def optimizer(self) -> torch.optim.Optimizer:
        """Made when it is needed: the first one takes a second."""
        return OPTIMIZERS[self.settings.optimizer](self.rule.parameters(), lr=self.settings.lr)

    def step(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Learn from one batch; its mean loss and its accuracy before the weights change."""
        self.optimizer.zero_grad()
        activities, loss = self.rule.learn(images, labels)
        self.optimizer.step()
        self.rule.update(activities)
        self.rule.step += 1
        accuracy = (self.network.outputs(activities).argmax(1) == labels).float().mean()
        return loss.detach(), accuracy

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

    @property
    def gradients(self) -> FloatArray:
        """The present gradients (E,), in the order of the genome's connections; 0 where there is none."""
        weights = [layer.weights for layer in self.network.layers]
        return self.network.by_connection([torch.zeros_like(w) if w.grad is None else w.grad for w in weights])

    @property
    def feedback(self) -> FloatArray | None:
        """The rule's present feedback weights; None where it has none."""
        if self.rule.feedback_shape(self.network.genome) is None:
            return None
        return self.rule.feedback.detach().cpu().numpy().copy()


def train(
    genome: Genome,
    images: Images,
    labels: Labels,
    settings: TrainingSettings | None = None,
    *,
    order: IntArray | None = None,
    draws: Draws | None = None,
    feedback: FloatArray | None = None,
    rng: np.random.Generator | None = None,
    device: Device = "cpu",
    **fields: Any,
) -> Training:
    """Train a genome from its own weights on images (n, observed) with labels (n,).

    `order` (num_epochs, n) is a permutation of the images for each epoch, `draws` what `draw` gives, or `feedback` its
    feedback weights alone; what is not given is drawn from `rng`. The settings may be given as `fields` by their names,
    `train_only_outputs` among them. Raises InputError where a batch is larger than the data set, and otherwise as
    `Trainer` does.
    """
    settings = as_settings(settings, fields)
    check_batch_size(settings.batch_size, len(images))
    rule = rule_class(settings.learning_rule)
    if order is None:
        order = draw_order(settings.num_epochs, len(images), _given(rng, "order"))
    if draws is None:
        if feedback is None and rule.feedback_shape(genome) is not None:
            feedback = draw_feedback(genome, settings.learning_rule, _given(rng, "feedback"))
        draws = Draws(feedback, _draw_seed(rule, rng) if rng is not None else 0)
    if len(order) != settings.num_epochs:
        raise ValueError(f"an order of {len(order)} epochs for {settings.num_epochs}")
    trainer = Trainer(genome, settings, draws=draws, device=device)
    images, labels = to_tensor(images, device), to_tensor(labels, device)
    weights, epochs = [trainer.weights], []
    for permutation in order:
        epochs.append(trainer.epoch(images, labels, permutation, settings.batch_size))
        weights.append(trainer.weights)
    losses, accuracies = (np.stack(values) for values in zip(*epochs, strict=True))
    return Training(np.stack(weights), losses, accuracies, trainer.feedback)


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
    genome: Genome,
    images: Images,
    labels: Labels,
    learning_rule: str,
    feedback: FloatArray | None = None,
    *,
    seed: int = 0,
    **fields: Any,
) -> FloatArray:
    """The gradient (E,) of the mean cross-entropy as the rule sees it, in the order of the genome's connections.

    0 where the rule uses none. `feedback`: the backward weights, (E,) for rules that send errors through the
    connections, (H, O) for direct ones, whose row h belongs to the hidden neuron I+O+h. `seed` of a rule that draws for
    each batch; `fields` are its constants by their names in `TrainingSettings`.
    """
    trainer = Trainer(genome, draws=Draws(feedback, seed), learning_rule=learning_rule, **fields)
    trainer.rule.learn(to_tensor(images, "cpu"), to_tensor(labels, "cpu"))
    return trainer.gradients


def connection_updates(
    genome: Genome,
    images: Images,
    labels: Labels,
    learning_rule: str,
    optimizer: str,
    lr: float,
    feedback: FloatArray | None = None,
    *,
    seed: int = 0,
    **fields: Any,
) -> FloatArray:
    """The weight changes (E,) of one update, from a fresh optimiser, in the order of the genome's connections."""
    fields = {"learning_rule": learning_rule, "optimizer": optimizer, "lr": lr, **fields}
    trainer = Trainer(genome, draws=Draws(feedback, seed), **fields)
    before = trainer.weights
    trainer.step(to_tensor(images, "cpu"), to_tensor(labels, "cpu"))
    return trainer.weights - before


def draw_order(num_epochs: int, num_images: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """A new random permutation of the images for each epoch, (num_epochs, n)."""
    return np.stack([rng.permutation(num_images) for _ in range(num_epochs)])


def draw(genome: Genome, learning_rule: str, rng: np.random.Generator) -> Draws:
    """What one training run of a rule has of its own at random: its feedback weights, then the seed of its noise."""
    feedback = draw_feedback(genome, learning_rule, rng)
    return Draws(feedback, _draw_seed(rule_class(learning_rule), rng))


def draw_feedback(genome: Genome, learning_rule: str, rng: np.random.Generator) -> FloatArray | None:
    """The backward weights that one training run begins with, from N(0, 1); None for a rule that has none.

    (E,) in the order of the connections for feedback alignment, (H, O) for direct feedback alignment.
    """
    shape = rule_class(learning_rule).feedback_shape(genome)
    return None if shape is None else rng.standard_normal(shape, dtype=np.float32)


def _draw_seed(rule: type[LearningRule], rng: np.random.Generator) -> int:
    return int(rng.integers(2**63)) if rule.is_random else 0


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
