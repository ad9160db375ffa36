"""The two-legged walker's kernels against Gymnasium's class: bits, returns and speed.

`python -m benchmarks walker` gives the speeds. `python -m benchmarks.walker` says whether 100 episodes of each policy
are the same bits, and compares returns and lengths of 20 networks over 200 seeds (some minutes).
"""

import functools

import numpy as np
import numpy.typing as npt
from gymnasium.envs.box2d.bipedal_walker import BipedalWalker, BipedalWalkerHeuristics

from benchmarks.episodes import MUTATIONS, grown
from benchmarks.measure import Row, compare
from envs import rollout
from envs.gym_task import Policy
from evolution.files import network_path
from evolution.genome import Genome
from evolution.mutation import mutate
from networks.reference import SHARED_WEIGHTS

NAME, MAX_STEPS = "BipedalWalker-v3", 1600
POLICIES = ("random", "linear", "heuristic", "network")
NUM_NETWORKS, ROUNDS = 8, 5

Played = tuple[npt.NDArray, npt.NDArray, npt.NDArray, npt.NDArray]


def play(policy: str, seed: int, max_steps: int) -> Played:
    """Actions, observations, rewards and ends of an episode in an environment made for it."""
    rng = np.random.default_rng(seed)
    environment, heuristic = BipedalWalker(), BipedalWalkerHeuristics()
    matrix = rng.normal(size=(4, 24))
    network = Policy(_networks()[seed % NUM_NETWORKS]) if policy == "network" else None
    observation, _ = environment.reset(seed=seed)
    actions: list[npt.NDArray] = []
    observations, rewards, ends = [observation], [], [False]
    while len(actions) < max_steps and not ends[-1]:
        if policy == "random":
            action = rng.uniform(-1, 1, 4)
        elif policy == "linear":
            action = np.clip(matrix @ observation, -1, 1)
        elif policy == "heuristic":
            action = heuristic.step_heuristic(observation).copy()  # it writes into what it gave before
        else:
            assert network is not None
            action = np.clip(network(observation, SHARED_WEIGHTS[seed % 6]), -1, 1).astype(np.float32)
        observation, reward, end, _, _ = environment.step(action)
        actions.append(action)
        observations.append(observation)
        rewards.append(float(reward))
        ends.append(end)
    environment.close()
    return np.array(actions), np.array(observations), np.array(rewards), np.array(ends[1:])


@functools.cache
def _networks() -> list[Genome]:
    return grown(100, 24, 4)


def row(num_connections: int, num_networks: int = NUM_NETWORKS, num_trials: int = 5) -> Row:
    """Networks of random mutations, most of which fall."""
    return _row(grown(num_connections, 24, 4)[:num_networks], f"{num_connections} connections", num_trials)


def evolved_row(num_networks: int = 128) -> Row:
    """Networks as a generation has them: the walker of the zoo and children of it, most of which stand."""
    rng = np.random.default_rng(0)
    genomes = [Genome.load(network_path("champions/walker"))]
    while len(genomes) < num_networks:
        genomes.append(mutate(genomes[rng.integers(len(genomes))], MUTATIONS, rng))
    return _row(genomes, "children of champions/walker", 1)


def _row(genomes: list[Genome], what: str, num_trials: int) -> Row:
    """Environment steps on one core: episodes of networks, against Gymnasium's bare `step` with a walker's actions."""
    seeds = list(range(num_trials))
    actions = play("heuristic", 0, 1000)[0]
    environments = [BipedalWalker() for _ in range(ROUNDS)]
    for environment in environments:
        environment.reset(seed=0)
    ready = iter(environments)

    def fast() -> float:
        lengths = rollout.episodes(genomes, NAME, SHARED_WEIGHTS, seeds, take_argmax_action=False)[1]
        return float(lengths.sum())

    def reference() -> float:
        environment = next(ready)
        for action in actions:
            environment.step(action)
        return len(actions)

    size = f"{what}, {len(genomes)} networks x 6 weights x {num_trials} trials; against env.step"
    return Row(f"episodes of {NAME}", size, compare(fast, reference, ROUNDS), "20", "step")


def rows() -> list[Row]:
    """One core."""
    return [row(25), row(100), row(250), row(100, 32), row(100, 32, 1), row(100, 1, 1), evolved_row()]


def episode(genome: Genome, weight: float, seed: int, max_steps: int) -> tuple[float, int]:
    """Return and length of an episode in an environment made for it: Box2D's world remembers former ones."""
    policy, environment = Policy(genome), BipedalWalker()
    observation, _ = environment.reset(seed=seed)
    total, steps, end = 0.0, 0, False
    while steps < max_steps and not end:
        action = np.clip(policy(observation, weight), -1, 1).astype(np.float32)
        observation, reward, end, _, _ = environment.step(action)
        total, steps = total + float(reward), steps + 1
    environment.close()
    return total, steps


def agreement(policy: str, episodes: int) -> str:
    """How many episodes are the same bits, and where the first of the others parts."""
    same, steps, parted = 0, 0, []
    for seed in range(episodes):
        actions, observations, rewards, ends = play(policy, seed, MAX_STEPS)
        ours = rollout.replay(NAME, seed, actions)
        steps += len(actions)
        equal = np.all(ours[0] == observations, axis=1)
        if equal.all() and np.array_equal(ours[1], rewards) and np.array_equal(ours[2], ends):
            same += 1
        else:
            parted.append(f"seed {seed} step {int(np.argmin(equal)) if not equal.all() else 'of a reward'}")
    return f"{policy}: {same} of {episodes} episodes ({steps} steps) are the same bits. {'; '.join(parted[:5])}"


def means(num_networks: int, num_seeds: int) -> str:
    """Differences of returns and lengths to Gymnasium's, in standard errors; episodes end after 400 steps."""
    genomes, seeds, limit = grown(50, 24, 4)[:num_networks], list(range(num_seeds)), 400
    rewards, lengths = rollout.episodes(genomes, NAME, [1.0], seeds, take_argmax_action=False, max_episode_steps=limit)
    theirs = np.empty((2, num_networks, num_seeds))
    for n, genome in enumerate(genomes):
        for k, seed in enumerate(seeds):
            theirs[:, n, k] = episode(genome, 1.0, seed, limit)
    found = []
    for name, ours, reference in (("returns", rewards[:, 0], theirs[0]), ("lengths", lengths[:, 0], theirs[1])):
        spread = np.sqrt((ours.var(axis=1, ddof=1) + reference.var(axis=1, ddof=1)) / num_seeds)
        off = np.abs(ours.mean(axis=1) - reference.mean(axis=1)) / np.maximum(spread, 1e-9)
        equal = np.mean(np.isclose(ours, reference, atol=1e-3))
        found.append(f"{name}: at most {off.max():.2f} standard errors off; {equal:.1%} of the episodes alike")
    return f"{num_networks} networks, {num_seeds} seeds: {'; '.join(found)}"


if __name__ == "__main__":
    for each in POLICIES:
        print(agreement(each, 100), flush=True)
    print(means(20, 200))
