"""Whether two means are equal but for a margin: two one-sided tests (TOST; Schuirmann 1987).

A t test that finds no difference has not shown that there is none. TOST asks the other way round: the means
count as equal when the (1 - 2 alpha) interval of their difference lies within the margin, on both sides.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy import stats as scipy_stats

from deepcore.analysis.stats import Paired
from deepcore.common.checks import check_positive


@dataclass(frozen=True)
class Equivalence:
    """The answer of a test of equivalence.

    Attributes:
        difference: mean of the differences; None without a common seed.
        low, high: their (1 - 2 alpha) interval; None where `Paired` has none.
        margin: in the unit of the difference.
        answer: True when the interval lies within the margin, False when all of it lies outside, None
            (undecided) otherwise and without an interval.
    """

    difference: float | None
    low: float | None
    high: float | None
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
    check_positive("margin", margin)
    if paired.low is None or paired.std is None:
        return Equivalence(paired.difference, None, None, margin, None)
    error = paired.std / math.sqrt(paired.n)

    def half(level: float) -> float:
        return float(scipy_stats.t.isf(level, paired.n - 1)) * error

    low, high = paired.difference - half(alpha), paired.difference + half(alpha)
    answer = True if -margin < low and high < margin else None
    if abs(paired.difference) - half(alpha / tests) > margin:
        answer = False
    return Equivalence(paired.difference, low, high, margin, answer)
