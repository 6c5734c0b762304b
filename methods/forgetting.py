"""Forgetting events (Toneva et al. 2019)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from deepcore.common.checks import check_positive
from deepcore.proxy.run import ProxyRun
from deepcore.proxy.signals import Signal
from deepcore.scoring.epochs import first_epochs
from deepcore.scoring.gaps import KnownForgetting
from deepcore.selection.method import Facts, ScoreMethod


@dataclass(frozen=True)
class Forgetting(ScoreMethod):
    """The number of times that a sample was right in one epoch and wrong in the next; keep the highest.

    score_i = #{t in 2..n : correct_i[t-1] and not correct_i[t]}, and n for a sample that was never correct,
    with correct_i[t] = (z_y > max of the other logits) at epoch t. Whole numbers in [0, n], so ties are many;
    the share of picks that the tie rule decides is noted with the selection. (DeepCore gives samples never
    learned 0 and so drops them first; the authors give them the number of presentations, as here.)

    Source: Toneva et al. 2019, "An Empirical Study of Example Forgetting during Deep Neural Network
    Learning"; recorded in the training pass, as published.
    Memory: 18 N bytes; the (T, N) log is read once, row by row.

    Attributes:
        epochs: n, the first epochs counted; None for all.
    """

    epochs: int | None = None

    name: ClassVar[str] = "Forgetting"
    paper: ClassVar[str] = "Toneva et al., ICLR 2019"
    reads_gaps: ClassVar[bool] = True
    facts: ClassVar[Facts] = Facts(
        code="mtoneva/example_forgetting",
        rule="count of right-then-wrong between consecutive epochs; never right counts n",
        balance="top k within each class's quota; the paper: over the whole pool",
        anchor="tests/methods/test_forgetting.py::test_counted_by_hand",
        deviations=(
            "a tie of the true class with another counts as wrong (argmax depends on the class order)",
        ),
        family="trajectory",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.epochs is not None:
            check_positive("epochs", self.epochs, whole=True)

    @property
    def needs(self) -> frozenset[Signal]:
        return super().needs | {Signal.CORRECT}

    def checkpoints(self, epochs: int) -> range:
        return super().checkpoints(min(epochs, self.epochs or epochs))

    def score(self, run: ProxyRun) -> np.ndarray:
        """Forgetting events, (N,) float64 in [0, n]."""
        margins = first_epochs(run, Signal.MARGIN, self, self.epochs)
        if run.log.has_gaps:
            known = KnownForgetting(len(run.ids))
            for margin in margins:
                known.add(margin)
            return known.value()
        events = np.zeros(margins.shape[1])
        before = learned = np.zeros(margins.shape[1], dtype=bool)
        for margin in margins:
            correct = margin > 0
            events += before & ~correct
            events[np.isnan(margin)] = np.nan  # refused by its row id, not counted as wrong
            learned = learned | correct
            before = correct
        return np.where(learned | np.isnan(events), events, float(len(margins)))
