"""From a score to a subset: top-k, CCS's strata, DUAL's Beta weights, for any score.

The functions work on arrays. The classes at the end connect them to methods: `sampler="strata"` on any
ScoreMethod uses the class of that name in `SAMPLERS`. Random draws are made over rows sorted by id, so that
permuting the storage together with the ids changes nothing.
"""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import betaln

from deepcore.checks import check_finite_scores
from deepcore.selection import Budget, Selection, cut_lowest, groups, merit, order_by_score, top_k
from deepcore.signals import Signal
from deepcore.streams import first_epochs, mean_over_epochs, p_true

if TYPE_CHECKING:
    from deepcore.method import ScoreMethod
    from deepcore.proxy import ProxyRun


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
    for rows, quota in groups(np.argsort(ids), labels, budget.k, class_balanced):
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
    for rows, quota in groups(order, labels, budget.k, class_balanced):
        chosen[rows[:quota]] = True
    without = int(np.count_nonzero(chosen & ~positive))
    notes = ()
    if without:
        notes = (f"{without} of {budget.k} picks had no positive weight and were taken by score",)
    return Selection(ids[order[chosen[order]]], scores=np.asarray(scores, dtype=np.float64), notes=notes)


class Sampler(abc.ABC):
    """A way to spend a budget on the scores of a method; frozen dataclasses, their fields are parameters."""

    needs: frozenset[Signal] = frozenset()  # read beside the score, in the method's recording

    def checkpoints(self, epochs: int) -> range:
        """The rows of trajectories of `epochs` epochs that it reads, where it reads any."""
        return range(1, epochs + 1)

    @abc.abstractmethod
    def draw(
        self, method: ScoreMethod, run: ProxyRun, scores: np.ndarray, budget: Budget, rng: np.random.Generator
    ) -> Selection:
        """`budget.k` rows of `run.ids`; the method says which end is kept, and whether class by class."""


class TopK(Sampler):
    """The kept end of the score."""

    def draw(
        self, method: ScoreMethod, run: ProxyRun, scores: np.ndarray, budget: Budget, rng: np.random.Generator
    ) -> Selection:
        balanced = method.class_balanced
        return top_k(scores, run.ids, run.labels, budget, keep=method.keep, class_balanced=balanced)


@dataclass(frozen=True)
class Strata(Sampler):
    """CCS's strata over the score, whichever end the method keeps; `beta` is the share cut by lowest AUM over
    probabilities (CCS sets it; other scores are not cut)."""

    strata: int = 50
    beta: float = 0.0

    @property
    def needs(self) -> frozenset[Signal]:
        return frozenset({Signal.MARGIN_P}) if self.beta > 0 else frozenset()

    def draw(
        self, method: ScoreMethod, run: ProxyRun, scores: np.ndarray, budget: Budget, rng: np.random.Generator
    ) -> Selection:
        aum = None
        if self.beta > 0:
            aum = mean_over_epochs(run.trajectory(Signal.MARGIN_P, method.mode))
            check_finite_scores(aum, run.ids, f"{method.name}, AUM")
        return sample_strata(
            scores,
            run.ids,
            run.labels,
            budget,
            rng,
            strata=self.strata,
            beta=self.beta,
            aum=aum,
            class_balanced=method.class_balanced,
        )


@dataclass(frozen=True)
class BetaWeighted(Sampler):
    """DUAL's draw, weighted by the score and a Beta density of the mean true-class probability over the first
    `epochs`. Weights, score and anchor are global; the draw is within the class when balanced."""

    epochs: int | None = 30
    c_d: float = 4.0

    @property
    def needs(self) -> frozenset[Signal]:
        return frozenset({Signal.P_TRUE})

    def checkpoints(self, epochs: int) -> range:
        """Those of the epochs that m is a mean of."""
        return super().checkpoints(min(epochs, self.epochs or epochs))

    def draw(
        self, method: ScoreMethod, run: ProxyRun, scores: np.ndarray, budget: Budget, rng: np.random.Generator
    ) -> Selection:
        losses = first_epochs(run, Signal.LOSS, method, self.epochs)
        means = sum(p_true(losses)) / len(losses)
        check_finite_scores(means, run.ids, f"{method.name}, mean probability")
        better = merit(scores, method.keep)
        weights = beta_weights(means, better, budget.fraction, c_d=self.c_d, ids=run.ids)
        return sample_weighted(
            weights,
            scores,
            run.ids,
            run.labels,
            budget,
            rng,
            keep=method.keep,
            class_balanced=method.class_balanced,
        )


SAMPLERS: dict[str, type[Sampler]] = {"top": TopK, "strata": Strata, "beta": BetaWeighted}
