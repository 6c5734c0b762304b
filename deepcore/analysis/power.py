"""What a number of seeds finds: the power of the paired t test after Holm's correction.

The differences of a method from Random over n seeds are taken as normal with a standard deviation s. A true
difference d is found with probability

    P(T > t_{1 - a / 2, n - 1}),  T noncentral t with n - 1 degrees of freedom and noncentrality d sqrt(n) / s

where a = (1 - LEVEL) / m for m compared methods: a two-sided test, which finds the method on its right side,
at what Holm's correction asks of the smallest p value. It asks less of the others, so the power is at least
this, whatever the other methods do.
"""

from __future__ import annotations

import functools
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from scipy import optimize
from scipy import stats as scipy_stats

from deepcore.analysis.stats import MIN_SEEDS, Paired

POWER, LEVEL = 0.8, 0.95
MOST_SEEDS = 100_000  # above it the answer is "more"


def power(difference: float, std: float, n: int, comparisons: int = 1) -> float:
    """The probability that n seeds show a true difference.

    Args:
        difference: of the means, in any unit.
        std: standard deviation of the difference over seeds, above 0, in the same unit.
        n: seeds, at least 2.
        comparisons: methods compared with Random, which Holm's correction is over.
    """
    return _power(abs(difference) * math.sqrt(n) / std, n, comparisons)


def smallest_shown(std: float, n: int, comparisons: int = 1) -> float | None:
    """The smallest true difference that n seeds show with probability POWER; arguments as in `power`. None
    below MIN_SEEDS seeds."""
    return std * _noncentrality(n, comparisons) / math.sqrt(n) if n >= MIN_SEEDS else None


def seeds_needed(difference: float, std: float, comparisons: int = 1) -> int | None:
    """The fewest seeds, at least MIN_SEEDS, that show a true difference with probability POWER; arguments as
    in `power`. None for more than MOST_SEEDS."""
    low, high = MIN_SEEDS - 1, MIN_SEEDS
    while power(difference, std, high, comparisons) < POWER:
        if high == MOST_SEEDS:
            return None
        low, high = high, min(2 * high, MOST_SEEDS)
    while high - low > 1:
        middle = (low + high) // 2
        if power(difference, std, middle, comparisons) < POWER:
            low = middle
        else:
            high = middle
    return high


def typical_std(pairs: Sequence[Paired]) -> float | None:
    """The median over methods of the standard deviation of their difference from Random.

    A sample standard deviation s of few seeds is more often below the true one than above it. Each is divided
    by the median of its distribution, sqrt(chi2_{0.5, n - 1} / (n - 1)), so that it is above as often as
    below. None without a method of MIN_SEEDS seeds whose differences vary.
    """
    found = [pair.std / _median_ratio(pair.n) for pair in pairs if pair.std and pair.n >= MIN_SEEDS]
    return statistics.median(found) if found else None


def _power(noncentrality: float, n: int, comparisons: int) -> float:
    limit = scipy_stats.t.isf((1 - LEVEL) / comparisons / 2, n - 1)
    found = scipy_stats.nct.sf(limit, n - 1, noncentrality)
    if math.isfinite(found):
        return float(found)
    return float(scipy_stats.norm.sf(limit - noncentrality))  # beyond what the noncentral t is computed for


@dataclass(frozen=True)
class Reach:
    """The true difference that n seeds find in a family of comparisons with Random.

    Attributes:
        methods: compared, which Holm's correction is over.
        n: seeds.
        std: typical standard deviation of a difference over seeds (`typical_std`).
        shown: the true difference that they find with probability POWER, see `smallest_shown`.
    """

    methods: int
    n: int
    std: float
    shown: float


def reach(pairs: Sequence[Paired]) -> tuple[Reach, ...]:
    """The reach of methods' differences from Random for each number of seeds that methods have, the most
    seeds first; empty where no method has a p value and a spread."""
    tested = [pair for pair in pairs if pair.p is not None]
    std, m = typical_std(tested), len(tested)
    if std is None:
        return ()
    counts = sorted({pair.n for pair in tested}, reverse=True)
    return tuple(Reach(m, n, std, smallest_shown(std, n, m)) for n in counts)


@functools.cache
def _median_ratio(n: int) -> float:
    """The median of a sample standard deviation of n values over the true one."""
    return math.sqrt(scipy_stats.chi2.ppf(0.5, n - 1) / (n - 1))


@functools.cache
def _noncentrality(n: int, comparisons: int) -> float:
    """The noncentrality at which the power is POWER."""
    high = 1.0
    while _power(high, n, comparisons) < POWER:
        high *= 2
    return float(optimize.brentq(lambda x: _power(x, n, comparisons) - POWER, 0.0, high, xtol=1e-9))
