"""Groups of a few values each, as seeds give them: intervals, exact tests, effect sizes, and how many would be needed.

Tests are those of `scipy.stats`; Holm's correction and Cliff's delta are written here.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats

Array = npt.NDArray[np.float64]

LEVEL = 0.05  # of significance; intervals hold 1 - LEVEL
POWER = 0.8  # of the sample sizes
RESAMPLES = 9999  # of the bootstrap, and of a permutation test where there are too many permutations for all
EXACT_UP_TO = 200_000  # permutations that are all tried
LARGEST_SAMPLE = 10**6  # more seeds than that are "none would do"
TESTS = ("permutation", "mann-whitney")


class Summary(NamedTuple):
    """A group's values: how many, their mean, standard deviation (n - 1), and the mean's 95 % interval."""

    n: int
    mean: float
    std: float  # NaN of one value
    low: float  # NaN of one value
    high: float


def summarise(values: Sequence[float] | Array) -> Summary:
    """Mean, standard deviation and BCa bootstrap interval (Efron 1987) of values (n,), n at least 1.

    Values that are all equal have themselves as interval.
    """
    x = np.asarray(values, np.float64)
    std = float(x.std(ddof=1)) if len(x) > 1 else math.nan
    return Summary(len(x), float(x.mean()), std, *_interval(_mean, x))


def mean_and_spread(values: Sequence[float] | Array, digits: int = 3) -> str:
    """As "0.912 +- 0.006", the standard deviation with n - 1; the mean alone of one value."""
    spread = f" +- {np.std(values, ddof=1):.{digits}f}" if len(values) > 1 else ""
    return f"{np.mean(values):.{digits}f}{spread}"


@dataclass(frozen=True)
class Difference:
    """How two groups differ: first minus second."""

    difference: float  # of the means
    low: float  # its 95 % interval; NaN where one group has a single value
    high: float
    p: float  # NaN where a group has a single value
    smallest_p: float  # that so many values can reach at all
    exact: bool  # whether all permutations were tried
    paired: bool
    delta: float  # Cliff's
    needed: int | None  # values of each group that would show the difference; None where none would


def compare(x: Sequence[float] | Array, y: Sequence[float] | Array, *, paired: bool, test: str) -> Difference:
    """Compare values (n,) with values (m,); paired ones belong together by their places, and n is m.

    `permutation` tests the difference of the means: by flipping the signs of the pairs' differences, or by sharing all
    values out anew. `mann-whitney` tests the ranks of unpaired values, exactly also where values are equal. All are
    two-sided.
    """
    a, b = np.asarray(x, np.float64), np.asarray(y, np.float64)
    n, m = len(a), len(b)
    p, exact = _test(a, b, paired, test)
    low, high = _interval(_mean, a - b) if paired else _interval(_mean_difference, a, b)
    return Difference(
        difference=float(a.mean() - b.mean()),
        low=low,
        high=high,
        p=p,
        smallest_p=smallest_p(n, m, paired),
        exact=exact,
        paired=paired,
        delta=cliffs_delta(a, b),
        needed=needed(a, b, paired=paired),
    )


def permutations(n: int, m: int, paired: bool) -> int:
    """How many outcomes a permutation test of n and m values can have."""
    return 2**n if paired else math.comb(n + m, n)


def smallest_p(n: int, m: int, paired: bool) -> float:
    """The smallest two-sided p that the design can reach: both ends of all permutations, or of those that are drawn."""
    count = permutations(n, m, paired)
    return min(1.0, 2 / (count if count <= EXACT_UP_TO else RESAMPLES + 1))


def _mean(x: Array, axis: int = -1) -> Array:
    return np.mean(x, axis=axis)


def _mean_difference(x: Array, y: Array, axis: int = -1) -> Array:
    return np.mean(x, axis=axis) - np.mean(y, axis=axis)


def _rank_sum(x: Array, y: Array, axis: int = -1) -> Array:
    """Mann and Whitney's U: pairs with the first larger, an equal pair for half. Both (..., n) along the last axis."""
    larger = (x[..., :, None] > y[..., None, :]).sum((-1, -2))
    equal = (x[..., :, None] == y[..., None, :]).sum((-1, -2))
    return larger + 0.5 * equal


