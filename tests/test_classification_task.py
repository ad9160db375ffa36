"""Fitness of classifying networks: by hand, numpy against torch against the shared graph, any number of workers."""

import logging

import numpy as np
import pytest
from genomes import evolved

from envs.classification_task import SLICE, TEN_WEIGHTS, ClassificationTask
from envs.datasets import Dataset, load
from evolution.errors import InputError
from evolution.genome import Genome
from evolution.workers import Workers
from networks.reference import SHARED_WEIGHTS, forward


def task(dataset=None, workers=1, **changes):
    return ClassificationTask(dataset or load("digits"), **{"batch_size": 40, "workers": Workers(workers), **changes})


def population(count=6):
    return [evolved(seed, 64, 10, 0.05, 40) for seed in range(count)]


def copying_network():
    """Two inputs, two outputs: logits (w a, w b)."""
    return Genome.from_dict(
        {
            "in_size": 2,
            "out_size": 2,
            "num_neurons": 4,
            "neurons_in_layer": [[0, 1], [2, 3]],
            "activation_names": ["linear"] * 4,
            "connections": [[0, 2], [1, 3]],
        }
    )


HAND = Dataset(
    np.array([[1, 0], [0, 1], [1, 1]], np.float32),
    np.array([0, 1, 1]),
    np.array([[3, 0]], np.float32),
    np.array([1]),
)


@pytest.mark.parametrize("path", [{}, {"evaluator": "reference"}, {"use_torch": True}])
def test_losses_by_hand(path):
    """Logits (w, 0), (0, w), (w, w): two losses log(1 + e^-w) and one log 2."""
    chosen = task(HAND, **path)
    losses, accuracies = chosen.losses([copying_network()], *HAND[:2], SHARED_WEIGHTS)
    expected = [(2 * np.log1p(np.exp(-w)) + np.log(2)) / 3 for w in SHARED_WEIGHTS]
    np.testing.assert_allclose(losses[0], expected, rtol=1e-6)
    # With a positive weight the first two are right; of equal logits the first counts, so the third never is.
    np.testing.assert_allclose(accuracies[0], [0, 0, 0, 2 / 3, 2 / 3, 2 / 3])
    confirmed = chosen.confirm(copying_network(), np.random.default_rng(0))
    assert confirmed["mean_reward"] == pytest.approx(-np.mean(expected), rel=1e-6)
    assert confirmed["max_reward"] == pytest.approx(-min(expected), rel=1e-6)
    assert confirmed["mean_acc"] == pytest.approx(1 / 3)
    assert confirmed["max_acc"] == pytest.approx(2 / 3)


@pytest.mark.parametrize("path", [{}, {"evaluator": "reference"}, {"use_torch": True}])
def test_max_acc_is_that_of_the_smallest_loss_and_not_the_largest(path):
    """Logits (w/10, 0) of label 0, twice, and (10 w, 0) of label 1: with w > 0 two are right, with w < 0 one is."""
    images = np.array([[0.1, 0], [0.1, 0], [10, 0]], np.float32)
    data = Dataset(images, np.array([0, 0, 1]), images, np.array([0, 0, 1]))
    found = task(data, **path).confirm(copying_network(), np.random.default_rng(0))
    smallest = (2 * np.log1p(np.exp(0.05)) + np.log1p(np.exp(-5))) / 3  # at w = -1/2
    assert found["max_reward"] == pytest.approx(-smallest, rel=1e-6)
    assert found["max_acc"] == pytest.approx(1 / 3)
    assert found["mean_acc"] == pytest.approx(1 / 2)


