"""The outer loop: evaluate, champion, rank, reproduce; the same for every task. It writes nothing.

A run is decided by its seed alone: every generator is made from (seed, generation, purpose), and those of individuals
are spawned from it, so neither the number of workers, nor the order in which they finish, nor an interruption changes a
result.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import IntEnum

import numpy as np

from evolution.errors import InputError
from evolution.genome import ACTIVATION_NAMES, Genome
from evolution.mutation import MutationSettings, add_node, compact_layers
from evolution.objectives import draw_values
from evolution.ranking import rank
from evolution.selection import SelectionSettings, next_generation
from evolution.task import Fitness, Task

P_ADD_NODE_AT_START = 0.5  # for each connection of a new network that learns, before generation 0


@dataclass(frozen=True)
class EvolutionSettings:
    """How networks evolve, whatever the task is. The names are those of the parameters.

    With `learns` a network has a weight for each connection, new ones get a round of add node, and the first champion
    is the best untrained network; else all connections share one weight.
    """

    seed: int = 0
    num_generations: int = 100
    p_initial_connection_enabled: float = 0.5
    objectives: Mapping[str, float] = field(default_factory=lambda: {"p_complexity_objective": 0.8})  # probabilities
    test_every: int = 20
    selection: SelectionSettings = field(default_factory=SelectionSettings)
    mutation: MutationSettings = field(default_factory=MutationSettings)
    learns: bool = False
    use_bias: bool = False
    hidden_activation: str = "relu"  # of networks that learn


@dataclass(frozen=True)
class Champion:
    """The best network so far.

    `genome` is what was evaluated, `trained` the same network as training left it (itself where nothing is learned).
    `values` are those of its fitness, as confirmed; `tested` what its last test found.
    """

    genome: Genome
    generation: int
    values: Mapping[str, float]
    trained: Genome
    tested: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Challenge:
    """A network that was better than the champion, its values, and whether a second look confirmed that."""

    values: Mapping[str, float]
    confirmed: bool  # whether there was a second look
    won: bool


@dataclass(frozen=True)
class State:
    """A generation at its end: all that decides how the run goes on, and what happened in it.

    The second half is there to be shown or written; a state that was saved comes back without it.
    """

    generation: int
    population: Sequence[Genome]
    fitness: Fitness
    champion: Champion | None
    untrained: Champion | None = None  # the first champion of a run that learns, in generation 0
    challenge: Challenge | None = None
    tested: Mapping[str, float] = field(default_factory=dict)  # what a test of the champion found, where there was one
    times: Mapping[str, float] = field(default_factory=dict)  # seconds by what they were spent on

    @property
    def progress(self) -> int:
        """Generations done."""
        return self.generation + 1

    @property
    def num_lost(self) -> int:
        """Networks whose reward is not finite."""
        return int(np.count_nonzero(~np.isfinite(self.fitness.reward)))


class Purpose(IntEnum):
    """What a random generator is for."""

    START = 0
    EVALUATION = 1
    CONFIRMATION = 2
    TEST = 3
    RANKING = 4
    REPRODUCTION = 5
    UNTRAINED = 6
    FEEDBACK = 7


def generator(seed: int, generation: int, purpose: Purpose) -> np.random.Generator:
    """The one generator for this purpose in this generation of this run; individuals get those that it spawns."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(generation, purpose)))


def generations(task: Task, settings: EvolutionSettings | None = None, state: State | None = None) -> Iterator[State]:
    """Evolve networks for `task` until `num_generations`, from the beginning or from `state` on: a state a generation.

    Nothing is written and nothing is said: whoever iterates looks at the states, and stops when he likes. Raises
    InputError where the state is not one of such a run.
    """
    settings = settings or EvolutionSettings()
    if state is not None:
        check(state, task, settings)
    for generation in range(0 if state is None else state.progress, settings.num_generations):
        state = _generation(task, settings, generation, state)
        yield state


def check(state: State, task: Task, settings: EvolutionSettings) -> None:
    """Raise InputError where the state is not one of a run with this task and these settings."""
    genome = state.population[0]
    wanted = {
        "networks": (len(state.population), settings.selection.population_size),
        "inputs": (genome.num_observed, task.num_inputs),
        "outputs": (genome.num_outputs, task.num_outputs),
        "bias": (genome.use_bias, settings.use_bias),
        "weights for each connection": (genome.weights is not None, settings.learns),
    }
    different = [f"{what}: {found}, not {expected}" for what, (found, expected) in wanted.items() if found != expected]
    if different:
        raise InputError(f"the checkpoint is of another run ({'; '.join(different)})")


def last_test(task: Task, settings: EvolutionSettings, state: State) -> State:
    """The last state of a run, with a test of its champion if its generation was none of those with a test.

    `tested` is what this test found, empty where the generation had its own. A run that goes on does so from the state
    before: it then has no test that a longer run would not have had.
    """
    if state.generation % settings.test_every == 0 or state.champion is None:
        return replace(state, tested={})
    tested = dict(task.test(state.champion.genome, generator(settings.seed, state.generation, Purpose.TEST)))
    return replace(state, champion=replace(state.champion, tested=tested), tested=tested)


# ---- one generation -------------------------------------------------------------------------------------------------


