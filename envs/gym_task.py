"""Fitness of weight agnostic networks on a Gymnasium environment: reward over episodes at six shared weights."""

import difflib
import itertools
import logging
import math
import multiprocessing
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, NamedTuple

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium import spaces

import envs  # noqa: F401 - registers the project's own environments, in worker processes too
from evolution.errors import InputError, RunError, WorkerLost
from evolution.genome import ACTIVATION_NAMES, Genome
from evolution.task import Fitness, Task
from evolution.workers import Workers, divide
from networks.activations import ACTIVATIONS
from networks.shared_weights import SharedWeights

Array = npt.NDArray[np.float64]
LOG = logging.getLogger(__name__)

CONFIRMATION_TRIALS, TEST_TRIALS = 16, 100  # for each weight (SPEC 7)
MAX_EPISODE_STEPS = 10_000  # where neither the parameter nor the environment sets a limit

RANKING_LAST = ("--on_env_error", "rank_last")  # how a run goes on past a failing environment


class Rules(NamedTuple):
    """How episodes go, as a worker needs to know it."""

    env_name: str
    take_argmax_action: bool
    max_episode_steps: int
    rank_last: bool  # a failing environment gives NaN rewards; else it raises RunError


class GymTask(Task):
    """Reward on a Gymnasium environment with a flat Box observation and a Discrete or a flat Box action.

    With a Discrete action the index of the largest output is taken; with a Box action the outputs are the action,
    clipped to the space. `max_episode_steps` ends an episode as a time limit does: the reward until then counts. Where
    the environment raises, gives NaN or kills its process, the run stops, or (`on_env_error` "rank_last") the network's
    rewards are NaN. Raises InputError where the environment is unknown or is none of that kind.
    """

    def __init__(
        self,
        env_name: str,
        *,
        num_trials: int,
        take_argmax_action: bool,
        workers: Workers,
        shared_weights: SharedWeights | None = None,
        evaluator: str = "auto",
        max_episode_steps: int | None = None,
        on_env_error: str = "stop",
    ) -> None:
        environment = make(env_name)
        self.num_inputs, self.num_outputs = sizes(environment, env_name, take_argmax_action)
        own_limit = environment.spec.max_episode_steps if environment.spec is not None else None
        environment.close()
        limit = max_episode_steps or own_limit or MAX_EPISODE_STEPS
        self.rules = Rules(env_name, take_argmax_action, limit, on_env_error == "rank_last")
        self.num_trials, self.workers = num_trials, workers
        self.shared_weights = shared_weights or SharedWeights()
        self.compiled = _choose(evaluator, env_name)
        self.evaluator_name = "compiled episodes" if self.compiled else "Gymnasium and numpy (reference)"

    def evaluate(self, population: Sequence[Genome], rng: np.random.Generator) -> Fitness:
        """Mean over the weights, and best weight, of the mean reward over `num_trials` episodes (SPEC 4)."""
        rewards, _ = self.episodes(population, self.shared_weights.draw(rng), draw_seeds(rng, self.num_trials))
        by_weight = rewards.mean(axis=2)
        values = {"mean_reward": by_weight.mean(axis=1), "max_reward": by_weight.max(axis=1)}
        return Fitness(values, ("mean_reward", "max_reward"))

    def confirm(self, genome: Genome, rng: np.random.Generator) -> Mapping[str, float]:
        """The same of 16 fresh trials for each weight."""
        by_weight = self._by_weight(genome, self.shared_weights.draw(rng), rng, CONFIRMATION_TRIALS)
        return {"mean_reward": float(by_weight.mean()), "max_reward": float(by_weight.max())}

    def test(self, genome: Genome, rng: np.random.Generator) -> Mapping[str, float]:
        """The same of 100 trials for each weight, and each weight's mean."""
        weights = self.shared_weights.values
        by_weight = self._by_weight(genome, weights, rng, TEST_TRIALS)
        each = {f"test_reward_weight_{w:g}": float(r) for w, r in zip(weights, by_weight, strict=True)}
        return {"test_mean_reward": float(by_weight.mean()), "test_max_reward": float(by_weight.max()), **each}

    def _by_weight(self, genome: Genome, weights: Sequence[float], rng: np.random.Generator, trials: int) -> Array:
        return self.episodes([genome], weights, draw_seeds(rng, trials))[0][0].mean(axis=1)

    def episodes(
        self, genomes: Sequence[Genome], weights: npt.ArrayLike | Sequence[Array], seeds: Sequence[int]
    ) -> tuple[Array, npt.NDArray[np.int64]]:
        """Cumulative rewards and lengths (N, W, K) of N networks with W weights in K trials.

        `weights` are shared ones (W,), or for each network W times one per connection, N arrays (W, E). Trial k starts
        with `env.reset(seed=seeds[k])`. The work is divided among the workers by networks, or by trials where there is
        one network; that changes no result.
        """
        seeds = [int(seed) for seed in seeds]
        shared = np.ndim(weights[0]) == 0  # type: ignore[index]
        of_each = [np.asarray(weights if shared else weights[i], np.float64) for i in range(len(genomes))]  # type: ignore[index]
        items = [(genome, w, tuple(seeds)) for genome, w in zip(genomes, of_each, strict=True)]
        if len(genomes) == 1:  # the kernels like many episodes at once, Gymnasium does not care
            count = self.workers.num_workers if self.compiled else len(seeds)
            items = [(genomes[0], of_each[0], tuple(part)) for part in divide(seeds, count)]
        done = self.play(items)
        if len(genomes) == 1:
            rewards, lengths = (np.concatenate(parts, axis=1)[None] for parts in zip(*done, strict=True))
        else:
            rewards, lengths = (np.stack(parts) for parts in zip(*done, strict=True))
        return rewards, lengths

    def play(self, items: Sequence["Item"]) -> list["Result"]:
        """Rewards and lengths (W, K) of each item, which are divided among the workers."""
        try:
            function = compiled_episodes if self.compiled else reference_episodes
            return self.workers.map(function, items, self.rules, threads=self.compiled, isolated=not self.compiled)
        except WorkerLost:
            return one_by_one(items, self.rules)

    def close(self) -> None:
        self.workers.close()


