"""`analysis random-networks`: networks, table, figure, and the rules' order in sparse and dense networks."""

import csv
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis import random_networks, style, turning
from analysis.__main__ import main
from analysis.random_networks import Result, cells, dense_population, figure, read_results, table, to_csv
from evolution.errors import InputError
from learning import LEARNING_RULES


def results(values: dict[str, dict[str, list[float]]]) -> list[Result]:
    return [
        Result(rule, size, i, int(size.split()[-1]), accuracy, 0.5)
        for rule, by_size in values.items()
        for size, accuracies in by_size.items()
        for i, accuracy in enumerate(accuracies)
    ]


THREE = {
    "backprop": {"200": [0.4, 0.5], "800": [0.71, 0.72, 0.73, 0.74], "dense 500": [0.91, 0.92, 0.93, 0.94]},
    "hebbian": {"800": [0.51, 0.52, 0.53, 0.54], "dense 500": [0.95, 0.96, 0.97, 0.98]},
    "pepita": {"800": [0.31, 0.32, 0.33, 0.34], "dense 500": [0.945, 0.955, 0.965, 0.975]},
}


def test_the_orders_of_three_rules_by_hand() -> None:
    """Sparse: backprop, hebbian, pepita. Dense: hebbian, pepita, backprop. One of three pairs keeps its order, so that
    tau is (1 - 2) / 3 and rho is 1 - 6 (4 + 1 + 1) / 24.
    """
    orders = turning.orders_of(THREE)
    assert orders is not None
    assert (orders.sparse, orders.dense, orders.num_pairs) == ("800", "dense 500", 3)
    assert list(orders.rules) == ["backprop", "hebbian", "pepita"]
    assert orders.tau.value == pytest.approx(-1 / 3)
    assert orders.rho.value == pytest.approx(-0.5)
    found = {(pair.first, pair.second): pair for pair in orders.turned}
    assert found.keys() == {("backprop", "hebbian"), ("backprop", "pepita")}
    clear, unclear = found["backprop", "hebbian"], found["backprop", "pepita"]
    assert (clear.sparse, clear.dense) == (pytest.approx(0.2), pytest.approx(0.04))
    assert clear.p == pytest.approx(2 / 70)  # in both all of one are above all of the other: 2 of (8 over 4) orders
    assert clear.adjusted == unclear.adjusted == pytest.approx(3 * 2 / 70)  # three pairs count, also the third


def test_a_difference_must_be_there_in_both_kinds_of_network() -> None:
    """Certain when sparse, by chance when dense: the larger p is the pair's."""
    values = {
        "backprop": {"800": [0.7, 0.71, 0.72, 0.73], "dense 500": [0.9, 0.92, 0.94, 0.96]},
        "hebbian": {"800": [0.5, 0.51, 0.52, 0.53], "dense 500": [0.91, 0.93, 0.95, 0.97]},
    }
    orders = turning.orders_of(values)
    assert orders is not None
    (pair,) = orders.turned
    assert pair.p == pytest.approx(0.6857, abs=1e-4)  # U = 6 of 16: 24 of 70 orders are as far out on either side
    assert "1 turn over in the mean, 0 of them by more than chance" in turning.text(orders)


def test_the_interval_draws_the_same_networks_for_all_rules() -> None:
    """Network 1 is better than network 0 by the same amount for both rules, so that no draw changes their order."""
    sparse, dense = [np.array([0.1, 0.9]), np.array([0.2, 1.0])], [np.array([0.3, 0.5]), np.array([0.4, 0.6])]
    for estimate in turning.likeness(sparse, dense):
        assert tuple(estimate) == pytest.approx((1, 1, 1))
    apart = [np.array([0.1, 0.9]), np.array([0.9, 0.2])]  # here it depends on the draw
    tau, _ = turning.likeness(apart, dense)
    assert (tau.value, tau.low, tau.high) == pytest.approx((1, -1, 1))


@pytest.mark.parametrize(
    "without",
    [{"800": None}, {"dense 500": None}, {"backprop": None, "hebbian": None}],
    ids=["no sparse networks", "no dense ones", "one rule"],
)
def test_without_two_rules_in_both_there_is_no_order(without: dict[str, None]) -> None:
    left = {
        rule: {size: values for size, values in by_size.items() if size not in without and size != "200"}
        for rule, by_size in THREE.items()
        if rule not in without
    }
    assert turning.orders_of(left) is None


def test_the_table_by_hand() -> None:
    lines = table(results({**THREE, "pepita": {"800": [0.8]}}), "mnist").splitlines()
    assert lines == [
        "| rule | 200 | thesis | 800 | thesis | dense 500 |",
        "| --- | --- | --- | --- | --- | --- |",
        "| PEPITA |  |  | 0.800 +- 0.000 |  |  |",
        "| Backpropagation | 0.450 +- 0.050 | about 0.45 | 0.725 +- 0.011 | about 0.76 | 0.925 +- 0.011 |",
        "| Hebbian |  | about 0.46 | 0.525 +- 0.011 | about 0.53 | 0.965 +- 0.011 |",
    ]


def test_results_come_back_from_their_csv(tmp_path: Path) -> None:
    found = results(THREE)
    file = tmp_path / "random_networks.csv"
    file.write_text(to_csv(found))
    assert read_results(file) == found
    file.write_text(to_csv([found[0]._replace(size="thick 500")]))
    with pytest.raises(InputError, match="there is no size 'thick 500'"):
        read_results(file)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.floats(0.001, 0.5))
def test_names_do_not_touch_and_keep_their_order(heights: list[float], gap: float) -> None:
    found = turning.spread(heights, gap)
    order = np.argsort(heights, kind="stable")
    assert found.min() >= -1e-9
    assert found.max() <= 1 + 1e-9
    assert (np.diff(found[order]) >= min(gap, 1 / max(1, len(heights) - 1)) - 1e-9).all()


