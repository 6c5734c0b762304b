"""CLD in one pass over the checkpoints, without stored trajectories.

With d[t] = l[t] - l[t-1] for t = 1..T, every difference is taken from the sample's own first one:
x[t] = d[t] - d[1]. Then

    sum (d - mean d)(v - mean v) = sum x w - T mean(x) mean(w),    mean(x) = (l[T] - l[0]) / T - d[1],

w being the same for the class. d[1] lies no further from the mean than sqrt(T) standard deviations, so the
subtraction costs at most a factor T of float64's precision, however large the mean is; and unlike a running
mean, which every checkpoint reads and writes, it is constant. Sums and differences are float64; the first and
last loss have the type of the losses.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from deepcore.common.checks import UsageError, check_labels, check_positive
from deepcore.scoring.correlation import FLAT, check_length

BLOCK = 32768  # samples handled at once: two such arrays stay in the cache, and a call costs little beside it
CHECKPOINTS = 200_000  # up to which the rule of what varies is exact; see _Trajectories._watch


class CLDStream:
    """CLD in one pass: feed it the losses of each checkpoint in turn and store no trajectory.

    Pearson only; every checkpoint fed is used. Equal to `CLD().score` of the same losses (to about 1e-9).
    Memory: 40 * N bytes for float32 losses and 48 * N for others, 32 * N more at most for trajectories that
    have hardly varied yet, and as much per class; whatever the number of checkpoints.

        stream = CLDStream(labels, num_classes)
        for epoch in range(epochs + 1):
            stream.update(train_losses, val_class_means)
        scores = stream.score()

    Args:
        labels: (N,) int in 0..num_classes-1.
        num_classes: C.
    """

    def __init__(self, labels: np.ndarray, num_classes: int) -> None:
        check_positive("CLDStream: num_classes", num_classes, whole=True)
        self.labels = check_labels(labels, num_classes, "CLDStream")
        self.num_classes = num_classes
        self._present = np.bincount(self.labels, minlength=num_classes) > 0
        self._count = 0  # checkpoints taken in
        self._samples = _Trajectories(len(self.labels))
        self._classes = _Trajectories(num_classes)
        self._products = np.zeros(len(self.labels))  # sum of x w

    def update(self, train_losses: np.ndarray, val_losses: np.ndarray | float) -> None:
        """Take in one checkpoint.

        Args:
            train_losses: (N,), the loss of each sample at this checkpoint; read, not kept.
            val_losses: (C,) mean validation loss of each class (NaN for classes not in the pool), or one
                number for the global trajectory.

        Raises:
            UsageError: wrong shapes, or a loss that is not a finite number; nothing is taken in then.
        """
        train = np.asarray(train_losses)
        train = train if train.dtype == np.float32 else train.astype(np.float64)
        val = np.asarray(val_losses, dtype=np.float64)
        if train.shape != self.labels.shape or val.shape not in ((), (self.num_classes,)):
            raise UsageError(
                f"CLDStream.update: losses of shape {train.shape} and {val.shape}; expected "
                f"{self.labels.shape} and ({self.num_classes},) or one number"
            )
        val = np.where(self._present, val, 0.0)
        for what, losses in (("sample", train), ("class", val)):
            if not np.isfinite(losses).all():
                bad = np.flatnonzero(~np.isfinite(losses))[0]
                raise UsageError(f"CLDStream.update: the loss of {what} {bad} is {losses[bad]}")
        of_class = np.empty(self.num_classes)
        self._classes.hold(val.dtype)
        self._samples.hold(train.dtype)
        for block, w, spare in _blocks(self.num_classes):
            self._classes.add(val[block], block, self._count, w, spare)
            of_class[block] = w
        for block, x, spare in _blocks(len(train)):
            self._samples.add(train[block], block, self._count, x, spare)
            np.take(of_class, self.labels[block], out=spare, mode="clip")  # otherwise take buffers its output
            spare *= x
            self._products[block] += spare
        self._count += 1

    def score(self) -> np.ndarray:
        """The correlations so far, (N,) float64 in [-1, 1]; 0.0 where a trajectory does not vary."""
        count = self._count - 1
        check_length(count, "CLDStream")
        blocks = [self._classes.moments(block, count) for block, *_ in _blocks(self.num_classes)]
        mean_w, norm_w = map(np.concatenate, zip(*blocks, strict=True))
        scores = np.empty(len(self.labels))
        for block, comoment, spare in _blocks(len(scores)):
            labels = self.labels[block]
            mean_x, norm_x = self._samples.moments(block, count)
            comoment[...] = self._products[block] - count * mean_x * mean_w[labels]
            np.multiply(norm_x, norm_w[labels], out=spare)
            np.divide(comoment, spare, out=scores[block])
        return np.clip(scores, -1.0, 1.0, out=scores)

    def state(self) -> dict[str, np.ndarray]:
        """Everything that `update` changes, by name, for a file; read, not to be written."""
        parts = {"sample": self._samples, "class": self._classes}
        held = {f"{name}_{key}": a for name, part in parts.items() for key, a in part.state().items()}
        return {**held, "products": self._products, "count": np.array(self._count)}

    def load(self, state: Mapping[str, np.ndarray]) -> None:
        """Go on from `state`; KeyError or ValueError where it is not of such a stream."""
        self._samples.load({key: state[f"sample_{key}"] for key in _Trajectories.KEPT})
        self._classes.load({key: state[f"class_{key}"] for key in _Trajectories.KEPT})
        if state["products"].shape != self._products.shape:
            raise ValueError(f"a state of {state['products'].shape} samples")
        self._products, self._count = state["products"].copy(), int(state["count"])


class _Watched(NamedTuple):
    """Trajectories of a block that may turn out not to vary."""

    positions: np.ndarray  # in the block
    low: np.ndarray  # range of d
    high: np.ndarray
    largest: np.ndarray  # |l|


class _Trajectories:
    """What is kept of M loss trajectories."""

    KEPT = ("first", "last", "shift", "squares", "watched", "low", "high", "largest")

    def __init__(self, size: int) -> None:
        self._first, self._last = np.zeros((2, size), np.float32)
        self._shift = np.zeros(size)  # d[1]
        self._squares = np.zeros(size)  # sum of x^2
        self._watched: dict[int, _Watched] = {}  # by the start of the block

    def hold(self, kind: np.dtype) -> None:
        """Make room for losses of this type, float32 or float64, before `add`."""
        if kind == np.float64 and self._last.dtype != kind:
            self._first, self._last = self._first.astype(kind), self._last.astype(kind)

    def add(self, losses: np.ndarray, block: slice, t: int, x: np.ndarray, spare: np.ndarray) -> None:
        """Take in the losses of a block, (m,), at checkpoint t = 0, 1, ..., and write its x[t] (0 at t = 0).

        `x` and `spare` are overwritten, (m,) float64.
        """
        x[...] = losses
        spare[...] = self._last[block]
        x -= spare
        self._last[block] = losses
        if t == 0:
            self._first[block] = losses
            x[...] = 0.0
            return
        if t == 1:
            self._shift[block] = x
        if t == 2:
            d = self._shift[block]
            largest = np.maximum(np.abs(self._first[block]), np.abs(spare))
            self._watched[block.start] = _Watched(np.arange(len(d)), d, d, largest)
        if block.start in self._watched:
            self._watch(block, x, losses)
        x -= self._shift[block]
        np.multiply(x, x, out=spare)
        self._squares[block] += spare

    def _watch(self, block: slice, d: np.ndarray, losses: np.ndarray) -> None:
        """Follow the range of d and the largest |l| of what may turn out not to vary.

        At T > t, |l| <= max|l[..t]| + (T - t)(|d[1]| + X) with X the largest |x| by then, and the range is
        X at least. While T - t <= CHECKPOINTS, one |x| beyond the bound below therefore means that the
        trajectory varies whatever follows, by any rule of max - min <= 1e-6 * max|l|.
        """
        at, low, high, largest = self._watched.pop(block.start)
        now, shift = d[at], self._shift[block][at]
        low, high = np.minimum(low, now), np.maximum(high, now)
        largest = np.maximum(largest, np.abs(losses[at]))
        share = FLAT * CHECKPOINTS  # 0.2
        bound = (2 * FLAT * largest + share * np.abs(shift)) / (1 - share)
        kept = np.flatnonzero(np.abs(now - shift) <= bound)
        if kept.size:
            self._watched[block.start] = _Watched(at[kept], low[kept], high[kept], largest[kept])

    def state(self) -> dict[str, np.ndarray]:
        """The arrays `KEPT`; those of the watched trajectories of all blocks are joined, by their places."""
        blocks = sorted(self._watched.items())
        places = [start + watched.positions for start, watched in blocks]
        joined = {"watched": np.concatenate([np.zeros(0, np.int64), *places])}
        for key in ("low", "high", "largest"):
            joined[key] = np.concatenate([np.zeros(0), *(getattr(watched, key) for _, watched in blocks)])
        kept = {"first": self._first, "last": self._last, "shift": self._shift, "squares": self._squares}
        return {**kept, **joined}

    def load(self, state: Mapping[str, np.ndarray]) -> None:
        """Go on from `state`."""
        if state["last"].shape != self._last.shape:
            raise ValueError(f"a state of {state['last'].shape} trajectories")
        self._first, self._last = state["first"].copy(), state["last"].copy()
        self._shift, self._squares = state["shift"].copy(), state["squares"].copy()
        starts = state["watched"] // BLOCK * BLOCK
        self._watched = {}
        for start in np.unique(starts).tolist():
            here = starts == start
            ranges = (state[key][here] for key in ("low", "high", "largest"))
            self._watched[start] = _Watched(state["watched"][here] - start, *ranges)

    def moments(self, block: slice, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Of a block after `count` differences: mean of x, and norm of x less its mean, infinite where d does
        not vary."""
        mean = (self._last[block].astype(np.float64) - self._first[block]) / count - self._shift[block]
        norm = np.sqrt(np.maximum(self._squares[block] - count * np.square(mean), 0.0))
        if block.start in self._watched:
            at, low, high, largest = self._watched[block.start]
            norm[at[high - low <= FLAT * largest]] = np.inf
        return mean, norm


def _blocks(size: int) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
    """(block, buffer, buffer) of the blocks of `size` samples; float64 buffers, shared by all."""
    buffers = np.empty((2, min(size, BLOCK)))
    for start in range(0, size, BLOCK):
        block = slice(start, min(start + BLOCK, size))
        yield block, *buffers[:, : block.stop - start]