Item = tuple[Genome, Array, tuple[int, ...]]  # a network, its weights (W,) or (W, E), and the seeds of its trials
Result = tuple[Array, npt.NDArray[np.int64]]  # rewards and lengths (W, K)


def draw_seeds(rng: np.random.Generator, count: int) -> list[int]:
    """Seeds of trials, the same for all networks and weights."""
    return rng.integers(2**31, size=count).tolist()


# ---- the environment ------------------------------------------------------------------------------------------------


def make(env_name: str, max_episode_steps: int | None = None, render_mode: str | None = None) -> gymnasium.Env:
    """The environment, with its own limit of steps unless another is given.

    Raises InputError where there is none of this name, or it cannot be made.
    """
    try:
        drawn = {} if render_mode is None else {"render_mode": render_mode}  # not every environment takes it
        return gymnasium.make(env_name, max_episode_steps=max_episode_steps, disable_env_checker=True, **drawn)
    except gymnasium.error.UnregisteredEnv:
        near = difflib.get_close_matches(env_name, [*gymnasium.registry], 1, 0)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise InputError(f"env_name {env_name}: there is no such environment{hint}") from None
    except Exception as error:
        raise InputError(f"env_name {env_name}: it cannot be made ({_line(error)})") from None


def sizes(environment: gymnasium.Env, env_name: str, take_argmax_action: bool) -> tuple[int, int]:
    """Inputs and outputs that a network needs. Raises InputError for spaces that it cannot serve."""
    observation, action = environment.observation_space, environment.action_space
    if not isinstance(observation, spaces.Box) or len(observation.shape) != 1 or observation.shape[0] < 1:
        raise InputError(f"env_name {env_name}: its observations are {_kind(observation)}; a flat Box is needed")
    if isinstance(action, spaces.Discrete):
        needed, outputs = True, int(action.n)
    elif isinstance(action, spaces.Box) and len(action.shape) == 1 and action.shape[0] >= 1:
        needed, outputs = False, action.shape[0]
    else:
        raise InputError(f"env_name {env_name}: its actions are {_kind(action)}; Discrete or a flat Box is needed")
    if take_argmax_action != needed:
        given, right = str(take_argmax_action).lower(), str(needed).lower()
        raise InputError(
            f"take_argmax_action is {given}; the actions of {env_name} are {_kind(action)}: it must be {right}"
        )
    return observation.shape[0], outputs


