"""Verdicts from paired differences and from resamples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import t as student

from benchmarks.claims import Verdict, measured, verdict_by
from deepcore.analysis.stats import Paired


def error_bar(paired: Paired) -> list[list[float]]:
    """For matplotlib: how far the interval reaches below and above; nothing without one."""
    if paired.low is None:
        return [[0.0], [0.0]]
    return [[paired.difference - paired.low], [paired.high - paired.difference]]


def by_sign(paired: Paired, what: str, *, wanted: int = 1) -> Verdict:
    """Holds when the whole interval has the wanted sign, does not hold when it has the other one."""
    text = measured(paired.difference, paired.low, paired.high)
    return verdict_by(sign_of(paired.low, paired.high, wanted), what, f"{text}, {paired.n} seeds")


def sign_of(low: float | None, high: float | None, wanted: int = 1) -> bool | None:
    """True when the interval has the wanted sign, False when the other one, None when 0 is in it, or without
    one."""
    if low is None or low <= 0 <= high:
        return None
    return (low > 0) == (wanted > 0)


def interval(values: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """The middle `level` of resamples."""
    low, high = np.nanquantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def bootstrap_mean(
    values: np.ndarray, rng: np.random.Generator, replicates: int = 2000
) -> tuple[float, float]:
    """95% bootstrap interval of the mean of values (n,)."""
    drawn = rng.integers(len(values), size=(replicates, len(values)))
    return interval(values[drawn].mean(axis=1))


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
