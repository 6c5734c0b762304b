"""A chosen subset, and what can be done with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from deepcore.common.checks import DeepcoreError, UsageError
from deepcore.proxy.run import ProxyRun
from deepcore.selection.applying import applied, as_frame


@dataclass(frozen=True)
class Selection:
    """A chosen subset.

    Attributes:
        rows: (k,) unique original row ids, best first.
        weights: (k,) float64 training weights aligned with rows, finite, none below 0 and not all 0; None for
            equal weights.
        scores: (N,) float64 scores of all candidates aligned with the pool's ids, or None.
        notes: sentences for the user on how it was made, such as refills and ties.
        pool: the candidates that it was chosen from, where `deepcore.select` made it: labels and text ids.
        keep: which end of the scores is kept, "highest", "lowest" or "zero"; None without scores.
    """

    rows: np.ndarray
    weights: np.ndarray | None = None
    scores: np.ndarray | None = None
    notes: tuple[str, ...] = field(default=())
    pool: ProxyRun | None = field(default=None, repr=False, compare=False)
    keep: str | None = field(default=None, compare=False)

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

    @property
    def ids(self) -> np.ndarray:
        """(k,) ids as they were logged, best first: text where the log's are."""
        return self.rows if self.pool is None else self.pool.log.name_of(self.rows)

    def columns(self) -> dict[str, np.ndarray]:
        """id, label and score where they are known, rank (1 is best), weight where there are weights; (k,)
        each, best first."""
        found = {"id": self.ids}
        if self.pool is not None:
            order = np.argsort(self.pool.ids)
            places = order[np.searchsorted(self.pool.ids, self.rows, sorter=order)]
            if self.pool.log.has_classes:
                found["label"] = self.pool.log.class_of(self.pool.labels[places])
            if self.scores is not None:
                found["score"] = self.scores[places]
        found["rank"] = np.arange(1, len(self.rows) + 1)
        return found | ({"weight": self.weights} if self.weights is not None else {})

    def to_frame(self, library: str = "pandas") -> Any:
        """`columns` as a data frame of "pandas" or "polars", which must be installed."""
        return as_frame(self.columns(), library)

    def apply(self, dataset: Any, ids: Any = None) -> Any:
        """The chosen rows of a data set, best first, as the same kind of thing.

        Args:
            dataset: a torch Dataset (gives a `Subset`), a Hugging Face Dataset, a numpy array or tensor, a
                pandas or polars frame, a list of samples, or a tuple or mapping of any of these.
            ids: the id of each of its rows, or the name of the column that holds them; None where ids are row
                numbers.

        Raises:
            UsageError: ids are text and `ids` was not given, or a chosen id is not among them.
        """
        if ids is None and self.pool is not None and self.pool.log.names is not None:
            raise UsageError(
                "the ids of this selection are text, not row numbers: give apply the id of each row, "
                "ids=..., or the name of the column that holds them"
            )
        return applied(self.ids, dataset, ids)
