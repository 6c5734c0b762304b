"""Dyn-Unc: dynamic uncertainty (He et al. 2024)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from deepcore.proxy.run import ProxyRun
from deepcore.proxy.signals import Signal
from deepcore.scoring.epochs import check_windows, p_true, sliding_moments, windowed_epochs
from deepcore.scoring.gaps import mean_deviation
from deepcore.selection.method import Facts
from methods.sliding_window import SlidingWindow


@dataclass(frozen=True)
class DynUnc(SlidingWindow):
    """The standard deviation of the true class's probability within windows of epochs; keep the highest.

    With q[t] = p_y at epoch t, and for each of the n-J+1 windows of J consecutive epochs sd_w the sample
    standard deviation of q (J-1 in the denominator): score = mean over windows of sd_w, in [0, 0.71], at most
    0.53 for J = 10.

    Source: He et al. 2024, "Large-scale Dataset Pruning with Dynamic Uncertainty".
    Memory: 8 (J + 8) N bytes; the (T, N) log of losses is read once, row by row.

    Attributes:
        window: J, at least 2.
        epochs: n, the first epochs used; None for all.
    """

    window: int = 10
    epochs: int | None = None

    name: ClassVar[str] = "DynUnc"
    paper: ClassVar[str] = "He et al., CVPR Workshops 2024"
    reads_gaps: ClassVar[bool] = True
    facts: ClassVar[Facts] = Facts(
        code="BAAI-DCAI/Dataset-Pruning",
        rule="mean over sliding windows of 10 epochs of the sample standard deviation of p_y",
        balance="top k within each class's quota; the paper: over the whole pool",
        anchor="tests/methods/test_dynunc.py::test_two_windows_by_hand",
        deviations=(
            "all n-J+1 windows and all probabilities count; the official code drops the last window and "
            "skips probabilities of exactly 0",
            "the official code multiplies by 10: the ranking is the same",
        ),
        family="trajectory",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_windows(self.epochs, self.window, least=2)

    @property
    def needs(self) -> frozenset[Signal]:
        return super().needs | {Signal.P_TRUE}

    def checkpoints(self, epochs: int) -> range:
        return super().checkpoints(min(epochs, self.epochs or epochs))

    @property
    def width(self) -> int:
        return self.window

    def score(self, run: ProxyRun) -> np.ndarray:
        """Mean windowed deviation, (N,) float64; UsageError for fewer than 3 recorded epochs."""
        losses, window = windowed_epochs(run, Signal.LOSS, self, self.epochs, self.window)
        if run.log.has_gaps:
            return mean_deviation(p_true(losses), window, len(run.ids), times_one_less_mean=False)
        total = np.zeros(losses.shape[1])
        for _, squares in sliding_moments(p_true(losses), window):
            total += np.sqrt(squares)
        return total / (np.sqrt(window - 1) * (len(losses) - window + 1))
