"""The outer loop: evaluate, champion, rank, reproduce; the same for every task.

A run is decided by its seed alone: every generator is made from (seed, generation, purpose), and those of individuals
are spawned from it, so neither the number of workers, nor the order in which they finish, nor an interruption changes a
result.
"""

import csv
import io
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import IntEnum
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from evolution import checkpoint
from evolution.checkpoint import Champion, Keeper, State
from evolution.errors import InputError
from evolution.events import EventLog
from evolution.files import write_atomically
from evolution.genome import Genome
from evolution.mutation import MutationSettings, add_node, compact_layers
from evolution.ranking import rank
from evolution.selection import SelectionSettings, next_generation
from evolution.task import Fitness, Task


@dataclass(frozen=True)
class EvolutionSettings:
    """Everything that `evolve` needs beside the task. The names are those of the parameters (SPEC 10)."""

    seed: int
    num_generations: int
    p_initial_connection_enabled: float
    p_complexity_objective: float
    test_every: int
    selection: SelectionSettings
    mutation: MutationSettings
    with_weights: bool = False
    use_bias: bool = False
    p_add_node_at_start: float = 0.0  # for each connection of a new genome, before generation 0
    log_population: bool = False  # histograms and values of each network, and a summary of the last population
    save_networks_every: int = 0  # generations between the writings of the whole population; 0 for never
    checkpoint_period: float = 60.0  # seconds
    max_minutes: float | None = None  # ends the run after the generation in which they are over
    provenance: Mapping[str, Any] = field(default_factory=dict)  # what a saved network says of its origin


class Run(Protocol):
    """A run's folder as `evolve` uses it."""

    path: Path
    log: logging.Logger
    writer: EventLog

    def file_sizes(self) -> dict[str, int]:
        """Flush log and event files, and give their lengths."""


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


Portrait = Callable[[Genome], tuple[npt.NDArray[np.uint8], Mapping[str, float]]]


