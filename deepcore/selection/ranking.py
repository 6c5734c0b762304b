"""Sorting and cutting scores. No other module does that."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from deepcore.common.checks import check_choice
from deepcore.selection.budget import Budget, check_budget, class_quotas
from deepcore.selection.selection import Selection

ENDS = {"highest": np.negative, "lowest": np.asarray, "zero": np.abs}  # each makes the best smallest


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
    return ENDS[check_choice("keep", keep, ENDS)](scores)


def rank(scores: np.ndarray, ids: np.ndarray, keep: str) -> np.ndarray:
    """(N,) int64 ranks aligned with `scores`, 1 for the best."""
    ranks = np.empty(len(scores), dtype=np.int64)
    ranks[order_by_score(scores, ids, keep)] = np.arange(1, len(scores) + 1)
    return ranks


def merit(scores: np.ndarray, keep: str) -> np.ndarray:
    """The score turned so that higher is better.

    "highest" keeps it; "lowest" gives max - score and "zero" max|score| - |score|, both at least 0.
    """
    if check_choice("keep", keep, ENDS) == "highest":
        return scores
    size = scores if keep == "lowest" else np.abs(scores)
    return size.max() - size


def groups(
    order: np.ndarray,
    labels: np.ndarray,
    k: int,
    class_balanced: bool,
    quotas: Sequence[int] | None = None,
) -> Iterator[tuple[np.ndarray, int]]:
    """Yield the parts that share the budget: each class with its quota above 0, or all rows with k.

    Args:
        order: (N,) positions of the pool, in the order wanted inside each part.
        labels: (N,) labels by position.
        k: the budget.
        class_balanced: one part per class, lower class first.
        quotas: (C,) of the classes; None for `class_quotas`. With them there is one part per class anyway.
    """
    if not class_balanced and quotas is None:
        check_budget(k, len(order))
        yield order, k
        return
    if quotas is None:
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

    A note gives the share of picks that the tie rule decided, when equal scores lie on both sides of a cut.
    """
    order = order_by_score(scores, ids, keep)
    key = _smallest_first(scores, keep)
    chosen, tied = np.zeros(len(order), dtype=bool), 0
    for rows, quota in groups(order, labels, budget.k, class_balanced, budget.quotas):
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
