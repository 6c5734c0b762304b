"""k-Center greedy: always the row farthest from what is picked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from deepcore.proxy.run import ProxyRun
from deepcore.proxy.signals import Signal
from deepcore.scoring.k_center import k_center
from deepcore.scoring.last_layer import final_rows
from deepcore.selection.method import Facts
from methods.greedy import GreedyMethod, Picks


@dataclass(frozen=True)
class KCenter(GreedyMethod):
    """Start at a random row, then always take the row farthest from its nearest pick (Sener and Savarese
    2018, "Active Learning for Convolutional Neural Networks: A Core-Set Approach"), which covers the rows
    with balls at most twice as large as the best k centres would (Gonzalez 1985).

    Distances are Euclidean between penultimate features of the proxy's last checkpoint; ties to the lowest
    row id. Class-balanced: each class starts at a random row of its own. Rows that are all equal are picked
    by id, after the first.

    Memory: 20 n D bytes, n the largest class (all N without class balance) (`memory`). Time: 3 n k D FLOPs
    at most.

    Attributes:
        device: where it is computed, as torch names it; None for the run's (`--gpu`).
    """

    name: ClassVar[str] = "KCenter"
    paper: ClassVar[str] = "Sener & Savarese, ICLR 2018"
    facts: ClassVar[Facts] = Facts(
        family="diversity",
        code="ozansener/active_learning_coreset",
        rule="a random first row, then the one farthest from its nearest pick",
        balance="each class for itself, from a random row of its own; the paper: over the whole pool",
        anchor="tests/methods/test_greedy_methods.py::test_k_center_by_hand",
        deviations=(
            "the greedy of the paper's Algorithm 1, without its robust form by mixed-integer programs",
            "the start is one random row; the paper's active learning starts from a labelled pool",
        ),
    )

    @property
    def needs(self) -> frozenset[Signal]:
        """Features after the last step."""
        return frozenset({Signal.FEATURES})

    def bytes_of(self, n: int, k: int, features: int, classes: int) -> int:
        return 20 * n * features

    def pick(self, run: ProxyRun, rows: np.ndarray, k: int, rng: np.random.Generator) -> Picks:
        """`rng` draws the first."""
        points = final_rows(run, Signal.FEATURES, rows, run.device_for(self.device))
        return Picks(k_center(points, int(rng.integers(len(rows))), k))
