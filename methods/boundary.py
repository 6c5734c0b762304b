"""BoundarySet-CCS: coverage of the distances to the decision boundary (Yang et al. 2024)."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from deepcore.common.checks import check_positive
from deepcore.proxy.run import ProxyRun
from deepcore.proxy.signals import Signal
from deepcore.scoring.input_gradients import steps_to_flip
from deepcore.selection.method import Facts, ScoreMethod
from deepcore.selection.samplers import Sampler, Strata
from deepcore.selection.strata import MOST_STRATA


@dataclass(frozen=True)
class BoundarySetCCS(ScoreMethod):
    """Steps to the decision boundary as distance, then CCS's strata over the distances.

        x[0] = x_i,   x[t+1] = x[t] + step * sign(grad_x l(x[t], y_i))
        score_i = the first t at which the prediction of x[t] is not y_i;   `cap` when it is not among
                  0 .. cap - 1

    l is the cross-entropy of the proxy's last checkpoint in eval mode, x the input as the network sees it:
    standardised, so that `step` is a share of its standard deviation. A sample that is wrong already has
    distance 0. This is projected gradient ascent in the L-infinity norm with a ball that no sample leaves in
    `cap` steps; nothing is clipped to the range of the pixels.

    The budget is spent by CCS's strata, smallest first and uniform inside (`sampler="strata"`, its own),
    without a cut. With as many strata as there are distances, cap + 1, each stratum holds one distance. The
    score has no end that is kept; `sampler=top` takes the samples nearest the boundary.

    Source: Yang et al. 2024, "Mind the Boundary: Coreset Selection via Reconstructing the Decision Boundary",
    in the form of the CLD paper (Appendix E.2.4). Not known to us: the step of the paper's attack and how it
    treats mislabelled samples.
    Cost: a forward and a backward pass for each step really taken, and one where a sample turns out wrong.
    Memory: 8 N bytes and a batch of 256 rows forward and backward.

    Attributes:
        step: length of a step in each entry of the input.
        cap: K_max, the most steps.
        strata: number of strata; None for cap + 1.
    """

    step: float = 0.02
    cap: int = 50
    strata: int | None = None

    name: ClassVar[str] = "BoundarySet-CCS"
    paper: ClassVar[str] = "Yang et al., ICML 2024"
    own_sampler: ClassVar[str] = "strata"
    facts: ClassVar[Facts] = Facts(
        code="",
        rule="number of sign-gradient steps until the prediction is wrong; CCS's strata over these numbers",
        balance="strata and quota inside each class; the CLD paper: over the whole pool",
        anchor="tests/methods/test_input_methods.py::test_boundary_set_is_the_definition",
        deviations=(
            "the step of 0.02 standard deviations is ours: the paper's is not known to us",
            "no clipping to the range of the pixels, and no cut of likely mislabelled samples",
            "one stratum for each number of steps, as in the CLD paper, where CCS has 50 of equal width",
        ),
        family="score",
        passes="up to `cap` (50) times N forward and backward",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive("step", self.step)
        check_positive("cap", self.cap, whole=True, most=MOST_STRATA - 1)
        if self.strata is not None:
            check_positive("strata", self.strata, whole=True, most=MOST_STRATA)

    @property
    def keep(self) -> str:
        return "lowest"

    @property
    def needs(self) -> frozenset[Signal]:
        return super().needs | {Signal.WEIGHTS}

    def make_sampler(self) -> Sampler:
        sampler = super().make_sampler()
        return Strata(self.strata or self.cap + 1) if isinstance(sampler, Strata) else sampler

    def score(self, run: ProxyRun) -> np.ndarray:
        """Steps, (N,) float64 of whole numbers; MissingSignal when the run has no network."""
        network = run.trained_network()
        count = functools.partial(network.meter.count, "gradient")
        order = np.argsort(run.ids)  # batches do not depend on how the run is stored
        out = np.empty(len(order))
        for cut, x in network.batches(run.ids[order]):
            rows = order[cut]
            labels = torch.from_numpy(run.labels[rows]).to(network.device)
            steps = steps_to_flip(network.net, x, labels, step=self.step, cap=self.cap, count=count)
            out[rows] = steps.cpu().numpy()
        return out
