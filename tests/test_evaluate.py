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


def test_tuning_starts_from_a_networks_own_weights():
    genome = evolved(0, 4, 2, mutations=5, with_weights=True)
    np.testing.assert_array_equal(evaluate._own_weights(genome, 0.5), genome.weights)
    np.testing.assert_array_equal(evaluate._own_weights(replace(genome, weights=None), 0.5), 0.5)


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


def test_a_run_says_how_its_images_are_prepared(tmp_path, capsys):
    (tmp_path / "params.yaml").write_text("dataset: digits\nimage_size: 4\ndeskew: true\n")
    genome = evolved(0, 16, 10, 0.3, 20)
    genome.save(tmp_path / "n.json")
    small = ("--trials", "2", "--points", "3", "--tunings", "1", "--num_epochs", "1")
    assert main(["evaluate", str(tmp_path / "n.json"), *small]) == 0
    data = datasets.load("digits", image_size=4, deskew=True)
    curve = table(tmp_path / "n-evaluation-curve.csv")
    expected = accuracy_with(genome, 2.0, data.test_images, data.test_labels)
    assert float(curve["2"]["mean"]) == pytest.approx(expected, abs=2e-6)
    assert main(["evaluate", str(tmp_path / "n.json"), *small, "--image_size", "8"]) == 2
    assert "digits needs 64 and 10" in capsys.readouterr().err
    assert main(["evaluate", str(tmp_path / "n.json"), *small, "--deskew=perhaps"]) == 2
    assert "deskew is 'perhaps'; it must be true or false" in capsys.readouterr().err


OTHERS = ("tunings=2", "num_epochs=2", "image_size=8", "deskew=true", "data_dir=data")
OWN = ("iterations=2", "candidates=2", "tuning_trials=2", "env_kwargs={}", "max_episode_steps=9", "scale_actions=true")


@pytest.mark.parametrize(
    ("task", "option", "kind"),
    [
        *[("--env_name=CartPole-v1", option, "images") for option in OTHERS],
        *[("--dataset=digits", option, "environments") for option in (*OWN, "observation_size=4")],
    ],
)
def test_an_option_that_the_task_has_no_use_for_is_refused(task, option, kind, tmp_path, capsys):
    evolved(0, 4, 2, 1.0, 0).save(tmp_path / "n.json")
    assert main(["evaluate", str(tmp_path / "n.json"), task, f"--{option}"]) == 2
    name, task = option.split("=")[0], task.split("=")[1]
    assert capsys.readouterr().err.endswith(f"error: --{name} is for {kind}, and {task} is none of them\n")


def test_a_run_says_how_its_episodes_go(tmp_path, capsys):
    run = "env_name: CartPole-v1\nenv_kwargs: {sutton_barto_reward: true}\nmax_episode_steps: 7\n"
    (tmp_path / "params.yaml").write_text(run)
    evolved(0, 4, 2, 1.0, 0).save(tmp_path / "n.json")
    small = ("--trials", "2", "--points", "3", "--iterations", "1", "--candidates", "2", "--tuning_trials", "1")
    curves = []
    for more in ([], ["--env_kwargs", "{}"], ["--env_name", "CartPole-v0"]):
        assert main(["evaluate", str(tmp_path / "n.json"), *small, *more]) == 0
        curves.append([float(row["mean"]) for row in table(tmp_path / "n-evaluation-curve.csv").values()])
    assert curves[0] == [0, 0, 0]  # no pole falls within seven steps, and standing earns nothing
    assert curves[1] == [7, 7, 7]
    assert min(curves[2]) > 7  # another environment than the run's: what the run says of its own is not asked
    (tmp_path / "params.yaml").write_text("env_name: CartPole-v1\nmax_episode_steps: many\n")
    assert main(["evaluate", str(tmp_path / "n.json"), *small]) == 2
    assert "max_episode_steps is 'many'; it must be a whole number, at least 1" in capsys.readouterr().err


