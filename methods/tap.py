"""TAP: samples whose loss falls along a training on the validation rows (Yang et al. 2026)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from deepcore.common.checks import UsageError, check_positive
from deepcore.proxy.run import ProxyRun
from deepcore.proxy.signals import Signal
from deepcore.selection.method import Facts, ScoreMethod
from deepcore.selection.own_run import OwnRun

NOTHING = 1e-8  # a loss before that is no larger than this leaves nothing to lower


@dataclass(frozen=True)
class TAP(ScoreMethod):
    """The share of its loss that a sample loses along a short training on the validation rows.

        score_i = (l_i[before] - l_i[after]) / l_i[before],   in (-inf, 1]; the highest are kept

    l is the cross-entropy in eval mode: before the first step, with the initialisation that the seed's proxy
    has, and after `epochs` epochs of the proxy's recipe on the validation rows alone. The training is the
    method's own and so is its cost: 3 Q epochs f, and 2 N f for the two passes over the candidates. A sample
    without a loss before (at most 1e-8) scores 0.

    Source: Yang et al. 2026, "Let the Target Select for Itself: Data Selection via Target-Aligned Paths"
    (arXiv 2605.09404). The exact normaliser is not known to us from the paper; the authors' public code
    divides by the first loss, plus 1e-8.
    Memory: 24 N bytes.

    Attributes:
        epochs: of the training on the validation rows. The authors calibrate the length and the step on the
            target task; here it is a field.
    """

    epochs: int = 10

    name: ClassVar[str] = "TAP"
    paper: ClassVar[str] = "Yang et al. 2026, arXiv 2605.09404"
    facts: ClassVar[Facts] = Facts(
        code="the authors' TACS repository",
        rule="relative fall of the loss along a short training on the validation rows",
        balance="top k within each class's quota; the paper: over the whole pool",
        anchor="tests/methods/test_tap.py::test_by_hand",
        deviations=(
            "the paper's exact normaliser is not known to us: the loss before, as in the authors' code",
            "all weights are trained for a fixed number of epochs; the paper tunes a rank-one adapter of a "
            "pretrained network for a calibrated length",
            "the path begins at the initialisation; in the authors' code at its first checkpoint",
        ),
        family="trajectory",
        passes="2 N forward",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive("epochs", self.epochs, whole=True)
        if self.extrapolate is not None:
            raise UsageError(
                f"TAP trains on the validation rows alone and extrapolate={self.extrapolate} would save "
                "nothing: leave it out"
            )

    @property
    def needs(self) -> frozenset[Signal]:
        """Losses of the candidates, along the method's own training."""
        return super().needs | {Signal.LOSS}

    def checkpoints(self, epochs: int) -> range:
        """The untrained network, and the end of its own training."""
        return range(0, epochs + 1, max(epochs, 1))

    @property
    def own_run(self) -> OwnRun:
        """On the validation rows."""
        return OwnRun("validation", epochs=self.epochs)

    def score(self, run: ProxyRun) -> np.ndarray:
        """Relative falls, (N,) float64; MissingSignal when the run has no such training."""
        own = run.require_own(self.name)
        order = np.argsort(run.ids)  # batches do not depend on how the run is stored
        ids, labels = run.ids[order], run.labels[order]
        before, after = (
            own.trained_network(trained=trained).losses(ids, labels) for trained in (False, True)
        )
        out = np.empty(len(order))
        out[order] = relative_fall(before, after)
        return out


def relative_fall(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """(before - after) / before, 0 where there is nothing to fall; (N,) float64."""
    some = before > NOTHING
    return np.where(some, (before - after) / np.where(some, before, 1.0), 0.0)