def _kind(space: spaces.Space) -> str:
    return type(space).__name__ + (f" of shape {space.shape}" if space.shape else "")


def _choose(evaluator: str, env_name: str) -> bool:
    """Whether the compiled episodes are used."""
    if evaluator == "reference":
        return False
    from envs import rollout

    if evaluator == "compiled" and not rollout.supports(env_name):
        raise InputError(f"evaluator compiled: there is no compiled {env_name}; use auto or reference")
    return rollout.supports(env_name)


# ---- episodes -------------------------------------------------------------------------------------------------------


def compiled_episodes(items: Sequence[Item], rules: Rules) -> list[Result]:
    """Rewards and lengths (W, K) of each item by the kernels: one call for neighbours that are played alike."""
    from envs import rollout

    results: list[Result] = []
    for _, group in itertools.groupby(items, _played_alike):
        genomes, of_each, seeds = zip(*group, strict=True)
        rewards, lengths = rollout.episodes(
            genomes,
            rules.env_name,
            of_each[0] if of_each[0].ndim == 1 else of_each,
            seeds[0],
            take_argmax_action=rules.take_argmax_action,
            max_episode_steps=rules.max_episode_steps,
        )
        results += zip(rewards, lengths, strict=True)
    return results


def _played_alike(item: Item) -> tuple[Any, ...]:
    """What items that one call of the kernels can play have in common: seeds, and shared weights or their number."""
    _, weights, seeds = item
    return seeds, tuple(weights) if weights.ndim == 1 else len(weights)


def reference_episodes(items: Sequence[Item], rules: Rules) -> list[Result]:
    """Rewards and lengths (W, K) of each item with Gymnasium's environment, made once in a process."""
    results = []
    for genome, weights, seeds in items:
        rewards = np.full((len(weights), len(seeds)), np.nan)
        lengths = np.zeros(rewards.shape, np.int64)
        policy = Policy(genome)
        try:
            for w, weight in enumerate(weights):
                for k, seed in enumerate(seeds):
                    rewards[w, k], lengths[w, k] = episode(policy, weight, seed, rules)
        except EnvironmentFault as fault:
            if not rules.rank_last:
                raise RunError(str(fault), RANKING_LAST) from None
            LOG.warning("%s; the network is ranked last", fault)
            rewards[:] = np.nan
        results.append((rewards, lengths))
    return results


class EnvironmentFault(Exception):
    """An environment raised or gave what is no number: one line that names it and the seed."""


def episode(policy: "Policy", weight: float | Array, seed: int, rules: Rules) -> tuple[float, int]:
    """Cumulative reward and length of one episode. Raises EnvironmentFault."""
    try:
        environment = _made_once(rules.env_name, rules.max_episode_steps)
        observation, _ = environment.reset(seed=seed)
        total, steps, over = 0.0, 0, False
        while not over:  # the limit on steps ends it, see `make`
            if not np.isfinite(observation).all():
                raise ValueError("an observation is not finite")
            action = choose_action(policy(observation, weight), environment.action_space, rules.take_argmax_action)
            if np.isnan(action).any():  # the network's fault, not the environment's
                return math.nan, steps
            observation, reward, terminated, truncated, _ = environment.step(action)
            total, steps, over = total + float(reward), steps + 1, terminated or truncated
            if not math.isfinite(reward):
                raise ValueError(f"a reward is {reward}")
    except Exception as error:
        _OF_THIS_THREAD.__dict__.clear()  # what raised may not be usable again
        raise EnvironmentFault(f"environment {rules.env_name} failed with seed {seed}: {_line(error)}") from None
    return total, steps