def _generation(task: Task, settings: EvolutionSettings, generation: int, before: State | None) -> State:
    """Make this generation's population, evaluate it, and see to the champion."""
    times: dict[str, float] = {}
    untrained, tested = None, dict[str, float]()
    with _timed(times, "complete_generation"):
        if before is None:
            population = first_population(task, settings)
            champion = untrained = _best_untrained(task, settings, population)
        else:
            population, champion = _next_population(settings, before, times), before.champion
        with _timed(times, "evaluation"):
            fitness = task.evaluate(population, generator(settings.seed, generation, Purpose.EVALUATION))
        with _timed(times, "champion_evaluation"):
            champion, challenge = _challenge(task, settings, generation, population, fitness, champion)
            if champion is not None and generation % settings.test_every == 0:
                rng = generator(settings.seed, generation, Purpose.TEST)
                tested = dict(task.test(champion.genome, rng))
                champion = replace(champion, tested=tested)
    return State(generation, population, fitness, champion, untrained, challenge, tested, times)


@contextmanager
def _timed(times: dict[str, float], name: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    times[name] = time.perf_counter() - start


def first_population(task: Task, settings: EvolutionSettings) -> list[Genome]:
    """New genomes, each by a generator of its own."""
    made_with = {
        "p_initial_connection_enabled": settings.p_initial_connection_enabled,
        "p_add_connection": settings.mutation.probabilities.get("p_add_connection", 0.0),
        "p_add_node": settings.mutation.probabilities.get("p_add_node", 0.0),
        "inherit_weights": settings.mutation.inherit_weights,
    }
    population = []
    for own in generator(settings.seed, 0, Purpose.START).spawn(settings.selection.population_size):
        genome = Genome.initial(
            task.num_inputs,
            task.num_outputs,
            settings.p_initial_connection_enabled,
            own,
            with_weights=settings.learns,
            use_bias=settings.use_bias,
            hidden_activation=ACTIVATION_NAMES.index(settings.hidden_activation),
            made_with=made_with,
        )
        population.append(add_nodes_at_start(genome, own) if settings.learns else genome)
    return population


def add_nodes_at_start(genome: Genome, rng: np.random.Generator) -> Genome:
    """The round before generation 0: for each connection of a new genome, with probability one half one add node."""
    for connection in np.flatnonzero(rng.random(genome.num_connections) < P_ADD_NODE_AT_START).tolist():
        genome = add_node(genome, rng, connection)
    return compact_layers(genome)


def _best_untrained(task: Task, settings: EvolutionSettings, population: list[Genome]) -> Champion | None:
    """For tasks that learn the best network before training: the first champion."""
    fitness = task.evaluate_untrained(population, generator(settings.seed, 0, Purpose.UNTRAINED))
    if fitness is None or not np.isfinite(fitness.reward).any():
        return None
    best = fitness.best
    return Champion(population[best], 0, fitness.of(best), population[best])


def _next_population(settings: EvolutionSettings, before: State, times: dict[str, float]) -> list[Genome]:
    """Rank the population before and let it reproduce."""
    fitness, generation = before.fitness, before.generation + 1
    with _timed(times, "ranking"):
        rng = generator(settings.seed, generation, Purpose.RANKING)
        order = rank(draw_values(before.population, fitness, settings.objectives, rng))
    with _timed(times, "reproduction"):
        inherits = settings.mutation.inherit_weights and fitness.trained is not None
        pool = fitness.trained if inherits and fitness.trained is not None else before.population
        rng = generator(settings.seed, generation, Purpose.REPRODUCTION)
        return next_generation([pool[i] for i in order], settings.selection, settings.mutation, rng)


def _challenge(
    task: Task,
    settings: EvolutionSettings,
    generation: int,
    population: Sequence[Genome],
    fitness: Fitness,
    champion: Champion | None,
) -> tuple[Champion | None, Challenge | None]:
    """The champion after this generation: its best network, where that is better and stays so when confirmed."""
    best, objective = _challenger(settings, population, fitness, champion), fitness.objectives[0]
    if best is None:
        return champion, None
    values = fitness.of(best)
    confirmed = task.confirm(population[best], generator(settings.seed, generation, Purpose.CONFIRMATION))
    values |= confirmed
    better = champion is None or values[objective] > champion.values[objective]
    won = bool(better and np.isfinite(values[objective]))
    challenge = Challenge(values, bool(confirmed), won)
    if not won:
        return champion, challenge
    trained = population[best] if fitness.trained is None else fitness.trained[best]
    return Champion(population[best], generation, values, trained), challenge


def _challenger(
    settings: EvolutionSettings, population: Sequence[Genome], fitness: Fitness, champion: Champion | None
) -> int | None:
    """The best network whose reward is above the champion's, the first of several; None where there is none.

    Where nothing is learned a network equal to the champion does not count: it would only be measured once more, and
    the champion's value become the largest of many noisy ones.
    """
    reward = np.where(np.isfinite(fitness.reward), fitness.reward, -np.inf)
    bound = -np.inf if champion is None else champion.values[fitness.objectives[0]]
    for index in np.argsort(-reward, kind="stable").tolist():
        if not reward[index] > bound:
            return None
        if champion is None or settings.learns or population[index] != champion.genome:
            return index
    return None
