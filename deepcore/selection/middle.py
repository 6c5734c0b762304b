"""The middle ranks of a score (Moderate)."""

from __future__ import annotations

import numpy as np

from deepcore.selection.budget import Budget
from deepcore.selection.ranking import groups, interleave, order_by_score
from deepcore.selection.selection import Selection


def middle_ranks(
    scores: np.ndarray, ids: np.ndarray, labels: np.ndarray, budget: Budget, *, class_balanced: bool
) -> Selection:
    """The rows whose ranks are around the middle, in each class with its quota when `class_balanced`.

    Of n rows sorted by score (ties: lower id), round((n - k) / 2) are dropped at the low end (Python's round:
    halves go to the even number), the rest at the high end, and k stay. The rows come from the middle
    outwards, class by class in turn. Where rows kept and rows dropped have the same score, it is noted how
    many picks the tie rule decided.
    """
    picks, tied = [], 0
    for rows, quota in groups(np.argsort(ids), labels, budget.k, class_balanced, budget.quotas):
        rows = rows[order_by_score(scores[rows], ids[rows], "lowest")]
        low = round((len(rows) - quota) / 2)
        kept, dropped = rows[low : low + quota], (rows[:low][-1:], rows[low + quota :][:1])
        tied += int(np.isin(scores[kept], scores[np.concatenate(dropped)]).sum())
        from_middle = np.abs(2 * np.arange(quota) - (quota - 1))
        picks.append(kept[np.argsort(from_middle, kind="stable")])
    notes = ()
    if tied:
        notes = (
            f"{tied} of {budget.k} picks ({tied / budget.k:.1%}) were decided by the tie rule (lower row id)",
        )
    return Selection(ids[interleave(picks)], scores=np.asarray(scores, dtype=np.float64), notes=notes)
