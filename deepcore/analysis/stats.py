"""Statistics of the accuracies of several methods over seeds.

Everything is a pure function of plain dicts, {method: {seed: accuracy}}, of one fraction (one data set, one
target net). Methods of one seed share split, proxy run, initialisation and data order, so they are compared
by their differences within a seed; only seeds that both have are paired, and `n` says how many.

With fewer than MIN_SEEDS seeds there is no interval, no p value and no verdict (None), and a note says so.
Differences that do not vary over the seeds (to VARIES of the largest accuracy) have no t statistic: their
interval is the point itself and p = 1 when they are 0; otherwise there is no interval, p or verdict, because
accuracies are multiples of one test row and equal differences are no proof of a small spread. A note says so
too. Nothing returns NaN.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats as scipy_stats

from deepcore.common.checks import UsageError, check_choice

Accuracies = Mapping[str, Mapping[int, float]]

MIN_SEEDS = 3
VARIES = 1e-12


@dataclass(frozen=True)
class Summary:
    """Mean, sample standard deviation (n - 1; None for one seed) and number of seeds."""

    mean: float
    std: float | None
    n: int


@dataclass(frozen=True)
class Paired:
    """A method minus its reference, over the seeds that both have.

    Attributes:
        method, reference: names.
        n: number of common seeds.
        difference: mean of the differences; None without a common seed.
        std: their sample standard deviation; None for fewer than two seeds.
        low, high: t interval of the mean difference at `level`; None below MIN_SEEDS, and where the same
            difference occurs in every seed.
        level: of the interval, such as 0.95.
        p: two-sided, of the paired t test; None where the interval is.
        p_adjusted: after Holm over the family of comparisons; None where p is, or before `compare`.
        note: why something is missing or degenerate; "" otherwise.
    """

    method: str
    reference: str
    n: int
    difference: float | None
    std: float | None = None
    low: float | None = None
    high: float | None = None
    level: float = 0.95
    p: float | None = None
    p_adjusted: float | None = None
    note: str = ""

    @property
    def distinguishable(self) -> bool | None:
        """Whether the interval leaves out 0; None without an interval."""
        return None if self.low is None or self.high is None else not self.low <= 0 <= self.high

    @property
    def verdict(self) -> str | None:
        """Where it stands to the reference: "above" or "below" when the adjusted p is under 1 - level, else
        "same"; None without a p."""
        if self.p_adjusted is None or self.difference is None:
            return None
        if self.p_adjusted >= 1 - self.level:
            return "same"
        return "above" if self.difference > 0 else "below"


@dataclass(frozen=True)
class Best:
    """The method of the highest mean, and the differences of the others from it.

    Attributes:
        name: highest mean, see `best`; of equal means the first in the dict.
        to_best: {other method: its paired difference from the best, never adjusted}.
    """

    name: str
    to_best: Mapping[str, Paired]

    def indistinguishable(self) -> dict[str, bool | None]:
        """{other method: its interval to the best contains 0}; None where there is no interval."""
        flags = {name: paired.distinguishable for name, paired in self.to_best.items()}
        return {name: None if flag is None else not flag for name, flag in flags.items()}


@dataclass(frozen=True)
class Ranks:
    """Average ranks over seeds (1 is the best, ties share), and Friedman's test with seeds as blocks.

    Attributes:
        ranks: {method: average rank}; empty without a seed that all methods have.
        n: number of seeds that all methods have.
        statistic, p: Friedman's chi-squared, corrected for ties, and its p value with (methods - 1) degrees
            of freedom; None below MIN_SEEDS or for fewer than three methods. All ranks tied: 0 and 1.
        note: why something is missing; "" otherwise.
    """

    ranks: Mapping[str, float]
    n: int
    statistic: float | None = None
    p: float | None = None
    note: str = ""


def summarise(accuracies: Mapping[int, float]) -> Summary:
    """Mean and sample std of one method over its seeds; UsageError without any."""
    _check({"": accuracies})
    if not accuracies:
        raise UsageError("there is no accuracy to summarise")
    values = list(accuracies.values())
    return Summary(_mean(values), statistics.stdev(values) if len(values) > 1 else None, len(values))


def paired_difference(accuracies: Accuracies, method: str, reference: str, *, level: float = 0.95) -> Paired:
    """The mean over common seeds of d = accuracy(method) - accuracy(reference), with its t interval.

    `mean(d) +- t_{(1 + level) / 2, n - 1} * std(d) / sqrt(n)`, and the p value of `mean(d) sqrt(n) / std(d)`.

    Args:
        accuracies: {method: {seed: accuracy}}, in any unit.
        method, reference: two of its keys.
        level: coverage of the interval, in (0, 1).
    """
    _check(accuracies, method, reference)
    if not 0 < level < 1:
        raise UsageError(f"level is {level}: the coverage of an interval, such as 0.95")
    ours, theirs = accuracies[method], accuracies[reference]
    seeds = sorted(ours.keys() & theirs.keys())
    n = len(seeds)
    missing = _missing({method: ours, reference: theirs}, n)
    differences = [ours[seed] - theirs[seed] for seed in seeds]
    few = "" if n >= MIN_SEEDS else f"{n} common seeds: no interval below {MIN_SEEDS}"
    if n < 2:
        only = differences[0] if differences else None
        return Paired(method, reference, n, only, level=level, note=_join(few, missing))
    mean, std = _mean(differences), statistics.stdev(differences)
    size = max(abs(value) for seed in seeds for value in (ours[seed], theirs[seed]))
    if max(differences) - min(differences) <= VARIES * size:
        mean, std = (0.0 if abs(mean) <= VARIES * size else mean), 0.0
    if n < MIN_SEEDS:
        return Paired(method, reference, n, mean, std, level=level, note=_join(few, missing))
    if std == 0:
        note = _join(f"the same difference for all {n} seeds: no spread to judge it by", missing)
        if mean != 0:
            return Paired(method, reference, n, mean, std, level=level, note=note)
        p, half, missing = 1.0, 0.0, note
    else:
        error = std / math.sqrt(n)
        p = float(2 * scipy_stats.t.sf(abs(mean) / error, n - 1))
        half = float(scipy_stats.t.ppf((1 + level) / 2, n - 1)) * error
    return Paired(method, reference, n, mean, std, mean - half, mean + half, level, p, note=missing)


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Holm's step-down adjustment of m p values: `max_{j <= i} min(1, (m - j + 1) p_(j))` for the i-th
    smallest."""
    adjusted: dict[str, float] = {}
    largest = 0.0
    for rank, name in enumerate(sorted(p_values, key=lambda name: p_values[name])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[name]))
        adjusted[name] = largest
    return {name: adjusted[name] for name in p_values}