def test_the_test_reports_the_six_and_the_ten_weights():
    """One image with logits (3w, 0) and label 1."""
    found = task(HAND).test(copying_network(), np.random.default_rng(0))
    for weights, suffix in ((SHARED_WEIGHTS, ""), (TEN_WEIGHTS, "_10_weights")):
        losses = np.log1p(np.exp(3 * np.array(weights)))
        assert found[f"test_mean_reward{suffix}"] == pytest.approx(-losses.mean(), abs=1e-6)
        assert found[f"test_max_reward{suffix}"] == pytest.approx(-losses.min(), abs=1e-6)
        assert found[f"test_mean_acc{suffix}"] == pytest.approx(0.5)
    assert TEN_WEIGHTS[0] == -2
    assert TEN_WEIGHTS[9] == 2
    assert len(TEN_WEIGHTS) == 10


@pytest.mark.parametrize("batch_size", [40, SLICE + 10])
def test_numpy_torch_and_the_shared_graph_agree(batch_size):
    nets = population(4)
    found = {}
    for name, path in {"numpy": {"evaluator": "reference"}, "torch": {"use_torch": True}, "graph": {}}.items():
        found[name] = task(batch_size=batch_size, **path).evaluate(nets, np.random.default_rng(1)).values
    for key in ("mean_reward", "max_reward"):
        np.testing.assert_allclose(found["torch"][key], found["numpy"][key], atol=1e-5)
        np.testing.assert_allclose(found["graph"][key], found["numpy"][key], rtol=1e-5)


def test_all_networks_see_the_same_batch_drawn_with_replacement():
    data = load("digits")
    chosen = task(data, evaluator="reference")
    fitness = chosen.evaluate(population(3), np.random.default_rng(9))
    drawn = np.random.default_rng(9).integers(len(data.train_images), size=40)
    for i, genome in enumerate(population(3)):
        losses = []
        for weight in SHARED_WEIGHTS:
            logits = forward(genome, data.train_images[drawn], weight)
            logits -= np.log(np.exp(logits).sum(axis=1, keepdims=True))
            losses.append(-logits[np.arange(40), data.train_labels[drawn]].mean())
        assert fitness.values["mean_reward"][i] == pytest.approx(-np.mean(losses))


@pytest.mark.parametrize("path", [{}, {"evaluator": "reference"}, {"use_torch": True}])
def test_the_number_of_workers_changes_nothing(path):
    nets = population(5)
    one, two = task(**path), task(workers=2, **path)
    a, b = (t.evaluate(nets, np.random.default_rng(1)).values for t in (one, two))
    for key in a:
        np.testing.assert_array_equal(a[key], b[key])
    assert one.confirm(nets[0], np.random.default_rng(0)) == two.confirm(nets[0], np.random.default_rng(0))
    assert len(load("digits").train_images) > SLICE  # so that the images were divided
    two.close()


@pytest.mark.parametrize("path", [{}, {"evaluator": "reference"}, {"use_torch": True}])
def test_what_is_not_finite_shows_in_the_reward_and_hurts_nobody_else(path):
    data = Dataset(np.full((3, 2), 1e38, np.float32), *HAND[1:])
    square = Genome.from_dict(
        {
            "in_size": 2,
            "out_size": 2,
            "num_neurons": 5,
            "neurons_in_layer": [[0, 1], [4], [2, 3]],
            "activation_names": ["linear"] * 5,
            "connections": [[0, 4], [4, 2], [0, 3]],
        }
    )
    empty = Genome.initial(2, 2, 0.0, np.random.default_rng(0))
    huge = (1e300,)
    losses, _ = task(data, **path).losses([square, empty], *data[:2], huge)
    assert not np.isfinite(losses[0]).any()
    np.testing.assert_allclose(losses[1], np.log(2))


def test_contradictions_and_missing_gpus(caplog):
    with pytest.raises(InputError, match="neither use_torch nor use_cuda"):
        task(evaluator="compiled", use_torch=True)
    with caplog.at_level(logging.WARNING):
        chosen = task(use_cuda=True)
    import torch

    if not torch.cuda.is_available():
        assert "torch finds no GPU" in caplog.text
        assert chosen.evaluator_name == "torch on the CPU (reference)"
