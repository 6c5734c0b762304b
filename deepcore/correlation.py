"""Correlation of loss differences: the arithmetic that CLD, LTC and the influence share.

Notation: losses l, (T+1, M), one column a sample; differences d[t] = l[t+1] - l[t], (T, M). The trajectory of
a sample *varies* unless max(d) - min(d) <= 1e-6 * max|l|; one that does not vary has no correlation and
counts as 0. All sums are float64 over centred differences, taken column by column in the order of the
checkpoints, so that a result depends neither on the block that a sample falls into nor on its neighbours.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata

from deepcore.checks import UsageError, check_labels

CORRELATIONS = ("pearson", "spearman")
FLAT = 1e-6  # of max|l|: float32 losses carry about 6e-8, so less than this is their rounding
LEAST = 3  # differences; two always correlate at +1 or -1


def check_length(differences: int, where: str) -> None:
    """At least three differences, or UsageError naming `where`."""
    if differences < LEAST:
        raise UsageError(
            f"{where}: {max(differences, 0)} loss differences per sample, at least {LEAST} are needed "
            "(two always correlate at +1 or -1): record more epochs, raise first, or lower every"
        )


def does_not_vary(losses: np.ndarray) -> np.ndarray:
    """Which columns of `losses`, (T+1, M), have differences that do not vary; (M,) bool. NaN varies."""
    losses = np.asarray(losses, dtype=np.float64)
    differences = np.diff(losses, axis=0)
    return np.ptp(differences, axis=0) <= FLAT * np.abs(losses).max(axis=0)


def standardise(losses: np.ndarray, correlation: str = "pearson") -> tuple[np.ndarray, np.ndarray]:
    """Differences with mean 0 and norm 1 in each column: the product of two columns is their correlation.

    Args:
        losses: l, (T+1, M).
        correlation: "pearson", or "spearman" for the average ranks of the differences instead of their
            values.

    Returns:
        (T, M) float64, and which columns do not vary, (M,) bool; those are 0.
    """
    losses = np.asarray(losses, dtype=np.float64)
    flat = does_not_vary(losses)
    z = np.diff(losses, axis=0)
    if correlation == "spearman":
        z = rankdata(z, axis=0)
    z -= z.mean(axis=0)
    z[:, flat] = 0.0
    norm = np.sqrt(np.square(z).sum(axis=0))
    norm[flat] = 1.0
    z /= norm
    return z, flat


def correlate(
    losses: np.ndarray,
    reference: np.ndarray,
    labels: np.ndarray,
    *,
    correlation: str = "pearson",
    batch: int = 32768,
) -> tuple[np.ndarray, np.ndarray]:
    """Each sample's correlation with the reference of its class: sum_t z_m[t] * reference[t, y_m].

    Reads `losses` once. Memory beyond it: about 80 * batch bytes ("spearman": 40 * T * min(batch, 2048)), and
    the result.

    Args:
        losses: l, (T+1, N), float; may be memory-mapped.
        reference: (T, C), columns with mean 0 (of norm 1, or a mean of such columns).
        labels: y, (N,) int64 in 0..C-1.
        correlation: "pearson" or "spearman"; the reference comes from the same.
        batch: samples per block; changes memory and speed, never the result.

    Returns:
        Scores in [-1, 1], (N,) float64, and which samples do not vary, (N,) bool; those score 0.
    """
    block_scores = _spearman_block if correlation == "spearman" else _pearson_block
    if correlation == "spearman":
        batch = min(batch, 2048)  # its (T, batch) arrays are best left in the cache
    reference = np.ascontiguousarray(reference, dtype=np.float64)
    losses = np.asarray(losses)  # every slice of a np.memmap costs its bookkeeping
    count = losses.shape[1]
    scores, flat = np.empty(count), np.empty(count, dtype=bool)
    for start in range(0, count, batch):
        block = slice(start, min(start + batch, count))
        scores[block], flat[block] = block_scores(losses[:, block], reference, labels[block])
    np.clip(scores, -1.0, 1.0, out=scores)  # rounding may leave 1 + 2e-16
    scores[flat] = 0.0
    return scores, flat


def _pearson_block(
    losses: np.ndarray, reference: np.ndarray, labels: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Row by row, so that all of it stays in the cache; the mean of the differences is known beforehand."""
    count = len(reference)
    mean = (losses[-1].astype(np.float64) - losses[0]) / count
    before, after = losses[0].astype(np.float64), np.empty_like(mean)
    row, product = np.empty_like(mean), np.empty_like(mean)
    squares, dot = np.zeros_like(mean), np.zeros_like(mean)
    for loss, of_class in zip(losses[1:], reference, strict=True):
        after[...] = loss
        np.subtract(after, before, out=row)
        row -= mean
        np.take(of_class, labels, out=product, mode="clip")  # "clip": without it, take buffers its output
        product *= row
        dot += product
        row *= row
        squares += row
        before, after = after, before
    # A spread of twice the threshold, |l| bounded by |l[0]| + sum|d|, needs no second look.
    with np.errstate(divide="ignore", invalid="ignore"):
        bound = np.abs(losses[0]) + np.sqrt(count * (squares + count * np.square(mean)))
        doubtful = np.flatnonzero(~(np.sqrt(squares / count) > FLAT * bound))
        scores = dot / np.sqrt(squares)
    flat = np.zeros(len(mean), dtype=bool)
    flat[doubtful] = does_not_vary(losses[:, doubtful])
    return scores, flat


