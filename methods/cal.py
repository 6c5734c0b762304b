"""Cal: rows whose prediction differs from those of their neighbours (Margatina et al. 2021)."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from deepcore.common.checks import check_choice, check_device, check_positive
from deepcore.common.resources import Memory
from deepcore.proxy.run import ProxyRun
from deepcore.proxy.signals import Signal
from deepcore.scoring.divergence import neighbour_divergence
from deepcore.scoring.neighbours import BLOCK_BYTES, nearest_neighbours
from deepcore.selection.method import Facts, ScoreMethod

GRAPHS = ("class", "global")


@dataclass(frozen=True)
class Cal(ScoreMethod):
    """Keep the contrastive rows: close to others in feature space, far from them in prediction.

    nn(i) are the kappa nearest other rows of row i by Euclidean distance between penultimate features of the
    last checkpoint (ties: lower id), p the predictions of the same checkpoint.

        score_i = mean over j in nn(i) of (KL(p_i || p_j) + KL(p_j || p_i)) / 2,   in [0, inf); the highest

    A row without another row in its graph has no neighbour and scores 0. A graph with fewer other rows than
    kappa uses them all; both are said in a warning.

    Source: Margatina et al. 2021, "Active Learning by Acquiring Contrastive Examples". The paper asks for
    labels: its neighbours are the labelled rows, and it takes KL(p_j || p_i) alone. Here all rows have labels
    and any other row may be a neighbour, as in DeepCore, whose symmetric divergence this is.
    Memory: 16 n D bytes, n the largest graph (32 n D where float32 does not settle the neighbours), and two
    blocks of 128 MB (or 8 n^2 bytes, if that is less), then 16 n C + 16 n kappa bytes (`memory`). Time:
    2 n^2 D FLOPs a graph.

    Attributes:
        neighbors: kappa.
        graph: "class": the neighbours are of the row's class; "global": of the whole pool. None for "class"
            when `class_balanced`, else "global" (as in DeepCore).
        device: where distances are computed, as torch names it; None for the run's (`--gpu`).
    """

    neighbors: int = 10
    graph: str | None = None
    device: str | None = field(default=None, compare=False)

    name: ClassVar[str] = "Cal"
    paper: ClassVar[str] = "Margatina et al., EMNLP 2021"
    facts: ClassVar[Facts] = Facts(
        code="mourga/contrastive-active-learning; PatrickZH/DeepCore (cal.py)",
        rule="mean over the 10 nearest neighbours of the symmetric KL divergence of the predictions",
        balance="neighbours and top k within each class; the paper: over the whole pool",
        anchor="tests/methods/test_cal.py::test_it_is_the_definition",
        deviations=(
            "one selection from the last checkpoint; the paper selects again as labels come in",
            "neighbours are any other rows; the paper's are the labelled ones",
            "the symmetric divergence (KL + reversed KL) / 2 is DeepCore's; the paper takes one direction",
            "the highest are kept, as in the paper; DeepCore keeps the lowest",
            "neighbours by the proxy's features; DeepCore's by a network trained on ImageNet",
        ),
        family="diversity",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive("neighbors", self.neighbors, whole=True)
        check_device(self.device)
        if self.graph is not None:
            check_choice("graph", self.graph, GRAPHS)

    @property
    def needs(self) -> frozenset[Signal]:
        return super().needs | {Signal.LOGITS, Signal.FEATURES}

    def memory(self, pool: ProxyRun, k: int, features: int, epochs: int) -> Memory:
        """By the formula above, of the largest graph, where float32 does not settle its neighbours."""
        n = max(len(rows) for rows in self.parts(pool))
        scores = 16 * n * (pool.num_classes + self.neighbors)
        distances = 32 * n * features + min(8 * n**2, 2 * BLOCK_BYTES)
        smaller = "graph=class" if self.graph == "global" else ""
        return Memory(super().memory(pool, k, features, epochs).host + scores, distances, smaller)

    def parts(self, run: ProxyRun) -> list[np.ndarray]:
        """The positions of each graph, sorted by id."""
        order = np.argsort(run.ids)
        if (self.graph or ("class" if self.class_balanced else "global")) == "global":
            return [order]
        labels = run.labels[order]
        return [order[labels == c] for c in np.unique(labels)]

    def score(self, run: ProxyRun) -> np.ndarray:
        """Mean divergences, (N,) float64."""
        logits, features = run.final_array(Signal.LOGITS), run.final_array(Signal.FEATURES)
        device = run.device_for(self.device)
        out = np.zeros(len(run.ids))
        parts = self.parts(run)
        for rows in parts:
            near, _ = nearest_neighbours(features[rows], self.neighbors, device=device)
            out[rows] = neighbour_divergence(logits[rows], near)
        small = sum(len(rows) <= self.neighbors for rows in parts)
        if small:
            alone = sum(len(rows) == 1 for rows in parts)
            warnings.warn(
                f"Cal: neighbors={self.neighbors} is more than the other rows of {small} of {len(parts)} "
                "graphs: there all others are neighbours"
                + (f", and {alone} rows that are alone score 0" if alone else ""),
                stacklevel=2,
            )
        return out
