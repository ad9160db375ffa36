"""The tables of docs/results.md are what the CSV files beside it say."""

import csv
import re
from collections import defaultdict
from collections.abc import Iterator

import numpy as np
import pytest
from pages import ROOT

from analysis import style
from benchmarks import architectures
from learning import LEARNING_RULES
from networks.reference import SHARED_WEIGHTS

PAGE, FOLDER = ROOT / "docs" / "results.md", ROOT / "docs" / "results"
ON_EVOLVED = ROOT / "docs" / "rules-on-evolved-networks.md"
PLACES = {"seed", "seeds", "generation", "generations", "networks", "p_complexity_objective", "value"}  # of a number
# Of these a table shows means; the tests below compute them. All others are the tables themselves.
RAW = {
    "architectures_that_learn",
    "degrees",
    "degrees_table",
    "evolution",
    "learning_curves",
    "mnist_wann_generations",
    "mutated",
    "random_networks_mnist",
    "random_networks_fashion_mnist",
    "rules_order",
    "swingup_curves",
    "swingup_generations",
}


def rows_of(name: str) -> list[dict[str, str]]:
    with (FOLDER / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def tables(page) -> Iterator[list[list[str]]]:
    """The cells of every table of a page, its head first."""
    for text in re.findall(r"(?:^\|.*\|\n)+", page.read_text("utf-8"), re.M):
        lines = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in text.splitlines()]
        yield [lines[0], *lines[2:]]


def table_with(page, *head: str) -> list[list[str]]:
    [found] = [cells for cells in tables(page) if cells[0][: len(head)] == list(head)]
    return found


def means(values: list[float], ddof: int) -> str:
    return f"{np.mean(values):.3f} +- {np.std(values, ddof=ddof):.3f}"


def accuracies(name: str) -> dict[tuple[str, str], list[float]]:
    """By the rule's name on the page, and size."""
    found = defaultdict(list)
    for row in rows_of(name):
        found[style.look_of(row["rule"]).name, row["size"]].append(float(row["test_acc"]))
    return found


def test_random_networks_by_size():
    found = accuracies("random_networks_mnist")
    head, *rows = table_with(PAGE, "connections", "Backpropagation", "thesis")
    assert len(rows) == 13
    for size, *cells in rows:
        for rule, cell in zip(head[1::2], cells[::2], strict=True):
            assert len(found[rule, size]) == 20
            assert cell == means(found[rule, size], 0)


def test_rules_in_sparse_and_dense_networks():
    mnist, fashion = accuracies("random_networks_mnist"), accuracies("random_networks_fashion_mnist")
    _, *rows = table_with(PAGE, "rule", "MNIST, 800")
    assert len(rows) == len(LEARNING_RULES)
    for rule, *cells in rows:
        assert cells == [means(found[rule, size], 0) for found in (mnist, fashion) for size in ("800", "dense 500")]


@pytest.mark.parametrize("dataset", ["MNIST", "Fashion-MNIST"])
def test_rules_on_evolved_networks(dataset):
    name = dataset.lower().replace("-", "_")
    evolved = defaultdict(list)
    for row in rows_of("rules_order"):
        if row["dataset"] == name:
            evolved[style.look_of(row["learning_rule"]).name].append(
                (float(row["test_acc"]), float(row["connections"]))
            )
    others = accuracies(f"random_networks_{name}")
    _, *rows, tau = table_with(ON_EVOLVED, dataset)
    assert "tau" in tau[0]
    assert len(rows) == len(evolved) == 8
    for rule, *cells in rows:
        full = {"Last layer": "Last layer only"}.get(rule, rule)
        tested, connections = zip(*evolved[full], strict=True)
        beside = [means(others[full, size], 1) for size in ("800", "dense 500")]
        assert cells == [means(tested, 1), f"{np.mean(connections):.0f}", *beside]


def test_champions_between_the_weights_that_they_were_selected_at():
    found = defaultdict(list)
    for row in rows_of("swingup_curves"):
        weight = abs(float(row["shared_weight"]))
        distance = min(abs(weight - value) for value in SHARED_WEIGHTS)
        kinds = {"the": distance == 0, "0.0625": distance == 0.0625, "all": distance > 0 and weight >= 0.5}
        for kind in (kind for kind, holds in kinds.items() if holds):
            found[row["champion"], kind].append(float(row["mean"]))
    head, *rows = table_with(PAGE, "mean reward at shared weights")
    for name, *cells in rows:
        assert cells == [f"{np.mean(found[champion, name.split()[0]]):.0f}" for champion in head[1:]]


