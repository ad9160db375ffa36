"""Compiled episodes against the readable rollout (Gymnasium's environment and numpy, the graph prepared once)."""

from collections.abc import Callable
from itertools import cycle, product

import numpy as np
from gymnasium import spaces

from benchmarks.measure import Row, compare, table
from envs import rollout
from envs.gym_task import Answer, Policy, Rules, episode
from envs.spaces import Actions, Observations
from evolution.genome import Genome
from evolution.mutation import MutationSettings, mutate
from networks.policy import CompiledPolicy
from networks.reference import SHARED_WEIGHTS

MUTATIONS = MutationSettings()  # as in the experiment
NUM_NETWORKS, NUM_TRIALS, ROUNDS = 32, 3, 9


def grown(num_connections: int, num_inputs: int, num_outputs: int) -> list[Genome]:
    """Networks of so many connections, by random mutations of initial ones, which have fewer."""
    rng = np.random.default_rng(num_connections)
    genomes: list[Genome] = []
    connected = min(0.5, 0.75 * num_connections / (num_inputs * num_outputs))
    while len(genomes) < NUM_NETWORKS:
        genome = Genome.initial(num_inputs, num_outputs, connected, rng)
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
    rules = Rules(env_name, {}, 500 if argmax else 1000, False, reference=True)
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


def policy_row(env_name: str, num_connections: int) -> Row:
    """Steps with Gymnasium's environment: networks answer by a kernel call, or neuron by neuron in numpy."""
    inputs, outputs = (8, 2 if "Continuous" in env_name else 4)
    genomes = grown(num_connections, inputs, outputs)[:8]
    rules = Rules(env_name, {}, 1000, False)

    def steps_of(policies: list[Answer]) -> Callable[[], float]:
        queue = cycle(product(policies, SHARED_WEIGHTS))

        def some() -> float:
            steps = 0
            for seed in range(4):
                policy, weight = next(queue)
                steps += episode(policy, weight, seed, rules)[1]
            return steps

        return some

    fast, reference = (steps_of([kind(genome) for genome in genomes]) for kind in (CompiledPolicy, Policy))
    size = f"{num_connections} connections, Box2D's physics in both"
    return Row(f"episodes of {env_name} by Gymnasium", size, compare(fast, reference, ROUNDS), "", "step")


def overhead_row(num_connections: int) -> Row:
    """What a step needs besides the environment's: an observation to inputs, an answer, an action."""
    genome = grown(num_connections, 8, 4)[0]
    observations = Observations(spaces.Box(-1, 1, (8,)), "a Box of 8")
    actions = Actions(spaces.Discrete(4), "Discrete 4")
    observation = np.linspace(-1, 1, 8, dtype=np.float32)

    def answers(policy: Answer, count: int) -> Callable[[], float]:
        def some() -> float:
            for _ in range(count):
                actions.choose(policy(observations.flatten(observation), 0.5))
            return count

        return some

    size = f"{num_connections} connections; at most 10 us are asked at 250"
    compared = compare(answers(CompiledPolicy(genome), 2000), answers(Policy(genome), 100), ROUNDS)
    return Row("a step besides the environment's", size, compared, "", "step")


def rows() -> list[Row]:
    """One core."""
    return [
        *(policy_row(name, size) for name in ("LunarLander-v3", "LunarLanderContinuous-v3") for size in (25, 100, 250)),
        overhead_row(250),
        row("CartPoleSwingUp", 25, "150"),
        row("CartPoleSwingUp", 50, "150"),
        row("CartPoleSwingUp", 100),
        row("CartPole-v1", 25),
    ]


if __name__ == "__main__":
    print(table(rows()))
