"""What Theorem 1 and its lemmas speak of, measured along gradient descent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import spearmanr
from torch.nn import functional

from benchmarks.layer_gradients import Gradients, Matrices, logits_of, minus, norm, top_curvature

Watch = Callable[[int, Matrices, Gradients], None]


@dataclass(frozen=True)
class Part:
    """Inputs x (n, D), float64, and labels y (n,)."""

    x: torch.Tensor
    y: torch.Tensor

    def loss(self, weights: Matrices) -> float:
        """The mean loss."""
        return float(functional.cross_entropy(logits_of(weights, self.x), self.y))

    def accuracy(self, weights: Matrices) -> float:
        """In percent."""
        return 100 * float((logits_of(weights, self.x).argmax(1) == self.y).double().mean())


def descend(
    weights: Matrices,
    part: Part,
    *,
    eta: float,
    steps: int,
    watch: Watch,
) -> Matrices:
    """Gradient descent on the part's mean loss; `watch` sees weights and gradients before each step 0..."""
    for step in range(steps):
        gradients = Gradients.of(weights, part.x, part.y)
        watch(step, weights, gradients)
        weights = minus(weights, gradients.mean(), eta)
    return weights


@dataclass(frozen=True)
class Moment:
    """One step of a training on a coreset C.

    Attributes:
        cosines: of each sample's gradient with G_V, (k,).
        norms: of the samples' gradients, (k,); val: ||G_V||.
        largest: gradient norm of any sample of C or V.
        distance: ||gamma_C - G_V||; error: ||gamma_C - G_test||; delta: ||G_V - G_test||; risk: ||G_test||.
    """

    step: int
    cosines: np.ndarray
    norms: np.ndarray
    val: float
    largest: float
    distance: float
    error: float
    delta: float
    risk: float


def moment(step: int, weights: Matrices, gradients: Gradients, val: Part, test: Part) -> Moment:
    """Measured at these weights; the test part stands for the distribution."""
    of_val = Gradients.of(weights, val.x, val.y)
    g_val, g_test = of_val.mean(), Gradients.of(weights, test.x, test.y).mean()
    gamma, norms = gradients.mean(), gradients.norms()
    return Moment(
        step,
        (gradients.along(g_val) / (norms * norm(g_val)).clamp_min(1e-300)).numpy(),
        norms.numpy(),
        norm(g_val),
        float(torch.maximum(norms.max(), of_val.norms().max())),
        norm(minus(gamma, g_val)),
        norm(minus(gamma, g_test)),
        norm(minus(g_val, g_test)),
        norm(g_test),
    )


def squared_distances(m: Moment) -> np.ndarray:
    """||g_m - G_V||^2 of each sample, (k,), exactly (Eq. 45): the square of the difference of the norms, and
    twice their product times (1 - cos)."""
    return (m.norms - m.val) ** 2 + 2 * m.norms * m.val * (1 - m.cosines)


def summary(moments: list[Moment]) -> dict[str, float]:
    """Of a whole training.

    kappa: 1 - cos, its mean over samples and steps, and its largest value (Lemma 3 needs the latter). B: the
    largest gradient norm met. printed_violated: the share of (sample, step) pairs with
    ||g - G_V||^2 > 2 B^2 (1 - cos), which Eq. 46 as printed rules out. printed_ratio: ||gamma_C - G_V|| over
    B sqrt(2 kappa), largest over the steps, kappa being the step's mean; corrected_ratio: with the mean of
    (||g|| - ||G_V||)^2 under the root. omitted: that mean's share of the mean of ||g - G_V||^2.
    """
    cosines = np.stack([m.cosines for m in moments])
    b = max(m.largest for m in moments)
    squares = np.stack([squared_distances(m) for m in moments])
    kappas = [float(1 - m.cosines.mean()) for m in moments]
    gaps = [float(((m.norms - m.val) ** 2).mean()) for m in moments]
    return {
        "kappa_mean": float(1 - cosines.mean()),
        "kappa_max": float(1 - cosines.min()),
        "B": b,
        "delta": max(m.delta for m in moments),
        "error": max(m.error for m in moments),
        "distance": max(m.distance for m in moments),
        "risk2_min": min(m.risk for m in moments) ** 2,
        "risk2_start": moments[0].risk ** 2,
        "omitted": float(np.sum(gaps) / squares.mean(axis=1).sum()),
        "printed_violated": float((squares > 2 * b**2 * (1 - cosines) * (1 + 1e-9)).mean()),
        "printed_ratio": max(
            m.distance / (b * np.sqrt(max(2 * k, 1e-12))) for m, k in zip(moments, kappas, strict=True)
        ),
        "corrected_ratio": max(
            m.distance / np.sqrt(gap + 2 * b**2 * k) for m, k, gap in zip(moments, kappas, gaps, strict=True)
        ),
    }


def bound_terms(found: dict[str, float], *, risk: float, curvature: float, eta: float, steps: int) -> dict:
    """The three terms of Eq. 15. B and L are the largest values met: the second and third term are no smaller
    with the true ones. R_inf is taken as 0, its lower bound: the first term is too large, at most by
    all of it."""
    alignment = found["B"] * np.sqrt(2 * found["kappa_max"]) + found["delta"]
    return {
        "term_start": 2 * risk / (eta * steps),
        "term_step": curvature * eta * found["B"] ** 2,
        "term_alignment": float(alignment**2),
    }


def alignment(cosines: np.ndarray, scores: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Spearman's correlation of scores (N,) with mean cosines (N,): overall, and within classes, averaged."""
    within = [spearmanr(scores[labels == c], cosines[labels == c])[0] for c in np.unique(labels)]
    return {"overall": float(spearmanr(scores, cosines)[0]), "within": float(np.mean(within))}


def largest_curvature(path: list[Matrices], part: Part) -> float:
    """L from below: the largest curvature of the mean loss at the points of a path."""
    return max(top_curvature(weights, part.x, part.y) for weights in path)