MEASURES = {
    "test accuracy of the champion after long training": ("champion_test_acc_last_test", 3),
    "accuracy of the champion in training": ("champion_train_acc", 3),
    "connections, mean of the population": ("connections_mean", 0),
    "neurons": ("neurons_mean", 0),
    "layers": ("layers_mean", 1),
}


def test_architectures_that_learn():
    found = {(row["rule"], row["generation"]): row for row in rows_of("architectures_that_learn") if row["seed"] == "0"}
    rules = {style.look_of(rule).name: rule for rule in architectures.THESIS}
    head, *rows = table_with(PAGE, "", "generation", "Feedback alignment")
    measure = ""
    for name, generation, *cells in rows:
        measure = name or measure
        column, digits = MEASURES[measure]
        for rule, cell in zip(head[2::2], cells[::2], strict=True):
            if cell:
                assert cell == f"{float(found[rules[rule], generation][column]):.{digits}f}", (measure, generation)
    assert architectures.text(rows_of("architectures_that_learn")) in PAGE.read_text("utf-8")


def test_architectures_learn_from_fresh_weights():
    found = {
        (row["experiment"], row["generation"]): f"{float(row['test_acc_mean']):.3f} +- {float(row['test_acc_std']):.3f}"
        for row in rows_of("learning_curves")
        if row["epoch"] == "10"
    }
    _, *rows = table_with(PAGE, "test accuracy after ten epochs from fresh weights")
    assert len(rows) == len(architectures.THESIS)
    for rule, *cells in rows:
        assert cells == [found[rule, generation] for generation in ("0", "100", "300")]


def test_what_the_champions_get_from_their_own_weights():
    found = defaultdict(list)
    for row in rows_of("architectures_that_learn"):
        if int(row["generation"]) >= 600:
            accuracy = float(row["champion_test_acc_last_test"])
            found[style.look_of(row["rule"]).name, row["seed"]].append(accuracy)
    _, *rows = table_with(PAGE, "rule", "seed", "from its own weights, epoch 10")
    for rule, seed, own, *_ in rows:
        assert len(found[rule, seed]) == 21
        assert own == means(found[rule, seed], 1)


def test_the_walkers_seeds():
    found = defaultdict(list)
    for row in rows_of("walker"):
        for measure in ("best_mean_over_weights", "best_weight", "connections_mean"):
            found[row["generation"], measure].append(float(row[measure]))
    head, *_, spreads, connections = table_with(PAGE, "", "published", "generation 20")
    for generation, spread, sizes in zip(head[2:], spreads[2:], connections[2:], strict=True):
        mean, best, size = (
            found[generation.split()[-1], m] for m in ("best_mean_over_weights", "best_weight", "connections_mean")
        )
        assert len(mean) == 5
        assert spread == ", ".join(f"{np.mean(v):.0f} +- {np.std(v, ddof=1):.0f}" for v in (mean, best))
        assert sizes == ", ".join(f"{value:.0f}" for value in size)


def section_with(link: str) -> str:
    """The part below one heading, of any level, that links to a file."""
    for page in (PAGE, ON_EVOLVED):
        [*found] = [part for part in re.split(r"^#+ ", page.read_text("utf-8"), flags=re.M) if f"]({link})" in part]
        if found:
            return found[0]
    return ""


@pytest.mark.parametrize("name", sorted(file.stem for file in FOLDER.glob("*.csv")))
def test_every_number_of_a_file_stands_where_the_page_links_to_it(name):
    text = section_with(f"results/{name}.csv")
    assert text, "no page links to it"
    if name not in RAW:
        there = set(re.findall(r"(?<![\w.])-?\d+(?:\.\d+)?", text.replace(",", " ")))
        for row in rows_of(name):
            numbers = {cell for column, cell in row.items() if column not in PLACES and re.fullmatch(r"-?[\d.]+", cell)}
            assert not numbers - there, row
