"""CCS's stratified sampling of a score (Zheng et al. 2023)."""

from __future__ import annotations

import numpy as np

from deepcore.selection.budget import Budget
from deepcore.selection.ranking import cut_lowest, groups
from deepcore.selection.selection import Selection

MOST_STRATA = 10_000  # each costs time, in every class


def strata_edges(scores: np.ndarray, strata: int = 50) -> np.ndarray:
    """Edges of equal-width strata over the range of the scores, in float32 as CCS's authors compute them.

    top = max + 1e-4 * |max|, step = (top - min) / strata, edge_i = min + i * step; the last stratum is
    closed.

    Returns:
        (strata + 1,) float32, not decreasing; two edges (one stratum) when all scores are equal.
    """
    scores = np.asarray(scores, dtype=np.float32)
    low, high = scores.min(), scores.max()
    top = high * np.float32(1.0001 if high > 0 else 0.9999)
    strata = 1 if low == high else strata
    return low + np.arange(strata + 1, dtype=np.float32) * ((top - low) / np.float32(strata))


def strata_of(scores: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """The stratum of each score, (N,) int64 in 0..S-1: edge_i <= score < edge_(i+1), the last one closed."""
    stratum = np.searchsorted(edges, np.asarray(scores, dtype=np.float32), side="right") - 1
    return np.clip(stratum, 0, len(edges) - 2)


def strata_counts(scores: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Rows in each stratum, (S,) int64."""
    return np.bincount(strata_of(scores, edges), minlength=len(edges) - 1)


def strata_budgets(counts: np.ndarray, k: int) -> np.ndarray:
    """CCS's allocation: strata by increasing size (stable) get min(size, remaining // strata left).

    Args:
        counts: (S,) rows in each stratum.
        k: the budget, that of the whole pool even when a cut left fewer rows.

    Returns:
        (S,) int64; the sum is min(k, counts.sum()), no budget exceeds its stratum.
    """
    budgets = np.zeros(len(counts), dtype=np.int64)
    remaining = k
    for i, s in enumerate(np.argsort(counts, kind="stable")):
        budgets[s] = min(int(counts[s]), remaining // (len(counts) - i))
        remaining -= int(budgets[s])
    return budgets


def sample_strata(
    scores: np.ndarray,
    ids: np.ndarray,
    labels: np.ndarray,
    budget: Budget,
    rng: np.random.Generator,
    *,
    strata: int = 50,
    beta: float = 0.0,
    aum: np.ndarray | None = None,
    class_balanced: bool,
) -> Selection:
    """Coverage-centric sampling of a score (Zheng et al. 2023, Algorithm 1), in each class with its quota
    when `class_balanced`.

    The int(beta * n) rows with the lowest `aum` are set aside, the range of the other scores is divided into
    `strata`, and each stratum's budget is drawn uniformly without replacement. When fewer rows stay than the
    budget asks for, the rows set aside with the highest `aum` fill up, and it is noted. The order of the rows
    is that of the draws.
    """
    picks, refilled = [], 0
    for rows, quota in groups(np.argsort(ids), labels, budget.k, class_balanced, budget.quotas):
        cut = rows[:0]
        if beta > 0:
            stay, low = cut_lowest(aum[rows], ids[rows], beta)
            rows, cut = rows[stay], rows[low]
        edges = strata_edges(scores[rows], strata)
        stratum = strata_of(scores[rows], edges)
        budgets = strata_budgets(np.bincount(stratum, minlength=len(edges) - 1), quota)
        for s in np.flatnonzero(budgets):
            picks.append(rng.choice(rows[stratum == s], budgets[s], replace=False))
        short = quota - int(budgets.sum())
        picks.append(cut[:short])
        refilled += short
    notes = ()
    if refilled:
        notes = (
            f"{refilled} of {budget.k} picks had been cut (beta={beta}) and came back to fill the budget",
        )
    return Selection(ids[np.concatenate(picks)], scores=np.asarray(scores, dtype=np.float64), notes=notes)
