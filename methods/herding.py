"""Herding: the subset whose mean follows the mean of its class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from deepcore.proxy.run import ProxyRun
from deepcore.proxy.signals import Signal
from deepcore.scoring.herding import herding
from deepcore.scoring.last_layer import final_rows
from deepcore.selection.method import Facts
from methods.greedy import GreedyMethod, Picks


@dataclass(frozen=True)
class Herding(GreedyMethod):
    """Row after row, the one that keeps the mean of the picks closest to the mean of all (Welling 2009,
    "Herding dynamical weights to learn"; Chen et al. 2010, "Super-samples from kernel herding").

    With h the penultimate features of the proxy's last checkpoint and mu their mean (of the class, when
    class-balanced), at step t = 0, 1, ...

        w_t = (t + 1) mu - sum of the picked h,       pick = argmin over the unpicked i of ||w_t - h_i||,

    as in iCaRL (Rebuffi et al. 2017); ties to the lowest row id. After the pick the mean of the picks is as
    near to mu as one row can bring it. Rows that are all equal are picked by id. No randomness.

    Memory: 32 n D bytes, n the largest class (all N without class balance) (`memory`). Time: 2 n k D FLOPs.

    Attributes:
        device: where it is computed, as torch names it; None for the run's (`--gpu`).
    """

    name: ClassVar[str] = "Herding"
    paper: ClassVar[str] = "Welling, ICML 2009; Chen et al., UAI 2010"
    facts: ClassVar[Facts] = Facts(
        family="diversity",
        code="PatrickZH/DeepCore",
        rule="argmin of ||(t + 1) mu - sum of the picked features - h||",
        balance="each class for itself, around its own mean; unbalanced: around the mean of the pool",
        anchor="tests/methods/test_greedy_methods.py::test_herding_by_hand",
        deviations=(
            "the row nearest to w_t, as the exemplars of iCaRL (Rebuffi et al. 2017); Welling and Chen et "
            "al. take the largest inner product with w_t, the same for features of equal length alone; "
            "DeepCore takes the farthest",
            "over features as they are; kernel herding allows any kernel",
        ),
    )

    @property
    def needs(self) -> frozenset[Signal]:
        """Features after the last step."""
        return frozenset({Signal.FEATURES})

    def bytes_of(self, n: int, k: int, features: int, classes: int) -> int:
        return 32 * n * features

    def pick(self, run: ProxyRun, rows: np.ndarray, k: int, rng: np.random.Generator) -> Picks:
        """`rng` is not used."""
        return Picks(herding(final_rows(run, Signal.FEATURES, rows, run.device_for(self.device)), k))