def compare(accuracies: Accuracies, reference: str, *, level: float = 0.95) -> dict[str, Paired]:
    """Every other method against `reference`, p values adjusted by Holm over those that have one."""
    _check(accuracies, reference)
    pairs = {
        name: paired_difference(accuracies, name, reference, level=level)
        for name in accuracies
        if name != reference
    }
    adjusted = holm({name: pair.p for name, pair in pairs.items() if pair.p is not None})
    return {name: replace(pair, p_adjusted=adjusted.get(name)) for name, pair in pairs.items()}


def best(accuracies: Accuracies, *, level: float = 0.95) -> Best:
    """The best method by mean, and the paired difference of each other one from it.

    Means are over the seeds that all of them have, because a seed can be easier than another one; over each
    method's own where there is no common seed. Methods of fewer than MIN_SEEDS seeds are left out, unless
    none has more.
    """
    _check(accuracies)
    given = {name: seeds for name, seeds in accuracies.items() if seeds}
    if not given:
        raise UsageError("there is no accuracy to compare")
    given = {name: seeds for name, seeds in given.items() if len(seeds) >= MIN_SEEDS} or given
    common = set.intersection(*(set(seeds) for seeds in given.values()))
    means = {name: _mean([seeds[seed] for seed in sorted(common or seeds)]) for name, seeds in given.items()}
    name = max(means, key=lambda name: means[name])
    others = [other for other in accuracies if other != name]
    return Best(name, {o: paired_difference(accuracies, o, name, level=level) for o in others})


