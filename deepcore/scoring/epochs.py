"""Reading a trajectory once, epoch by epoch, with memory that does not grow with the number of epochs.

Trajectories may be memory-mapped, (T, N); they are read one row at a time, in order. A parameter that asks
for more epochs than were recorded is reduced, with a warning. The harness puts the warnings of a method into
the notes of its selection.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from typing import Protocol

import numpy as np

from deepcore.common.checks import UsageError, check_positive
from deepcore.common.resources import Memory
from deepcore.proxy.run import ProxyRun
from deepcore.proxy.signals import Signal
from deepcore.scoring.gaps import mean_of_known

LEAST_EPOCHS = 3  # of a windowed method: fewer leave no window in which anything can vary twice
_BLOCK = 8192  # samples handled at once inside a window, so that a block of ten rows stays in cache


class Reader(Protocol):
    """A method that reads a trajectory: `name` is used in messages, `mode` is the recording that it reads."""

    @property
    def name(self) -> str: ...

    @property
    def mode(self) -> str: ...


def reduced(method: Reader, field: str, wanted: int | None, recorded: int) -> int:
    """The smaller of `wanted` and `recorded`, with a warning when it is `recorded`; `recorded` for None."""
    if wanted is None or wanted <= recorded:
        return recorded if wanted is None else wanted
    warnings.warn(
        f"{method.name}: {field}={wanted} is more than the {recorded} epochs at hand; "
        f"{field}={recorded} is used",
        stacklevel=3,
    )
    return recorded


def first_epochs(run: ProxyRun, signal: Signal, method: Reader, epochs: int | None) -> np.ndarray:
    """Epochs 1..n of a stored signal in the method's recording, (n, N) float32, not yet read.

    Args:
        run: the proxy run; row 0 (the untrained network) is not part of the result.
        signal: a stored trajectory signal.
        method: gives the recording to read and the name for messages.
        epochs: n; None for all, reduced to what was recorded.

    Raises:
        MissingSignal: the run does not hold the signal.
    """
    rows = run.trajectory(signal, method.mode)
    return rows[: reduced(method, "epochs", epochs, len(rows))]


def windowed_epochs(
    run: ProxyRun, signal: Signal, method: Reader, epochs: int | None, window: int
) -> tuple[np.ndarray, int]:
    """`first_epochs`, and the window reduced to them; UsageError for fewer than 3 epochs."""
    rows = first_epochs(run, signal, method, epochs)
    check_epochs(method, len(rows))
    return rows, reduced(method, "window", window, len(rows))


def check_epochs(method: Reader, epochs: int) -> None:
    """Raise UsageError when a windowed method has fewer than 3 recorded epochs."""
    if epochs < LEAST_EPOCHS:
        raise UsageError(
            f"{method.name} looks at windows of epochs and has {epochs} of them: record at least "
            f"{LEAST_EPOCHS}"
        )


def window_memory(pool: ProxyRun, window: int) -> Memory:
    """Memory of the windows of `sliding_moments` and of the score."""
    return Memory(8 * (window + 16) * len(pool.ids))


def check_windows(epochs: int | None, window: int | None, *, least: int) -> None:
    """Check a windowed method's fields: at least 3 epochs, a window of at least `least`; None is unset."""
    for name, value, low in (("epochs", epochs, LEAST_EPOCHS), ("window", window, least)):
        if value is not None:
            check_positive(name, value, whole=True)
            if value < low:
                raise UsageError(f"{name} is {value}: it must be at least {low}")


def mean_over_epochs(rows: np.ndarray, *, gaps: bool = False) -> np.ndarray:
    """Mean of (n, N) over its rows, (N,) float64; with `gaps` over the values that are not NaN."""
    if gaps:
        return mean_of_known(rows, rows.shape[1])
    total = np.zeros(rows.shape[1])
    for row in rows:
        total += row
    return total / len(rows)


def p_true(losses: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """exp(-loss) row by row: the probability of the true class, (N,) float64 in [0, 1]."""
    for row in losses:
        yield np.exp(-row.astype(np.float64))


def sliding_moments(rows: Iterable[np.ndarray], width: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Mean and sum of squared deviations of every window of consecutive rows, in order.

    Args:
        rows: (N,) arrays, one per epoch.
        width: rows per window; fewer rows than that give no window.

    Yields:
        (mean, squares), (N,) float64 each: squares = sum over the window of (x - mean)^2. Both arrays are
        overwritten by the next window.

    Memory: a ring of `width` rows, 8 * width * N bytes. Deviations are first taken from a row of the window
    itself: a constant sample gets exactly 0, and at most a factor `width` of precision cancels.
    """
    ring = mean = squares = None
    for t, row in enumerate(rows):
        if ring is None:
            ring = np.empty((width, len(row)))
            mean, squares = np.empty((2, len(row)))
        ring[t % width] = row
        if t + 1 < width:
            continue
        for start in range(0, len(row), _BLOCK):
            part = slice(start, start + _BLOCK)
            shifted = ring[:, part] - ring[0, part]
            offset = shifted.sum(axis=0) / width
            mean[part] = ring[0, part] + offset
            squares[part] = np.einsum("ij,ij->j", shifted, shifted) - width * offset * offset
        np.maximum(squares, 0.0, out=squares)
        yield mean, squares
