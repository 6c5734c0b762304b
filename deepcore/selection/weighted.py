"""Random draws weighted by a score (DUAL, Cho et al. 2025)."""

from __future__ import annotations

import numpy as np
from scipy.special import betaln

from deepcore.selection.budget import Budget
from deepcore.selection.ranking import groups, order_by_score
from deepcore.selection.selection import Selection


def beta_weights(
    means: np.ndarray, scores: np.ndarray, fraction: float, *, c_d: float = 4.0, ids: np.ndarray | None = None
) -> np.ndarray:
    """DUAL's sampling weights: BetaPDF(m; y_a, y_b) * score (Cho et al. 2025).

    With r = 1 - fraction and a the mean of m over the 10 highest scores (ties: lower id):
    y_b = 15 (1 - a) (1 - r^c_d), y_a = 16 - y_b. The smaller the fraction, the more the easy rows weigh.

    Args:
        means: m, (N,), mean probability of the true class; clipped to [1e-6, 1 - 1e-6] in the density, which
            has poles at the ends.
        scores: (N,), higher is better; weights of scores below 0 are negative and never drawn.
        fraction: kept, in (0, 1].
        c_d: how fast the density moves to the easy rows.
        ids: (N,) row ids; positions without them.

    Returns:
        (N,) float64, not normalised.
    """
    ids = np.arange(len(scores)) if ids is None else ids
    anchor = float(np.mean(means[order_by_score(scores, ids, "highest")[:10]], dtype=np.float64))
    y_b = 15.0 * (1.0 - anchor) * (1.0 - (1.0 - fraction) ** c_d)
    y_b = max(y_b, 1e-6)  # an anchor of exactly 1 would leave no density
    y_a = 16.0 - y_b
    m = np.clip(np.asarray(means, dtype=np.float64), 1e-6, 1.0 - 1e-6)
    log_density = (y_a - 1.0) * np.log(m) + (y_b - 1.0) * np.log1p(-m) - betaln(y_a, y_b)
    return np.exp(log_density) * scores


def sample_weighted(
    weights: np.ndarray,
    scores: np.ndarray,
    ids: np.ndarray,
    labels: np.ndarray,
    budget: Budget,
    rng: np.random.Generator,
    *,
    keep: str = "highest",
    class_balanced: bool,
) -> Selection:
    """Draw k rows one after the other with probability proportional to their weight among those left, in each
    class with its quota when `class_balanced`. The rows come in the order of the draw.

    The order is that of log(weight) + a Gumbel variable per row, which has the same distribution. Rows
    without a positive weight come after all others, best score first; when the budget reaches them, it is
    noted.
    """
    noise = np.empty(len(ids))
    noise[np.argsort(ids)] = rng.gumbel(size=len(ids))
    positive = weights > 0
    keys = np.where(positive, np.log(np.where(positive, weights, 1.0)) + noise, -np.inf)
    by_score = order_by_score(scores, ids, keep)
    order = by_score[np.argsort(-keys[by_score], kind="stable")]
    chosen = np.zeros(len(order), dtype=bool)
    for rows, quota in groups(order, labels, budget.k, class_balanced, budget.quotas):
        chosen[rows[:quota]] = True
    without = int(np.count_nonzero(chosen & ~positive))
    notes = ()
    if without:
        notes = (f"{without} of {budget.k} picks had no positive weight and were taken by score",)
    return Selection(ids[order[chosen[order]]], scores=np.asarray(scores, dtype=np.float64), notes=notes)
