"""From a ranked population to the next one: cull, elite, tournament (docs/method.md, Selection)."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from evolution.errors import InputError
from evolution.genome import Genome
from evolution.mutation import MutationSettings, mutate


@dataclass(frozen=True)
class SelectionSettings:
    """How the next population is made from the ranked one."""

    population_size: int = 192
    tournament_size: int = 16
    cull_ratio: float = 0.2
    elite_ratio: float = 0.2

    def __post_init__(self) -> None:
        """Raise InputError for a selection that leaves no network, or no child."""
        if not self.num_kept:
            raise InputError(f"cull_ratio {self.cull_ratio} leaves no network of {self.population_size}")
        if self.tournament_size > self.num_kept:
            raise InputError(
                f"tournament_size {self.tournament_size} is larger than the {self.num_kept} networks that are left "
                f"of population_size {self.population_size} after culling (cull_ratio {self.cull_ratio})"
            )

        if self.num_elite == self.population_size:
            raise InputError(
                f"elite_ratio {self.elite_ratio} with cull_ratio {self.cull_ratio} copies all {self.population_size} "
                "networks and leaves no child: nothing would evolve"
            )

    @property
    def num_kept(self) -> int:
        """Networks that are not dropped: they may be copied and become parents."""
        return self.population_size - share(self.population_size, self.cull_ratio)

    @property
    def num_elite(self) -> int:
        """Networks that are copied unchanged: of those that are not dropped."""
        return min(share(self.population_size, self.elite_ratio), self.num_kept)


def share(count: int, ratio: float) -> int:
    """`ratio` of `count`, rounded down, the ratio meaning what its decimals say: 0.29 of 100 is 29."""
    return int(count * Fraction(str(ratio)))


def next_generation(
    ranked: Sequence[Genome],
    selection: SelectionSettings,
    mutation: MutationSettings,
    rng: np.random.Generator,
) -> list[Genome]:
    """The next population from the present one, sorted from best to worst.

    The worst are dropped, the best copied, and the rest filled up with children of tournament winners. Every child is
    mutated by a generator of its own, so that what one of them draws changes no other.
    """
    elite = list(ranked[: selection.num_elite])
    num_children = selection.population_size - len(elite)
    parents = draw_winners(num_children, selection.num_kept, selection.tournament_size, rng).tolist()
    generators = rng.spawn(num_children)
    return elite + [mutate(ranked[parent], mutation, own) for parent, own in zip(parents, generators, strict=True)]


def draw_winners(count: int, pool: int, tournament_size: int, rng: np.random.Generator) -> npt.NDArray[np.intp]:
    """Ranks (count,) of the winners of tournaments between `tournament_size` distinct networks of the best `pool`.

    Instead of drawing the contestants, the winner is drawn from its distribution: all k contestants of a pool of M have
    ranks above r with probability C(M - r - 1, k) / C(M, k), a product that falls with r.
    """
    r = np.arange(pool - tournament_size + 1)
    all_above = np.cumprod((pool - tournament_size - r) / (pool - r))
    return np.searchsorted(-all_above, -rng.random(count), side="left")