def generator(seed: int, generation: int, purpose: Purpose) -> np.random.Generator:
    """The one generator for this purpose in this generation of this run; individuals get those that it spawns."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(generation, purpose)))


def evolve(
    task: Task,
    settings: EvolutionSettings,
    run: Run,
    state: State | None = None,
    portrait: Portrait | None = None,
) -> State:
    """Evolve networks for `task` until `num_generations`, from the beginning or from `state`; gives the last state.

    What happens is written to the run's folder (SPEC 9). `portrait` draws a tested champion for TensorBoard: an image
    (H, W, 3) and statistics of its graph. On an interruption the last whole generation is checkpointed before the
    KeyboardInterrupt goes on.
    """
    return _Evolution(task, settings, run, portrait).run_from(state)


class _Evolution:
    """The loop's fixed surroundings, and the clock of the present generation."""

    def __init__(self, task: Task, settings: EvolutionSettings, run: Run, portrait: Portrait | None) -> None:
        self.task, self.settings, self.run, self.portrait = task, settings, run, portrait
        self.times: dict[str, float] = {}

    def run_from(self, state: State | None) -> State:
        settings = self.settings
        first = 0
        if state is not None:
            self.check(state)
            first = state.generation + 1
        self.run.log.info("evaluation: %s", self.task.evaluator_name)
        minutes = np.inf if settings.max_minutes is None else settings.max_minutes
        deadline = time.monotonic() + 60 * minutes
        keeper = Keeper(self.run.path, checkpoint.to_bytes, settings.checkpoint_period, state)
        # disable=None: silent where the output is not a terminal
        bar = tqdm(total=settings.num_generations, initial=first, unit="gen", disable=None, dynamic_ncols=True)
        with keeper, bar:
            for generation in range(first, settings.num_generations):
                state = self.generation(generation, state)
                keeper.update(state)
                bar.set_postfix_str(_summary(state))
                bar.update()
                if time.monotonic() > deadline:
                    break
        assert state is not None
        self.finish(state)
        return state

    def check(self, state: State) -> None:
        """Raise InputError where the state is not one of this run."""
        settings, genome = self.settings, state.population[0]
        found = (len(state.population), genome.num_observed, genome.num_outputs, genome.use_bias)
        size = settings.selection.population_size
        expected = (size, self.task.num_inputs, self.task.num_outputs, settings.use_bias)
        if found != expected or (genome.weights is not None) != settings.with_weights:
            raise InputError(
                f"{self.run.path}: the checkpoint is of another run: {found[0]} networks with {found[1]} inputs and "
                f"{found[2]} outputs, where {expected[0]} with {expected[1]} and {expected[2]} belong"
            )

    def generator(self, generation: int, purpose: Purpose) -> np.random.Generator:
        return generator(self.settings.seed, generation, purpose)

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.times[name] = time.perf_counter() - start

    # ---- one generation -----------------------------------------------------------------------------------------

    def generation(self, generation: int, before: State | None) -> State:
        """Make this generation's population, evaluate it, see to the champion, and record it all."""
        self.times = {}
        with self.timed("complete_generation"):
            if before is None:
                population, champion = self.first_population()
            else:
                population, champion = self.next_population(before), before.champion
            with self.timed("evaluation"):
                fitness = self.task.evaluate(population, self.generator(generation, Purpose.EVALUATION))
            with self.timed("champion_evaluation"):
                champion = self.challenge(generation, population, fitness, champion)
                tested = self.test(generation, champion) if generation % self.settings.test_every == 0 else {}
        state = State(generation, population, fitness, champion)
        self.record(state, tested)
        return replace(state, file_sizes=self.run.file_sizes())

    def first_population(self) -> tuple[list[Genome], Champion | None]:
        """New genomes, and for tasks that learn the best untrained one as the first champion (SPEC 7)."""
        settings = self.settings
        made_with = {
            "p_initial_connection_enabled": settings.p_initial_connection_enabled,
            "p_add_connection": settings.mutation.p_add_connection,
            "p_add_node": settings.mutation.p_add_node,
            "inherit_weights": settings.mutation.inherit_weights,
        }
        population = []
        for own in self.generator(0, Purpose.START).spawn(settings.selection.population_size):
            genome = Genome.initial(
                self.task.num_inputs,
                self.task.num_outputs,
                settings.p_initial_connection_enabled,
                own,
                with_weights=settings.with_weights,
                use_bias=settings.use_bias,
                made_with=made_with,
            )
            population.append(add_nodes_at_start(genome, settings.p_add_node_at_start, own))
        fitness = self.task.evaluate_untrained(population, self.generator(0, Purpose.UNTRAINED))
        if fitness is None or not np.isfinite(fitness.reward).any():
            return population, None
        best = _best(fitness)
        champion = Champion(population[best], 0, fitness.of(best), population[best].weights)
        self.run.log.info("untrained: %s", _values(champion.values))
        self.save_champion(champion)
        return population, champion

    def next_population(self, before: State) -> list[Genome]:
        """Rank the population before and let it reproduce."""
        settings, fitness, generation = self.settings, before.fitness, before.generation + 1
        with self.timed("ranking"):
            rng = self.generator(generation, Purpose.RANKING)
            if rng.random() < settings.p_complexity_objective:
                second = 1 / np.array([g.complexity for g in before.population], np.float64)
            else:
                second = fitness.values[fitness.objectives[1]]
            order = rank(np.column_stack([fitness.reward, second]))
        with self.timed("reproduction"):
            pool = before.population
            if settings.mutation.inherit_weights and fitness.weights is not None:
                pool = [replace(g, weights=w) for g, w in zip(pool, fitness.weights, strict=True)]
            rng = self.generator(generation, Purpose.REPRODUCTION)
            return next_generation([pool[i] for i in order], settings.selection, settings.mutation, rng)

    def challenge(
        self, generation: int, population: list[Genome], fitness: Fitness, champion: Champion | None
    ) -> Champion | None:
        """The champion after this generation: its best network, where that is better and stays so when confirmed."""
        lost = int(np.count_nonzero(~np.isfinite(fitness.reward)))
        if lost:
            self.run.log.warning(
                "generation %d: %d of %d networks have a reward that is not finite and are ranked last",
                generation,
                lost,
                len(population),
            )
            if lost == len(population):
                return champion
        best, objective = _best(fitness), fitness.objectives[0]
        values = fitness.of(best)
        if champion is not None and values[objective] <= champion.values[objective]:
            return champion
        confirmed = self.task.confirm(population[best], self.generator(generation, Purpose.CONFIRMATION))
        values |= confirmed
        better = champion is None or values[objective] > champion.values[objective]
        if confirmed:
            verdict = "new champion" if better else "the champion stays"
            self.run.log.info("generation %d: confirmed %s: %s", generation, _values(values), verdict)
        if not better or not np.isfinite(values[objective]):
            return champion
        weights = None if fitness.weights is None else fitness.weights[best]
        champion = Champion(population[best], generation, values, weights)
        self.save_champion(champion)
        return champion

    def test(self, generation: int, champion: Champion | None) -> Mapping[str, float]:
        """Test the champion, log it and write its portrait."""
        if champion is None:
            return {}
        tested = self.task.test(champion.genome, self.generator(generation, Purpose.TEST))
        self.run.log.info("generation %d: champion tested: %s", generation, _values(tested))
        if self.portrait is not None:
            image, statistics = self.portrait(_trained(champion.genome, champion.weights))
            self.run.writer.image("champion/network", image, generation)
            tested = {**tested, **{f"graph_{name}": value for name, value in statistics.items()}}
        return tested

    def finish(self, state: State) -> None:
        """After the last generation: test the champion if that generation did not, and sum up.

        This comes after the last checkpoint, so that a run that is resumed with more generations does not keep it.
        """
        if state.generation % self.settings.test_every:
            tested = self.test(state.generation, state.champion)
            self.run.writer.scalars({f"champion/{n}": value for n, value in tested.items()}, state.generation)
        if self.settings.log_population:
            write_atomically(self.run.path / "results_summary.csv", results_summary(state.fitness))
        champion = state.champion
        if champion is None:
            self.run.log.info("finished without a champion: no network had a finite reward")
        else:
            self.run.log.info(
                "finished after generation %d; champion of generation %d: %s",
                state.generation,
                champion.generation,
                _values(champion.values),
            )
        self.run.file_sizes()  # flushes

    # ---- what is left behind ------------------------------------------------------------------------------------

    def save_champion(self, champion: Champion) -> None:
        genome = _trained(champion.genome, champion.weights)
        provenance = self.provenance(champion.generation, champion.values)
        genome.save(self.run.path / "champion_network.json", provenance)

    def provenance(self, generation: int, values: Mapping[str, float]) -> dict[str, Any]:
        finite = {name: value if np.isfinite(value) else None for name, value in values.items()}
        return {**self.settings.provenance, "generation": generation, "fitness": finite}

    def record(self, state: State, tested: Mapping[str, float]) -> None:
        """One line in the log, the scalars of SPEC 9, and every so often the networks themselves."""
        generation, population, fitness = state.generation, state.population, state.fitness
        finite = bool(np.isfinite(fitness.reward).any())
        scalars = {f"best/{name}": value for name, value in fitness.of(_best(fitness)).items()} if finite else {}
        if state.champion is not None:
            known = {**state.champion.values, **tested, **_sizes(state.champion.genome)}
            known["generation"] = state.champion.generation
            scalars |= {f"champion/{name}": value for name, value in known.items()}
        sizes = np.array([(g.num_connections, g.num_neurons, g.num_layers) for g in population])
        for name, mean, std in zip(("connections", "neurons", "layers"), sizes.mean(0), sizes.std(0), strict=True):
            scalars |= {f"stats/{name}_mean": float(mean), f"stats/{name}_std": float(std)}
        scalars |= {f"times/{name}": seconds for name, seconds in self.times.items()}
        self.run.writer.scalars(scalars, generation)
        if self.settings.log_population:
            self.record_population(state)
        every = self.settings.save_networks_every
        if every and generation % every == 0:
            self.save_population(state)
        self.run.log.info(
            "generation %d: %s; connections %.1f +- %.1f; %.2f s",
            generation,
            _summary(state),
            scalars["stats/connections_mean"],
            scalars["stats/connections_std"],
            self.times["complete_generation"],
        )

    def record_population(self, state: State) -> None:
        writer, generation = self.run.writer, state.generation
        accuracies = state.fitness.values["acc"]
        connections = np.array([genome.num_connections for genome in state.population])
        writer.histogram("population/acc", accuracies[np.isfinite(accuracies)], generation)
        writer.histogram("population/connections", connections, generation)
        each = {f"population/net{i}_acc": value for i, value in enumerate(accuracies)}
        each |= {f"population/net{i}_connections": value for i, value in enumerate(connections)}
        writer.scalars(each, generation)

    def save_population(self, state: State) -> None:
        folder = self.run.path / "networks"
        folder.mkdir(exist_ok=True)
        weights = state.fitness.weights
        for i, genome in enumerate(state.population):
            trained = _trained(genome, None if weights is None else weights[i])
            provenance = self.provenance(state.generation, state.fitness.of(i))
            trained.save(folder / f"generation{state.generation}-net{i}.json", provenance)


