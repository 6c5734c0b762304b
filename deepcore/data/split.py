"""The train/validation split of a seed. All methods share it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from deepcore.common.checks import UsageError
from deepcore.common.seeding import stream
from deepcore.common.shares import rows_of_share


@dataclass(frozen=True)
class Split:
    """Disjoint sorted row ids of one training set.

    Attributes:
        train: the pool to select from, which the proxy is trained on.
        val: held out of it.
        seed: that drew it.
        rest: candidates that are neither, where the proxy is trained on a part of the pool; empty otherwise.
    """

    train: np.ndarray
    val: np.ndarray
    seed: int
    rest: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))


def make_split(labels: np.ndarray, *, val_fraction: float, seed: int) -> Split:
    """Hold out a share of every class, at least one row of each (CLD paper, section 6).

    Args:
        labels: (N,) int64 of the whole training set.
        val_fraction: share held out, in (0, 1); each class gives floor(val_fraction * n_c + 1/2) rows, at
            least one and at most n_c - 1.
        seed: seed of the random draw.

    Raises:
        UsageError: val_fraction outside (0, 1), or a class of a single row.
    """
    if not 0 < val_fraction < 1:
        raise UsageError(
            f"val_fraction is {val_fraction}: the share of each class held out must be in (0, 1)"
        )
    rng = stream(seed, "split")
    held_out = []
    for c in np.unique(labels):
        rows = np.flatnonzero(labels == c)
        if rows.size < 2:
            raise UsageError(
                f"class {c} has {rows.size} training row: a split needs two or more of each class "
                "(one to train on, one for validation); drop the class or add rows"
            )
        size = rows_of_share(val_fraction, rows.size)
        size = min(max(size, 1), rows.size - 1)
        held_out.append(rng.choice(rows, size, replace=False))
    val = np.sort(np.concatenate(held_out))
    return Split(np.setdiff1d(np.arange(len(labels)), val), val, seed)
