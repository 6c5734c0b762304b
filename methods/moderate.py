"""Moderate: rows at a middling distance from the centre of their class (Xia et al. 2023)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from deepcore.common.resources import Memory
from deepcore.proxy.run import ProxyRun
from deepcore.proxy.signals import Signal
from deepcore.scoring.centres import COLUMNS, distances_to_medians
from deepcore.selection.method import Facts, ScoreMethod


@dataclass(frozen=True)
class Moderate(ScoreMethod):
    """Keep the rows whose distance to the centre of their class is nearest the middle of all distances.

    With h the penultimate features of the last checkpoint and m_c the coordinate-wise median of h over the
    rows of class c (the mean of the middle two for an even number):

        score_i = ||h_i - m_{y_i}||,   in [0, inf)

    The subset (`sampler="middle"`, its own) takes ranks, not values: of n rows sorted by score (ties: lower
    id), round((n - k) / 2) are dropped at the low end (halves to the even number) and the rest at the high
    end, so that exactly k stay. n and k are those of the class when `class_balanced`, else of the pool.
    The score has no end that is kept; `sampler=top` takes the rows nearest the centre.

    Source: Xia et al. 2023, "Moderate Coreset: A Universal Method of Data Selection for Real-world
    Data-efficient Deep Learning".
    Memory: 24 n min(D, 64) + 4 n D bytes, n the largest class.
    """

    name: ClassVar[str] = "Moderate"
    paper: ClassVar[str] = "Xia et al., ICLR 2023"
    own_sampler: ClassVar[str] = "middle"
    facts: ClassVar[Facts] = Facts(
        code="tmllab/2023_ICLR_Moderate-DS",
        rule="distance to the coordinate-wise median of the class; the middle ranks are kept",
        balance="the middle ranks of each class, as many as its quota; the authors rank the whole pool",
        anchor="tests/methods/test_moderate.py::test_it_is_the_definition",
        deviations=(
            "exactly k rows: the authors round both ends by themselves, which may keep one row more or less",
            "the authors' code returns the rows to drop",
        ),
        family="score",
    )

    @property
    def needs(self) -> frozenset[Signal]:
        return super().needs | {Signal.FEATURES}

    @property
    def keep(self) -> str:
        return "lowest"

    def memory(self, pool: ProxyRun, k: int, features: int, epochs: int) -> Memory:
        """By the formula above."""
        largest = int(np.bincount(pool.labels).max())
        centres = largest * (24 * min(features, COLUMNS) + 4 * features)
        return Memory(super().memory(pool, k, features, epochs).host + centres)

    def score(self, run: ProxyRun) -> np.ndarray:
        """Distances to the medians, (N,) float64."""
        return distances_to_medians(run.final_array(Signal.FEATURES), run.labels)
