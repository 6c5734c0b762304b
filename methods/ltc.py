"""LTC: Loss Trajectory Correlation (arXiv 2503.09721), the earlier form of CLD."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from deepcore.proxy.run import ProxyRun, class_means
from deepcore.proxy.signals import Signal
from deepcore.scoring.correlation import standardise
from deepcore.selection.method import Facts
from methods.cld import CLD


@dataclass(frozen=True)
class LTC(CLD):
    """As CLD, but the mean of the correlations instead of the correlation with the mean.

        score_m = mean over validation rows q of class y_m of Pearson(d_m, d_q)  in [-1, 1]; keep the highest

    A correlation is the product of two standardised trajectories, so the mean over q is one product with the
    mean of the standardised validation rows: exact, and no (N, Q) matrix. Cost and memory are CLD's. A
    validation row that does not vary counts with correlation 0.0. Needs the loss of each validation row, not
    class means.

    Fields as CLD's; `trajectory="global"` is the mean over all validation rows, whatever their class.
    """

    name: ClassVar[str] = "LTC"
    paper: ClassVar[str] = "Nagaraj et al. 2025, arXiv 2503.09721"
    reads_gaps: ClassVar[bool] = False
    reads_val_means: ClassVar[bool] = False
    facts: ClassVar[Facts] = Facts(
        code="",
        rule="mean over the class's validation rows of the Pearson correlation of loss differences",
        balance="top k within each class's quota, as in the paper",
        anchor="tests/methods/test_cld.py::test_equals_the_definition",
        deviations=(
            "a trajectory that does not vary has no correlation and counts as 0",
            "the mean is over the validation rows of the class; whether the paper's is, too, is not known to "
            "us",
        ),
        family="trajectory",
    )

    def reference(self, run: ProxyRun, rows: slice, *, initial: bool) -> tuple[np.ndarray, np.ndarray]:
        """The mean of the standardised differences over the validation rows of each class."""
        z, flat = standardise(run.val_trajectory(Signal.LOSS, initial=initial)[rows], self.correlation)
        if self.trajectory == "global":
            return z.mean(axis=1, keepdims=True), flat
        return class_means(z, run.val_labels, run.num_classes), flat
