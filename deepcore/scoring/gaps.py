"""Trajectories with gaps: a sample that was not logged at a checkpoint has NaN there.

Every score here is what it would be had the sample been logged at the checkpoints it has and no others: the
difference of a loss is taken from its last known value, and the class's validation loss over the same two
checkpoints. There are two exceptions: samples of `few` checkpoints, which would come first by chance, and
columns that `KnownForgetting` never saw right. Rows come one by one; memory does not grow with their number.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from deepcore.common.checks import UsageError, check_labels
from deepcore.scoring.correlation import FLAT, LEAST


def few(known: np.ndarray) -> np.ndarray:
    """Samples with fewer than half as many values as the median sample, (N,) bool. Chance alone gives them
    the highest correlations of a pool: 4 differences have +0.6 as easily as 30 have +0.2."""
    return known < np.median(known) / 2


class GapCLD:
    """CLD in one pass over losses with gaps; without gaps it equals `CLDStream`.

    Memory: about 110 * N bytes.

    Args:
        labels: (N,) int in 0..num_classes-1.
        num_classes: C.
    """

    def __init__(self, labels: np.ndarray, num_classes: int) -> None:
        self.labels = check_labels(labels, num_classes, "GapCLD")
        count = len(self.labels)
        self.count = np.full(count, -1)  # differences seen; the first value makes none
        self._last, self._mean, self._squares = np.zeros((3, 2, count))  # of the sample and of its class
        self._low, self._high = np.full((2, count), np.inf), np.full((2, count), -np.inf)
        self._largest = np.zeros((2, count))
        self._comoment = np.zeros(count)

    def update(self, train_losses: np.ndarray, val_losses: np.ndarray | float) -> None:
        """Take in one checkpoint.

        Args:
            train_losses: (N,), NaN where a sample has no value.
            val_losses: (C,) mean validation loss of each class, or one number for the global trajectory.

        Raises:
            UsageError: an infinite loss, or a validation loss that is not finite for a class of the pool.
        """
        train = np.asarray(train_losses, dtype=np.float64)
        known = np.flatnonzero(~np.isnan(train))
        val = np.asarray(val_losses, dtype=np.float64)
        of_class = val[self.labels[known]] if val.ndim else np.full(len(known), float(val))
        values = np.stack([train[known], of_class])
        if not np.isfinite(values).all():
            worst = int(np.flatnonzero(~np.isfinite(values).all(axis=0))[0])
            raise UsageError(
                f"GapCLD.update: sample {known[worst]} has loss {values[0, worst]}, "
                f"its class {values[1, worst]}"
            )
        self.count[known] += 1
        self._largest[:, known] = np.maximum(self._largest[:, known], np.abs(values))
        difference = values - self._last[:, known]
        self._last[:, known] = values
        more = self.count[known] > 0
        rows, difference = known[more], difference[:, more]
        self._low[:, rows] = np.minimum(self._low[:, rows], difference)
        self._high[:, rows] = np.maximum(self._high[:, rows], difference)
        before = difference - self._mean[:, rows]
        self._mean[:, rows] += before / self.count[rows]
        after = difference - self._mean[:, rows]
        self._squares[:, rows] += before * after
        self._comoment[rows] += before[0] * after[1]

    def flat(self) -> np.ndarray:
        """Samples whose sides do not both vary, or with fewer than 3 differences, (N,) bool."""
        with np.errstate(invalid="ignore"):
            still = self._high - self._low <= FLAT * self._largest
        return still.any(axis=0) | (self.count < LEAST)

    def few(self) -> np.ndarray:
        """Samples of `few` differences, (N,) bool."""
        return few(self.count)

    def score(self) -> np.ndarray:
        """The correlations so far, (N,) float64 in [-1, 1]; 0.0 for samples of `flat` and `few`."""
        norms = np.sqrt(self._squares[0] * self._squares[1])
        none = self.flat() | self.few()
        return np.clip(self._comoment / np.where(none, np.inf, norms), -1.0, 1.0)


class KnownMean:
    """Mean of each column over its values that are not NaN; NaN for a column without one."""

    def __init__(self, count: int) -> None:
        self.total, self.known = np.zeros((2, count))

    def add(self, row: np.ndarray) -> None:
        """Take in (N,) values."""
        there = ~np.isnan(row)
        self.total += np.where(there, row, 0.0)
        self.known += there

    def value(self) -> np.ndarray:
        """The means so far, (N,) float64."""
        with np.errstate(invalid="ignore"):
            return self.total / self.known


class KnownForgetting:
    """How often a column's margin was above 0 and at its next known value was not. A column that never was
    above 0 counts the rows, which is the most; one of `few` values only its own."""

    def __init__(self, count: int) -> None:
        self.events, self.known, self.rows = np.zeros(count), np.zeros(count), 0
        self.before, self.learned = np.zeros((2, count), dtype=bool)

    def add(self, margin: np.ndarray) -> None:
        """Take in (N,) margins, NaN where there is none."""
        there, correct = ~np.isnan(margin), margin > 0
        self.events += there & self.before & ~correct
        self.rows += 1
        self.known += there
        self.learned = self.learned | correct
        self.before = np.where(there, correct, self.before)

    def value(self) -> np.ndarray:
        """The counts so far, (N,) float64; NaN for a column without a value."""
        never = np.where(few(self.known), self.known, float(self.rows))
        return np.where(self.known > 0, np.where(self.learned, self.events, never), np.nan)


def mean_of_known(rows: Iterable[np.ndarray], columns: int) -> np.ndarray:
    """`KnownMean` of all rows, (N,) float64."""
    mean = KnownMean(columns)
    for row in rows:
        mean.add(row)
    return mean.value()


class Windows:
    """Every window of `width` consecutive known values of each column, fed row by row.

    Memory: a ring of `width` values a column, 8 * width * N bytes.
    """

    def __init__(self, width: int, columns: int) -> None:
        self.ring = np.zeros((width, columns))
        self.seen = np.zeros(columns, dtype=np.int64)

    def add(self, row: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Take in (N,) values, NaN where there is none; returns the windows that they complete: columns (n,),
        mean and sum((x - mean)^2), (n,) float64, and the number of values of each, (n,)."""
        width = len(self.ring)
        columns = np.flatnonzero(~np.isnan(row))
        self.ring[self.seen[columns] % width, columns] = row[columns]
        self.seen[columns] += 1
        full = columns[self.seen[columns] >= width]
        return full, *_moments(self.ring[:, full], np.full(len(full), width))

    def rest(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """The columns with fewer values than `width`, as one window each of all of them."""
        short = np.flatnonzero((self.seen < len(self.ring)) & (self.seen > 0))
        return short, *_moments(self.ring[:, short], self.seen[short])


def _moments(values: np.ndarray, size: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of the first `size` values of each column, taken from the column's first so that little cancels."""
    held = np.arange(len(values))[:, None] < size
    shifted = np.where(held, values - values[0], 0.0)
    offset = shifted.sum(axis=0) / np.maximum(size, 1)
    squares = np.where(held, (shifted - offset) ** 2, 0.0).sum(axis=0)
    return values[0] + offset, squares, size


class MeanDeviation:
    """Dyn-Unc's score, or DUAL's, of columns with gaps: the mean over windows of the sample standard
    deviation, or of that times (1 - mean); 0 for a column with fewer than two values.

    Args:
        width: values per window.
        columns: N.
        times_one_less_mean: DUAL's factor.
    """

    def __init__(self, width: int, columns: int, *, times_one_less_mean: bool) -> None:
        self.windows = Windows(width, columns)
        self.factor = times_one_less_mean
        self._total, self._count = np.zeros((2, columns))

    def add(self, probabilities: np.ndarray) -> None:
        """Take in (N,) probabilities of the true class, NaN where there is none."""
        columns, values = self._deviations(*self.windows.add(probabilities))
        self._total[columns] += values
        self._count[columns] += 1

    def score(self) -> np.ndarray:
        """The score so far, (N,) float64."""
        columns, values = self._deviations(*self.windows.rest())
        total, count = self._total.copy(), self._count.copy()
        total[columns] += values
        count[columns] += 1
        return total / np.maximum(count, 1)

    def _deviations(
        self, columns: np.ndarray, mean: np.ndarray, squares: np.ndarray, size: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        deviation = np.sqrt(squares / np.maximum(size - 1, 1))
        return columns, deviation * (1.0 - mean) if self.factor else deviation


def mean_deviation(
    probabilities: Iterable[np.ndarray], width: int, columns: int, *, times_one_less_mean: bool
) -> np.ndarray:
    """`MeanDeviation` of all rows, (N,) float64."""
    score = MeanDeviation(width, columns, times_one_less_mean=times_one_less_mean)
    for row in probabilities:
        score.add(row)
    return score.score()
