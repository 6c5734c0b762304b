"""GradMatch: picks whose weighted gradients add up to the mean gradient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from deepcore.common.checks import check_positive
from deepcore.proxy.run import ProxyRun
from deepcore.scoring.last_layer import LastLayer
from deepcore.scoring.matching_pursuit import matching_pursuit
from deepcore.selection.method import Facts
from methods.greedy import GreedyMethod, Picks


@dataclass(frozen=True)
class GradMatch(GreedyMethod):
    """Orthogonal matching pursuit of the mean gradient (Killamsetty et al. 2021, "GRAD-MATCH: Gradient
    Matching based Data Subset Selection for Efficient Deep Model Training", Algorithm 2).

    With g_i = (softmax(z_i) - onehot(y_i)) outer [1, h_i], z logits and h penultimate features of the proxy's
    last checkpoint, t the mean of g (of the class, when class-balanced) and A_S the picked g as columns:

        next pick = argmax over the unpicked i of <g_i, t - A_S x>     (signed), ties: the lowest row id,
        x = solve(A_S' A_S + lam I, A_S' t),

    k times; then the weights are the minimum of ||A_S x - t||^2 + lam ||x||^2 over x >= 0, which is that x
    where none of it is negative. Rows with weight 0 give way to the rows with the largest <g_i, t - A_S x>
    above 0, and the weights are computed anew, until all k are positive. Where no row is left whose product
    is above 0, none improves the match: rows by that product fill the budget, with weight 0. Both are noted.
    Weights fit the mean of each class, whatever its size. Where squared gradients are far below `lam`, they
    are about A_S' t / lam: a class with small gradients, which the network knows well, then counts little in
    the weighted loss, whose weights are scaled to mean 1 over all classes together. Where the mean gradient
    of a class is 0, so are its weights; where those of all classes are, rows are weighted equally, and it is
    noted.

    Computed in float64 through `<g_i, V> = r_i . (V [1, h_i])`, and only for rows that can be the best
    (`deepcore.scoring.matching_pursuit`). Memory: 32 n (D + 1 + C) + 32 k (D + 1 + C) + 40 k^2 bytes, n and k
    of the largest class (all without class balance) (`memory`). Time: at most 2 n k C (D + 1) + k^3 FLOPs.

    Attributes:
        lam: the ridge, above 0; raised to 1e-9 of the largest ||g_i||^2 where it is smaller.
        weighted: the target's loss is weighted; False keeps the rows and forgets the weights.
        device: where it is computed, as torch names it; None for the run's (`--gpu`).
    """

    lam: float = 1.0
    weighted: bool = True

    name: ClassVar[str] = "GradMatch"
    paper: ClassVar[str] = "Killamsetty et al., ICML 2021"
    facts: ClassVar[Facts] = Facts(
        family="gradient",
        code="decile-team/cords",
        rule="orthogonal matching pursuit of the mean gradient with ridge lam; non-negative weights",
        balance="each class for itself, matching its own mean, the paper's per-class form; unbalanced: over "
        "the pool",
        anchor="tests/methods/test_greedy_methods.py::test_gradmatch_by_hand",
        deviations=(
            "one selection from the proxy's last checkpoint; the paper selects again during training",
            "the weights minimise the paper's regularised error over x >= 0; CORDS and DeepCore apply "
            "non-negative least squares to the normal equations, the same where no weight is 0",
            "rows of weight 0 are replaced by residual; CORDS fills up at random, DeepCore keeps fewer rows",
            "lam also holds for the first pick; DeepCore ignores its own `lam`",
            "lam=1 is DeepCore's default; CORDS' CIFAR-10 configuration has 0.5. It is not scaled: where "
            "squared gradients are far below it, the picks are those of the largest product with the mean, "
            "and the classes with the smallest gradients have the smallest share of the weighted loss",
        ),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive("lam", self.lam)

    def bytes_of(self, n: int, k: int, features: int, classes: int) -> int:
        return 32 * (n + k) * (features + 1 + classes) + 40 * k**2

    def pick(self, run: ProxyRun, rows: np.ndarray, k: int, rng: np.random.Generator) -> Picks:
        """`rng` is not used."""
        layer = LastLayer.of(run, rows, run.device_for(self.device), val=False)
        picks = matching_pursuit(layer, k, self.lam)
        return Picks(picks.order, picks.weights if self.weighted else None, picks.replaced)

    def notes_of(self, parts: Sequence[Picks], weights: np.ndarray | None) -> tuple[str, ...]:
        notes = []
        k = sum(len(part.order) for part in parts)
        if replaced := sum(part.replaced for part in parts):
            notes.append(
                f"{replaced} of {k} picks of the pursuit had a non-negative weight of 0 and gave way to rows "
                "chosen by residual"
            )
        if weights is None:
            return tuple(notes)
        if not weights.any():
            return (*notes, "the mean gradient is 0, so all weights are: rows are weighted equally")
        notes.append(f"weighted: from {weights.min():.3g} to {weights.max():.3g}, before scaling to mean 1")
        if zeros := int(np.count_nonzero(weights == 0)):
            notes.append(f"{zeros} of {k} rows have weight 0: no row left improves the match")
        return tuple(notes)
