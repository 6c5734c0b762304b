"""GraphCut: rows similar to all the others, but not to each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from deepcore.common.checks import check_positive
from deepcore.proxy.run import ProxyRun
from deepcore.scoring.graph_cut import graph_cut
from deepcore.scoring.last_layer import LastLayer
from deepcore.selection.method import Facts
from methods.greedy import GreedyMethod, Picks


@dataclass(frozen=True)
class GraphCut(GreedyMethod):
    """Greedy maximisation of the graph cut of the similarities between last-layer gradients (Iyer et al.
    2021, "Submodular combinatorial information measures with applications in machine learning").

    With g_i = (softmax(z_i) - onehot(y_i)) outer [1, h_i], z logits and h penultimate features of the proxy's
    last checkpoint, and K_ij = 0.5 + 0.5 cos(g_i, g_j), the next pick is the argmax over the unpicked j of

        gain_j = lam * sum_i K_ij - 2 * sum over the picked a of K_aj,        ties: the lowest row id,

    i over the rows of the class when class-balanced, else over all (j itself included). A row whose gradient
    is 0 has cosine 0 with every row. Gains below 0 (large fractions) are picked in their order all the same.

    No entry of K is computed: the sums are products with sums of unit gradients, exact up to rounding, and
    only for rows that can be the best (`deepcore.scoring.graph_cut`). Memory: 40 n (D + 1 + C) bytes, n the
    largest class (all N without class balance) (`memory`). Time: at most 2 n k C (D + 1) FLOPs.

    Attributes:
        lam: weight of being similar to all; the CLD paper asks for at least 2. Below 2 the objective is not
            monotone, and small values pick rows unlike each other whatever the others are.
        device: where it is computed, as torch names it; None for the run's (`--gpu`).
    """

    lam: float = 2.0

    name: ClassVar[str] = "GraphCut"
    paper: ClassVar[str] = "Iyer et al., ALT 2021"
    facts: ClassVar[Facts] = Facts(
        family="diversity",
        code="PatrickZH/DeepCore",
        rule="argmax of lam * sum_i K_ij - 2 sum over picks of K_aj, K = 0.5 + 0.5 cos of gradients",
        balance="each class for itself, similarities within the class; unbalanced: over the pool",
        anchor="tests/methods/test_greedy_methods.py::test_graph_cut_by_hand",
        deviations=(
            "the gain has no term for the pick itself, K_jj, as in DeepCore: the same for all rows but those "
            "without a gradient",
            "K is of last-layer gradients, as in DeepCore; the CLD paper's is of features",
            "lam=2, the least that the CLD paper allows; DeepCore's default is 1",
            "exact greedy; DeepCore's lazy one does not end once gains are negative",
        ),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive("lam", self.lam)

    def bytes_of(self, n: int, k: int, features: int, classes: int) -> int:
        return 40 * n * (features + 1 + classes)

    def pick(self, run: ProxyRun, rows: np.ndarray, k: int, rng: np.random.Generator) -> Picks:
        """`rng` is not used."""
        layer = LastLayer.of(run, rows, run.device_for(self.device), val=False)
        return Picks(graph_cut(layer, k, self.lam))