def _spearman_block(
    losses: np.ndarray, reference: np.ndarray, labels: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    z, flat = standardise(losses, "spearman")
    scores = np.zeros(len(labels))
    for row, of_class in zip(z, reference, strict=True):
        scores += row * of_class[labels]
    return scores, flat


class CLDStream:
    """CLD in one pass: feed it the losses of each checkpoint in turn and store no trajectory.

    Pearson only; every checkpoint fed is used. Equal to `CLD().score` of the same losses (to about 1e-9) by
    the running means and co-moments of Welford. Memory: about 80 * (N + C) bytes, whatever the number of
    checkpoints.

        stream = CLDStream(labels, num_classes)
        for epoch in range(epochs + 1):
            stream.update(train_losses, val_class_means)
        scores = stream.score()

    Args:
        labels: (N,) int in 0..num_classes-1.
        num_classes: C.
    """

    def __init__(self, labels: np.ndarray, num_classes: int) -> None:
        self.labels = check_labels(labels, num_classes, "CLDStream")
        self.num_classes = num_classes
        self._present = np.bincount(self.labels, minlength=num_classes) > 0
        self._samples = _RunningDifferences(len(self.labels))
        self._classes = _RunningDifferences(num_classes)
        self._comoment = np.zeros(len(self.labels))

    def update(self, train_losses: np.ndarray, val_losses: np.ndarray | float) -> None:
        """Take in one checkpoint.

        Args:
            train_losses: (N,), the loss of each sample at this checkpoint.
            val_losses: (C,) mean validation loss of each class (NaN for classes not in the pool), or one
                number for the global trajectory.

        Raises:
            UsageError: wrong shapes, or a loss that is not a finite number; nothing is taken in then.
        """
        train = np.asarray(train_losses, dtype=np.float64)
        val = np.asarray(val_losses, dtype=np.float64)
        if train.shape != self.labels.shape or val.shape not in ((), (self.num_classes,)):
            raise UsageError(
                f"CLDStream.update: losses of shape {train.shape} and {val.shape}; expected "
                f"{self.labels.shape} and ({self.num_classes},) or one number"
            )
        val = np.where(self._present, val, 0.0)
        for what, values in (("sample", train), ("class", val)):
            bad = np.flatnonzero(~np.isfinite(values))
            if bad.size:
                raise UsageError(f"CLDStream.update: the loss of {what} {bad[0]} is {values[bad[0]]}")
        before, _ = self._samples.add(train)
        _, after = self._classes.add(val)
        self._comoment += before * after[self.labels]

    def score(self) -> np.ndarray:
        """The correlations so far, (N,) float64 in [-1, 1]; 0.0 where a trajectory does not vary."""
        check_length(self._samples.count, "CLDStream")
        flat = self._samples.flat() | self._classes.flat()[self.labels]
        norms = np.sqrt(self._samples.squares * self._classes.squares[self.labels])
        return np.clip(self._comoment / np.where(flat, np.inf, norms), -1.0, 1.0)


class _RunningDifferences:
    """Mean, sum of squares about it, and range of the differences of M trajectories, fed by checkpoint."""

    def __init__(self, size: int) -> None:
        self.count = -1  # differences seen; the first checkpoint makes none
        self._last = np.zeros(size)
        self._mean = np.zeros(size)
        self.squares = np.zeros(size)
        self._low, self._high = np.full(size, np.inf), np.full(size, -np.inf)
        self._largest = np.zeros(size)

    def add(self, losses: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Take in (M,) losses; returns the differences less their mean as it was before, and as it is now."""
        difference = losses - self._last
        self._last = losses.copy()
        np.maximum(self._largest, np.abs(losses), out=self._largest)
        self.count += 1
        if self.count == 0:
            return np.zeros_like(losses), np.zeros_like(losses)
        np.minimum(self._low, difference, out=self._low)
        np.maximum(self._high, difference, out=self._high)
        before = difference - self._mean
        self._mean += before / self.count
        after = difference - self._mean
        self.squares += before * after
        return before, after

    def flat(self) -> np.ndarray:
        """Which trajectories do not vary, (M,) bool."""
        return self._high - self._low <= FLAT * self._largest
