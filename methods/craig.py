"""CRAIG: picks whose weighted gradients stand for all gradients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from deepcore.proxy.run import ProxyRun
from deepcore.scoring.facility_location import facility_location
from deepcore.scoring.gradient_kernel import GradientKernel
from deepcore.scoring.last_layer import LastLayer
from deepcore.selection.method import Facts
from methods.facility_location import kernel_bytes
from methods.greedy import GreedyMethod, Picks


@dataclass(frozen=True)
class CRAIG(GreedyMethod):
    """Facility location over the distances between gradients, and a weight for each pick: the number of rows
    that it stands for (Mirzasoleiman et al. 2020, "Coresets for Data-efficient Training of Machine Learning
    Models", Algorithm 1).

    With g_i = (softmax(z_i) - onehot(y_i)) outer [1, h_i], z logits and h penultimate features of the proxy's
    last checkpoint, D_ij = ||g_i - g_j|| and S = max(D) - D, the next pick is the argmax over the unpicked j
    of

        gain_j = sum_i max(0, S_ij - max over the picked a of S_ia),          ties: the lowest row id,

    i over the rows of the class when class-balanced, else over all. Each row counts for the pick nearest to
    it (the earliest of equally near ones); the weight of a pick is how many do, so that the weights sum to
    the rows of the class. A pick that is a copy of an earlier one has weight 0, and it is noted; where all
    gradients are equal, the lowest row id has all the weight.

    The greedy is lazy, which is exact, for the objective is submodular
    (`deepcore.scoring.facility_location`). Memory: 32 n (D + 1 + C) bytes, and 8 n^2 or 512 MB, whichever is
    less, n the largest class (all N without class balance) (`memory`). Time: n^2 D FLOPs, and 2 n D for each
    gain computed again where n^2 numbers do not fit.

    Attributes:
        weighted: the target's loss is weighted; False keeps the rows and forgets the weights.
        device: where it is computed, as torch names it; None for the run's (`--gpu`).
    """

    weighted: bool = True

    name: ClassVar[str] = "CRAIG"
    paper: ClassVar[str] = "Mirzasoleiman et al., ICML 2020"
    facts: ClassVar[Facts] = Facts(
        family="gradient",
        code="baharanm/craig",
        rule="facility location on max(D) - D, D distances of gradients; weights: rows nearest to each pick",
        balance="each class for itself, as in the paper; unbalanced: over the pool",
        anchor="tests/methods/test_greedy_methods.py::test_craig_by_hand",
        deviations=(
            "one selection from the proxy's last checkpoint: gradients at the paper's anchor checkpoints are "
            "not recorded",
            "gradients with respect to the last layer's weights and bias; the paper's are by its input",
            "the exact greedy; the paper allows a stochastic one",
            "weights sum to the rows of the class; DeepCore's are one too high each",
            "at the last checkpoint of a proxy that fits its rows, most gradients are near 0, and one pick "
            "can stand for most of its class; the paper's anchors run along the training",
        ),
    )

    def bytes_of(self, n: int, k: int, features: int, classes: int) -> int:
        return kernel_bytes(n, features, classes)

    def pick(self, run: ProxyRun, rows: np.ndarray, k: int, rng: np.random.Generator) -> Picks:
        """`rng` is not used."""
        layer = LastLayer.of(run, rows, run.device_for(self.device), val=False)
        picks = facility_location(GradientKernel(layer, "distance"), k)
        return Picks(picks.order, picks.sizes.astype(np.float64) if self.weighted else None)

    def notes_of(self, parts: Sequence[Picks], weights: np.ndarray | None) -> tuple[str, ...]:
        if weights is None:
            return ()
        notes = [f"weighted: each row stands for {weights.min():.0f} to {weights.max():.0f} rows"]
        if copies := int(np.count_nonzero(weights == 0)):
            notes.append(
                f"{copies} of {len(weights)} rows have weight 0: their gradients equal those of earlier picks"
            )
        return tuple(notes)
