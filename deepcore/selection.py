"""Budgets, quotas, top-k. The only place that sorts scores or apportions a budget; the ways to draw at random
with the help of a score stand on it, in `deepcore.samplers`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_FLOOR, Decimal

import numpy as np

from deepcore.checks import DeepcoreError, UsageError, check_fraction


@dataclass(frozen=True)
class Budget:
    """How much is kept: `fraction` of the train pool, which is `k` rows."""

    fraction: float
    k: int

    @classmethod
    def of(cls, fraction: float, n: int) -> Budget:
        """k = floor(fraction * n + 1/2) in decimal arithmetic, at least 1.

        Args:
            fraction: kept, in (0, 1].
            n: size of the train pool.
        """
        check_fraction(fraction)
        if n < 1:
            raise UsageError("the train pool is empty: nothing to select from")
        k = int((Decimal(str(fraction)) * n + Decimal("0.5")).to_integral_value(rounding=ROUND_FLOOR))
        return cls(float(fraction), min(max(k, 1), n))


@dataclass(frozen=True)
class Selection:
    """A chosen subset.

    Attributes:
        rows: (k,) unique original row ids, best first.
        weights: (k,) float64 training weights aligned with rows, finite, none below 0 and not all 0; None for
            equal weights.
        scores: (N,) float64 scores of all candidates aligned with the pool's ids, or None.
        notes: what the user should know of how it came about (refills, ties), one sentence each.
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
        """All rows are in the pool `ids`, and there are `k` of them; DeepcoreError otherwise."""
        outside = np.setdiff1d(self.rows, ids)
        if outside.size:
            raise DeepcoreError(
                f"{outside.size} selected rows are not in the train pool, the first is {outside[0]}"
            )
        if k is not None and self.rows.size != k:
            raise DeepcoreError(f"{self.rows.size} rows were selected for a budget of {k}")


def class_quotas(labels: np.ndarray, k: int, num_classes: int) -> np.ndarray:
    """Each class's share of a budget, by largest remainder; then, if k allows, at least one for each class
    present.

    Args:
        labels: (N,) labels of the train pool, before any cut.
        k: the budget, 1..N.
        num_classes: C.

    Returns:
        (C,) int64 quotas; they sum to k, none exceeds its class, absent classes get 0. Ties of remainders go
        to the lower class id; an empty class takes one from the largest quota (ties: the higher class id).
    """
    sizes = np.bincount(labels, minlength=num_classes).astype(np.int64)
    total = int(sizes.sum())
    _check_budget(k, total)
    quotas, remainders = np.divmod(sizes * k, total)  # exact: integers throughout
    left = k - int(quotas.sum())
    order = np.lexsort((np.arange(num_classes), -remainders))
    quotas[order[:left]] += 1
    present = sizes > 0
    if k >= int(present.sum()):
        for empty in np.flatnonzero(present & (quotas == 0)):
            largest = np.flatnonzero(quotas == quotas.max())[-1]
            quotas[largest] -= 1
            quotas[empty] += 1
    return quotas


def _check_budget(k: int, rows: int) -> None:
    if not 1 <= k <= rows:
        raise UsageError(f"a budget of {k} from {rows} rows")


def order_by_score(scores: np.ndarray, ids: np.ndarray, keep: str) -> np.ndarray:
    """Positions from best to worst; ties by lower row id.

    Args:
        scores: (N,) finite.
        ids: (N,) row ids.
        keep: "highest", "lowest" or "zero" (closest to 0).
    """
    return np.lexsort((ids, _smallest_first(scores, keep)))


def _smallest_first(scores: np.ndarray, keep: str) -> np.ndarray:
    """A key whose smallest values are the best scores."""
    return {"highest": np.negative, "lowest": np.asarray, "zero": np.abs}[keep](scores)


