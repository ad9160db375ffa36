"""Fitness of weight agnostic networks on a Gymnasium environment: reward over episodes at six shared weights."""

import contextlib
import difflib
import itertools
import logging
import math
import multiprocessing
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, NamedTuple

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from envs import compiled  # importing envs registers the project's own environments, in worker processes too
from envs.spaces import Actions, Observations, Unfit, takes_argmax
from evolution.errors import InputError, RunError, WorkerLost
from evolution.genome import ACTIVATION_NAMES, Genome
from evolution.system import tells_to_stop
from evolution.task import Fitness, Task
from evolution.workers import Workers, divide
from networks.activations import ACTIVATIONS
from networks.policy import CompiledPolicy
from networks.shared_weights import SharedWeights

Array = npt.NDArray[np.float64]
LOG = logging.getLogger(__name__)

CONFIRMATION_TRIALS, TEST_TRIALS = 16, 100  # for each weight (docs/method.md, Champions)
MANY_INPUTS = 10_000

RANKING_LAST = ("--on_env_error", "rank_last")  # how a run goes on past a failing environment
RANKED_LAST = "the network is ranked last"


class Rules(NamedTuple):
    """How episodes go, as a worker needs to know it."""

    env_name: str
    env_kwargs: Mapping[str, Any]
    max_episode_steps: int | None  # None: the environment's own
    rank_last: bool  # a failing environment gives NaN rewards; else it raises RunError
    scale_actions: bool = False
    observation_size: int | None = None
    reference: bool = False  # the readable policy, neuron by neuron