def add_nodes_at_start(genome: Genome, probability: float, rng: np.random.Generator) -> Genome:
    """The round before generation 0: for each connection of a new genome, with the given probability one add node."""
    if not probability:
        return genome
    for connection in np.flatnonzero(rng.random(genome.num_connections) < probability).tolist():
        genome = add_node(genome, rng, connection)
    return compact_layers(genome)


def results_summary(fitness: Fitness) -> str:
    """CSV with the mean and the best of each value over the networks of the last population whose reward is finite."""
    finite = np.isfinite(fitness.reward)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    columns = [(f"{kind}_{name}", kind, values) for name, values in fitness.values.items() for kind in ("mean", "best")]
    writer.writerow([name for name, _, _ in columns])
    if finite.any():
        best = _best(fitness)
        writer.writerow([values[finite].mean() if kind == "mean" else values[best] for _, kind, values in columns])
    return text.getvalue()


def _best(fitness: Fitness) -> int:
    """The network with the largest finite reward; the first of several."""
    return int(np.argmax(np.where(np.isfinite(fitness.reward), fitness.reward, -np.inf)))


def _trained(genome: Genome, weights: npt.NDArray[np.float32] | None) -> Genome:
    return genome if weights is None else replace(genome, weights=weights)


def _sizes(genome: Genome) -> dict[str, int]:
    return {
        "connections": genome.num_connections,
        "neurons": genome.num_neurons,
        "layers": genome.num_layers,
    }


def _values(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in values.items())


def _summary(state: State) -> str:
    fitness = state.fitness
    best = fitness.reward[_best(fitness)]
    champion = "none" if state.champion is None else f"{state.champion.values[fitness.objectives[0]]:.4g}"
    return f"best {best:.4g}, champion {champion}"
