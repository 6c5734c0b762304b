"""SloCurv: samples around which the loss is flat (Garg & Roy 2023)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from deepcore.common.checks import check_positive
from deepcore.common.seeding import stream
from deepcore.proxy.run import ProxyRun
from deepcore.proxy.signals import Signal
from deepcore.scoring.input_gradients import curvature
from deepcore.selection.method import Facts, ScoreMethod

MOST_PROBES = 10_000  # each costs a backward pass of every candidate


@dataclass(frozen=True)
class SloCurv(ScoreMethod):
    """The curvature of the loss in the input, by R random directions; keep the lowest.

        score_i = 1/R sum_r ||grad_x [l(x_i + h v_r, y_i) - l(x_i, y_i)]||^2,   in [0, inf)

    l is the cross-entropy of the proxy's last checkpoint in eval mode, x the input as the network sees it:
    standardised, so that h is a share of its standard deviation. The v_r are Rademacher vectors (entries +1
    and -1), the same R for all samples, drawn from the stream "probes" of the run's seed.

    Source: Garg & Roy 2023, "Samples with Low Loss Curvature Improve Data Efficiency", with the squared norm
    of the CLD paper (Appendix E.3.1).
    Cost: R + 1 forward and backward passes a sample through the trained proxy. Memory: 8 N bytes, R inputs,
    and a batch of 256 rows forward and backward.

    Attributes:
        probes: R.
        h: length of the step in each entry.
    """

    probes: int = 10
    h: float = 1e-3

    name: ClassVar[str] = "SloCurv"
    paper: ClassVar[str] = "Garg & Roy, CVPR 2023"
    facts: ClassVar[Facts] = Facts(
        code="",
        rule="mean over 10 Rademacher directions of the squared change of the loss's gradient in the input",
        balance="top k within each class's quota, as in the CLD paper's comparison",
        anchor="tests/methods/test_input_methods.py::test_slocurv_is_the_definition",
        deviations=(
            "the squared norm is the CLD paper's; public code takes the mean of the norms",
            "all samples share the R directions, as in the CLD paper's storage formula; public code draws "
            "them anew for each batch",
            "one checkpoint, the last",
            "the network runs in float32: the lowest curvatures are differences of nearly equal gradients, "
            "and rounding decides among them",
        ),
        family="gradient",
        passes="N (probes + 1) forward and backward",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive("probes", self.probes, whole=True, most=MOST_PROBES)
        check_positive("h", self.h)

    @property
    def keep(self) -> str:
        return "lowest"

    @property
    def needs(self) -> frozenset[Signal]:
        return super().needs | {Signal.WEIGHTS}

    def score(self, run: ProxyRun) -> np.ndarray:
        """Curvatures, (N,) float64; MissingSignal when the run has no network."""
        network = run.trained_network()
        shape = (self.probes, *network.data.shape)
        drawn = stream(run.seed or 0, "probes").choice([-1.0, 1.0], size=shape)
        directions = torch.from_numpy(drawn).to(network.device, network.dtype)
        order = np.argsort(run.ids)  # batches do not depend on how the run is stored
        out = np.empty(len(order))
        for cut, x in network.batches(run.ids[order]):
            rows = order[cut]
            labels = torch.from_numpy(run.labels[rows]).to(network.device)
            out[rows] = curvature(network.net, x, labels, directions, self.h).cpu().numpy()
            network.meter.count("gradient", len(rows) * (self.probes + 1))
        return out