def test_names_stay_where_there_is_room() -> None:
    np.testing.assert_allclose(turning.spread([0.5, 0.1, 0.8], 0.2), [0.5, 0.1, 0.8])
    np.testing.assert_allclose(turning.spread([0.5, 0.6, 0.0], 0.2), [0.45, 0.65, 0.0])  # both give way by half
    np.testing.assert_allclose(turning.spread([1.0, 1.0], 0.2), [0.8, 1.0])  # the edge holds


def test_the_figure_has_every_rule_once_beside_each_panel() -> None:
    values = {rule: {"800": [i / 20], "dense 500": [1 - i / 30]} for i, rule in enumerate(LEARNING_RULES)}
    with style.style():
        drawn = figure(results(values))
    first, second = drawn.axes
    names = [style.look_of(rule).name for rule in LEARNING_RULES]
    assert len(set(names)) == len(LEARNING_RULES) == 18
    assert [text.get_text() for text in first.texts] == names
    assert [text.get_text() for text in second.texts[1::2]] == [
        f"{1 - i / 30:.3f}  {name}" for i, name in reversed(list(enumerate(names)))
    ]  # as the rules come when sparse: the best first
    for texts in (first.texts, second.texts[::2], second.texts[1::2]):
        boxes = sorted((text.get_window_extent() for text in texts), key=lambda box: box.y0)
        assert all(low.y0 + 0.8 * low.height < high.y0 for low, high in pairwise(boxes))


def test_a_dense_network_is_decided_by_its_number(tmp_path: Path) -> None:
    one, two = dense_population(6, 3, 5, 2, seed=0)
    assert one.num_connections == 6 * 5 + 5 * 3
    assert one.num_layers == 3
    assert one != two
    assert dense_population(6, 3, 5, 1, seed=0) == [one]
    assert dense_population(6, 3, 5, 1, seed=1) != [one]


def test_the_command_trains_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "to"
    usual = ("random-networks", "--dataset", "digits", "--networks", "2", "--num_epochs", "1", "--num_workers", "1")

    def run(*more: str) -> int:
        return main([*usual, "--rules", "backprop", "last_layer", "--to", str(folder), *more])

    assert run("--sizes", "60") == 0
    with open(folder / "random_networks.csv", newline="") as file:
        before = list(csv.DictReader(file))
    assert {row["size"] for row in before} == {"60"}
    assert "Kendall" not in capsys.readouterr().out
    assert run("--sizes", "60", "--dense", "4") == 0
    after = read_results(folder / "random_networks.csv")
    assert [r for r in after if r.size == "60"] == [
        Result(
            row["rule"], row["size"], int(row["network"]), int(row["connections"]),
            float(row["test_acc"]), float(row["test_loss"]),
        )
        for row in before
    ]  # fmt: skip
    assert [(r.rule, r.network, r.connections) for r in after if r.size == "dense 4"] == [
        (rule, number, 64 * 4 + 4 * 10) for rule in ("backprop", "last_layer") for number in (0, 1)
    ]
    out = capsys.readouterr().out
    assert "The order of 2 rules at 60 connections and in dense 4: Kendall's tau" in out
    assert (folder / "random_networks.md").read_text() == out[: out.rindex("\n", 0, -1) + 1]
    assert list(cells(after)) == ["backprop", "last_layer"]


def test_all_rules_are_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random_networks, "RULES", ("last_layer", "backprop"))
    few = ("--networks", "1", "--num_epochs", "1", "--num_workers", "1", "--sizes", "60", "--to", str(tmp_path))
    assert main(["random-networks", "--dataset", "digits", "--rules", "all", *few]) == 0
    assert {result.rule for result in read_results(tmp_path / "random_networks.csv")} == {"backprop", "last_layer"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--sizes",), "--sizes and --dense are empty: there is nothing to train"),
        (("--dense", "0"), "--dense: 0; it must be a whole number from 1 to 10000"),
        (("--dense", "10001"), "--dense: 10001; it must be a whole number from 1 to 10000"),
        (("--sizes", "-3"), "--sizes: -3; a size must be a whole number from 1 to 100000"),
    ],
)
def test_what_is_wrong_is_one_line(
    arguments: tuple[str, ...], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["random-networks", "--to", str(tmp_path / "to"), *arguments]) == 2
    assert capsys.readouterr().err == f"error: {message}\n"
    assert not (tmp_path / "to").exists()


def test_rules_have_names_of_their_own() -> None:
    assert tuple(LEARNING_RULES) == random_networks.RULES
    assert style.look_of("kolen_pollack").name == "Kolen-Pollack"
    assert style.look_of("unheard_of").name == "Unheard of"


def test_table_and_figure_show_the_connections_that_there_are():
    """67 connections stood under 30, which is fewer than a new network may have."""
    results = [Result("backprop", "30", number, size, 0.5, 1.0) for number, size in enumerate((66, 68))]
    results += [Result("backprop", "200", number, size, 0.6, 1.0) for number, size in enumerate((203, 204))]
    results += [Result("backprop", "800", 0, 800, 0.7, 1.0), Result("backprop", "dense 500", 0, 133_000, 0.9, 1.0)]
    header = table(results, "digits").splitlines()[0]
    assert header == "| rule | 67.0 (30 asked) | 203.5 (200 asked) | 800 | dense 500 |"
    with style.style():
        [line] = [line for line in figure(results).axes[0].get_lines() if line.get_gid() == "backprop"]
    assert list(line.get_xdata()) == [67, 203.5, 800]
