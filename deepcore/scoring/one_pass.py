"""CLD in one pass over the checkpoints, without a stored trajectory."""

from __future__ import annotations

import numpy as np

from deepcore.common.checks import UsageError, check_labels
from deepcore.scoring.correlation import FLAT, check_length


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
