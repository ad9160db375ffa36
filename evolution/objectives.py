"""What networks are ranked by beside their reward (docs/method.md, Ranking).

OBJECTIVES names what may join the reward: another one is a function and a line there, and its probability is a
parameter.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from evolution.genome import Genome
from evolution.task import Fitness

FloatArray = npt.NDArray[np.float64]
Objective = Callable[[Sequence[Genome], Fitness], FloatArray]


def simplicity(population: Sequence[Genome], fitness: Fitness) -> FloatArray:
    """1 / complexity (N,)."""
    return 1 / np.array([genome.complexity for genome in population], np.float64)


# By the parameter that is its probability; in this order they are drawn.
OBJECTIVES: dict[str, Objective] = {
    "p_complexity_objective": simplicity,
}


def draw_values(
    population: Sequence[Genome], fitness: Fitness, probabilities: Mapping[str, float], rng: np.random.Generator
) -> FloatArray:
    """What a generation is ranked by (N, K), all maximised: the reward, and each objective with its probability.

    Where none joins, the task's own second objective does.
    """
    joined = [OBJECTIVES[name] for name in OBJECTIVES if name in probabilities and rng.random() < probabilities[name]]
    others = [objective(population, fitness) for objective in joined] or [fitness.values[fitness.objectives[1]]]
    return np.column_stack([fitness.reward, *others])
