"""Whether two means are equal but for a margin, on both sides or on one.

A t test that finds no difference has not shown that there is none. Two one-sided tests (TOST; Schuirmann
1987) ask the other way round: the means count as equal when the (1 - 2 alpha) interval of their difference
lies within the margin, on both sides. Noninferiority asks for its lower end alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy import stats as scipy_stats

from deepcore.analysis.stats import Paired
from deepcore.common.checks import check_positive


@dataclass(frozen=True)
class Equivalence:
    """The answer of a test of equivalence or noninferiority.

    Attributes:
        difference: mean of the differences; None without a common seed.
        low, high: their (1 - 2 alpha) interval, which decides "yes"; None where `Paired` has none.
        far_low, far_high: their (1 - 2 alpha / tests) interval, which decides "no".
        margin: in the unit of the difference.
        answer: True when the first interval lies within the margin, False when all of the second lies
            outside, None (undecided) otherwise and without an interval.
    """

    difference: float | None
    low: float | None
    high: float | None
    far_low: float | None
    far_high: float | None
    margin: float
    answer: bool | None

    @property
    def word(self) -> str:
        """ "yes", "no" or "undecided"."""
        return {True: "yes", False: "no", None: "undecided"}[self.answer]


def equivalence(paired: Paired, margin: float, *, alpha: float = 0.05, tests: int = 1) -> Equivalence:
    """Test whether a paired difference lies within +-margin.

    Args:
        paired: of `paired_difference`.
        margin: above 0, in the unit of the accuracies.
        alpha: of each of the two one-sided tests.
        tests: number of tests of one claim; "no" must hold at alpha / tests (Bonferroni). "Yes" to all of
            them together needs no correction: each of them must be "yes".
    """
    return _test(paired, margin, margin, alpha, tests)


def noninferiority(paired: Paired, margin: float, *, alpha: float = 0.05, tests: int = 1) -> Equivalence:
    """Test whether a paired difference is above -margin; arguments as for `equivalence`."""
    return _test(paired, margin, math.inf, alpha, tests)


def _test(paired: Paired, margin: float, upper: float, alpha: float, tests: int) -> Equivalence:
    """Whether the difference lies between -margin and `upper`."""
    check_positive("margin", margin)
    difference = paired.difference
    if paired.low is None or paired.std is None:
        return Equivalence(difference, None, None, None, None, margin, None)
    error = paired.std / math.sqrt(paired.n)

    def ends(level: float) -> tuple[float, float]:
        half = float(scipy_stats.t.isf(level, paired.n - 1)) * error
        return difference - half, difference + half

    (low, high), (far_low, far_high) = ends(alpha), ends(alpha / tests)
    answer = True if -margin < low and high < upper else None
    if far_high < -margin or far_low > upper:
        answer = False
    return Equivalence(difference, low, high, far_low, far_high, margin, answer)
