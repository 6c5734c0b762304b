"""FacilityLocation: picks such that every row is similar to one of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from deepcore.proxy.run import ProxyRun
from deepcore.scoring.facility_location import facility_location
from deepcore.scoring.gradient_kernel import KEEP_BYTES, GradientKernel
from deepcore.scoring.last_layer import LastLayer
from deepcore.selection.method import Facts
from methods.greedy import GreedyMethod, Picks


@dataclass(frozen=True)
class FacilityLocation(GreedyMethod):
    """Greedy maximisation of facility location over the similarities between last-layer gradients (Iyer et
    al. 2021, "Submodular combinatorial information measures with applications in machine learning").

    With g_i = (softmax(z_i) - onehot(y_i)) outer [1, h_i], z logits and h penultimate features of the proxy's
    last checkpoint, and K_ij = 0.5 + 0.5 cos(g_i, g_j), the next pick is the argmax over the unpicked j of

        gain_j = sum_i max(0, K_ij - max over the picked a of K_ia),          ties: the lowest row id,

    i over the rows of the class when class-balanced, else over all. A row whose gradient is 0 has cosine 0
    with every row. Rows that add nothing (copies of picks) come last, by id. No weights.

    The greedy is lazy, which is exact, for the objective is submodular
    (`deepcore.scoring.facility_location`). Memory: 32 n (D + 1 + C) bytes, and 8 n^2 or 512 MB, whichever is
    less, n the largest class (all N without class balance) (`memory`). Time: n^2 D FLOPs, and 2 n D for each
    gain computed again where n^2 numbers do not fit.

    Attributes:
        device: where it is computed, as torch names it; None for the run's (`--gpu`).
    """

    name: ClassVar[str] = "FacilityLocation"
    paper: ClassVar[str] = "Iyer et al., ALT 2021"
    facts: ClassVar[Facts] = Facts(
        family="diversity",
        code="PatrickZH/DeepCore",
        rule="argmax of sum_i max(0, K_ij - max over picks of K_ia), K = 0.5 + 0.5 cos of gradients",
        balance="each class for itself, similarities within the class; unbalanced: over the pool",
        anchor="tests/methods/test_greedy_methods.py::test_facility_location_by_hand",
        deviations=(
            "the gradients are the last layer's, from one checkpoint, as in DeepCore",
            "the cosine leaves out how wrong a row is; with two classes it is the cosine of [1, features]",
        ),
    )

    def bytes_of(self, n: int, k: int, features: int, classes: int) -> int:
        return kernel_bytes(n, features, classes)

    def pick(self, run: ProxyRun, rows: np.ndarray, k: int, rng: np.random.Generator) -> Picks:
        """`rng` is not used."""
        layer = LastLayer.of(run, rows, run.device_for(self.device), val=False)
        return Picks(facility_location(GradientKernel(layer, "cosine"), k, floor=0.0).order)


def kernel_bytes(n: int, features: int, classes: int) -> int:
    """What facility location over the gradients of n rows takes at most."""
    return 32 * n * (features + 1 + classes) + min(8 * n**2, KEEP_BYTES) + (1 << 26)