def average_ranks(accuracies: Accuracies) -> Ranks:
    """Ranks of the methods of one fraction within each seed, averaged over the seeds that all have."""
    return average_ranks_over({"": accuracies})


def average_ranks_over(fractions: Mapping[object, Accuracies]) -> Ranks:
    """Ranks within each seed and fraction, averaged over the fractions, then over the seeds.

    Friedman's test ranks the averages over fractions anew within each seed (its blocks): with the fractions
    of one seed as blocks of their own, one split would be counted several times.

    Args:
        fractions: {fraction: {method: {seed: accuracy}}}, the same methods at each.
    """
    if not fractions:
        raise UsageError("there is no accuracy to rank")
    methods = list(next(iter(fractions.values())))
    for fraction, accuracies in fractions.items():
        _check(accuracies)
        if set(accuracies) != set(methods):
            odd = ", ".join(sorted(set(accuracies) ^ set(methods)))
            raise UsageError(f"fraction {fraction}: ranks need the same methods at every fraction, not {odd}")
    by_name = [accuracies[name] for accuracies in fractions.values() for name in methods]
    seeds = sorted(set.intersection(*(set(found) for found in by_name))) if by_name else []
    missing = _missing(dict(enumerate(by_name)), len(seeds))
    if not seeds:
        return Ranks({}, 0, note=_join("no seed that all methods have", missing))
    ranks = np.mean([_ranks(accuracies, methods, seeds) for accuracies in fractions.values()], axis=0)
    averages = dict(zip(methods, ranks.mean(axis=0).tolist(), strict=True))
    if len(seeds) < MIN_SEEDS:
        few = f"{len(seeds)} common seeds: no test below {MIN_SEEDS}"
        return Ranks(averages, len(seeds), note=_join(few, missing))
    if len(methods) < 3:
        note = _join(f"{len(methods)} methods: Friedman's test needs three", missing)
        return Ranks(averages, len(seeds), note=note)
    statistic, p = _friedman(ranks)
    return Ranks(averages, len(seeds), statistic, p, missing)


def _ranks(accuracies: Accuracies, methods: Sequence[str], seeds: Sequence[int]) -> np.ndarray:
    """(seeds, methods); 1 for the highest accuracy, ties share their average."""
    table = np.array([[accuracies[name][seed] for name in methods] for seed in seeds])
    return scipy_stats.rankdata(-table, axis=1)


def _friedman(ranks: np.ndarray) -> tuple[float, float]:
    """Friedman's statistic and p of (blocks, treatments); (0, 1) when every block is tied throughout."""
    if np.all(ranks == ranks[:, :1]):
        return 0.0, 1.0
    statistic, p = scipy_stats.friedmanchisquare(*ranks.T)
    return float(statistic), float(p)


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _check(accuracies: Accuracies, *names: str) -> None:
    """`names` are methods of `accuracies`, and every accuracy is a finite number."""
    for name in names:
        check_choice("method", name, accuracies)
    for name, seeds in accuracies.items():
        for seed, value in seeds.items():
            if not math.isfinite(value):
                raise UsageError(
                    f"the accuracy of {name} with seed {seed} is {value}: give finished rows only"
                )


def _missing(found: Mapping[object, Mapping[int, float]], n: int) -> str:
    """A note when some seeds could not be paired."""
    seeds = set().union(*found.values()) if found else set()
    return f"{n} of {len(seeds)} seeds are common to all compared" if len(seeds) > n else ""


def _join(*notes: str) -> str:
    return "; ".join(note for note in notes if note)
