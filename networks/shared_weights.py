"""The weights that a weight agnostic network is evaluated at: all its connections share one of them at a time."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evolution.errors import InputError
from networks.reference import SHARED_WEIGHTS

LOW, HIGH = -2.0, 2.0  # random weights are drawn from this range (Gaier and Ha 2019)
MOST = 1000


@dataclass(frozen=True)
class SharedWeights:
    """Fixed values, or so many that are drawn anew from [-2, 2] each time (`random`)."""

    values: tuple[float, ...] = SHARED_WEIGHTS
    random: int = 0

    def draw(self, rng: np.random.Generator) -> tuple[float, ...]:
        """The weights of one generation. Only random ones use the generator, and of it only a child: what else is
        drawn from it stays the same."""
        if not self.random:
            return self.values
        return tuple(rng.spawn(1)[0].uniform(LOW, HIGH, self.random).tolist())


def parse(given: Sequence[float] | str | None) -> SharedWeights:
    """The parameter `shared_weights`: a list of numbers, `random: N`, or None for the six usual values.

    With `random: N` the champion is tested at the six usual values, so that runs can be compared. Raises InputError.
    """
    if given is None:
        return SharedWeights()
    if isinstance(given, str):
        word, _, count = given.partition(":")
        if word.strip() == "random" and count.strip().isdecimal() and 1 <= int(count) <= MOST:
            return SharedWeights(random=int(count))
    elif given and all(np.isfinite(value) for value in given):
        values = tuple(float(value) for value in given)
        if len(set(values)) == len(values) <= MOST:
            return SharedWeights(values)
    raise InputError(
        f"shared_weights is {given!r:.60}; it must be a list of different finite numbers, or random: N with 1 to {MOST}"
    )
