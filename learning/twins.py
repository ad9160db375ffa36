"""Whether the kernel of a learning rule still computes what its torch class does, seen when a task is built."""

import functools
import inspect
import sys

import numpy as np
import torch

from evolution.genome import LINEAR, RELU, Genome
from learning import compiled, training
from learning.rules import rule_class
from learning.settings import TrainingSettings
from networks.twins import agree

RATE = 0.1


@functools.cache
def check_rule(name: str) -> None:
    """Train a small network for two batches both ways, by plain gradient descent. Raises RunError where they differ.

    Nothing is checked of a rule that has no kernel.
    """
    rule = rule_class(name)
    if not rule.has_kernel():
        return
    settings = TrainingSettings(name, "sgd", RATE, batch_size=6, num_epochs=1, predictive_steps=4)  # one a layer
    genome, images, labels = example()
    draws = training.draw(genome, name, np.random.default_rng(3))
    order = np.arange(len(images))[None]
    (fast,) = compiled.train_population([genome], images, labels, settings, order=order, draws=[draws])
    trainer = training.Trainer(genome, settings, draws=draws)
    batches = zip(torch.from_numpy(images).split(6), torch.from_numpy(labels).split(6), strict=True)
    losses = [_descend(trainer, *batch) for batch in batches]
    kernel, written = inspect.getfile(rule.kernel), sys.modules[rule.__module__].__file__ or name
    found, expected = [fast.weights, fast.losses[0]], [trainer.weights, np.array(losses)]
    if fast.feedback is not None and trainer.feedback is not None:
        found, expected = [*found, fast.feedback.ravel()], [*expected, trainer.feedback.ravel()]
    agree(f"the learning rule {name}", kernel, written, np.concatenate(found), np.concatenate(expected), 1e-4)


def _descend(trainer: training.Trainer, images: torch.Tensor, labels: torch.Tensor) -> float:
    """A step of `torch.optim.SGD`, written out: torch takes a second to load its optimisers."""
    activities, loss = trainer.rule.learn(images, labels)
    with torch.no_grad():
        for parameter in trainer.rule.parameters():
            if parameter.grad is not None:
                parameter -= RATE * parameter.grad
                parameter.grad = None
    trainer.rule.update(activities)
    trainer.rule.step += 1
    return float(loss.detach())


def example() -> tuple[Genome, np.ndarray, np.ndarray]:
    """Four inputs, the last a bias, three outputs, and three layers of hidden neurons with skip connections; 12
    images.
    """
    rng = np.random.default_rng(0)
    layers = np.array([0] * 4 + [4] * 3 + [1, 1, 1, 2, 2, 3, 3], np.int32)
    connected = rng.random((14, 14)) < 0.7
    sources, targets = np.nonzero((layers[:, None] < layers) & connected)
    activations = np.array([LINEAR] * 7 + [RELU] * 7, np.int8)
    weights = np.abs(rng.normal(size=len(sources))).astype(np.float32) * np.float32(0.5)
    pairs = np.column_stack([sources, targets]).astype(np.int32)
    genome = Genome(4, 3, layers, activations, pairs, weights, use_bias=True)
    return genome, rng.random((12, 3), np.float32), rng.integers(0, 3, 12)
