"""What a learning rule does to a network, in numbers: angles, dead neurons, dimension, norms. Tags as in
TensorBoard.
"""

import numpy as np
import numpy.typing as npt
import torch

from evolution.genome import Genome
from learning.rules import Draws
from learning.settings import TrainingSettings
from learning.training import Trainer, connection_gradients

Array = npt.NDArray[np.floating]
MOST_IMAGES = 1000  # that are measured on


def measures(
    genome: Genome,
    images: npt.NDArray[np.float32],
    labels: npt.NDArray[np.integer],
    settings: TrainingSettings,
    draws: Draws,
) -> dict[str, float]:
    """The measures of a network with its present weights and its rule's present feedback weights (`draws`), by tag.

    On the first 1000 of the images (n, observed) with labels (n,), as one batch. Angles are in degrees:
    `learning/angle` is that between the rule's change and minus the gradient of the loss, `learning/angle_layer{l}` the
    same for the connections into genome layer l, `learning/feedback_angle` that between the weights of the connections
    that leave hidden neurons and the weights through which their errors come back. `learning/dead_neurons` is the share
    of hidden neurons that are 0 for all images, `learning/dimension` the participation ratio of the hidden activities,
    `learning/weight_norm_hidden` and `_outputs` the Euclidean norms of the weights. What is not defined is left out.
    """
    assert genome.weights is not None
    images, truth = images[:MOST_IMAGES], labels[:MOST_IMAGES].astype(np.int64)
    torch.set_num_threads(1)  # with more, sums are divided among them, and the result depends on how many there are
    trainer = Trainer(genome, settings, draws=draws)
    activities, _ = trainer.rule.learn(torch.from_numpy(np.array(images, np.float32)), torch.from_numpy(truth))
    hidden = activities[:, trainer.network.hidden].numpy().astype(np.float64)
    layers = genome.layers[genome.connections[:, 1]]
    found = {"learning/weight_norm_hidden": _norm(genome.weights[layers < genome.num_layers - 1])}
    found["learning/weight_norm_outputs"] = _norm(genome.weights[layers == genome.num_layers - 1])
    if genome.num_hidden:
        found["learning/dead_neurons"] = float((hidden == 0).all(axis=0).mean())
        found["learning/dimension"] = dimension(hidden)
    back = trainer.rule.backward_weights()
    if back is not None:
        leave_hidden = genome.connections[:, 0] >= genome.num_inputs
        feedback = back.detach().cpu().numpy()
        found["learning/feedback_angle"] = angle(feedback[leave_hidden], genome.weights[leave_hidden])
    change = rule_change(trainer, activities)
    descent = -connection_gradients(genome, images, truth, "backprop")
    found["learning/angle"] = angle(change, descent)
    for layer in np.unique(layers):
        found[f"learning/angle_layer{layer}"] = angle(change[layers == layer], descent[layers == layer])
    return {tag: value for tag, value in found.items() if np.isfinite(value)}


def rule_change(trainer: Trainer, activities: torch.Tensor) -> Array:
    """The change (E,) that a rule makes of a batch it has just seen, with plain gradient descent at `lr`.

    What the rule changes without an optimiser counts where that is how it learns; mere decay does not.
    """
    change = -trainer.settings.lr * trainer.gradients
    if trainer.rule.only_outputs:
        before = trainer.weights
        trainer.rule.update(activities)
        change += trainer.weights - before
    return change


def angle(a: Array, b: Array) -> float:
    """The angle between two vectors in degrees; NaN where one of them is 0."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        a, b = a / np.linalg.norm(a), b / np.linalg.norm(b)
    # Near 0 and 180 degrees the arc cosine loses half of the digits.
    return float(np.degrees(2 * np.arctan2(np.linalg.norm(a - b), np.linalg.norm(a + b))))


def dimension(values: Array) -> float:
    """The participation ratio of values (n, H): (sum of the eigenvalues of their covariance)^2 / sum of their squares.

    1 where all lie on a line, H where all directions vary alike; NaN where nothing varies.
    """
    centred = values - values.mean(axis=0)
    covariance = centred.T @ centred
    with np.errstate(invalid="ignore", divide="ignore"):
        return float(np.trace(covariance) ** 2 / (covariance**2).sum())


def _norm(weights: Array) -> float:
    return float(np.linalg.norm(weights.astype(np.float64)))
