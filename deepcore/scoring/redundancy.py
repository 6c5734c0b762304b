"""Scores minus redundancy: a quadratic objective over a sparse graph of similarities (InfoMax)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

ITERATIONS = 500
TOLERANCE = 1e-10  # of the objective, between two iterations


@dataclass(frozen=True)
class Redundancy:
    """F(x) = sum_i s_i x_i - a sum_(i, j) K_ij x_i x_j, over directed edges (i, j).

    Attributes:
        scores: s, (n,) float64.
        sources, targets: (E,) int64, the ends of each edge.
        similarities: K, (E,) float64.
        weight: a, at least 0.
    """

    scores: np.ndarray
    sources: np.ndarray
    targets: np.ndarray
    similarities: np.ndarray
    weight: float

    def value(self, x: np.ndarray) -> float:
        """F(x) for x (n,)."""
        pairs = self.similarities * x[self.sources] * x[self.targets]
        return float(self.scores @ x - self.weight * pairs.sum())

    def gradient(self, x: np.ndarray) -> np.ndarray:
        """s - a (K + K') x, (n,)."""
        return self.scores - self.weight * self._through(self.similarities, x)

    def curvature(self) -> float:
        """A bound on the norm of a (K + K'): its largest row sum of absolute values."""
        sums = self._through(np.abs(self.similarities), np.ones_like(self.scores))
        return self.weight * float(sums.max())

    def _through(self, values: np.ndarray, x: np.ndarray) -> np.ndarray:
        """(K + K') x for the edge values K."""
        n = len(self.scores)
        out = np.bincount(self.sources, weights=values * x[self.targets], minlength=n)
        return out + np.bincount(self.targets, weights=values * x[self.sources], minlength=n)


def ascend(objective: Redundancy, k: int, *, iterations: int = ITERATIONS) -> np.ndarray:
    """A maximum of F over 0 <= x <= 1, sum x = k, by projected gradient ascent from x = k / n.

    The step is 1 / `curvature`, so that F never falls. F need not be concave: the maximum is a local one. The
    ascent ends when F gains less than 1e-10 of its size, or after `iterations`.

    Args:
        objective: F over n rows.
        k: 0 <= k <= n.

    Returns:
        x, (n,) float64.
    """
    n = len(objective.scores)
    x = np.full(n, k / n)
    bound = objective.curvature()
    if bound == 0:  # nothing but scores: the k largest
        x = np.zeros(n)
        x[np.argsort(-objective.scores, kind="stable")[:k]] = 1.0
        return x
    reached = objective.value(x)
    for _ in range(iterations):
        moved = project(x + objective.gradient(x) / bound, k)
        value = objective.value(moved)
        gained, x, reached = value - reached, moved, value
        if gained <= TOLERANCE * max(abs(value), 1e-12):
            break
    return x


def project(y: np.ndarray, k: float) -> np.ndarray:
    """The point of {0 <= x <= 1, sum x = k} nearest to y (n,): clip(y - tau, 0, 1) for one tau.

    The sum of clip(y - tau, 0, 1) falls with tau and is linear between the values y_i and y_i - 1. The two
    of these that enclose k are found by bisection, and tau is interpolated: it is exact.
    """
    ends = np.sort(np.concatenate([y, y - 1.0]))

    def total(tau: float) -> float:
        return float(np.clip(y - tau, 0.0, 1.0).sum())

    low, high = 0, len(ends) - 1  # total(ends[low]) >= k >= total(ends[high])
    while high - low > 1:
        middle = (low + high) // 2
        if total(ends[middle]) >= k:
            low = middle
        else:
            high = middle
    above, below = total(ends[low]), total(ends[high])
    share = (above - k) / (above - below) if above > below else 0.0
    return np.clip(y - (ends[low] + share * (ends[high] - ends[low])), 0.0, 1.0)