class GymTask(Task):
    """Reward on a Gymnasium environment.

    Observations and actions may be of any space that is finite and flat in the end (envs/spaces.py). With a Discrete
    action the index of the largest output is taken; with a Box action the outputs are the action, clipped to the space,
    with `scale_actions` mapped from [-1, 1] onto it first; `take_argmax_action` None lets this follow from the space.
    Images are resized to `observation_size` pixels a side where it is given. `env_kwargs` are the environment's
    arguments. `max_episode_steps` ends an episode as a time limit does: the reward until then counts. Where the
    environment raises, gives NaN or kills its process, the run stops, or (`on_env_error` "rank_last") the network's
    rewards are NaN. Raises InputError where the environment is unknown or cannot be served.

    A user's environment is made in worker processes only: what it does to its process does nothing to the run.
    """

    def __init__(
        self,
        env_name: str,
        *,
        num_trials: int,
        take_argmax_action: bool | None = None,
        workers: Workers,
        shared_weights: SharedWeights | None = None,
        evaluator: str = "auto",
        max_episode_steps: int | None = None,
        on_env_error: str = "stop",
        env_kwargs: Mapping[str, Any] | None = None,
        scale_actions: bool = False,
        observation_size: int | None = None,
    ) -> None:
        self.rules = Rules(
            env_name,
            env_kwargs or {},
            max_episode_steps,
            on_env_error == "rank_last",
            scale_actions,
            observation_size,
            evaluator == "reference",
        )
        self.num_trials, self.workers = num_trials, workers
        self.shared_weights = shared_weights or SharedWeights()
        found = look_at(self.rules, workers)
        if found.has_kernel:
            compiled.import_module_of(env_name)  # which registers the kernel in this process too
        self.compiled = has_kernel(evaluator, env_name, env_kwargs, observation_size)
        self.observations = Observations(found.observation_space, env_name, observation_size)
        self.actions = Actions(found.action_space, env_name, scale_actions)
        self.num_inputs, self.num_outputs = self.observations.size, self.actions.size
        self.take_argmax_action = takes_argmax(found.action_space, env_name, take_argmax_action)
        if self.num_inputs > MANY_INPUTS:
            LOG.warning("%s has %d inputs; observation_size resizes images first", env_name, self.num_inputs)
        limit = max_episode_steps or found.max_episode_steps or compiled.MAX_EPISODE_STEPS
        self.rules = self.rules._replace(max_episode_steps=limit)
        networks = "numpy (reference)" if self.rules.reference else "compiled networks"
        self.evaluator_name = "compiled episodes" if self.compiled else f"Gymnasium and {networks}"

    def evaluate(self, population: Sequence[Genome], rng: np.random.Generator) -> Fitness:
        """Mean over the weights, and best weight, of the mean reward over `num_trials` episodes."""
        rewards, _ = self.episodes(population, self.shared_weights.draw(rng), draw_seeds(rng, self.num_trials))
        by_weight = rewards.mean(axis=2)
        values = {"mean_reward": by_weight.mean(axis=1), "max_reward": by_weight.max(axis=1)}
        return Fitness(values, ("mean_reward", "max_reward"))

    def confirm(self, genome: Genome, rng: np.random.Generator) -> Mapping[str, float]:
        """The same of 16 fresh trials for each weight."""
        weights = self.shared_weights.draw(rng)
        by_weight = self.episodes([genome], weights, draw_seeds(rng, CONFIRMATION_TRIALS))[0][0].mean(axis=1)
        return {"mean_reward": float(by_weight.mean()), "max_reward": float(by_weight.max())}

    def test(self, genome: Genome, rng: np.random.Generator) -> Mapping[str, float]:
        """The same of 100 trials for each weight, and each weight's mean.

        A trial that has no finite reward at some weight is left out at all of them, and counted.
        """
        weights = self.shared_weights.values
        seeds = draw_seeds(rng, TEST_TRIALS)
        rewards = self.episodes([genome], weights, seeds, "such trials are left out of the champion's test")[0][0]
        whole = np.isfinite(rewards).all(axis=0)
        by_weight = np.full(len(weights), np.nan)
        if whole.any():
            by_weight = np.compress(whole, rewards, axis=1).mean(axis=1)
        each = {f"test_reward_weight_{w:g}": float(r) for w, r in zip(weights, by_weight, strict=True)}
        failed = {} if whole.all() else {"test_failed_trials": float(np.count_nonzero(~whole))}
        return {
            "test_mean_reward": float(by_weight.mean()),
            "test_max_reward": float(by_weight.max()),
            **each,
            **failed,
        }

    def episodes(
        self,
        genomes: Sequence[Genome],
        weights: npt.ArrayLike | Sequence[Array],
        seeds: Sequence[int],
        consequence: str = RANKED_LAST,
    ) -> tuple[Array, npt.NDArray[np.int64]]:
        """Cumulative rewards and lengths (N, W, K) of N networks with W weights in K trials.

        `weights` are shared ones (W,), or for each network W times one per connection, N arrays (W, E). Trial k starts
        with `env.reset(seed=seeds[k])`. The work is divided among the workers by networks, or by trials where there is
        one network; that changes no result. `consequence` is what is said of networks that an environment fails with.
        """
        seeds = [int(seed) for seed in seeds]
        shared = np.ndim(weights[0]) == 0  # type: ignore[index]
        of_each = [np.asarray(weights if shared else weights[i], np.float64) for i in range(len(genomes))]  # type: ignore[index]
        items = [(genome, w, tuple(seeds)) for genome, w in zip(genomes, of_each, strict=True)]
        if len(genomes) == 1:  # the kernels like many episodes at once, Gymnasium does not care
            count = self.workers.num_workers if self.compiled else len(seeds)
            items = [(genomes[0], of_each[0], tuple(part)) for part in divide(seeds, count)]
        done = self.play(items, consequence)
        if len(genomes) == 1:
            rewards, lengths = (np.concatenate(parts, axis=1)[None] for parts in zip(*done, strict=True))
        else:
            rewards, lengths = (np.stack(parts) for parts in zip(*done, strict=True))
        return rewards, lengths

    def play(self, items: Sequence["Item"], consequence: str = RANKED_LAST) -> list["Result"]:
        """Rewards and lengths (W, K) of each item, which are divided among the workers; a line for each network that an
        environment fails with, and not for each trial.
        """
        if self.compiled:
            arguments = self.rules, self.take_argmax_action
            return self.workers.map(compiled_episodes, items, *arguments, threads=True)
        played = self._played(items)
        faults: dict[int, str] = {}
        for (genome, _, _), (_, _, fault) in zip(items, played, strict=True):
            if fault:
                faults.setdefault(id(genome), fault)
        for line in dict.fromkeys(faults.values()):
            LOG.warning("%s; %s", line, consequence)
        return [(rewards, lengths) for rewards, lengths, _ in played]

    def _played(self, items: Sequence["Item"]) -> list["Played"]:
        """By the environment itself, in worker processes. Where one is killed all is tried once more, then alone."""
        for attempt in range(2):
            try:
                return self.workers.map(reference_episodes, items, self.rules, isolated=True)
            except WorkerLost as lost:
                how = "once more with new ones" if attempt == 0 else "each trial in a process of its own"
                LOG.warning("%s; %s is played again, %s", lost, self.rules.env_name, how)
        with ThreadPoolExecutor(self.workers.num_workers) as threads:
            return list(threads.map(lambda item: _alone(item, self.rules), items))

    def close(self) -> None:
        self.workers.close()