_OF_THIS_THREAD = threading.local()  # an environment cannot be in two episodes at a time


def _made_once(env_name: str, max_episode_steps: int) -> gymnasium.Env:
    """This thread's environment, made once."""
    made = _OF_THIS_THREAD.__dict__
    key = f"{env_name} {max_episode_steps}"
    if key not in made:
        made[key] = make(env_name, max_episode_steps)
    return made[key]


def choose_action(outputs: Array, space: spaces.Space, take_argmax_action: bool) -> Any:
    """The largest output's index, or the outputs clipped to the space; of equals the first, and NaN above all."""
    if take_argmax_action:
        assert isinstance(space, spaces.Discrete)
        return int(space.start) + int(np.argmax(outputs))
    assert isinstance(space, spaces.Box)
    return np.clip(outputs, space.low, space.high).astype(space.dtype)


class Policy:
    """A network that answers one observation at a time; the graph is prepared once. As `networks.reference.forward`."""

    def __init__(self, genome: Genome) -> None:
        self.values = np.ones(genome.num_neurons)  # the bias, where there is one, stays 1
        self.num_observed = genome.num_observed
        self.outputs = slice(genome.num_inputs, genome.num_inputs + genome.num_outputs)
        targets = genome.connections[:, 1]
        self.neurons = []
        for neuron in np.argsort(genome.layers, kind="stable")[genome.num_inputs :]:
            incoming = np.flatnonzero(targets == neuron)
            function = ACTIVATIONS[ACTIVATION_NAMES[genome.activations[neuron]]].numpy
            self.neurons.append((neuron, genome.connections[incoming, 0], incoming, function))

    def __call__(self, observation: npt.NDArray, weight: float | Array) -> Array:
        """Outputs (O,) for an observation (I,), with a shared weight or one for each connection (E,)."""
        values = self.values
        values[: self.num_observed] = observation
        shared = np.ndim(weight) == 0
        with np.errstate(over="ignore", invalid="ignore"):  # what is not finite shows in the outputs
            for neuron, sources, incoming, function in self.neurons:
                inputs = values[sources]
                total = weight * inputs.sum() if shared else inputs @ weight[incoming]  # type: ignore[index]
                values[neuron] = function(np.asarray(total))
        return values[self.outputs].copy()


def one_by_one(items: Sequence[Item], rules: Rules) -> list[Result]:
    """The items again, each trial in a process of its own, after an environment has killed one: who was it?

    Raises RunError that names environment and seed, or gives the network that met it NaN rewards.
    """
    return [_alone(item, rules) for item in items]


def _alone(item: Item, rules: Rules) -> Result:
    genome, weights, seeds = item
    parts: list[Result] = []
    for seed in seeds:
        # A fresh interpreter: a forked one would share what the environment may have broken.
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            try:
                parts += pool.submit(reference_episodes, [(genome, weights, (seed,))], rules).result()
            except BrokenProcessPool:
                line = f"environment {rules.env_name} killed its process with seed {seed}"
                if not rules.rank_last:
                    raise RunError(line, RANKING_LAST) from None
                LOG.warning("%s; the network is ranked last", line)
                shape = len(weights), len(seeds)
                return np.full(shape, np.nan), np.zeros(shape, np.int64)
    rewards, lengths = zip(*parts, strict=True)
    return np.concatenate(rewards, axis=1), np.concatenate(lengths, axis=1)


def _line(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