# ---- what is measured with what -------------------------------------------------------------------------------------


class Recorded:
    """A task that earns what `reward(weights, seed)` says, and remembers what was played."""

    num_inputs, num_outputs = 4, 2

    def __init__(self, reward):
        self.reward, self.calls = reward, []

    def play(self, items):
        self.calls.append([(np.array(weights), tuple(seeds)) for _, weights, seeds in items])
        return [(np.array([[self.reward(np.ravel(w), seed) for seed in seeds]]), None) for _, w, seeds in items]

    def episodes(self, genomes, weights, seeds):
        self.seeds = list(seeds)
        return np.array([[[self.reward(np.array([w]), seed) for seed in seeds] for w in weights]]), None


@pytest.fixture
def recorded(monkeypatch):
    def install(reward):
        task = Recorded(reward)
        monkeypatch.setattr("envs.gym_task.GymTask", lambda *_, **__: task)
        return task

    return install


def arguments_for(**given):
    usual = {
        "network": Path("n.json"),
        "env_name": "CartPole-v1",
        "seed": 0,
        "trials": 40,
        "points": 9,
        "iterations": 3,
        "candidates": 6,
    }
    return argparse.Namespace(**usual | {"tuning_trials": 5} | given)


def test_each_row_has_weights_of_its_kind_and_a_seed_for_each_trial(recorded):
    genome = evolved(0, 4, 2, 1.0, 20)
    # At 1.5 the mean is best, at -2 one trial in ten is far better, and at 2 the last one is.
    task = recorded(lambda w, seed: -((w.mean() - 1.5) ** 2) + (w.mean() == -2) * (seed % 10 == 0) * 20)
    found = evaluate.measure_episodes(genome, arguments_for(), Workers(1))
    *_, individual, shared, tuned, own = task.calls
    assert len(set(task.seeds)) == 40
    seeds = [[seed for _, (seed,) in row] for row in (individual, shared, tuned, own)]
    for row in seeds:
        assert len(row) == len(set(row)) == 40  # no two trials are the same episode
    assert len({tuple(row) for row in [*seeds, task.seeds]}) == 5
    drawn = np.array([weights for weights, _ in individual])
    assert drawn.shape == (40, 1, genome.num_connections)
    assert len(np.unique(drawn)) == drawn.size  # another weight for each connection and trial
    assert -2 <= drawn.min() < -1.9
    assert 1.9 < drawn.max() <= 2
    assert abs(drawn.mean()) < 0.1
    each = np.array([weights for weights, _ in shared])
    assert each.size == len(np.unique(each)) == 40
    assert each.min() < -1
    assert each.max() > 1
    assert {float(weights.item()) for weights, _ in tuned} == {1.5}
    assert len({weights.tobytes() for weights, _ in own}) == 1
    assert own[0][0].size == genome.num_connections
    assert found.rows[2].note == "weight 1.5"
    np.testing.assert_allclose(found.means[1:], -((found.shared[1:] - 1.5) ** 2))
    for row, played in zip(found.rows, (individual, shared, tuned, own), strict=True):
        rewards = [task.reward(np.ravel(weights), seed) for weights, (seed,) in played]
        assert (row.mean, row.std) == (pytest.approx(np.mean(rewards)), pytest.approx(np.std(rewards)))
        assert row.trials == 40


def test_how_weights_are_tuned_changes_no_other_row(recorded):
    genome = evolved(0, 4, 2, 1.0, 20)
    rows = []
    for iterations in (1, 4):
        recorded(lambda w, seed: float(np.abs(w).sum() + seed % 7))
        found = evaluate.measure_episodes(genome, arguments_for(iterations=iterations), Workers(1))
        rows.append(found.rows[:3])
    assert rows[0] == rows[1]


