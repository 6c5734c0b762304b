"""Scores minus redundancy: a quadratic objective over a sparse graph of similarities (InfoMax)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

ITERATIONS = 100  # of the ascent: exchanges of rows find what it leaves
TOLERANCE = 1e-6  # of the objective, between two iterations
LEAST_GAIN = 1e-10  # of an exchange, as a share of the largest slope
SNAP = 1e-9  # an entry this close to 0 or 1 is there


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

    def neighbours(self) -> Neighbours:
        """The symmetric weights, for moves of single rows."""
        return Neighbours(self)

    def _through(self, values: np.ndarray, x: np.ndarray) -> np.ndarray:
        """(K + K') x for the edge values K."""
        n = len(self.scores)
        out = np.bincount(self.sources, weights=values * x[self.targets], minlength=n)
        return out + np.bincount(self.targets, weights=values * x[self.sources], minlength=n)


def ascend(objective: Redundancy, k: int, *, iterations: int = ITERATIONS) -> np.ndarray:
    """A maximum of F over 0 <= x <= 1, sum x = k, by projected gradient ascent from x = k / n.

    The step is 1 / `curvature`, so that F never falls. F need not be concave: the maximum is a local one. The
    ascent ends when F gains less than 1e-6 of its size, or after `iterations`.

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


def rounded(objective: Redundancy, x: np.ndarray, order: np.ndarray) -> np.ndarray:
    """A subset from fractional choices, by pipage rounding: F does not fall where no similarity is negative.

    Of two fractional entries one grows and the other shrinks by the same amount until one of them is 0 or 1.
    Along such a line F is a parabola that opens upwards (its second derivative is 2 a (K_ij + K_ji)), so that
    one of its two ends is at least as good as where it began; the better end is taken, the first entry's
    growth where they are equal.

    Args:
        objective: F over n rows.
        x: (n,) in [0, 1], with a whole sum k.
        order: (n,) the order in which entries are paired.

    Returns:
        (n,) bool, k of them true.
    """
    k, x, slope = round(float(x.sum())), x.copy(), objective.gradient(x)
    neighbours = objective.neighbours()
    first = -1
    for second in order.tolist():
        if not SNAP < x[second] < 1 - SNAP:
            continue
        if first < 0:
            first = second
            continue
        lean, bend = float(slope[first] - slope[second]), neighbours.between(first, second)
        up, down = min(1 - x[first], x[second]), -min(x[first], 1 - x[second])
        by = up if up * lean + up**2 * bend >= down * lean + down**2 * bend else down
        for i, step in ((first, by), (second, -by)):
            x[i] += step
            neighbours.move(slope, i, step)
        left = [i for i in (first, second) if SNAP < x[i] < 1 - SNAP]
        first = left[0] if left else -1
    chosen = np.zeros(len(x), dtype=bool)
    chosen[order[np.argsort(-x[order], kind="stable")[:k]]] = True
    return chosen


def exchanged(objective: Redundancy, chosen: np.ndarray) -> np.ndarray:
    """A subset at least as good: the best exchange of one row inside for one outside, as long as F rises.

    An exchange of i for j changes F by slope_j - slope_i + a (K_ij + K_ji), slope the gradient. The best one
    is between the row inside of the lowest slope and the row outside of the highest, or between two
    neighbours: all edges are looked at. Ties go to the lower positions.

    Args:
        chosen: (n,) bool.

    Returns:
        (n,) bool, as many of them true.
    """
    chosen, neighbours = chosen.copy(), objective.neighbours()
    if chosen.all() or not chosen.any():
        return chosen
    rows = np.repeat(np.arange(len(chosen)), np.diff(neighbours.starts))
    slope = objective.gradient(chosen.astype(np.float64))
    least = LEAST_GAIN * max(float(np.abs(slope).max()), 1e-12)
    for _ in range(len(chosen)):
        out = int(np.where(chosen, slope, np.inf).argmin())
        into = int(np.where(chosen, -np.inf, slope).argmax())
        gain = slope[into] - slope[out] + neighbours.between(out, into)
        crossing = chosen[rows] & ~chosen[neighbours.columns]
        if crossing.any():
            i, j = rows[crossing], neighbours.columns[crossing]
            gains = slope[j] - slope[i] + neighbours.values[crossing]
            best = int(gains.argmax())
            if gains[best] > gain:
                gain, out, into = gains[best], int(i[best]), int(j[best])
        if gain <= least:
            break
        neighbours.move(slope, out, -1.0)
        neighbours.move(slope, into, 1.0)
        chosen[out], chosen[into] = False, True
    return chosen


class Neighbours:
    """The symmetric weights a (K + K'), row by row.

    Args:
        objective: whose weights they are.
    """

    def __init__(self, objective: Redundancy) -> None:
        n = len(objective.scores)
        ends = objective.sources, objective.targets
        pairs = sparse.coo_array((objective.weight * objective.similarities, ends), shape=(n, n))
        pairs = (pairs + pairs.T).tocsr()
        self.starts, self.columns, self.values = pairs.indptr, pairs.indices, pairs.data

    def between(self, i: int, j: int) -> float:
        """a (K_ij + K_ji)."""
        edges = slice(self.starts[i], self.starts[i + 1])
        return float(self.values[edges][self.columns[edges] == j].sum())

    def move(self, slope: np.ndarray, i: int, by: float) -> None:
        """Bring the gradient `slope` up to date with x_i += by."""
        edges = slice(self.starts[i], self.starts[i + 1])
        slope[self.columns[edges]] -= by * self.values[edges]


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