def _test(x: Array, y: Array, paired: bool, test: str) -> tuple[float, bool]:
    """The two-sided p, and whether it is exact."""
    if min(len(x), len(y)) < 2:
        return math.nan, True
    exact = permutations(len(x), len(y), paired) <= EXACT_UP_TO
    if test == "mann-whitney" and len(np.unique(np.concatenate([x, y]))) == len(x) + len(y):
        return float(stats.mannwhitneyu(x, y, method="exact").pvalue), True
    found = stats.permutation_test(
        (x, y),
        _rank_sum if test == "mann-whitney" else _mean_difference,
        permutation_type="samples" if paired else "independent",
        vectorized=True,
        n_resamples=np.inf if exact else RESAMPLES,
        rng=np.random.default_rng(0),
    )
    return min(1.0, float(found.pvalue)), exact


def _interval(statistic: Callable[..., Array], *samples: Array) -> tuple[float, float]:
    """The BCa bootstrap interval of a statistic of independent samples; NaN where one of them is a single value."""
    if min(map(len, samples)) < 2:
        return math.nan, math.nan
    if all((x == x[0]).all() for x in samples):
        value = float(statistic(*samples))
        return value, value
    found = stats.bootstrap(
        samples,
        statistic,
        confidence_level=1 - LEVEL,
        n_resamples=RESAMPLES,
        method="BCa",
        vectorized=True,
        rng=np.random.default_rng(0),
    )
    low, high = found.confidence_interval
    return float(low), float(high)


def cliffs_delta(x: Sequence[float] | Array, y: Sequence[float] | Array) -> float:
    """The share of pairs (x, y) with x larger, less the share with y larger: from -1 to 1 (Cliff 1993)."""
    a, b = np.asarray(x, np.float64), np.asarray(y, np.float64)
    return float(np.sign(a[:, None] - b[None, :]).mean())


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's (1979) adjusted p values in the order given; a NaN stays one and is not counted.

    The i-th smallest of k is multiplied by k - i + 1, and none is below the one before it.
    """
    adjusted = [math.nan] * len(p_values)
    order = sorted((i for i, p in enumerate(p_values) if not math.isnan(p)), key=lambda i: p_values[i])
    largest = 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * p_values[i]))
        adjusted[i] = largest
    return adjusted


def needed(x: Array, y: Array, *, paired: bool) -> int | None:
    """Values of each group with which a t test finds a difference as large as this one with POWER at LEVEL.

    The power is that of the noncentral t distribution (Cohen 1988, chapter 2). Never fewer than a permutation test
    needs to get below LEVEL at all; None where there is no difference, or no spread to be estimated.
    """
    if min(len(x), len(y)) < 2:
        return None
    difference = abs(float(x.mean() - y.mean()))
    spread = float((x - y).std(ddof=1)) if paired else math.sqrt((x.var(ddof=1) + y.var(ddof=1)) / 2)
    least = next(n for n in range(2, 100) if smallest_p(n, n, paired) <= LEVEL)
    if difference == 0:
        return None
    if spread == 0:
        return least
    effect = difference / spread

    def enough(n: int) -> bool:
        freedom, shift = (n - 1, effect * math.sqrt(n)) if paired else (2 * n - 2, effect * math.sqrt(n / 2))
        critical = stats.t.ppf(1 - LEVEL / 2, freedom)
        power = stats.nct.sf(critical, freedom, shift) + stats.nct.cdf(-critical, freedom, shift)
        return bool(power >= POWER) or (math.isnan(power) and shift > critical + 5)

    high = least
    while not enough(high):
        high *= 2
        if high > LARGEST_SAMPLE:
            return None
    low = max(least, high // 2)
    while low < high:  # the smallest that is enough
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle + 1, high)
    return low
