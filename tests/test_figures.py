"""`analysis figures` and `analysis evaluate`: the numbers behind the pictures, by hand and against the reference."""

import argparse
import csv
from pathlib import Path

import numpy as np
import pytest
import yaml
from genomes import evolved
from hypothesis import given
from hypothesis import strategies as st
from runs import ROOT
from runs import run as run_script

from analysis import graph
from analysis.__main__ import main
from analysis.figures import common as figures
from analysis.figures import degrees, evolution, learning_curves, measures, wann_curves
from analysis.runs import RunFolder, Series
from envs import datasets
from evolution.errors import InputError
from evolution.genome import Genome
from experiment.events import EventLog
from learning.training import test as accuracy_of
from learning.training import to_tensor

WLNN = {"script": "run-wlnn-mnist", "dataset": "digits", "learning_rule": "backprop", "train_only_outputs": False}
LEARNING = {"lr": 0.01, "optimizer": "adam", "num_epochs": 1, "batch_size": 256}
WANN = {"script": "run-wann-gym", "env_name": "CartPole-v0"}


def made(folder: Path, params: dict, scalars: dict[int, dict[str, float]]) -> Path:
    """A run's folder with these parameters and these scalars by generation."""
    folder.mkdir(parents=True)
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    log = EventLog(folder / "tensorboard_summary")
    for generation, values in scalars.items():
        log.scalars(values, generation)
    log.close()
    return folder


