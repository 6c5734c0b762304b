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


def increasing(curves: np.ndarray) -> np.ndarray:
    """The increasing curves nearest to given ones in least squares (isotonic regression), (..., F).

    y_i = max over a <= i of min over b >= i of mean(x_a .. x_b), Robertson, Wright and Dykstra 1988, 1.4.
    """
    size = curves.shape[-1]
    sums = np.concatenate([np.zeros((*curves.shape[:-1], 1)), np.cumsum(curves, axis=-1)], axis=-1)
    places = np.arange(size)
    counts = places[None, :] - places[:, None] + 1  # of the rows a .. b
    with np.errstate(divide="ignore", invalid="ignore"):
        means = (sums[..., None, 1:] - sums[..., :-1, None]) / counts
    means = np.where(counts > 0, means, np.inf)
    least = np.minimum.accumulate(means[..., ::-1], axis=-1)[..., ::-1]  # over b >= i, for each a
    return np.where(counts > 0, least, -np.inf).max(axis=-2)


def crossing(fractions: np.ndarray, accuracies: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Where curves first reach their targets: the smallest fractions, linear between those measured.

    A curve is first made increasing, because more data of the same choice should not be worse, and single
    points are noisy.

    Args:
        fractions: (F,) ascending, the last is 1.0.
        accuracies: (..., F) means over seeds.
        targets: (...,); 1.0 is returned where a curve does not reach its own.
    """
    curves = increasing(np.asarray(accuracies, np.float64))
    reached = curves >= np.asarray(targets)[..., None]
    at = np.where(reached.any(axis=-1), reached.argmax(axis=-1), len(fractions) - 1)
    before = np.maximum(at - 1, 0)
    low, high = (np.take_along_axis(curves, i[..., None], -1)[..., 0] for i in (before, at))
    rise = np.where(high > low, high - low, 1.0)
    share = np.where(high > low, np.clip((targets - low) / rise, 0.0, 1.0), 1.0)
    return fractions[before] + share * (fractions[at] - fractions[before])


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

    def estimate(means: np.ndarray) -> np.ndarray:
        return crossing(fractions, means, means[..., -1] - tolerance)

    found, n = float(estimate(table.mean(axis=0))), len(seeds)
    low = high = None
    if n >= MIN_SEEDS:
        drawn = estimate(table[rng.integers(n, size=(draws, n))].mean(axis=1))
        low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2]).tolist()
    return MinFraction(found, low, high, n, found == fractions[0])
