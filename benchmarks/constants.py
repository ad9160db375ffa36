"""Which constants let a rule learn? Trained on five sixths of the training images, judged by the last sixth.

    python -m benchmarks.constants pepita --grid pepita_scale=0.001,0.003,0.01 lr=0.003,0.01

Prints a table: every combination with the accuracy of a dense network (one hidden layer of 500) and the mean of three
sparse ones of 800 connections, mutated at random. No test image is looked at.
"""

import argparse
import itertools
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from analysis import arguments as take
from analysis.__main__ import status_of
from analysis.random_networks import random_population, read_rule_params
from envs import datasets
from evolution.errors import InputError
from evolution.genome import Genome
from experiment.parameters import declared
from learning import LEARNING_RULES, training
from learning.compiled import test_population, train_population
from learning.settings import TrainingSettings

HIDDEN, SIZE, SPARSE = 500, 800, 3  # neurons of the dense network; connections and number of the sparse ones


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rule", choices=tuple(LEARNING_RULES))
    parser.add_argument("--grid", nargs="*", default=[], metavar="NAME=VALUE,...", help="a constant and its values")
    parser.add_argument("--dataset", choices=tuple(datasets.DATASETS), default="mnist")
    take.add_data_dir(parser)
    parser.add_argument("--num_epochs", type=take.count, default=5, help="epochs of training (default: %(default)s)")
    parser.add_argument("--seed", type=take.seed, default=0, help="decides networks and training")
    given = parser.parse_args()
    grid = dict(constant(text) for text in given.grid)
    images, labels, *_ = datasets.load(given.dataset, given.data_dir)
    networks = [dense(images.shape[1], int(labels.max()) + 1, given.seed)]
    params = read_rule_params(given.rule)
    networks += random_population(images.shape[1], int(labels.max()) + 1, SIZE, SPARSE, params, given.seed)

    print("| " + " | ".join((*grid, f"dense {HIDDEN}", f"{SPARSE} of {SIZE}", "the three")) + " |")
    print("| " + " | ".join(["---"] * (len(grid) + 3)) + " |")
    for values in itertools.product(*grid.values()):
        chosen = dict(zip(grid, values, strict=True))
        settings = TrainingSettings.of({**params, **chosen, "num_epochs": given.num_epochs})
        first, *others = held_out(networks, images, labels, settings, given.seed)
        cells = [*(str(value) for value in values), f"{first:.3f}", f"{np.mean(others):.3f}"]
        print("| " + " | ".join((*cells, ", ".join(f"{other:.3f}" for other in others))) + " |", flush=True)


def constant(text: str) -> tuple[str, list[Any]]:
    """Name and values of a parameter of training, of "name=1,2". Raises InputError for another text."""
    name, _, values = text.partition("=")
    if name not in TrainingSettings.__dataclass_fields__:
        raise InputError(f"--grid {text}: {name!r:.60} is no parameter of training")
    return name, [declared()[name].parse(value, "--grid") for value in values.split(",")]


def dense(num_inputs: int, num_outputs: int, seed: int) -> Genome:
    rng = np.random.default_rng(seed)
    return Genome.initial(num_inputs, num_outputs, 1.0, rng, num_hidden=HIDDEN, with_weights=True)


def held_out(
    networks: Sequence[Genome], images: np.ndarray, labels: np.ndarray, settings: TrainingSettings, seed: int
) -> list[float]:
    """Accuracies on the last sixth of the images after training on the others."""
    count = len(images) * 5 // 6
    rng = np.random.default_rng(seed)
    order = training.draw_order(settings.num_epochs, count, rng)
    draws = [training.draw(network, settings.learning_rule, rng) for network in networks]
    trained = train_population(networks, images[:count], labels[:count], settings, order=order, draws=draws)
    after = [replace(network, weights=t.weights) for network, t in zip(networks, trained, strict=True)]
    return [accuracy for _, accuracy in test_population(after, images[count:], labels[count:], 1000)]


if __name__ == "__main__":
    sys.exit(status_of(main))
