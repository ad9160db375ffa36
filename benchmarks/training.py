"""Training kernels against the torch reference on images of MNIST's number and size; and a whole generation.

`python -m benchmarks training` measures all of it, `python -m benchmarks.training RULE...` some rules alone.
"""

import argparse
import sys
from collections.abc import Sequence

import numpy as np
import torch

from analysis import arguments as take
from analysis.__main__ import status_of
from benchmarks.measure import Pairs, Row, compare, measure, table
from evolution.genome import Genome
from evolution.mutation import MutationSettings, add_node, compact_layers, mutate
from evolution.workers import Workers
from learning import LEARNING_RULES, training
from learning.compiled import train_population
from learning.rules import rule_class
from learning.settings import TrainingSettings
from learning.task import LearningTask

NUM_IMAGES, NUM_INPUTS, NUM_OUTPUTS = 60000, 256, 10
CHUNK = 23  # networks that a worker trains at a time: a population of 180 over two workers, four chunks each
REFERENCE_BATCHES = 20  # of an epoch; its time is in proportion
MUTATIONS = MutationSettings({"p_add_node": 0.2, "p_add_connection": 0.8}, connect_outputs=False)


def rows() -> list[Row]:
    """The table's lines; times are seconds of one core per network and epoch, but for the last line."""
    torch.set_num_threads(1)
    images, labels = data()
    result = []
    for size, target in ((200, 25), (800, 25), (1700, 15)):
        for count in (1, CHUNK):
            pairs = epochs(grown_population([size] * count), images, labels)
            result.append(_row("backprop", f"{size} connections, {_networks(count)}", pairs, f">= {target} times"))
    result += [row_of(rule, images, labels) for rule in list(LEARNING_RULES)[1:]]
    for batch_size in (64, 1024):
        pairs = epochs(grown_population([800] * CHUNK), images, labels, batch_size=batch_size)
        result.append(_row("backprop", f"800 connections, {_networks(CHUNK)}, batch {batch_size}", pairs))
    name = "training a generation: 180 networks, five epochs"
    pairs = generation(images, labels)
    return [*result, Row(name, "130 to 1500 connections, two workers", pairs, "<= 15 s", "generation")]


def row_of(rule: str, images: np.ndarray, labels: np.ndarray, rounds: int = 5) -> Row:
    """A rule's line: networks of 800 connections in a chunk."""
    target = 15 if rule == "predictive_coding" else 25
    pairs = epochs(grown_population([800] * CHUNK), images, labels, learning_rule=rule, rounds=rounds)
    return _row(rule, f"800 connections, {_networks(CHUNK)}", pairs, f">= {target} times")


def _row(rule: str, size: str, pairs: Pairs, target: str = "") -> Row:
    return Row(f"training by {rule}", size, pairs, target, "epoch")


def _networks(count: int) -> str:
    return "one network" if count == 1 else f"of a chunk of {count}"


def data() -> tuple[np.ndarray, np.ndarray]:
    """Images (n, 256) and labels (n,) as many and as dark as MNIST's; which ones they are costs no time."""
    rng = np.random.default_rng(0)
    images = rng.random((NUM_IMAGES, NUM_INPUTS), dtype=np.float32)
    images[rng.random(images.shape, dtype=np.float32) < 0.75] = 0
    return images, rng.integers(0, NUM_OUTPUTS, NUM_IMAGES)


def grown_population(sizes: Sequence[int]) -> list[Genome]:
    """Networks that have grown by WLNN's mutations to so many connections, after the split before generation 0."""
    return [_grown(size, np.random.default_rng(i)) for i, size in enumerate(sizes)]


def _grown(size: int, rng: np.random.Generator) -> Genome:
    genome = Genome.initial(NUM_INPUTS, NUM_OUTPUTS, min(0.05, size / 4000), rng, with_weights=True)
    for connection in np.flatnonzero(rng.random(genome.num_connections) < 0.5).tolist():
        genome = add_node(genome, rng, connection)
    genome = compact_layers(genome)
    while genome.num_connections < size:
        genome = mutate(genome, MUTATIONS, rng)
    return genome


def epochs(
    genomes: Sequence[Genome],
    images: np.ndarray,
    labels: np.ndarray,
    learning_rule: str = "backprop",
    batch_size: int = 256,
    rounds: int = 5,
) -> Pairs:
    """Seconds per network and epoch: of the first genome by torch, of all of them in one chunk by the kernels."""
    rng = np.random.default_rng(1)
    order = training.draw_order(1, len(images), rng)
    draws = [training.draw(genome, learning_rule, rng) for genome in genomes]
    settings = TrainingSettings(learning_rule, num_epochs=1, batch_size=batch_size)

    def reference() -> float:
        short = order[:, : REFERENCE_BATCHES * batch_size]
        training.train(genomes[0], images, labels, settings, order=short, draws=draws[0])
        return REFERENCE_BATCHES / (len(images) // batch_size)

    def fast() -> float:
        train_population(genomes, images, labels, settings, order=order, draws=draws)
        return len(genomes)

    reference()  # torch loads its optimisers with the first use
    return compare(fast, reference, rounds)


def generation(images: np.ndarray, labels: np.ndarray, rounds: int = 2) -> Pairs:
    """Seconds that two workers take to train 180 networks of an evolution's sizes for five epochs."""
    population = grown_population(np.linspace(130, 1500, 180).astype(int).tolist())
    task = LearningTask(
        (images, labels, images[:1000], labels[:1000]),
        TrainingSettings(num_epochs=1),
        num_epochs_long=1,
        batch_size_eval=1000,
        evaluation_period="last_epoch",
        workers=Workers(2),
    )

    def fast() -> float:
        task.evaluate(population, np.random.default_rng(0))
        return 1 / 5

    return measure(fast, rounds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rules", nargs="+", metavar="RULE", help="registered ones, or module:class")
    parser.add_argument("--rounds", type=take.count, default=5, help="default: %(default)s")
    given = parser.parse_args()
    for rule in given.rules:
        rule_class(rule)  # an unknown one is an error before anything is measured
    torch.set_num_threads(1)
    images, labels = data()
    print(table([]))
    for rule in given.rules:
        print(table([row_of(rule, images, labels, given.rounds)]).splitlines()[-1], flush=True)


if __name__ == "__main__":
    sys.exit(status_of(main))
