"""Measures of learning, by hand and on networks where theory says them."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from genomes import evolved

from evolution.genome import ACTIVATION_NAMES, Genome
from learning import LEARNING_RULES
from learning.measures import angle, dimension, measures
from learning.rules import LearningRule
from learning.settings import TrainingSettings
from learning.training import Draws, draw


def of(genome, rule, draws=None, **fields):
    rng = np.random.default_rng(0)
    images, labels = rng.random((50, genome.num_observed), np.float32), rng.integers(0, genome.num_outputs, 50)
    settings = TrainingSettings(rule, **fields)
    return measures(genome, images, labels, settings, draws or draw(genome, rule, np.random.default_rng(1)))


@pytest.mark.parametrize(
    ("a", "b", "degrees"), [([1, 0], [3, 0], 0), ([1, 1], [0, 2], 45), ([1, 0], [0, 1], 90), ([2, 0], [-1, 0], 180)]
)
def test_angles(a, b, degrees):
    assert angle(np.array(a, np.float32), np.array(b, np.float32)) == pytest.approx(degrees, abs=1e-6)


def test_an_angle_with_nothing_is_not_defined():
    assert np.isnan(angle(np.zeros(2), np.ones(2)))


def test_participation_ratio():
    line = np.outer(np.arange(5.0), [1, 2, 3])
    cross = np.array([[1, 0], [-1, 0], [0, 1], [0, -1]], float)
    assert dimension(line) == pytest.approx(1)
    assert dimension(cross) == pytest.approx(2)
    assert dimension(cross * [1, 2]) == pytest.approx((2 + 8) ** 2 / (4 + 64))


@pytest.mark.parametrize("seed", range(3))
def test_backpropagation_goes_along_the_gradient_in_every_layer(seed):
    found = of(evolved(seed, 6, 3, 0.7, 40, with_weights=True), "backprop")
    angles = [value for tag, value in found.items() if tag.startswith("learning/angle")]
    assert len(angles) > 2
    np.testing.assert_allclose(angles, 0, atol=1e-3)


class Sideways(LearningRule):
    """Of a layer's two gradients (g, h) it makes (-h, g)."""

    def backward(self, activities, labels, loss):
        loss.backward()
        for layer in self.network.layers:
            layer.weights.grad = torch.stack([-layer.weights.grad[1], layer.weights.grad[0]])


def test_angles_of_a_network_of_four_connections_by_hand():
    """Two inputs to a hidden neuron, and from there to two outputs: two connections into each layer."""
    layers, relu = np.array([0, 0, 2, 2, 1], np.int32), ACTIVATION_NAMES.index("relu")
    pairs = np.array([(0, 4), (1, 4), (4, 2), (4, 3)], np.int32)
    weights = np.array([0.5, 0.25, 0.6, -0.6], np.float32)
    genome = Genome(2, 2, layers, np.array([0, 0, 0, 0, relu], np.int8), pairs, weights)
    images, labels = np.array([[1, 2]], np.float32), np.array([0])

    def angles(rule, feedback=None):
        found = measures(genome, images, labels, TrainingSettings(rule), Draws(feedback))
        return {tag.removeprefix("learning/"): value for tag, value in found.items() if "angle" in tag}

    assert angles("backprop") == pytest.approx({"angle": 0, "angle_layer1": 0, "angle_layer2": 0}, abs=1e-3)
    sideways = angles(f"{__name__}:Sideways")
    assert sideways == pytest.approx({"angle": 90, "angle_layer1": 90, "angle_layer2": 90}, abs=1e-3)
    # The feedback (1, 2) beside the weights (0.6, -0.6): its cosine is (1 - 2) / sqrt(5 * 2). The errors (-e, e) come
    # back as e, where they should as -1.2 e: the other way round into layer 1, and into the outputs as they should.
    found = angles("feedback_alignment", np.array([0, 0, 1, 2], np.float32))
    assert found["feedback_angle"] == pytest.approx(np.degrees(np.arccos(-1 / np.sqrt(10))), abs=1e-3)
    assert (found["angle_layer1"], found["angle_layer2"]) == pytest.approx((180, 0), abs=1e-3)
    # y = 1, inputs (1, 2): in all (1, 2) times e and -1.2 e, and twice e * e from the outputs
    cosine = (-1.2 * 5 + 2) / np.sqrt((5 + 2) * (1.2**2 * 5 + 2))
    assert found["angle"] == pytest.approx(np.degrees(np.arccos(cosine)), abs=1e-3)


def test_feedback_that_is_the_weights_is_at_no_angle_and_another_is():
    genome = evolved(2, 6, 3, 0.7, 40, with_weights=True)
    same = of(genome, "feedback_alignment", Draws(genome.weights))
    assert same["learning/feedback_angle"] == pytest.approx(0, abs=1e-3)
    assert same["learning/angle"] == pytest.approx(0, abs=1e-3)
    opposite = of(genome, "feedback_alignment", Draws(-genome.weights))
    assert opposite["learning/feedback_angle"] == pytest.approx(180, abs=1e-3)
    assert "learning/feedback_angle" not in of(genome, "backprop")


def test_dead_neurons_and_norms():
    genome = evolved(2, 6, 3, 0.7, 40, with_weights=True)
    silent = replace(genome, weights=-np.abs(genome.weights))
    found = of(silent, "last_layer")
    first = (genome.layers[genome.num_inputs + genome.num_outputs :] == 1).mean()
    assert found["learning/dead_neurons"] >= first
    into_outputs = genome.connections[:, 1] < genome.num_inputs + genome.num_outputs
    for name, chosen in (("hidden", ~into_outputs), ("outputs", into_outputs)):
        expected = np.linalg.norm(silent.weights[chosen])
        assert found[f"learning/weight_norm_{name}"] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("rule", LEARNING_RULES)
def test_every_rule_is_measured_and_all_is_finite(rule):
    found = of(evolved(3, 6, 3, 0.7, 40, with_weights=True), rule)
    assert np.isfinite(list(found.values())).all()
    assert 0 <= found["learning/angle"] <= 180
