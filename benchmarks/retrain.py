"""How well does a saved architecture learn from other weights, for longer, with other learning rates?

    python -m benchmarks.retrain feedback_alignment champions/feedback_alignment --lr 0.01 0.002 --num_epochs 50

Trains copies of the network on MNIST by the rule, each with fresh weights and feedback, with the parameters of its file
in `params/wlnn-mnist`, and prints test accuracies after some epochs: mean and standard deviation over the copies.
"""

import argparse
import sys
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from analysis import arguments as take
from analysis import style
from analysis.__main__ import status_of
from analysis.compare import table
from analysis.random_networks import read_rule_params
from analysis.rewiring import fresh
from analysis.runs import learning_task
from analysis.statistics import mean_and_spread
from envs import datasets
from envs.datasets import Dataset
from evolution.genome import Genome
from evolution.workers import Workers
from experiment.parameters import declared
from learning import LEARNING_RULES

SHOWN = (1, 5, 10, 20, 50, 100)  # epochs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rule", choices=tuple(LEARNING_RULES))
    take.add_network(parser)
    parser.add_argument("--lr", nargs="+", default=["0.01"], help="learning rates (default: 0.01)")
    parser.add_argument("--num_epochs", type=take.count, default=10, help="default: %(default)s")
    parser.add_argument("--draws", type=draws, default=5, help="copies with weights of their own (default: 5)")
    take.add_data_dir(parser)
    parser.add_argument("--seed", type=take.seed, default=0, help="decides weights, feedback and batches (default: 0)")
    given = parser.parse_args()
    given.lr = [declared()["lr"].parse(text, "--lr") for text in given.lr]
    genome, dataset = Genome.load(given.network), datasets.load("mnist", given.data_dir)
    take.check_sizes(genome, dataset.train_images.shape[1], int(dataset.train_labels.max()) + 1, "mnist")
    shown = [epoch for epoch in SHOWN if epoch <= given.num_epochs]
    lines = [["rule", "learning rate", *(f"epoch {epoch}" for epoch in shown)]]
    for lr, curves in accuracies(genome, dataset, given):
        lines.append([style.look_of(given.rule).name, f"{lr:g}", *map(mean_and_spread, curves.T[shown])])
    print(table(lines), end="")


def draws(text: str) -> int:
    """Two at least: one has no spread."""
    if (count := take.count(text)) < 2:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number, at least 2")
    return count


def accuracies(
    genome: Genome, dataset: Dataset, given: argparse.Namespace
) -> Iterator[tuple[float, npt.NDArray[np.float64]]]:
    """Each learning rate, and test accuracies (draws, num_epochs + 1), the first of them before training.

    The weights, feedback and batches are the same for all learning rates.
    """
    copies = [fresh(genome, rng) for rng in np.random.default_rng(given.seed).spawn(given.draws)]
    workers = Workers(1)
    for lr in given.lr:
        task = learning_task(read_rule_params(given.rule) | {"lr": lr}, dataset, given.num_epochs, workers)
        yield lr, task.learning_curves(copies, np.random.default_rng(given.seed))[1]


if __name__ == "__main__":
    sys.exit(status_of(main))
