"""Fast against reference, pair by pair: the two alternate, so that a busy machine slows both alike."""

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import NamedTuple

import numpy as np
import numpy.typing as npt


class Pairs(NamedTuple):
    """Seconds per unit of work of each round, both of shape (rounds,)."""

    reference: npt.NDArray[np.float64]
    fast: npt.NDArray[np.float64]

    @property
    def ratios(self) -> npt.NDArray[np.float64]:
        """How many times faster, round by round (rounds,)."""
        return self.reference / self.fast


class Row(NamedTuple):
    """A line of the table. `unit` is what the times are per; without a reference its times are NaN."""

    name: str
    size: str
    pairs: Pairs
    target: str = ""
    unit: str = "call"


def compare(fast: Callable[[], float | None], reference: Callable[[], float | None], rounds: int) -> Pairs:
    """Time both, one after the other, `rounds` times, after a call of `fast` that compiles and warms it.

    A function may return how much work it did (steps, epochs, ...), so that the two may do different
    amounts; its time is then per unit.
    """
    fast()
    pairs = np.array([(_seconds(reference), _seconds(fast)) for _ in range(rounds)])
    return Pairs(pairs[:, 0], pairs[:, 1])


def measure(fast: Callable[[], float | None], rounds: int) -> Pairs:
    """Time `fast` alone, where the figure is a time and not a ratio."""
    fast()
    times = np.array([_seconds(fast) for _ in range(rounds)])
    return Pairs(np.full(rounds, np.nan), times)


def _seconds(function: Callable[[], float | None]) -> float:
    start = perf_counter()
    work = function()
    return (perf_counter() - start) / (1 if work is None else work)


def table(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table: median times, the median ratio and its spread."""
    lines = [
        "| what | size | reference | fast | ratio | spread | target |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, size, pairs, target, unit in rows:
        times = [f"{_readable(float(np.median(t)))} / {unit}" for t in (pairs.reference, pairs.fast)]
        ratios = pairs.ratios
        spread = [f"{np.median(ratios):.3g}", f"{ratios.min():.3g} to {ratios.max():.3g}"]
        if np.isnan(pairs.reference).any():
            times[0], spread = "", ["", ""]
        lines.append(f"| {' | '.join([name, size, *times, *spread, target])} |")
    return "\n".join(lines)


def _readable(seconds: float) -> str:
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"
