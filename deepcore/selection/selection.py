"""The record of a chosen subset."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from deepcore.common.checks import DeepcoreError


@dataclass(frozen=True)
class Selection:
    """A chosen subset.

    Attributes:
        rows: (k,) unique original row ids, best first.
        weights: (k,) float64 training weights aligned with rows, finite, none below 0 and not all 0; None for
            equal weights.
        scores: (N,) float64 scores of all candidates aligned with the pool's ids, or None.
        notes: sentences for the user on how it was made, such as refills and ties.
    """

    rows: np.ndarray
    weights: np.ndarray | None = None
    scores: np.ndarray | None = None
    notes: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        rows = np.asarray(self.rows)
        if rows.ndim != 1 or not np.issubdtype(rows.dtype, np.integer) or rows.size == 0:
            raise DeepcoreError(
                f"a selection is a non-empty vector of row ids, got {rows.dtype} {rows.shape}"
            )
        if np.unique(rows).size != rows.size:
            raise DeepcoreError("a selection holds each row once; this one repeats some")
        object.__setattr__(self, "rows", rows.astype(np.int64))
        if self.weights is not None and np.shape(self.weights) != rows.shape:
            raise DeepcoreError(f"{np.shape(self.weights)} weights for {rows.shape} rows")
        if self.weights is not None:
            weights = np.asarray(self.weights, dtype=np.float64)
            if not (np.isfinite(weights) & (weights >= 0)).all() or not weights.any():
                raise DeepcoreError("the weights of a selection are finite, none below 0, and not all 0")
            object.__setattr__(self, "weights", weights)

    def check_within(self, ids: np.ndarray, k: int | None = None) -> None:
        """Check that all rows are among `ids` and that there are `k` of them; DeepcoreError otherwise."""
        outside = np.setdiff1d(self.rows, ids)
        if outside.size:
            raise DeepcoreError(
                f"{outside.size} selected rows are not in the train pool, the first is {outside[0]}"
            )
        if k is not None and self.rows.size != k:
            raise DeepcoreError(f"{self.rows.size} rows were selected for a budget of {k}")
