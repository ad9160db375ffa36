"""`python -m analysis controls`: a champion beside what keeps a part of it."""

import csv
import math
import re

import numpy as np
import pytest
from genomes import evolved
from made_study import make_run

from analysis.__main__ import main
from analysis.controls import CHAMPION, Trained, controls, dense, summarise_kinds
from analysis.runs import RunFolder

PARAMS = {
    "dataset": "digits", "learning_rule": "backprop", "train_only_outputs": False, "optimizer": "adam", "lr": 0.01,
    "num_epochs": 1, "num_epochs_long": 1, "batch_size": 256, "batch_size_eval": 1000, "seed": 0,
    "evaluation_period": "last_epoch", "p_initial_connection_enabled": 0.05,
}  # fmt: skip
CHAMPION_GENOME = evolved(0, 64, 10, p_initial=0.2, mutations=30, with_weights=True)


@pytest.fixture
def run(tmp_path):
    folder = make_run(tmp_path / "run", PARAMS, {"champion/test_acc": [(0, 0.1)]})
    CHAMPION_GENOME.save(folder / "champion_network.json")
    return folder


def test_what_each_kind_keeps():
    found = controls(CHAMPION_GENOME, PARAMS, draws=2, rewirings=3, spreads=[0.5], seed=0)
    sizes = {kind: {(g.num_connections, g.num_hidden) for g in genomes} for kind, genomes in found.items()}
    own = (CHAMPION_GENOME.num_connections, CHAMPION_GENOME.num_hidden)
    [(below, _)], [(above, _)] = sizes.pop("dense, next below"), sizes.pop("dense, next above")
    assert below <= own[0] < above
    assert all(values == {own} for values in sizes.values())
    assert [len(found[kind]) for kind in (CHAMPION, "rewired", "mutated")] == [2, 3, 2]
    for genome in found[CHAMPION]:
        np.testing.assert_array_equal(genome.connections, CHAMPION_GENOME.connections)
        assert (genome.weights != CHAMPION_GENOME.weights).any()
    # the same draws, five times as wide
    wide = found["champion, weights N(0, 0.5²)"][0].weights
    np.testing.assert_allclose(wide, 5 * found[CHAMPION][0].weights, rtol=1e-5)
    assert any((g.connections != CHAMPION_GENOME.connections).any() for g in found["rewired"])


def test_a_dense_network_of_just_the_champions_size_stands_alone():
    champion = dense(CHAMPION_GENOME, 2, np.random.default_rng(0))
    found = controls(champion, PARAMS, draws=1, rewirings=1, spreads=[], seed=0)
    assert found["dense, next below"][0].num_connections == champion.num_connections == 2 * (64 + 10)
    assert "dense, next above" not in found


def test_a_control_that_only_some_runs_have_is_held_against_their_champions(tmp_path):
    """Three runs, two networks of each kind; the third run's champion is too small for a dense network below it."""
    results = []
    for number, accs in enumerate(({CHAMPION: 0.9, "dense": 0.7}, {CHAMPION: 0.8, "dense": 0.4}, {CHAMPION: 0.1})):
        run = RunFolder(make_run(tmp_path / str(number), PARAMS, {"champion/test_acc": [(0, 0.1)]}))
        results += [Trained(run, kind, k, 100, 5, acc + k / 100, 1.0) for kind, acc in accs.items() for k in range(2)]
    rows = {row.kind: row for row in summarise_kinds(results)}
    assert rows[CHAMPION].summary.n == 3
    assert rows["dense"].summary.n == 2
    assert rows["dense"].difference.difference == pytest.approx((0.2 + 0.4) / 2)
    alone = {
        row.kind: row for row in summarise_kinds([r for r in results if r.kind == CHAMPION or r.run.path.name == "0"])
    }
    assert math.isnan(alone["dense"].difference.p)


def test_the_command_writes_a_table_a_figure_and_every_network(run, capsys):
    arguments = ["--draws", "3", "--rewirings", "4", "--spreads", "0.5", "--num_workers", "1"]
    assert main(["controls", str(run), *arguments]) == 0
    said = capsys.readouterr().out
    assert (run / "controls.md").read_text() in said
    networks = list(csv.DictReader((run / "controls-networks.csv").read_text().splitlines()))
    rows = {row["network"]: row for row in csv.DictReader((run / "controls.csv").read_text().splitlines())}
    assert list(rows)[:3] == ["champion", "rewired", "mutated"]
    for kind, row in rows.items():
        values = [float(n["test_acc"]) for n in networks if n["network"] == kind]
        assert len(values) == (4 if kind == "rewired" else 3)
        assert float(row["mean"]) == pytest.approx(np.mean(values), rel=1e-4)
        if kind != "champion":
            lead = float(rows["champion"]["mean"]) - float(row["mean"])
            assert float(row["lead"]) == pytest.approx(lead, abs=1e-5)
    intervals = re.findall(r"([-\d.e]+) to ([-\d.e]+)", (run / "controls.md").read_text())
    assert intervals
    assert all(float(low) <= float(high) for low, high in intervals)
    assert (run / "controls.png").stat().st_size > 1000
    before = (run / "controls-networks.csv").read_bytes()
    assert main(["controls", str(run), *arguments]) == 0
    assert (run / "controls-networks.csv").read_bytes() == before


def test_runs_without_a_champion_or_without_learning_are_one_line(tmp_path, capsys):
    make_run(tmp_path / "new", PARAMS, {})
    assert main(["controls", str(tmp_path / "new")]) == 2
    assert "no champion yet" in capsys.readouterr().err
    make_run(tmp_path / "other", {"script": "run-wann-gym", "env_name": "CartPole-v0"}, {})
    assert main(["controls", str(tmp_path / "other")]) == 2
    assert "only run-wlnn-mnist evolves architectures that learn" in capsys.readouterr().err
