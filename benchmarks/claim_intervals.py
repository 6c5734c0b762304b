"""Verdicts from paired differences, with Holm's correction over the tests of a claim, and intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np
from scipy.stats import binomtest
from scipy.stats import t as student

from benchmarks.claims import Verdict, measured, verdict_by
from deepcore.analysis.stats import Paired, holm, paired_difference

Name = TypeVar("Name", str, float)


def error_bar(paired: Paired) -> list[list[float]]:
    """For matplotlib: how far the interval reaches below and above; nothing without one."""
    if paired.low is None:
        return [[0.0], [0.0]]
    return [[paired.difference - paired.low], [paired.high - paired.difference]]


def by_sign(tests: Mapping[str, Paired]) -> list[Verdict]:
    """The verdicts of the tests of one claim, each a difference that is said to be above 0: holds when it is
    (p < 0.05 after Holm over all of them), does not when it is below 0, and cannot be told otherwise."""
    return [
        verdict_by(
            is_above(test),
            what,
            f"{measured(test.difference, test.low, test.high)}, {test.n} seeds, {p_words(test)}",
        )
        for what, test in adjusted(tests).items()
    ]


def adjusted(tests: Mapping[Name, Paired]) -> dict[Name, Paired]:
    """The same tests, their p values adjusted by Holm over all that have one."""
    found = holm({name: test.p for name, test in tests.items() if test.p is not None})
    return {name: replace(test, p_adjusted=found.get(name)) for name, test in tests.items()}


def is_above(test: Paired) -> bool | None:
    """Whether a difference is above 0, by its adjusted p; None when it cannot be told."""
    return {"above": True, "below": False}.get(test.verdict or "")


def p_words(test: Paired) -> str:
    """The adjusted p."""
    if test.p_adjusted is None:
        return "no p"
    return "p < 0.001" if test.p_adjusted < 0.001 else f"p = {test.p_adjusted:.2g}"


def beside(values: Sequence[float], threshold: float) -> Paired:
    """Values over seeds minus a threshold."""
    seeds = dict(enumerate(values))
    return paired_difference(
        {"values": seeds, "threshold": dict.fromkeys(seeds, threshold)}, "values", "threshold"
    )


def share_interval(count: int, of: int) -> tuple[float, float]:
    """The exact 95% interval of a share in percent (Clopper & Pearson 1934)."""
    found = binomtest(count, of).proportion_ci(method="exact")
    return 100 * float(found.low), 100 * float(found.high)


def interval(values: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """The middle `level` of resamples."""
    low, high = np.nanquantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def mean_and_std(values: Sequence[float]) -> str:
    """For tables."""
    spread = f" ± {np.std(values, ddof=1):.2f}" if len(values) > 1 else ""
    return f"{np.mean(values):.2f}{spread}"


def t_interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float, float]:
    """Mean of values over seeds, and its t interval; the mean alone, thrice, when they are equal or one."""
    mean, count = float(np.mean(values)), len(values)
    if count < 2 or np.ptp(values) == 0:
        return mean, mean, mean
    half = float(student.ppf((1 + level) / 2, count - 1) * np.std(values, ddof=1) / np.sqrt(count))
    return mean, mean - half, mean + half