def table(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def draw(*arguments: object) -> int:
    return main(["figures", *map(str, arguments)])


# ---- experiments ----------------------------------------------------------------------------------------------------


def test_seeds_of_an_experiment_are_one_group_and_other_parameters_another(tmp_path):
    settings = [{"seed": 0}, {"seed": 1, "num_workers": 8}, {"seed": 0, "lr": 0.02}, {"learning_rule": "hebbian"}]
    folders = [made(tmp_path / str(i), WLNN | LEARNING | more, {}) for i, more in enumerate(settings)]
    groups = figures.group_runs([RunFolder(folder) for folder in folders])
    labels = [group.label for group in groups]
    assert labels == ["Backpropagation (lr 0.01)", "Backpropagation (lr 0.02)", "Hebbian"]
    assert [len(group.runs) for group in groups] == [2, 1, 1]
    assert groups[0].colour == groups[1].colour != groups[2].colour
    assert groups[0].dashes != groups[1].dashes
    assert groups[0].marker != groups[1].marker


def test_series_meet_where_all_of_them_are():
    one = Series(np.array([0, 1, 2, 5]), np.array([1.0, 2.0, 3.0, 4.0]))
    other = Series(np.array([1, 5, 9]), np.array([7.0, 8.0, 9.0]))
    steps, values = figures.together([one, other])
    assert steps.tolist() == [1, 5]
    assert values.tolist() == [[2, 4], [7, 8]]


def test_the_last_values_of_a_series():
    series = Series(np.array([0, 1, 2, 3, 10]), np.array([1.0, 2.0, 4.0, 8.0, 16.0]))
    assert series.last() == (16, 10)
    assert series.last(2, until=3) == (6, 3)
    assert series.last(2, until=9) == (6, 3)
    assert series.last(100) == (6.2, 10)
    value, step = series.last(until=-1)
    assert np.isnan(value)
    assert step == -1


@pytest.mark.parametrize("content", ["", "[1]", "a: [", "seed: 1", "script: 5", "\0"])
def test_params_that_are_no_runs_are_refused(content, tmp_path):
    (tmp_path / "params.yaml").write_text(content)
    with pytest.raises(InputError, match=str(tmp_path / "params.yaml")):
        RunFolder(tmp_path)


@pytest.mark.parametrize(
    ("params", "options", "message"),
    [
        (WLNN, "--only evolution --draws 3", "--draws is for the figure mutated; drawn here: evolution"),
        (WLNN, "--only mutated --keep_weights", "--keep_weights is for the figure learning-curves; drawn"),
        (WANN, "--generations 3", "--generations is for the figure learning-curves; drawn here: degrees, wann-curves"),
        (WANN, "--data_dir x", "--data_dir is for the figure learning-curves and mutated; drawn here: degrees, wann-"),
    ],
)
def test_an_option_that_no_figure_has_a_use_for_is_refused(params, options, message, tmp_path, capsys):
    assert draw(made(tmp_path / "run", params, {}), *options.split()) == 2
    assert message in capsys.readouterr().err
    assert draw(tmp_path / "run", "--only", "mutated", "--draws", "3") == 2
    assert "--draws" not in capsys.readouterr().err


@given(st.integers(0, 10**5))
def test_degree_bins_cover_every_degree_once(largest):
    edges = degrees.degree_bins(largest)
    assert edges[:17].tolist() == list(range(17))
    assert (np.diff(edges) > 0).all()
    assert edges[-1] > largest


# ---- figures by hand ------------------------------------------------------------------------------------------------


def test_evolution_shows_means_over_networks_and_seeds(tmp_path):
    for seed in (0, 1):
        values = {
            generation: {
                "population/net0_acc": 0.1 * seed + 0.2 * generation,
                "population/net1_acc": 0.3,
                "population/net0_connections": 10.0 + seed,
                "population/net1_connections": 20.0 + generation,
            }
            for generation in (0, 1)
        }
        made(tmp_path / f"run{seed}", WLNN | {"seed": seed}, values)
    assert draw(tmp_path / "run0", tmp_path / "run1", "--only", "evolution", "--to", tmp_path / "to") == 0
    rows = {(row["seed"], row["generation"]): row for row in table(tmp_path / "to/evolution-digits.csv")}
    assert len(rows) == 4
    last = rows["1", "1"]  # accuracies 0.3 and 0.3, connections 11 and 21
    assert [float(last[f"{what}_{kind}"]) for what in ("acc", "connections") for kind in ("mean", "std")] == [
        pytest.approx(value, abs=1e-6) for value in (0.3, 0, 16, 5)
    ]
    groups = figures.group_runs([RunFolder(tmp_path / f"run{seed}") for seed in (0, 1)])
    axes = evolution.draw(groups, argparse.Namespace()).figure.axes[0]
    dots = [line for line in axes.lines if line.get_marker() == "."]
    assert sum(len(line.get_xdata()) for line in dots) == 8  # networks x generations x seeds
    (mean,) = [line for line in axes.lines if line.get_marker() != "."]
    # Means of 0, 0.3 and 0.1, 0.3 in generation 0, and of 0.2, 0.3 and 0.3, 0.3 in generation 1.
    np.testing.assert_allclose(mean.get_ydata(), [0.175, 0.275], atol=1e-6)


def test_weight_agnostic_curves(tmp_path):
    for seed in (0, 1):
        values = {
            generation: {
                "best/mean_reward": 100.0 * seed + generation,
                "best/max_reward": 150.0,
                "champion/mean_reward": 50.0 * seed,
                "champion/max_reward": 60.0,
                "stats/connections_mean": 5.0,
                "champion/connections": 4.0,
                **({"champion/test_mean_reward": 40.0} if generation == 0 else {}),
            }
            for generation in range(3 + seed)  # one run is further than the other
        }
        made(tmp_path / f"run{seed}", WANN | {"seed": seed}, values)
    assert draw(tmp_path / "run0", tmp_path / "run1", "--to", tmp_path / "to") == 0
    rows = table(tmp_path / "to/wann-curves-CartPole-v0.csv")
    best = [(row["seed"], row["generation"], float(row["value"])) for row in rows if row["tag"] == "best/mean_reward"]
    assert best == [(str(s), str(g), 100.0 * s + g) for s in (0, 1) for g in range(3)]
    groups = figures.group_runs([RunFolder(tmp_path / f"run{seed}") for seed in (0, 1)])
    mean = wann_curves.draw(groups, argparse.Namespace()).figure.axes[0]
    assert [line.get_ydata().tolist() for line in mean.lines] == [[50, 51, 52], [25, 25, 25], [40]]
    band = mean.collections[0].get_paths()[0].vertices[:, 1]
    assert (band.min(), band.max()) == (0, 102)  # mean - std of generation 0, mean + std of generation 2


def test_degrees_by_hand(tmp_path):
    folder = made(tmp_path / "run", WANN, {0: {"best/mean_reward": 1.0}})
    genome = Genome.from_dict(
        {
            "in_size": 2,
            "out_size": 1,
            "num_neurons": 4,
            "neurons_in_layer": [[0, 1], [3], [2]],
            "connections": [[0, 3], [1, 3], [3, 2], [0, 2]],
            "activation_names": ["linear", "linear", "linear", "tanh"],
        }
    )
    genome.save(folder / "champion_network.json")
    assert draw(folder, "--only", "degrees") == 0
    rows = table(folder / "figures/degrees-CartPole-v0.csv")
    found = {(row["degree_kind"], int(row["degree"])): float(row["share"]) for row in rows}
    thirds = {("out", 1): 2 / 3, ("out", 2): 1 / 3, ("in", 2): 1.0}  # in: of 2 and 3; out: of 0, 1 and 3
    assert found == pytest.approx(thirds | {("total", 1): 1 / 4, ("total", 2): 1 / 2, ("total", 3): 1 / 4}, rel=1e-5)
    lines = {row["quantity"]: row for row in table(folder / "figures/degrees-CartPole-v0-table.csv")}
    assert float(lines["connections"]["mean"]) == 4
    assert float(lines["total degree, mean over neurons"]["mean"]) == 2
    assert float(lines["total degree, spread over neurons"]["mean"]) == pytest.approx(np.sqrt(1 / 2), rel=1e-5)
    assert "| connections | 4 +- 0 |" in (folder / "figures/degrees-CartPole-v0.md").read_text()


def test_the_density_of_degrees_is_a_share_for_each_degree(tmp_path):
    assert degrees.degree_bins(40)[16:].tolist() == [16, 19, 23, 27, 32, 38, 45]  # four for each doubling
    folder = made(tmp_path / "run", WANN, {0: {"best/mean_reward": 1.0}})
    network = {"in_size": 20, "out_size": 1, "num_neurons": 22, "activation_names": ["linear"] * 22}
    network |= {"neurons_in_layer": [list(range(20)), [21], [20]]}
    network |= {"connections": [*([i, 20] for i in range(20)), *([i, 21] for i in range(3)), [21, 20]]}
    Genome.from_dict(network).save(folder / "champion_network.json")  # in-degrees 21 and 3
    panel = degrees.draw(figures.group_runs([RunFolder(folder)]), argparse.Namespace()).figure.axes[0]
    values, edges, _ = panel.patches[0].get_data()
    assert edges.tolist() == [*(np.arange(17) - 0.5), 18.5, 22.5]
    filled = {float(edge): float(value) for edge, value in zip(edges, values, strict=False) if value > 0}
    assert filled == {2.5: 0.5, 18.5: 0.5 / 4}  # half of the neurons, in a bin of 1 and in one of 4 degrees
    assert panel.get_xscale() == "symlog"
    assert panel.get_yscale() == "log"


def test_measures_of_learning(tmp_path):
    for seed in (0, 1):
        params = WLNN | {"script": "run-wlnn-mnist-no-evolution", "seed": seed}
        values = {epoch: {"learning/angle": 10.0 * epoch + seed, "learning/angle_layer_1": 5.0} for epoch in (1, 2)}
        made(tmp_path / f"run{seed}", params, values)
    assert draw(tmp_path / "run0", tmp_path / "run1", "--to", tmp_path / "to") == 0
    rows = table(tmp_path / "to/measures-digits.csv")
    angles = [(row["seed"], row["step"], float(row["value"])) for row in rows if row["tag"] == "learning/angle"]
    assert angles == [("0", "1", 10), ("0", "2", 20), ("1", "1", 11), ("1", "2", 21)]
    assert sum(row["tag"] == "learning/angle_layer_1" for row in rows) == 4
    groups = figures.group_runs([RunFolder(tmp_path / f"run{seed}") for seed in (0, 1)])
    (axes,) = measures.draw(groups, argparse.Namespace()).figure.axes  # layers are in the table alone
    (line,) = axes.lines
    assert line.get_ydata().tolist() == [10.5, 20.5]
    assert (axes.get_title(), axes.get_xlabel()) == ("angle", "epoch")


# ---- figures that train again ---------------------------------------------------------------------------------------


@pytest.fixture
def learned(tmp_path):
    """A run that learns, with two networks saved in generations 0 and 3, and a champion."""
    networks = [evolved(seed, 64, 10, 0.05, 20, with_weights=True) for seed in range(4)]
    folder = made(tmp_path / "learned", WLNN | LEARNING | {"seed": 5}, {0: {"best/acc": 0.1}})
    (folder / "networks").mkdir()
    for i, network in enumerate(networks):
        network.save(folder / "networks" / f"generation{3 * (i // 2)}-net{i % 2}.json")
    networks[3].save(folder / "champion_network.json")
    return folder, networks


def test_learning_curves_start_at_the_untrained_network(learned, tmp_path):
    folder, networks = learned
    only = ("--only", "learning-curves", "--num_epochs", 2, "--to", tmp_path / "to")
    assert draw(folder, *only, "--keep_weights") == 0
    rows = table(tmp_path / "to/learning-curves-digits.csv")
    assert [(row["generation"], row["epoch"]) for row in rows] == [(g, e) for g in "03" for e in "012"]
    data = datasets.load("digits")
    truth = to_tensor(data.test_images, "cpu"), to_tensor(data.test_labels, "cpu")
    for generation, pair in (("0", networks[:2]), ("3", networks[2:])):
        start = [accuracy_of(network, *truth, 1000, "cpu")[1] for network in pair]
        row = next(row for row in rows if row["generation"] == generation and row["epoch"] == "0")
        assert float(row["test_acc_mean"]) == pytest.approx(np.mean(start), abs=2e-6)
        assert float(row["test_acc_std"]) == pytest.approx(np.std(start), abs=2e-6)
        assert row["networks"] == "2"
    assert draw(folder, *only) == 0  # fresh weights start elsewhere
    assert table(tmp_path / "to/learning-curves-digits.csv") != rows


def test_champions_stand_beside_the_mutated(learned, tmp_path, capsys):
    folder, networks = learned
    csv_file = tmp_path / "random/random_networks.csv"
    random = ("random-networks", "--dataset", "digits", "--networks", "2", "--num_epochs", "1", "--sizes", "60")
    assert main([*random, "--rules", "backprop", "--to", str(csv_file.parent)]) == 0
    capsys.readouterr()
    given = ("--only", "mutated", "--draws", 3, "--random_networks", csv_file, "--to", tmp_path / "to")
    assert draw(folder, *given) == 0
    assert capsys.readouterr().out == f"{tmp_path}/to/mutated-digits.png, .svg, .csv\n"  # it has no table
    rows = table(tmp_path / "to/mutated-digits.csv")
    by_kind = {kind: [row for row in rows if row["kind"] == kind] for kind in ("mutated", "evolved")}
    assert [row["test_acc"] for row in by_kind["mutated"]] == [
        f"{float(row['test_acc']):.6g}" for row in table(csv_file)
    ]
    assert [int(row["connections"]) for row in by_kind["evolved"]] == [networks[3].num_connections] * 3
    assert len({row["test_acc"] for row in by_kind["evolved"]}) > 1  # each draw has weights of its own
    (csv_file.parent / "settings.yaml").write_text("dataset: mnist\nnum_epochs: 1\nseed: 0\n")
    assert draw(folder, *given) == 2
    assert "is of mnist, the runs are of digits" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("saved", "wanted", "expected"),
    [
        ([[0, 50, 100, 500]], None, [0, 100]),
        ([[0, 100, 1000, 1500]], None, [0, 100, 1000]),
        ([[0, 20, 40]], None, [0, 40]),
        ([[7]], None, [7]),
        ([[0, 10, 20, 30], [0, 10, 20]], None, [0, 20]),
        ([[0, 10, 20]], [20, 10, 20], [10, 20]),
        ([[0, 10, 20], [0, 10]], [20], InputError),
        ([[], []], None, figures.NothingToDraw),
    ],
)
def test_which_generations_are_trained_again(saved, wanted, expected, tmp_path):
    folders = [made(tmp_path / str(i), WLNN, {}) for i in range(len(saved))]
    for folder, generations in zip(folders, saved, strict=True):
        (folder / "networks").mkdir()
        for generation in generations:
            (folder / "networks" / f"generation{generation}-net0.json").touch()
    (group,) = figures.group_runs([RunFolder(folder) for folder in folders])
    if isinstance(expected, list):
        assert learning_curves.choose_generations(group, wanted) == expected
    else:
        with pytest.raises(expected):
            learning_curves.choose_generations(group, wanted)


