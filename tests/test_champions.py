"""The networks that come with the program: that they load, know their task, and earn what the results say."""

import itertools

import numpy as np
import pytest

from analysis.names import task_of
from envs import rollout
from evolution.files import CHAMPIONS
from evolution.genome import ACTIVATION_NAMES, Genome
from networks.reference import SHARED_WEIGHTS

FILES = sorted(CHAMPIONS.glob("*.json"))
LINEAR = ACTIVATION_NAMES.index("linear")
TRIALS = range(1000, 1100)


def rewards(*genomes: Genome) -> np.ndarray:
    return rollout.episodes(genomes, "CartPole-v0", SHARED_WEIGHTS, TRIALS, take_argmax_action=True)[0]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_champion_loads_and_says_its_task(file):
    assert Genome.load(file).num_connections > 0
    assert task_of(file) in ("CartPole-v0", "CartPoleSwingUp", "BipedalWalker-v2", "mnist", "digits")


def test_the_champions_are_small():
    assert sum(file.stat().st_size for file in FILES) < 200_000


def test_three_connections_balance_a_pole_at_every_weight():
    genome = Genome.load(CHAMPIONS / "cartpole.json")
    assert genome.num_connections == 3
    assert np.all(rewards(genome) == 200)


def test_the_large_populations_champion_swings_the_pole_up():
    """Other trials than those of the results, which gave 758 on average over the weights, 843 at the best."""
    genome = Genome.load(CHAMPIONS / "swingup.json")
    earned, _ = rollout.episodes([genome], "CartPoleSwingUp", SHARED_WEIGHTS, TRIALS, take_argmax_action=False)
    assert 730 < earned.mean() < 780
    assert earned.mean(axis=2).max() > 815


def test_no_network_of_two_connections_does():
    """All of them: inputs to outputs, and an input through a neuron with any activation to an output."""
    straight = list(itertools.product(range(4), (4, 5)))
    layers = np.array([0, 0, 0, 0, 1, 1])
    pairs = itertools.chain.from_iterable(itertools.combinations(straight, count) for count in (1, 2))
    networks = [Genome(4, 2, layers, np.full(6, LINEAR, np.int8), np.array(pair)) for pair in pairs]
    layers = np.array([0, 0, 0, 0, 2, 2, 1])
    for (source, output), activation in itertools.product(straight, range(len(ACTIVATION_NAMES))):
        activations = np.array([LINEAR] * 6 + [activation], np.int8)
        networks.append(Genome(4, 2, layers, activations, np.array([(source, 6), (6, output)])))
    assert len(networks) == 8 + 28 + 80
    assert 180 < rewards(*networks).mean(axis=(1, 2)).max() < 195
