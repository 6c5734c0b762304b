"""CCS: coverage-centric coreset selection (Zheng et al. 2023)."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from deepcore.common.checks import UsageError, check_choice, check_positive
from deepcore.proxy.run import ProxyRun
from deepcore.proxy.signals import Signal
from deepcore.selection.method import Facts, ScoreMethod
from deepcore.selection.ranking import cut_share
from deepcore.selection.samplers import Sampler, Strata
from deepcore.selection.strata import MOST_STRATA
from methods.aum import AUM
from methods.el2n import EL2N
from methods.forgetting import Forgetting

_DIFFICULTIES = {"aum": AUM(of="probability"), "el2n": EL2N(), "forgetting": Forgetting()}


@dataclass(frozen=True)
class CCS(ScoreMethod):
    """Cut the likely mislabelled, then spread the budget over strata of the difficulty.

    1. The int(beta * n) samples with the lowest AUM (over probabilities) are set aside.
    2. The range of the difficulty of the others is divided into `strata` of equal width.
    3. Strata by increasing size get min(size, remaining budget // remaining strata).
    4. That many are drawn uniformly without replacement in each.

    The score is the difficulty, in [-1, 1] for AUM; it has no end that is kept, unless `sampler="top"` (then
    the hard one, without a cut). n is the size of the class when `class_balanced` (cut, strata and quota
    inside the class), else of the pool (the paper's form). When the cut leaves fewer rows than the budget,
    the highest AUM of those cut fill up, and it is noted.

    Source: Zheng et al. 2023, "Coverage-centric Coreset Selection for High Pruning Rates", Algorithm 1.
    Memory: 42 N bytes; the (T, N) log is read once for the difficulty and once for the cut.

    Attributes:
        beta: share cut; None for the paper's CIFAR-10 values (0.3 at 10% kept, 0.1 at 20 and 30%, 0 from
            50%), linear in between and constant outside. ImageNet, by the authors' README: 0.3 at 10%, 0.2 at
            20%.
        strata: number of strata.
        difficulty: "aum", "el2n" or "forgetting", what is stratified; the cut is always by AUM.
    """

    beta: float | None = None
    strata: int = 50
    difficulty: str = "aum"

    name: ClassVar[str] = "CCS"
    paper: ClassVar[str] = "Zheng et al., ICLR 2023"
    own_sampler: ClassVar[str] = "strata"
    reads_gaps: ClassVar[bool] = True
    facts: ClassVar[Facts] = Facts(
        code="haizhongzheng/Coverage-centric-coreset-selection",
        rule="cut int(beta n) lowest AUM, 50 equal-width strata, smallest first, uniform draws",
        balance="cut, strata and quota inside each class; the paper: over the whole pool",
        anchor="tests/selection/test_samplers.py::test_strata_by_hand",
        deviations=(
            "the top edge is max + 1e-4 |max| and the last stratum closed: the authors' max * 1.0001 loses "
            "rows when max <= 0",
            "beta is interpolated between the paper's CIFAR-10 fractions, for any data",
            "a quota below the number of strata takes one row from each of the fullest strata and none from "
            "the others; the paper's budgets over the whole pool are larger",
            "a budget larger than what the cut leaves is filled with the best of those cut",
        ),
        family="score",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive("strata", self.strata, whole=True, most=MOST_STRATA)
        check_choice("difficulty", self.difficulty, _DIFFICULTIES)
        if self.beta is not None and not 0 <= self.beta < 1:
            raise UsageError(f"beta is {self.beta}: it is the share cut, at least 0 and below 1")

    @property
    def keep(self) -> str:
        return self._difficulty().keep

    @property
    def needs(self) -> frozenset[Signal]:
        return super().needs | self._difficulty().needs | {Signal.MARGIN_P}

    def checkpoints(self, epochs: int) -> range:
        """Those of the difficulty; a cut by AUM, which reads all, is the sampler's."""
        return self._difficulty().checkpoints(epochs)

    def resolve(self, fraction: float) -> CCS:
        """With beta set for the fraction kept."""
        return self if self.beta is not None else dataclasses.replace(self, beta=cut_share(fraction))

    def make_sampler(self) -> Sampler:
        sampler = super().make_sampler()
        return Strata(self.strata, self.beta or 0.0) if isinstance(sampler, Strata) else sampler

    def score(self, run: ProxyRun) -> np.ndarray:
        """The difficulty as its own method computes it, (N,) float64; beta and strata do not enter."""
        return self._difficulty().score(run)

    def _difficulty(self) -> ScoreMethod:
        return dataclasses.replace(_DIFFICULTIES[self.difficulty], record=self.record)
