"""DUAL: difficulty and uncertainty early in training (Cho et al. 2025)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from deepcore.common.checks import check_choice, check_positive
from deepcore.proxy.run import ProxyRun
from deepcore.proxy.signals import Signal
from deepcore.scoring.epochs import check_windows, p_true, sliding_moments, windowed_epochs
from deepcore.scoring.gaps import mean_deviation
from deepcore.selection.method import Facts
from deepcore.selection.samplers import BetaWeighted, Sampler
from methods.sliding_window import SlidingWindow


@dataclass(frozen=True)
class DUAL(SlidingWindow):
    """Score samples that are uncertain and hard early in training; draw more easy ones for smaller subsets.

    With q[t] = p_y at epoch t, and for each window w of J among the first n epochs its mean and its sample
    standard deviation (J-1 in the denominator): score = mean over windows of sd_w (1 - mean_w), in [0, 0.4).

    The subset (`sampling="beta"`) is drawn without replacement with probability proportional to
    BetaPDF(m; y_a, y_b) * score, m the mean of q over the n epochs (`deepcore.selection.weighted`). Weights
    are those of the whole pool; with `class_balanced` the draw is made inside each class. `sampling="top"`
    keeps the highest scores.

    Source: Cho et al. 2025, "Lightweight Dataset Pruning without Full Training via Example Difficulty and
    Prediction Uncertainty".
    Memory: 8 (J + 8) N bytes; n rows of the (T, N) log of losses are read, once for the score and once for m.

    Attributes:
        window: J, at least 2.
        epochs: n, the first epochs used; None for all.
        sampling: "beta" or "top"; the inherited `sampler`, when set, comes before it.
        c_d: how fast the draw turns to easy samples; 4 is the authors' CIFAR-100 value.
    """

    window: int = 10
    epochs: int | None = 30
    sampling: str = "beta"
    c_d: float = 4.0

    name: ClassVar[str] = "DUAL"
    paper: ClassVar[str] = "Cho et al., ICML 2025"
    reads_gaps: ClassVar[bool] = True
    chooses: ClassVar[frozenset[str]] = SlidingWindow.chooses | {"sampling", "c_d"}
    facts: ClassVar[Facts] = Facts(
        code="behaapyy/dual-pruning",
        rule="mean over windows of sd(p_y) (1 - mean(p_y)) over 30 epochs; draws weighted by Beta(m) * score",
        balance="weights over the whole pool, draws in each class's quota; the paper: draws over the pool",
        anchor="tests/methods/test_dual.py::test_two_windows_by_hand",
        deviations=(
            "the paper's definition, not the authors' repository, whose commands pass the mask as the score",
            "m is clipped to [1e-6, 1 - 1e-6] where the density has poles; fewer than k positive weights are "
            "filled by score",
            "c_d = 4 (the authors' CIFAR-100 value) for all data",
        ),
        family="trajectory",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_windows(self.epochs, self.window, least=2)
        check_choice("sampling", self.sampling, ("beta", "top"))
        check_positive("c_d", self.c_d)

    @property
    def own_sampler(self) -> str:
        return self.sampling

    @property
    def needs(self) -> frozenset[Signal]:
        return super().needs | {Signal.P_TRUE}

    def make_sampler(self) -> Sampler:
        sampler = super().make_sampler()
        return BetaWeighted(self.epochs, self.c_d) if isinstance(sampler, BetaWeighted) else sampler

    def checkpoints(self, epochs: int) -> range:
        return super().checkpoints(min(epochs, self.epochs or epochs))

    @property
    def width(self) -> int:
        return self.window

    def score(self, run: ProxyRun) -> np.ndarray:
        """Difficulty-aware deviation, (N,) float64; UsageError for fewer than 3 recorded epochs."""
        losses, window = windowed_epochs(run, Signal.LOSS, self, self.epochs, self.window)
        if run.log.has_gaps:
            return mean_deviation(p_true(losses), window, len(run.ids), times_one_less_mean=True)
        total = np.zeros(losses.shape[1])
        for mean, squares in sliding_moments(p_true(losses), window):
            total += np.sqrt(squares) * (1.0 - mean)
        return total / (np.sqrt(window - 1) * (len(losses) - window + 1))
