"""The smallest share of the data that gives an accuracy: by interpolation, with a bootstrap interval."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from deepcore.analysis.stats import MIN_SEEDS
from deepcore.common.checks import UsageError, check_positive

Curve = Mapping[float, Mapping[int, float]]  # {fraction: {seed: accuracy}}; 1.0 is all data


@dataclass(frozen=True)
class MinFraction:
    """Smallest fraction whose accuracy is within a tolerance of that of all data.

    Attributes:
        fraction: the estimate, in (0, 1]; the smallest fraction measured where that one is enough already.
        low, high: percentile bootstrap interval over seeds; None below MIN_SEEDS.
        n: seeds.
        at_edge: the smallest fraction measured is enough, so the true one may be smaller.
    """

    fraction: float
    low: float | None
    high: float | None
    n: int
    at_edge: bool


def crossing(fractions: np.ndarray, accuracies: np.ndarray, target: float) -> float:
    """Where a curve first reaches `target`: the smallest fraction, linear between those measured.

    The curve is first made increasing by isotonic regression (least squares), because more data of the same
    choice should not be worse, and single points are noisy.

    Args:
        fractions: (F,) ascending, the last is 1.0.
        accuracies: (F,) means over seeds.
        target: at most the last accuracy, or 1.0 is returned.
    """
    from sklearn.isotonic import isotonic_regression

    curve = isotonic_regression(accuracies)
    above = np.flatnonzero(curve >= target)
    if not above.size:
        return 1.0
    i = int(above[0])
    if i == 0:
        return float(fractions[0])
    share = (target - curve[i - 1]) / (curve[i] - curve[i - 1])
    return float(fractions[i - 1] + share * (fractions[i] - fractions[i - 1]))


def min_fraction(
    curve: Curve, tolerance: float, rng: np.random.Generator, *, level: float = 0.95, draws: int = 2000
) -> MinFraction:
    """The smallest fraction within `tolerance` of all data, over the seeds that every fraction has.

    Args:
        curve: with fraction 1.0.
        tolerance: in the unit of the accuracies.
        rng: draws seeds with replacement; accuracies of a seed stay together.
        level: coverage of the interval.
        draws: of the bootstrap.
    """
    check_positive("tolerance", tolerance)
    if 1.0 not in curve or len(curve) < 2:
        raise UsageError("the smallest fraction needs the accuracy of all data (1.0) and of one fraction")
    seeds = sorted(set.intersection(*(set(found) for found in curve.values())))
    if not seeds:
        raise UsageError("no seed has all fractions")
    fractions = np.array(sorted(curve))
    table = np.array([[curve[f][seed] for f in fractions] for seed in seeds])  # (seeds, F)

    def estimate(of: np.ndarray) -> float:
        means = of.mean(axis=0)
        return crossing(fractions, means, means[-1] - tolerance)

    found, n = estimate(table), len(seeds)
    low = high = None
    if n >= MIN_SEEDS:
        drawn = [estimate(table[rng.integers(n, size=n)]) for _ in range(draws)]
        low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2]).tolist()
    return MinFraction(found, low, high, n, found == fractions[0])