def test_all_figures_of_a_real_run(tmp_path):
    params = ROOT / "params/wlnn-mnist/mnist-hebbian.yaml"
    small = ("--dataset=digits", "--num_inputs=64", "--population_size=8", "--tournament_size=4", "--num_generations=2")
    more = ("--num_epochs=1", "--num_epochs_long=1", "--num_workers=1", "--seed=1", "--save_networks_every=1")
    status, _, err = run_script(ROOT / "run-wlnn-mnist.py", params, *small, *more, f"--out_dir={tmp_path / 'run'}")
    assert status == 0, err
    assert draw(tmp_path / "run", "--num_epochs", 1) == 0
    written = {path.name for path in (tmp_path / "run/figures").iterdir()}
    names = ("evolution", "learning-curves", "degrees")
    assert written >= {f"{name}-digits.{ending}" for name in names for ending in ("png", "svg", "csv")}
    evolution = table(tmp_path / "run/figures/evolution-digits.csv")
    run = RunFolder(tmp_path / "run")
    for row, generation in zip(evolution, (0, 1), strict=True):
        counts = [network.num_connections for network in run.networks(generation)]
        assert float(row["connections_mean"]) == pytest.approx(np.mean(counts), rel=1e-5)
    rows = table(tmp_path / "run/figures/degrees-digits-table.csv")
    assert float(rows[0]["mean"]) == pytest.approx(np.mean(counts), rel=1e-5)  # of the last generation