Item = tuple[Genome, Array, tuple[int, ...]]  # a network, its weights (W,) or (W, E), and the seeds of its trials
Result = tuple[Array, npt.NDArray[np.int64]]  # rewards and lengths (W, K)
Played = tuple[Array, npt.NDArray[np.int64], str]  # and what the environment did wrong, in one line


def draw_seeds(rng: np.random.Generator, count: int) -> list[int]:
    """Seeds of trials, the same for all networks and weights."""
    return rng.integers(2**31, size=count).tolist()


# ---- the environment ------------------------------------------------------------------------------------------------


class Look(NamedTuple):
    """What a task needs to know of an environment."""

    observation_space: spaces.Space
    action_space: spaces.Space
    max_episode_steps: int | None
    has_kernel: bool = False
    wrong: str = ""  # why it cannot be made


def make(
    env_name: str,
    max_episode_steps: int | None = None,
    render_mode: str | None = None,
    env_kwargs: Mapping[str, Any] | None = None,
) -> gymnasium.Env:
    """The environment, with its own limit of steps unless another is given.

    Raises InputError where there is none of this name, or it cannot be made.
    """
    try:
        drawn = {} if render_mode is None else {"render_mode": render_mode}  # not every environment takes it
        return gymnasium.make(
            env_name,
            max_episode_steps=max_episode_steps,
            disable_env_checker=True,
            **{**(env_kwargs or {}), **drawn},
        )
    except gymnasium.error.UnregisteredEnv:
        near = difflib.get_close_matches(env_name, [*gymnasium.registry], 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise InputError(f"env_name {env_name}: there is no such environment{hint}") from None
    except BaseException as error:  # a constructor may even exit
        if tells_to_stop(error):
            raise
        given = f" with env_kwargs {dict(env_kwargs)}" if env_kwargs else ""
        raise InputError(f"env_name {env_name}{given}: it cannot be made ({_line(error)})") from None


def look_at(rules: Rules, workers: Workers | None = None) -> Look:
    """The environment's spaces and limit. One that is neither Gymnasium's nor ours is made in a worker's process.

    Raises InputError where it cannot be made.
    """
    if workers is None or is_known(rules.env_name):
        [found] = _look([rules])
    else:
        try:
            [found] = workers.map(_look, [rules], isolated=True)
        except WorkerLost:
            raise InputError(f"env_name {rules.env_name}: making it ended its process") from None
    if found.wrong:
        raise InputError(found.wrong)
    return found


def _look(all_rules: Sequence[Rules]) -> list[Look]:
    looks = []
    for rules in all_rules:
        nothing = spaces.Discrete(1)
        try:
            environment = make(rules.env_name, env_kwargs=rules.env_kwargs)
            limit = environment.spec.max_episode_steps if environment.spec is not None else None
            has_kernel = compiled.find(rules.env_name, rules.env_kwargs) is not None
            looks.append(Look(environment.observation_space, environment.action_space, limit, has_kernel))
            _close(environment)
        except InputError as error:
            looks.append(Look(nothing, nothing, None, wrong=str(error)))
        except Exception as error:
            line = f"env_name {rules.env_name}: it has no spaces ({_line(error)})"
            looks.append(Look(nothing, nothing, None, wrong=line))
    return looks


def _close(environment: gymnasium.Env) -> None:
    with contextlib.suppress(Exception):  # the episode is over: what closing makes of it changes nothing
        environment.close()


def is_known(env_name: str) -> bool:
    """Whether the class that the id stands for is one of Gymnasium's or of this program's."""
    spec = compiled.spec_of(env_name)
    return spec is not None and compiled.entry_point(spec).startswith(("gymnasium.envs.", "envs."))


def has_kernel(
    evaluator: str, env_name: str, env_kwargs: Mapping[str, Any] | None, observation_size: int | None
) -> bool:
    """Whether the compiled episodes are used."""
    if evaluator == "reference" or observation_size is not None:
        return False
    found = compiled.find(env_name, env_kwargs)
    if found is None:
        if evaluator == "compiled":
            raise InputError(f"evaluator compiled: there is no compiled {env_name}; use auto or reference")
        return False
    from envs import rollout

    rollout.check(found)
    return True


# ---- episodes -------------------------------------------------------------------------------------------------------


def compiled_episodes(items: Sequence[Item], rules: Rules, take_argmax_action: bool) -> list[Result]:
    """Rewards and lengths (W, K) of each item by the kernels: one call for neighbours that are played alike."""
    from envs import rollout

    compiled.import_module_of(rules.env_name)  # on a cluster each process learns of its kernel itself
    results: list[Result] = []
    for _, group in itertools.groupby(items, _played_alike):
        genomes, of_each, seeds = zip(*group, strict=True)
        rewards, lengths = rollout.episodes(
            genomes,
            rules.env_name,
            of_each[0] if of_each[0].ndim == 1 else of_each,
            seeds[0],
            take_argmax_action=take_argmax_action,
            max_episode_steps=rules.max_episode_steps,
            env_kwargs=rules.env_kwargs,
            scale_actions=rules.scale_actions,
        )
        results += zip(rewards, lengths, strict=True)
    return results


def _played_alike(item: Item) -> tuple[Any, ...]:
    """What items that one call of the kernels can play have in common: seeds, and shared weights or their number."""
    _, weights, seeds = item
    return seeds, tuple(weights) if weights.ndim == 1 else len(weights)


def reference_episodes(items: Sequence[Item], rules: Rules) -> list[Played]:
    """Rewards and lengths (W, K) of each item with Gymnasium's environment, and what that did wrong.

    Raises RunError where the environment fails and failing networks are not to be ranked last.
    """
    results = []
    for genome, weights, seeds in items:
        rewards = np.full((len(weights), len(seeds)), np.nan)
        lengths = np.zeros(rewards.shape, np.int64)
        policy = Policy(genome) if rules.reference else CompiledPolicy(genome)
        line = ""
        try:
            for w, weight in enumerate(weights):
                for k, seed in enumerate(seeds):
                    rewards[w, k], lengths[w, k] = episode(policy, weight, seed, rules)
        except EnvironmentFault as fault:
            line = str(fault)
            if not rules.rank_last:
                raise RunError(line, RANKING_LAST) from None
            rewards[:] = np.nan
        results.append((rewards, lengths, line))
    return results


class EnvironmentFault(Exception):
    """An environment raised or gave what it should not: one line that names it, the call and the seed."""


Answer = Callable[[Array, Any], Array]  # a policy: outputs (O,) for inputs (I,) and weights


def episode(policy: Answer, weight: float | Array, seed: int, rules: Rules) -> tuple[float, int]:
    """Cumulative reward and length of one episode, a function of its arguments alone. Raises EnvironmentFault."""
    call = "making it"
    environment = None
    reusable = is_reusable(rules.env_name)
    total, steps, over = 0.0, 0, False
    try:
        environment, observations, actions = _made_once(rules) if reusable else _made(rules)
        call = "reset"
        observation, _ = environment.reset(seed=seed)
        while not over:  # the limit on steps ends it, see `make`
            action = actions.choose(policy(observations.flatten(observation), weight))
            if action is None:  # NaN: the network's fault, not the environment's
                total = math.nan
                break
            call = "step"
            observation, reward, terminated, truncated, _ = environment.step(action)
            total, steps, over = total + _number(reward), steps + 1, bool(terminated or truncated)
    except BaseException as error:  # SystemExit, say: it ends the episode, not the run
        if tells_to_stop(error):
            raise
        _OF_THIS_THREAD.__dict__.clear()  # what raised may not be usable again
        if isinstance(error, InputError):  # it could not be made, and says so itself
            raise
        what = str(error) if isinstance(error, Unfit) else _line(error)
        raise EnvironmentFault(f"environment {rules.env_name} failed with seed {seed}: {call}: {what}") from None
    finally:
        if environment is not None and not reusable:
            _close(environment)
    return total, steps


def _number(reward: Any) -> float:
    """The reward as a number; an array of one number is taken. Raises Unfit."""
    if not isinstance(reward, float | int):
        values = np.asarray(reward)
        if values.size != 1 or values.dtype.kind not in "biuf":
            raise Unfit(f"a reward is {type(reward).__name__} {reward!r:.60}, not one number")
        reward = float(values.item())
    if not math.isfinite(reward):
        raise Unfit(f"a reward is {float(reward)}")
    return float(reward)


# Environments whose reset puts everything back; a test plays A, B, A. Box2D's do not: a world's broad phase reuses its
# freed nodes, and their numbers decide the order in which contacts are solved.
REUSABLE = ("gymnasium.envs.classic_control.", "gymnasium.envs.toy_text.", "envs.cartpole_swingup:")
_OF_THIS_THREAD = threading.local()  # an environment cannot be in two episodes at a time

Made = tuple[gymnasium.Env, Observations, Actions]


def is_reusable(env_name: str) -> bool:
    """Whether one environment may play one episode after the other: where it is known to leave nothing behind."""
    spec = compiled.spec_of(env_name)
    return spec is not None and not spec.additional_wrappers and compiled.entry_point(spec).startswith(REUSABLE)


def _made(rules: Rules) -> Made:
    environment = make(rules.env_name, rules.max_episode_steps, env_kwargs=rules.env_kwargs)
    observations = Observations(environment.observation_space, rules.env_name, rules.observation_size)
    return environment, observations, Actions(environment.action_space, rules.env_name, rules.scale_actions)


def _made_once(rules: Rules) -> Made:
    """This thread's environment, made once."""
    made = _OF_THIS_THREAD.__dict__
    if made.get("rules") != rules:
        made["environment"], made["rules"] = _made(rules), rules
    return made["environment"]


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


def _alone(item: Item, rules: Rules) -> Played:
    """An item again, each trial in a process of its own, after an environment has killed one: who was it?

    Raises RunError that names environment and seed, or gives the network that met it NaN rewards.
    """
    genome, weights, seeds = item
    parts: list[Played] = []
    for seed in seeds:
        # A fresh interpreter: a forked one would share what the environment may have broken.
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            try:
                parts += pool.submit(reference_episodes, [(genome, weights, (seed,))], rules).result()
            except BrokenProcessPool:
                line = f"environment {rules.env_name} killed its process with seed {seed}"
                if not rules.rank_last:
                    raise RunError(line, RANKING_LAST) from None
                shape = len(weights), len(seeds)
                return np.full(shape, np.nan), np.zeros(shape, np.int64), line
    rewards, lengths, lines = zip(*parts, strict=True)
    fault = next(filter(None, lines), "")
    return np.concatenate(rewards, axis=1), np.concatenate(lengths, axis=1), fault


def _line(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}".rstrip(": ")
