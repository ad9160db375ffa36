"""`analysis evaluate`: the kinds of weights, by hand and against the reference."""

import argparse
import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from genomes import evolved

from analysis import evaluate
from analysis.__main__ import main
from envs import datasets
from envs.gym_task import GymTask
from evolution.genome import Genome
from evolution.workers import Workers
from networks import reference


def table(path: Path) -> dict[str, dict[str, str]]:
    """The rows of a table by kind of weights, or of a curve by weight."""
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    return {next(iter(row.values())): row for row in rows}


def outputs_with(genome, weight, images):
    return reference.forward(genome, images, weight)


def accuracy_with(genome, weight, images, labels):
    return (outputs_with(genome, weight, images).argmax(axis=1) == labels).mean()


def loss_with(genome, weight, images, labels):
    outputs = outputs_with(genome, weight, images)
    outputs = outputs - outputs.max(axis=1, keepdims=True)
    return (np.log(np.exp(outputs).sum(axis=1)) - outputs[np.arange(len(labels)), labels]).mean()


def test_votes_by_hand():
    # Output 0 is w * x, output 1 is always 0: class 0 has the vote of the weights whose sign is that of x.
    genome = Genome.from_dict(
        {
            "in_size": 1,
            "out_size": 2,
            "num_neurons": 3,
            "neurons_in_layer": [[0], [1, 2]],
            "connections": [[0, 1]],
            "activation_names": ["linear"] * 3,
        }
    )
    images = np.array([[1.0], [-1.0], [2.0], [0.0]], np.float32)
    for weights, chosen in (((-1, 1, 2), [0, 1, 0, 0]), ((-2, -1, 1), [1, 0, 1, 0]), ((-1, 1), [0, 0, 0, 0])):
        assert evaluate.votes(genome, images, np.array(chosen), weights) == 1  # at x = 0 and with equal votes the first
        assert evaluate.votes(genome, images, 1 - np.array(chosen), weights) == 0


def test_tuning_finds_weights_that_balance_the_pole():
    genome = evolved(0, 4, 2, 1.0, 0)  # every input to every output
    assert genome.num_connections == 8
    task = GymTask("CartPole-v1", num_trials=1, take_argmax_action=True, workers=Workers(1))
    arguments = argparse.Namespace(iterations=15, candidates=10, tuning_trials=4)
    tuned = evaluate.tune(genome, np.full(8, 0.5), task, arguments, np.random.default_rng(0))
    assert tuned.shape == (8,)
    seeds = tuple(range(20))
    (rewards, _), (shared, _) = task.play([(genome, tuned[None], seeds), (genome, np.array([0.5]), seeds)])
    assert shared.mean() < 50  # both outputs are the same, so it always goes to one side
    assert rewards.mean() > 400


def test_the_table_and_curve_of_an_image_champion(tmp_path):
    genome = evolved(2, 64, 10, 0.1, 40)
    genome.save(tmp_path / "champion.json")
    small = ("--trials", "5", "--points", "5", "--tunings", "2", "--num_epochs", "3", "--to", str(tmp_path / "found"))
    assert main(["evaluate", str(tmp_path / "champion.json"), "--dataset", "digits", *small]) == 0
    data = datasets.load("digits")
    rows, curve = table(tmp_path / "found.csv"), table(tmp_path / "found-curve.csv").values()

    weights = (-2, -1, 0, 1, 2)
    expected = np.array([accuracy_with(genome, weight, data.test_images, data.test_labels) for weight in weights])
    np.testing.assert_allclose([float(row["mean"]) for row in curve], expected, atol=2e-6)
    losses = [loss_with(genome, weight, data.train_images, data.train_labels) for weight in weights]
    losses[2] = np.inf  # at 0 all outputs are always the same
    assert rows["tuned shared"]["note"] == f"weight {weights[np.argmin(losses)]}"
    assert float(rows["tuned shared"]["mean"]) == pytest.approx(expected[np.argmin(losses)], abs=2e-6)
    assert [rows[name]["trials"] for name in ("random individual", "random shared", "tuned individual")] == list("552")
    assert float(rows["tuned individual"]["mean"]) > expected.max()
    for ending in ("md", "png", "svg"):
        assert (tmp_path / f"found.{ending}").stat().st_size > 100


def test_a_networks_own_weights_have_a_row(tmp_path):
    genome = evolved(1, 4, 2, mutations=5)
    own = np.linspace(-1, 1, genome.num_connections).astype(np.float32)
    replace(genome, weights=own).save(tmp_path / "n.json")
    small = ("--trials", "3", "--points", "3", "--iterations", "1", "--candidates", "3", "--tuning_trials", "1")
    assert main(["evaluate", str(tmp_path / "n.json"), "--env_name", "CartPole-v0", *small]) == 0
    assert list(table(tmp_path / "n-evaluation.csv")) == [
        "random individual",
        "random shared",
        "tuned shared",
        "tuned individual",
        "its own",
    ]


def test_a_network_lives_where_its_neurons_do():
    # h = relu(w x), then o = w h: at weights below 0 the one hidden neuron is dead, and everything with it.
    relu = {"in_size": 1, "out_size": 1, "num_neurons": 3, "neurons_in_layer": [[0], [2], [1]]}
    relu |= {"connections": [[0, 2], [2, 1]], "activation_names": ["linear", "linear", "relu"]}
    weights, images = np.array([-2.0, -1.0, 0.0, 1.0]), np.array([[0.2], [0.9]])
    assert evaluate.live(Genome.from_dict(relu), images, weights).tolist() == [False, False, False, True]
    # A connection past the hidden layer lives at -1 too, but of its two neurons one of two is enough.
    skipping = Genome.from_dict(relu | {"connections": [[0, 2], [2, 1], [0, 1]]})
    assert evaluate.live(skipping, images, weights).tolist() == [True, True, False, True]
    # Ten dead hidden neurons are most of the network, whatever passes them by.
    many = {"num_neurons": 12, "neurons_in_layer": [[0], list(range(2, 12)), [1]]}
    many |= {"connections": [*([0, h] for h in range(2, 12)), *([h, 1] for h in range(2, 12)), [0, 1]]}
    wide = Genome.from_dict(relu | many | {"activation_names": ["linear", "linear", *["relu"] * 10]})
    assert evaluate.live(wide, images, weights).tolist() == [False, False, False, True]


def test_of_equal_scores_the_first_live_weight_is_taken():
    alive = np.array([False, True, True])
    assert evaluate._first_live(np.array([1.0, 1.0, 1.0]), alive) == 1
    assert evaluate._first_live(np.array([1.0, 0.9, 0.9]), alive) == 0
    assert evaluate._first_live(np.array([np.nan, -5.0, -5.0]), alive) == 1
    assert evaluate._first_live(np.array([0.0, 0.0]), np.array([False, False])) == 0


@pytest.mark.parametrize("keep_weights", [True, False])
def test_relu_networks_are_tuned_from_where_they_live(keep_weights, tmp_path):
    genome = evolved(0, 64, 10, 0.3, 60, with_weights=True)
    if not keep_weights:
        genome = replace(genome, weights=None)
    genome.save(tmp_path / "n.json")
    small = ("--trials", "2", "--points", "5", "--tunings", "1", "--num_epochs", "15")
    assert main(["evaluate", str(tmp_path / "n.json"), "--dataset", "digits", *small]) == 0
    rows = table(tmp_path / "n-evaluation.csv")
    assert rows["tuned shared"]["note"] in ("weight 1", "weight 2")
    assert float(rows["tuned individual"]["mean"]) > 0.3
