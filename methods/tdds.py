"""TDDS: temporal dual-depth scoring (Zhang et al. 2024)."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from deepcore.common.checks import UsageError
from deepcore.proxy.run import ProxyRun
from deepcore.proxy.signals import Signal
from deepcore.scoring.epochs import check_windows, sliding_moments, windowed_epochs
from deepcore.selection.method import Facts
from methods.sliding_window import SlidingWindow

# fraction kept: (epochs, window), for CIFAR, as DUAL's authors list them for TDDS; and what holds elsewhere
_SETTINGS = {0.7: (90, 10), 0.5: (70, 10), 0.3: (60, 20), 0.2: (20, 10), 0.1: (10, 5)}
_ELSEWHERE = (30, 10)


@dataclass(frozen=True)
class TDDS(SlidingWindow):
    """The spread of the change of a sample's prediction in windows of epochs, late windows weighted most;
    keep the highest.

    step[t] = sum_c | p_{t+1,c} (log(p_{t+1,c} + 1e-8) - log(p_{t,c} + 1e-8)) |, t = 1..n-1 over the first n
    epochs; for each window of J epochs starting at k = 0..n-J, u_k = || steps - mean(steps) ||_2 over its J-1
    steps; score = sum_k decay (1 - decay)^(n-J-k) u_k, in [0, inf).

    With decay 0.9 the weights are 0.9, 0.09, ...: the last window decides nearly alone. The sum is a running
    one, s <- (1 - decay) s + decay u_k.

    Source: Zhang et al. 2024, "Spanning Training Progress: Temporal Dual-Depth Scoring".
    Memory: 8 (J + 5) N bytes; the (T, N) log of steps is read once, row by row, the (T, N, C) tensor never
    stored.

    Attributes:
        window: J, epochs per window, at least 3; None for the fraction's setting.
        epochs: n, the first epochs used; None for the fraction's setting.
        decay: weight of the newest window, in (0, 1].

    Unset fields follow the settings that DUAL's authors list for TDDS on CIFAR (epochs/window 90/10, 70/10,
    60/20, 20/10, 10/5 at 70, 50, 30, 20, 10% kept); at any other fraction, and in `score` without one, 30/10.
    """

    window: int | None = None
    epochs: int | None = None
    decay: float = 0.9

    name: ClassVar[str] = "TDDS"
    paper: ClassVar[str] = "Zhang et al., CVPR 2024"
    facts: ClassVar[Facts] = Facts(
        code="zhangxin-xd/Dataset-Pruning-TDDS",
        rule="exponentially weighted windows of the spread of the weighted KL steps",
        balance="top k within each class's quota; the paper: over the whole pool",
        anchor="tests/methods/test_tdds.py::test_two_windows_by_hand",
        deviations=(
            "the CIFAR settings per fraction are used for every data set: a method does not know the data; "
            "fractions that the paper does not have, all below 10% too, take 30 epochs and windows of 10",
            "the copy in DUAL's repository (logits for probabilities, one fixed window) is not followed",
        ),
        family="trajectory",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_windows(self.epochs, self.window, least=3)
        if not 0 < self.decay <= 1:
            raise UsageError(f"decay is {self.decay}: it must be above 0 and at most 1")

    @property
    def needs(self) -> frozenset[Signal]:
        return super().needs | {Signal.KL_STEP}

    def checkpoints(self, epochs: int) -> range:
        """From row 2, the step from epoch 1 to 2, on."""
        return range(2, min(epochs, self._set(_ELSEWHERE).epochs) + 1)

    def resolve(self, fraction: float) -> TDDS:
        """With window and epochs set for the fraction kept."""
        return self._set(_SETTINGS.get(round(fraction, 9), _ELSEWHERE))

    def _set(self, setting: tuple[int, int]) -> TDDS:
        epochs, window = setting
        return dataclasses.replace(self, window=self.window or window, epochs=self.epochs or epochs)

    @property
    def width(self) -> int:
        return self._set(_ELSEWHERE).window

    def score(self, run: ProxyRun) -> np.ndarray:
        """The weighted spread, (N,) float64; UsageError for fewer than 3 recorded epochs."""
        used = self._set(_ELSEWHERE)
        steps, window = windowed_epochs(run, Signal.KL_STEP, self, used.epochs, used.window)
        score = np.zeros(steps.shape[1])
        # row 1 of the log is the step from the untrained network: no part of any window
        for _, squares in sliding_moments(steps[1:], window - 1):
            score *= 1.0 - self.decay
            score += self.decay * np.sqrt(squares)
        return score
