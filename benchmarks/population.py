"""A population as one shared graph against the readable evaluation, network by network, on MNIST.

How much the networks share depends on their ancestry, so the population is a real one: it evolves on MNIST for 300
generations with the experiment's parameters, once, and is then kept in out/benchmarks.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm import trange

from benchmarks.measure import Pairs, Row, compare, measure
from envs.classification_task import numpy_losses
from envs.datasets import Dataset, load
from evolution.genome import Genome
from evolution.mutation import MutationSettings
from evolution.ranking import rank
from evolution.selection import SelectionSettings, next_generation
from networks.population import losses, share
from networks.reference import SHARED_WEIGHTS

POPULATION, GENERATIONS, BATCH = 960, 300, 1000
P_COMPLEXITY_OBJECTIVE = 0.8
MUTATION = MutationSettings()
SELECTION = SelectionSettings(POPULATION, tournament_size=64, cull_ratio=0.2, elite_ratio=0.2)
FILE = Path(__file__).parents[1] / "out" / "benchmarks" / f"mnist-{POPULATION}-after-{GENERATIONS}.npz"

REFERENCE_NETWORKS = 12  # evaluated by the reference in each round, evenly spread over the population
ROUNDS = 7


def rows() -> list[Row]:
    """The table's lines; times are seconds of one core per network and batch, with all six weights."""
    dataset = load("mnist")
    images, labels = batch(dataset, BATCH)
    first = start()
    evolved = ancestry(dataset)
    whole = f"{len(evolved)} networks after {GENERATIONS} generations"
    result = [
        _row(f"{whole}, {described(evolved)}", against_reference(evolved, images, labels), ">= 30 times"),
        _row(f"{len(first)} networks of generation 0, {described(first)}", against_reference(first, images, labels)),
    ]
    for fraction in (2, 4, 16):
        part = evolved[::fraction]
        size = f"{len(part)} of the {whole}, {described(part)}"
        result.append(_row(size, against_reference(part, images, labels)))
    for examples in (250, 4000):
        result.append(_row(f"{whole}, batch {examples}", against_reference(evolved, *batch(dataset, examples))))
    alone = against_reference(evolved[::80], images, labels, together=False)
    return [
        *result,
        Row("a network by itself, by the same kernels", f"of the {whole}", alone, "", "network"),
        Row("finding equal neurons", whole, measure(lambda: _none(share(evolved)), 20), "", "population"),
        Row(
            "losses of a whole population",
            f"{whole}, batch {BATCH}",
            measure(lambda: _none(losses(evolved, images, labels, SHARED_WEIGHTS)), 20),
            "<= 2 s",
            "population",
        ),
    ]


def _row(size: str, pairs: Pairs, target: str = "") -> Row:
    return Row("a population by its shared graph", size, pairs, target, "network")


def _none(result: object) -> None:
    """What is timed gives nothing, since what it gave would count as units of work."""


def described(genomes: Sequence[Genome]) -> str:
    """How many of their neurons differ, and how large they are."""
    graph = share(genomes)
    connections = np.mean([genome.num_connections for genome in genomes])
    return f"{graph.num_neurons} of {graph.num_unshared} neurons distinct, {connections:.0f} connections"


def against_reference(
    genomes: Sequence[Genome], images: np.ndarray, labels: np.ndarray, *, together: bool = True
) -> Pairs:
    """Seconds per network: all of them by the kernels, some of them by the reference."""
    step = -(-len(genomes) // REFERENCE_NETWORKS)
    some = [(genome, 0, len(images)) for genome in genomes[::step]]

    def reference() -> int:
        numpy_losses(some, images, labels, SHARED_WEIGHTS)
        return len(some)

    def fast() -> int:
        for group in [genomes] if together else [[genome] for genome in genomes]:
            losses(group, images, labels, SHARED_WEIGHTS)
        return len(genomes)

    return compare(fast, reference, ROUNDS)


def batch(dataset: Dataset, size: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Training images and labels, drawn with replacement."""
    chosen = np.random.default_rng(seed).integers(len(dataset.train_images), size=size)
    return dataset.train_images[chosen], dataset.train_labels[chosen]


# ---- a population with ancestry -------------------------------------------------------------------------------------


def start() -> list[Genome]:
    """Generation 0."""
    rng = np.random.default_rng(0)
    return [Genome.initial(256, 10, 0.05, rng) for _ in range(POPULATION)]


def ancestry(dataset: Dataset) -> list[Genome]:
    """The evolved population, best first, from its file; evolved and written there if there is none (minutes)."""
    if not FILE.exists():
        FILE.parent.mkdir(parents=True, exist_ok=True)
        save(evolve(dataset), FILE)
    return read(FILE)


def evolve(dataset: Dataset) -> list[Genome]:
    """The population after 300 generations, ranked."""
    rng = np.random.default_rng(1)
    population = start()
    progress = trange(GENERATIONS, desc="a population with ancestry", file=sys.stderr, disable=None)
    for generation in progress:
        loss, _ = losses(population, *batch(dataset, BATCH, generation), SHARED_WEIGHTS)
        second = -loss.min(axis=1)
        if rng.random() < P_COMPLEXITY_OBJECTIVE:
            second = np.array([1 / genome.complexity for genome in population])
        ranked = [population[i] for i in rank(np.column_stack([-loss.mean(axis=1), second]))]
        population = next_generation(ranked, SELECTION, MUTATION, rng)
    return population


def save(genomes: Sequence[Genome], file: Path) -> None:
    """Write the genomes' graphs, one after the other."""
    np.savez_compressed(
        file,
        num_neurons=[genome.num_neurons for genome in genomes],
        num_connections=[genome.num_connections for genome in genomes],
        layers=np.concatenate([genome.layers for genome in genomes]),
        activations=np.concatenate([genome.activations for genome in genomes]),
        connections=np.concatenate([genome.connections for genome in genomes]),
    )


def read(file: Path) -> list[Genome]:
    """What `save` wrote."""
    with np.load(file) as arrays:
        neurons, edges = arrays["num_neurons"].cumsum()[:-1], arrays["num_connections"].cumsum()[:-1]
        graphs = zip(
            np.split(arrays["layers"], neurons),
            np.split(arrays["activations"], neurons),
            np.split(arrays["connections"], edges),
            strict=True,
        )
        return [Genome(256, 10, *graph) for graph in graphs]
