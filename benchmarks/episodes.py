"""Compiled episodes against the readable rollout (Gymnasium's environment and numpy, the graph prepared once)."""

from itertools import cycle, product

import numpy as np

from benchmarks.measure import Row, compare, table
from envs import rollout
from envs.gym_task import Policy, Rules, episode
from evolution.genome import Genome
from evolution.mutation import MutationSettings, mutate
from networks.reference import SHARED_WEIGHTS

MUTATIONS = MutationSettings()  # as in the experiment
NUM_NETWORKS, NUM_TRIALS, ROUNDS = 32, 3, 9


def grown(num_connections: int, num_inputs: int, num_outputs: int) -> list[Genome]:
    """Networks of so many connections, by random mutations of initial ones."""
    rng = np.random.default_rng(num_connections)
    genomes: list[Genome] = []
    while len(genomes) < NUM_NETWORKS:
        genome = Genome.initial(num_inputs, num_outputs, 0.5, rng)
        for _ in range(20 * num_connections):
            genome = mutate(genome, MUTATIONS, rng)
            if genome.num_connections == num_connections:
                genomes.append(genome)
                break
    return genomes


def row(env_name: str, num_connections: int, target: str = "") -> Row:
    """Environment steps on one core: all episodes of the networks, and for the reference one episode after another."""
    argmax = env_name.startswith("CartPole-")
    genomes = grown(num_connections, *((4, 2) if argmax else (5, 1)))
    seeds = list(range(NUM_TRIALS))
    rules = Rules(env_name, argmax, 500 if argmax else 1000, False)
    trials = list(product([Policy(genome) for genome in genomes], SHARED_WEIGHTS, seeds))
    queue = cycle(trials[i] for i in np.random.default_rng(0).permutation(len(trials)))

    def fast() -> float:
        lengths = rollout.episodes(genomes, env_name, SHARED_WEIGHTS, seeds, take_argmax_action=argmax)[1]
        return float(lengths.sum())

    def reference() -> float:
        steps = 0
        while steps < 1000:
            policy, weight, seed = next(queue)
            steps += episode(policy, weight, seed, rules)[1]
        return steps

    size = f"{num_connections} connections, {NUM_NETWORKS} networks x 6 weights x {NUM_TRIALS} trials"
    return Row(f"episodes of {env_name}", size, compare(fast, reference, ROUNDS), target, "step")


def rows() -> list[Row]:
    """One core."""
    return [
        row("CartPoleSwingUp", 25, "150"),
        row("CartPoleSwingUp", 50, "150"),
        row("CartPoleSwingUp", 100),
        row("CartPole-v1", 25),
    ]


if __name__ == "__main__":
    print(table(rows()))
