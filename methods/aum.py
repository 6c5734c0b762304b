"""AUM: the area under the margin (Pleiss et al. 2020)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from deepcore.common.checks import check_choice
from deepcore.proxy.run import ProxyRun
from deepcore.proxy.signals import Signal
from deepcore.scoring.epochs import mean_over_epochs
from deepcore.selection.method import Facts, ScoreMethod

_SIGNALS = {"logit": Signal.MARGIN, "probability": Signal.MARGIN_P}


@dataclass(frozen=True)
class AUM(ScoreMethod):
    """The mean margin of the true class over the epochs; low means hard or mislabelled.

    score_i = 1/T sum_{t=1..T} (z_y[t] - max_{j != y} z_j[t]), over logits, in (-inf, inf), or over
    probabilities, in [-1, 1]. The AUM and CLD papers take logits; CCS's and D2's code takes probabilities.

    Source: Pleiss et al. 2020, "Identifying Mislabeled Data using the Area Under the Margin Ranking".
    The paper looks for mislabelled rows and selects nothing; as a selection it keeps the lowest (hard first),
    as CCS's command line does.
    Memory: 16 N bytes; the (T, N) log is read once, row by row.

    Attributes:
        of: "logit" or "probability".
        keep: "lowest" (hard first), "highest" (easy first) or "zero" (closest to the boundary).
    """

    of: str = "logit"
    keep: str = "lowest"

    name: ClassVar[str] = "AUM"
    paper: ClassVar[str] = "Pleiss et al., NeurIPS 2020"
    reads_gaps: ClassVar[bool] = True
    facts: ClassVar[Facts] = Facts(
        code="asappresearch/aum",
        rule="mean over all epochs of z_y - max of the other logits",
        balance="top k within each class's quota; the paper selects no subset",
        anchor="tests/methods/test_aum.py::test_margin_by_hand",
        deviations=("as a selection it keeps the lowest margins, as CCS's command line does",),
        family="score",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("of", self.of, _SIGNALS)
        check_choice("keep", self.keep, ("lowest", "highest", "zero"))

    @property
    def needs(self) -> frozenset[Signal]:
        return super().needs | {_SIGNALS[self.of]}

    def score(self, run: ProxyRun) -> np.ndarray:
        """Mean margins, (N,) float64."""
        margins = run.trajectory(_SIGNALS[self.of], self.mode)
        return mean_over_epochs(margins, gaps=run.log.has_gaps)
