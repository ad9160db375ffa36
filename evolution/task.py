"""What `evolve` talks to: a task, and the fitness that it gives."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from evolution.genome import Genome


@dataclass(frozen=True)
class Fitness:
    """How good each network of a population is: named arrays of shape (N,), float64.

    `objectives` names two of them, both maximised: the first is what champions are chosen by; the ranking pairs it
    with 1/complexity or with the second. Learning tasks add the networks as training left them: the same graphs, with
    the trained weights.
    """

    values: Mapping[str, npt.NDArray[np.float64]]
    objectives: tuple[str, str]
    trained: Sequence[Genome] | None = None

    @property
    def reward(self) -> npt.NDArray[np.float64]:
        """The first objective (N,)."""
        return self.values[self.objectives[0]]

    @property
    def best(self) -> int:
        """The network with the largest finite reward; the first of several, and of all where none is finite."""
        return int(np.argmax(np.where(np.isfinite(self.reward), self.reward, -np.inf)))

    def of(self, index: int) -> dict[str, float]:
        """All values of one network."""
        return {name: float(array[index]) for name, array in self.values.items()}


class Task(ABC):
    """A problem that networks are evolved for. `num_inputs` and `num_outputs` are what it observes and expects.

    Every generator that a task is given is its own for that generation and purpose: a task draws from nothing else, so
    that its results depend neither on the number of workers nor on what was computed before.
    """

    num_inputs: int
    num_outputs: int
    evaluator_name: str = "reference"  # which path computes, in plain words, for the log

    @abstractmethod
    def evaluate(self, population: Sequence[Genome], rng: np.random.Generator) -> Fitness:
        """The fitness of each network, under the same conditions for all of them."""

    def confirm(self, genome: Genome, rng: np.random.Generator) -> Mapping[str, float]:
        """A second, stricter look before a genome becomes champion: values that replace those of its fitness.

        Empty where the task has nothing stricter: the fitness counts then.
        """
        return {}

    @abstractmethod
    def test(self, genome: Genome, rng: np.random.Generator) -> Mapping[str, float]:
        """What is reported of a champion."""

    def evaluate_untrained(self, population: Sequence[Genome], rng: np.random.Generator) -> Fitness | None:
        """The fitness before any learning, of which the first champion is the best; None where nothing is learned."""
        return None

    def close(self) -> None:
        """Let go of workers and environments."""