def rank(scores: np.ndarray, ids: np.ndarray, keep: str) -> np.ndarray:
    """(N,) int64 ranks aligned with `scores`, 1 for the best."""
    ranks = np.empty(len(scores), dtype=np.int64)
    ranks[order_by_score(scores, ids, keep)] = np.arange(1, len(scores) + 1)
    return ranks


def merit(scores: np.ndarray, keep: str) -> np.ndarray:
    """The score turned so that higher is better: as it is for "highest"; for "lowest" and "zero" the distance
    from the worst, max - score and max|score| - |score|, at least 0.
    """
    if keep == "highest":
        return scores
    size = scores if keep == "lowest" else np.abs(scores)
    return size.max() - size


def groups(
    order: np.ndarray, labels: np.ndarray, k: int, class_balanced: bool
) -> Iterator[tuple[np.ndarray, int]]:
    """The parts that a budget is spent in: each class with its quota (above 0), or everything with k.

    Args:
        order: (N,) positions of the pool, in the order wanted inside each part.
        labels: (N,) labels by position.
        k: the budget.
        class_balanced: one part per class, lower class first.
    """
    if not class_balanced:
        _check_budget(k, len(order))
        yield order, k
        return
    quotas = class_quotas(labels, k, int(labels.max()) + 1)
    ordered = order[np.argsort(labels[order], kind="stable")]
    ends = np.cumsum(np.bincount(labels))
    for c in np.flatnonzero(quotas):
        yield ordered[ends[c - 1] if c else 0 : ends[c]], int(quotas[c])


def top_k(
    scores: np.ndarray,
    ids: np.ndarray,
    labels: np.ndarray,
    budget: Budget,
    *,
    keep: str,
    class_balanced: bool,
) -> Selection:
    """The k best rows by score, with class quotas when `class_balanced`. The rows come best first over all
    classes.

    When the last place of a class (or of the whole) is shared by equal scores on both sides of the cut, the
    share of picks that the tie rule decided is noted.
    """
    order = order_by_score(scores, ids, keep)
    key = _smallest_first(scores, keep)
    chosen, tied = np.zeros(len(order), dtype=bool), 0
    for rows, quota in groups(order, labels, budget.k, class_balanced):
        chosen[rows[:quota]] = True
        if quota < len(rows):
            tied += int(np.count_nonzero(key[rows[:quota]] == key[rows[quota]]))
    notes = ()
    if tied:
        notes = (
            f"{tied} of {budget.k} picks ({tied / budget.k:.1%}) were decided by the tie rule (lower row id)",
        )
    return Selection(ids[order[chosen[order]]], scores=np.asarray(scores, dtype=np.float64), notes=notes)


def cut_lowest(values: np.ndarray, ids: np.ndarray, beta: float) -> tuple[np.ndarray, np.ndarray]:
    """Set aside the int(beta * N) rows with the lowest values (CCS and D2: the likely mislabelled).

    Returns:
        Positions of the rows that stay, by id, and of those cut, highest value first; ties by lower id.
    """
    order = order_by_score(values, ids, "lowest")
    cut, stay = np.split(order, [int(beta * len(order))])
    return stay[np.argsort(ids[stay])], cut[order_by_score(values[cut], ids[cut], "highest")]


def cut_share(fraction: float) -> float:
    """beta, the share that CCS and D2 cut, by the fraction kept: 0.3 at 10%, 0.1 at 20 and 30%, 0 from 50%
    (the appendix of Zheng et al. 2023, CIFAR-10), linear in between and constant outside."""
    return round(float(np.interp(fraction, (0.1, 0.2, 0.3, 0.5, 0.7), (0.3, 0.1, 0.1, 0.0, 0.0))), 9)


def interleave(picks: Sequence[np.ndarray]) -> np.ndarray:
    """One order from several, such as the picks of each class: all the first ones, all the second, ..."""
    turns = np.concatenate([np.arange(len(of_class)) for of_class in picks])
    return np.concatenate(picks)[np.argsort(turns, kind="stable")]
