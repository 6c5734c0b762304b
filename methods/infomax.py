"""InfoMax: high scores with little redundancy (Tan et al. 2025)."""

from __future__ import annotations

import dataclasses
import warnings
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from deepcore.common.checks import check_choice, check_device, check_positive
from deepcore.common.resources import Memory
from deepcore.proxy.run import ProxyRun
from deepcore.proxy.signals import Signal
from deepcore.scoring.neighbours import BLOCK_BYTES, nearest_neighbours
from deepcore.scoring.redundancy import Redundancy, ascend, exchanged, rounded
from deepcore.selection.budget import Budget
from deepcore.selection.method import CoresetMethod, Facts, ScoreMethod
from deepcore.selection.ranking import groups, interleave, merit
from deepcore.selection.selection import Selection
from methods.aum import AUM
from methods.cld import CLD
from methods.dual import DUAL
from methods.dynunc import DynUnc
from methods.el2n import EL2N
from methods.forgetting import Forgetting
from methods.grand import GraNd
from methods.tdds import TDDS

_SCORES: dict[str, ScoreMethod] = {
    "el2n": EL2N(),
    "forgetting": Forgetting(),
    "aum": AUM(),
    "grand": GraNd(),
    "tdds": TDDS(),
    "dynunc": DynUnc(),
    "dual": DUAL(),
    "cld": CLD(),
}
DIGITS = 9  # of x that count when rows are put in order


