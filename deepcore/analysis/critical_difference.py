"""Ranks of methods over data sets, and the difference of ranks that counts (Demsar 2006, JMLR 7).

Data sets are the blocks. A method's rank on a data set comes from its accuracy there, 1 for the highest, ties
share their average. Friedman's test asks whether the average ranks differ at all. Nemenyi's test then calls
two methods different when their average ranks differ by at least

    CD = q sqrt(k (k + 1) / (6 N))

for k methods and N data sets, where q is the upper 5% point of the studentized range of k groups with
infinitely many degrees of freedom, over sqrt(2).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass

from scipy import stats as scipy_stats

from deepcore.analysis.stats import Ranks, average_ranks
from deepcore.common.checks import UsageError

MIN_DATA_SETS = 3


@dataclass(frozen=True)
class RankDifferences:
    """Average ranks over data sets.

    Attributes:
        ranks: {method: average rank} with Friedman's test, see `Ranks`; the blocks are data sets.
        critical: the smallest difference of average ranks that Nemenyi's test calls one.
        groups: maximal runs of methods, best first, within which no two differ.
    """

    ranks: Ranks
    critical: float
    groups: tuple[tuple[str, ...], ...]


def nemenyi(methods: int, data_sets: int, level: float = 0.95) -> float:
    """The critical difference of the average ranks of at least two methods over the data sets."""
    q = scipy_stats.studentized_range.ppf(level, methods, math.inf) / math.sqrt(2)
    return float(q * math.sqrt(methods * (methods + 1) / (6 * data_sets)))


def rank_differences(accuracies: Mapping[str, Mapping[str, float]]) -> RankDifferences:
    """The ranks of {method: {data set: accuracy}}, over the data sets that all methods have.

    Raises:
        UsageError: an accuracy that is not finite; fewer than two methods, or fewer than MIN_DATA_SETS data
            sets that all have.
    """
    for method, found in accuracies.items():
        for name, value in found.items():
            if not math.isfinite(value):
                raise UsageError(f"the accuracy of {method} on {name} is {value}: give finished rows only")
    names = list(dict.fromkeys(name for found in accuracies.values() for name in found))
    numbered = {m: {names.index(name): v for name, v in found.items()} for m, found in accuracies.items()}
    ranks = average_ranks(numbered)
    ranks = dataclasses.replace(ranks, note=ranks.note.replace("seed", "data set"))  # its blocks
    if len(accuracies) < 2 or ranks.n < MIN_DATA_SETS:
        raise UsageError(
            f"ranks over data sets need two methods and {MIN_DATA_SETS} data sets, not {len(accuracies)} and "
            f"{ranks.n}"
        )
    critical = nemenyi(len(accuracies), ranks.n)
    return RankDifferences(ranks, critical, _groups(ranks.ranks, critical))


def _groups(ranks: Mapping[str, float], critical: float) -> tuple[tuple[str, ...], ...]:
    """Maximal runs of methods whose first and last rank differ by less than `critical`."""
    order = sorted(ranks, key=lambda name: ranks[name])
    runs: list[tuple[str, ...]] = []
    for start, name in enumerate(order):
        run = tuple(other for other in order[start:] if ranks[other] - ranks[name] < critical)
        if not runs or runs[-1][-1] != run[-1]:
            runs.append(run)
    return tuple(runs)