def test_what_figures_cannot_use_is_one_line(learned, tmp_path, capsys):
    folder, networks = learned
    no_events = made(tmp_path / "no_events", WLNN, {})
    for file in (no_events / "tensorboard_summary").iterdir():
        file.unlink()
    lacking = made(tmp_path / "lacking", WLNN, {})
    (lacking / "networks").mkdir()
    networks[0].save(lacking / "networks/generation0-net0.json")
    (tmp_path / "junk.csv").write_text("a,b\n1,2\n")
    trained = made(tmp_path / "trained", WLNN | {"script": "run-wlnn-mnist-no-evolution"}, {0: {"test/acc": 0.5}})
    for wrong, said in (
        ([tmp_path], "no params.yaml"),
        ([folder, tmp_path / "nowhere"], "no params.yaml"),
        ([trained], "no run has measures of learning"),
        ([no_events, "--only", "evolution"], "no event files"),
        ([folder, "--only", "wann-curves"], "no run evolved weight agnostic networks"),
        ([folder, "--only", "evolution"], "no generation yet"),
        ([folder, "--only", "learning-curves", "--generations", 0, 1], "generation 1 is not saved; there are 0, 3"),
        ([lacking, "--only", "learning-curves"], "lack optimizer, lr, num_epochs, batch_size"),
        ([folder, "--only", "mutated", "--random_networks", tmp_path / "none.csv"], "random-networks` makes it"),
        ([folder, "--only", "mutated", "--random_networks", tmp_path / "junk.csv"], "not a CSV of random-networks"),
        ([folder, "--only", "portrait"], "no such figure"),
        ([folder, "--networks", 0], "at least 1"),
    ):
        assert draw(*wrong, "--to", tmp_path / "to") == 2
        error = capsys.readouterr().err
        assert error.startswith("error: ")
        assert error.count("\n") == 1
        assert said in error
    assert not (tmp_path / "to").exists()


def test_statistics_of_runs_use_every_network(tmp_path):
    networks = [evolved(seed, 5, 2) for seed in range(3)]
    rows = degrees.degree_statistics(figures.Group("x", "", "", "", []), networks)
    counts = [graph.statistics(network)["connections"] for network in networks]
    assert rows[0] == ("x", "connections", 3, np.mean(counts), np.std(counts))
