"""EL2N: the norm of the error vector early in training (Paul et al. 2021)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from deepcore.common.checks import MissingSignal, UsageError, check_positive
from deepcore.proxy.run import ProxyRun
from deepcore.proxy.signals import Signal
from deepcore.scoring.epochs import first_epochs, mean_over_epochs, reduced
from deepcore.selection.method import Facts, ScoreMethod

MOST_REPEATS = 1000


@dataclass(frozen=True)
class EL2N(ScoreMethod):
    """The error norm || p - onehot(y) ||_2, averaged over first epochs and proxies; keep the highest.

    score_i = mean over R proxies of mean over t = 1..n of || p_i[t] - onehot(y_i) ||_2, in [0, sqrt 2]; with
    `at`, the value at that one epoch instead of the mean over t.

    The paper takes one early epoch (`at`) averaged over ten networks (`repeats=10`). The default, the mean
    over the first ten epochs of the one shared proxy, is CCS's reading. A single network's score carries the
    noise of its initialisation, which the paper averages out over ten. With repeats > 1 the harness trains
    the extra short runs (n epochs each), which count as this method's cost.

    Source: Paul et al. 2021, "Deep Learning on a Data Diet".
    Memory: 24 N bytes; n rows of each proxy's log are read once.

    Attributes:
        epochs: n, the first epochs averaged over.
        at: the one epoch read instead (1 is the first); None for the mean.
        repeats: R, proxies averaged over, the shared one included.
    """

    epochs: int = 10
    at: int | None = None
    repeats: int = 1

    name: ClassVar[str] = "EL2N"
    paper: ClassVar[str] = "Paul et al., NeurIPS 2021"
    signal: ClassVar[Signal] = Signal.EL2N
    reads_gaps: ClassVar[bool] = True
    facts: ClassVar[Facts] = Facts(
        code="mansheej/data_diet",
        rule="mean over epochs 1..10 of the norm of p - onehot(y); `at=n`: epoch n alone",
        balance="top k within each class's quota; the paper: over the whole pool",
        anchor="tests/methods/test_el2n.py::test_error_norm_by_hand",
        deviations=(
            "one proxy where the paper averages ten (`repeats=10`)",
            "the mean over the first ten epochs is CCS's reading; the paper takes one epoch (`at`)",
            "read in the training batches; the authors score saved checkpoints in a pass without "
            "augmentation (`record=post_epoch`)",
        ),
        family="score",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive("epochs", self.epochs, whole=True)
        check_positive("repeats", self.repeats, whole=True, most=MOST_REPEATS)
        if self.at is not None:
            check_positive("at", self.at, whole=True)

    @property
    def needs(self) -> frozenset[Signal]:
        return super().needs | {self.signal}

    def checkpoints(self, epochs: int) -> range:
        last = min(epochs, self.at or self.epochs)
        return range(last if self.at else 1, last + 1)

    @property
    def repeats_needed(self) -> int:
        return self.repeats

    @property
    def repeat_epochs(self) -> int:
        return (self.at or self.epochs) if self.repeats > 1 else 0

    def score(self, run: ProxyRun) -> np.ndarray:
        """The averaged norms, (N,) float64; MissingSignal when the run lacks the extra proxies."""
        held = 1 + len(run.repeats)
        if held < self.repeats:
            raise MissingSignal(
                f"{self.name}: repeats={self.repeats} proxies are to be averaged and this run holds {held}: "
                f"record {self.repeats - held} more short runs, or set repeats={held}"
            )
        total = np.zeros(len(run.ids))
        for proxy in (run, *run.repeats[: self.repeats - 1]):
            if not np.array_equal(proxy.ids, run.ids):
                raise UsageError(f"{self.name}: the repeated runs hold other row ids than the shared one")
            total += self._of_one(proxy)
        return total / self.repeats

    def _of_one(self, proxy: ProxyRun) -> np.ndarray:
        if self.at is None:
            rows = first_epochs(proxy, self.signal, self, self.epochs)
            return mean_over_epochs(rows, gaps=proxy.log.has_gaps)
        rows = proxy.trajectory(self.signal, self.mode)
        return rows[reduced(self, "at", self.at, len(rows)) - 1].astype(np.float64)