def test_one_trial_has_no_spread(recorded):
    recorded(lambda w, seed: float(w.sum()))
    found = evaluate.measure_episodes(evolved(0, 4, 2, 1.0, 20), arguments_for(trials=1), Workers(1))
    assert np.isnan(found.stds).all()
    assert all(np.isnan(row.std) and row.trials == 1 for row in found.rows)
    assert "+-" not in evaluate.table(found)
    evaluate.figure(found, "CartPole-v1")


def test_candidates_of_an_iteration_play_the_same_episodes_and_finalists_eight_times_as_many():
    genome = evolved(0, 4, 2, 1.0, 20)
    start = np.full(genome.num_connections, 0.5)
    task = Recorded(lambda w, seed: -float(((w - 1) ** 2).sum()))
    evaluate.tune(genome, start, task, arguments_for(), np.random.default_rng(0))
    *iterations, finalists = task.calls
    assert len(iterations) == 3
    for played in iterations:
        assert len(played) == 6
        assert len({seeds for _, seeds in played}) == 1
        assert len(set(played[0][1])) == 5
    every = [seed for played in task.calls for seed in played[0][1]]
    assert len(set(every)) == len(every)  # fresh episodes each time, for the finalists too
    assert [len(seeds) for _, seeds in finalists] == [40, 40, 40]
    np.testing.assert_array_equal(finalists[2][0], start[None])
    first = np.array([weights[0] for weights, _ in iterations[0]]) - start
    assert 0.05 < first.std() < 0.5  # the search begins around the start


@pytest.mark.parametrize("best", range(3))
def test_the_best_finalist_is_taken(best):
    genome = evolved(0, 4, 2, 1.0, 20)
    start, finalists = np.zeros(genome.num_connections), []

    class Judge(Recorded):
        def play(self, items):
            played = super().play(items)
            if len(items) != 3:
                return played
            finalists.extend(weights[0] for _, weights, _ in items)
            return [(np.full((1, len(seeds)), float(i == best)), None) for i, (_, _, seeds) in enumerate(items)]

    tuned = evaluate.tune(genome, start, Judge(lambda w, s: float(w.sum())), arguments_for(), np.random.default_rng(0))
    np.testing.assert_array_equal(tuned, finalists[best])


def test_the_shared_weight_is_chosen_on_the_training_set_and_told_on_the_test_set(tmp_path, monkeypatch):
    # The one output that varies is w x; in training class 0 is where x > 0, in the test where x < 0.
    network = {"in_size": 1, "out_size": 2, "num_neurons": 3, "neurons_in_layer": [[0], [1, 2]]}
    Genome.from_dict(network | {"connections": [[0, 1]], "activation_names": ["linear"] * 3}).save(tmp_path / "n.json")
    x = np.random.default_rng(0).normal(size=(600, 1)).astype(np.float32)
    labels = (x[:, 0] < 0).astype(np.int64)
    data = datasets.Dataset(x[:400], labels[:400], x[400:], 1 - labels[400:])
    monkeypatch.setattr(datasets, "load", lambda *_, **__: data)
    small = ("--trials", "30", "--points", "5", "--tunings", "2", "--num_epochs", "1")
    assert main(["evaluate", str(tmp_path / "n.json"), "--dataset", "digits", *small]) == 0
    rows, curve = table(tmp_path / "n-evaluation.csv"), table(tmp_path / "n-evaluation-curve.csv")
    assert (rows["tuned shared"]["note"], rows["tuned shared"]["mean"]) == ("weight 2", "0")
    assert [float(row["mean"]) for row in curve.values()] == pytest.approx([1, 1, 0.47, 0, 0], abs=0.1)
    assert (rows["tuned individual"]["mean"], rows["tuned individual"]["trials"]) == ("0", "2")
    for kind in ("random individual", "random shared"):  # half of the weights have one sign
        assert 0.2 < float(rows[kind]["mean"]) < 0.8
        assert float(rows[kind]["std"]) > 0.4