@dataclass(frozen=True)
class InfoMax(CoresetMethod):
    """Choose the rows of high score that resemble each other least.

        maximise  F(x) = sum_i s_i x_i - a sum_i sum_{j in nn(i)} cos(h_i, h_j) x_i x_j
        over      0 <= x_i <= 1,  sum_i x_i = k

    s is a score, scaled to [0, 1] over the pool with its better end at 1. nn(i) are the `neighbors` rows of
    the highest cosine similarity to row i in the penultimate features h of the last checkpoint, itself
    excluded (ties: lower id). F is climbed by projected gradient ascent from x = k / n with a step at which
    it never falls. x is then rounded to k rows by moves between two rows that do not lower F either, and rows
    are exchanged one by one while F rises (`deepcore.scoring.redundancy`). Rows are paired and listed by x to
    nine digits, then by score, then by id. Within each class with its quota when `class_balanced`, else over
    the whole pool. The objective reached, and that of the rows kept, are in the selection's notes.

    Source: Tan et al. 2025, "Data Pruning by Information Maximization". The objective is the paper's. Not
    known to us: its weight a and the scale of its scores, so that 0.3 and [0, 1] are our choice.
    Memory: 16 n D bytes, n the largest class (32 n D where float32 does not settle the neighbours), and two
    blocks of 128 MB (or 8 n^2 bytes, if that is less), then 100 n neighbors bytes (`memory`).

    Attributes:
        of: whose score is s, with its defaults: "el2n", "forgetting", "aum", "grand", "tdds", "dynunc",
            "dual" or "cld".
        weight: a, how much redundancy counts.
        neighbors: rows that a row is compared with; a class with fewer other rows uses them all.
        device: where similarities are computed, as torch names it; None for the run's (`--gpu`).
    """

    of: str = "el2n"
    weight: float = 0.3
    neighbors: int = 5
    device: str | None = field(default=None, compare=False)

    name: ClassVar[str] = "InfoMax"
    paper: ClassVar[str] = "Tan et al., ICLR 2025"
    facts: ClassVar[Facts] = Facts(
        code="",
        rule="maximise the sum of scores minus weighted similarities of pairs among nearest neighbours",
        balance="the objective of each class with its quota; the paper: over the whole pool",
        anchor="tests/methods/test_infomax.py::test_objective_is_that_of_the_definition",
        deviations=(
            "projected gradient ascent, pipage rounding and exchanges of single rows; the paper climbs by a "
            "softmax and keeps the largest entries",
            "scores are scaled to [0, 1]; the paper's scale and its weight of redundancy are not known to us",
            "a row's similarity to itself is left out: it adds the same to every subset of k rows",
        ),
        family="diversity",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("of", self.of, _SCORES)
        check_positive("weight", self.weight, zero=True)
        check_positive("neighbors", self.neighbors, whole=True)
        check_device(self.device)

    @property
    def needs(self) -> frozenset[Signal]:
        return self._scorer().needs | {Signal.FEATURES}

    @property
    def needs_val(self) -> frozenset[Signal]:
        return self._scorer().needs_val

    @property
    def mode(self) -> str:
        """That of the score."""
        return self._scorer().mode

    def resolve(self, fraction: float) -> InfoMax:
        """With the score's fields set for the fraction kept, where they depend on it."""
        scorer = self._scorer()
        if scorer.resolve(fraction) == scorer:
            return self
        fields = {each.name: getattr(self, each.name) for each in dataclasses.fields(self)}
        return _AtFraction(**fields, fraction=fraction)

    def rows_read(self, epochs: int) -> tuple[range, ...]:
        """Those of the score."""
        return self._scorer().rows_read(epochs)

    def check(self, pool: ProxyRun, epochs: int) -> None:
        """What the score refuses."""
        self._scorer().check(pool, epochs)

    def memory(self, pool: ProxyRun, k: int, features: int, epochs: int) -> Memory:
        """By the formula above, or the score's."""
        n = int(np.bincount(pool.labels).max()) if self.class_balanced else len(pool.ids)
        distances = 32 * n * features + min(8 * n**2, 2 * BLOCK_BYTES)
        scoring = self._scorer().memory(pool, k, features, epochs)
        return Memory(max(scoring.host, 128 * len(pool.ids) + 100 * n * self.neighbors), distances)

    def select(self, run: ProxyRun, budget: Budget, rng: np.random.Generator) -> Selection:
        """The rows of the largest x, best first in each class; `rng` is not used."""
        scorer = self._scorer().resolve(budget.fraction)
        scaled = merit(scorer.checked_scores(run), scorer.keep)
        spread = scaled.max() - scaled.min()
        scaled = (scaled - scaled.min()) / spread if spread > 0 else np.zeros_like(scaled)
        picks, reached, kept, small = [], 0.0, 0.0, 0
        for rows, quota in groups(np.argsort(run.ids), run.labels, budget.k, self.class_balanced):
            objective = self.objective(run, rows, scaled[rows])
            x = ascend(objective, quota)
            order = np.lexsort((run.ids[rows], -scaled[rows], -np.round(x, DIGITS)))
            chosen = exchanged(objective, rounded(objective, x, order))
            picks.append(rows[order[chosen[order]]])
            reached += objective.value(x)
            kept += objective.value(chosen.astype(np.float64))
            small += len(rows) <= self.neighbors
        if small:
            warnings.warn(
                f"InfoMax: neighbors={self.neighbors} is more than the other rows of {small} of "
                f"{len(picks)} classes: there each row is compared with all others",
                stacklevel=2,
            )
        note = f"the objective reached is {reached:.6g}, that of the rows kept {kept:.6g}"
        return Selection(run.ids[interleave(picks)], scores=scaled, notes=(note,))

    def objective(self, run: ProxyRun, rows: np.ndarray, scores: np.ndarray) -> Redundancy:
        """F over the positions `rows`, sorted by id, with their scaled scores."""
        features = np.array(run.final_array(Signal.FEATURES)[rows], dtype=np.float64)
        lengths = np.linalg.norm(features, axis=1, keepdims=True)
        solid = np.flatnonzero(lengths)  # nothing resembles zero
        if not solid.size:
            return Redundancy(scores, solid, solid, np.zeros(0), self.weight)
        unit = features[solid] / lengths[solid]
        near, distances = nearest_neighbours(unit, self.neighbors, device=run.device_for(self.device))
        cosines = 1.0 - distances**2 / 2  # of unit vectors
        sources = np.repeat(solid, near.shape[1])
        return Redundancy(scores, sources, solid[near.ravel()], cosines.ravel(), self.weight)

    def _scorer(self) -> ScoreMethod:
        return dataclasses.replace(_SCORES[self.of], record=self.record)


@dataclass(frozen=True)
class _AtFraction(InfoMax):
    """InfoMax with a score whose fields depend on the fraction kept (TDDS). Rows and files hold that fraction
    in a field of their own, so that it is neither in the specification nor in the label.

    Attributes:
        fraction: kept, in (0, 1].
    """

    fraction: float = 1.0

    def spec(self) -> dict[str, Any]:
        """That of the method for all fractions."""
        return {name: value for name, value in super().spec().items() if name != "fraction"}

    def _named(self, without: frozenset[str]) -> str:
        return super()._named(without | {"fraction"})

    def _scorer(self) -> ScoreMethod:
        return super()._scorer().resolve(self.fraction)
