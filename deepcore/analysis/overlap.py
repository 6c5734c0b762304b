"""Agreement of selections and scores, between methods and between seeds of one method.

Two selections of k from N rows share about k^2 / N rows by chance alone, so a Jaccard overlap means little
without `chance`. Scores are compared as ranks, by original row ids: the pools of two seeds differ, and only
the rows in both count. A score whose low end is kept correlates negatively with one whose high end is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.stats import rankdata

from deepcore.common.checks import UsageError, check_ids

MIN_ROWS = 3


@dataclass(frozen=True)
class Overlap:
    """Two selections, by name.

    Attributes:
        first, second: names.
        shared: number of rows in both.
        jaccard: shared / rows in either, in [0, 1].
        chance: the Jaccard overlap of two independent random subsets of these sizes of the pool (of the
            expected number of shared rows).
    """

    first: str
    second: str
    shared: int
    jaccard: float
    chance: float


@dataclass(frozen=True)
class Correlation:
    """Two scores, by name (or seed).

    Attributes:
        first, second: names.
        n: number of rows that both score.
        rho: Spearman's rank correlation on them, in [-1, 1]; None where a score does not vary or n is below
            MIN_ROWS.
    """

    first: str
    second: str
    n: int
    rho: float | None


@dataclass(frozen=True)
class Scores:
    """Scores (n,) of the rows with ids (n,)."""

    ids: np.ndarray
    scores: np.ndarray

    def __post_init__(self) -> None:
        ids = check_ids(self.ids, "scores")
        scores = np.asarray(self.scores, dtype=np.float64)
        if scores.shape != ids.shape:
            raise UsageError(f"{scores.shape} scores for {ids.shape} ids: one score for each id")
        if np.isnan(scores).any():
            raise UsageError(f"the score of row {ids[np.isnan(scores)][0]} is NaN: ranks need numbers")
        object.__setattr__(self, "ids", ids)
        object.__setattr__(self, "scores", scores)


def jaccard(first: np.ndarray, second: np.ndarray) -> float:
    """|A and B| / |A or B| of two sets of row ids; 1.0 for two empty ones."""
    a, b = np.unique(first), np.unique(second)
    shared = np.intersect1d(a, b, assume_unique=True).size
    either = a.size + b.size - shared
    return shared / either if either else 1.0


def overlaps(selections: Mapping[str, np.ndarray], pool: int) -> list[Overlap]:
    """Every pair of selections from one pool of `pool` rows.

    Args:
        selections: {name: unique row ids}.
        pool: N.
    """
    sets = {name: check_ids(rows, name) for name, rows in selections.items()}
    for name, rows in sets.items():
        if rows.size > pool:
            raise UsageError(f"{name} selects {rows.size} rows from a pool of {pool}")
    found = []
    for first, second in combinations(sets, 2):
        a, b = sets[first], sets[second]
        by_chance = a.size * b.size / pool
        either = a.size + b.size - by_chance
        shared = np.intersect1d(a, b, assume_unique=True).size
        chance = by_chance / either if either else 1.0
        found.append(Overlap(first, second, shared, jaccard(a, b), chance))
    return found


def spearman(first: np.ndarray, second: np.ndarray) -> float | None:
    """Pearson's correlation of the ranks (ties share their average) of two score vectors, both (n,).

    None where a vector does not vary or has fewer than MIN_ROWS entries.
    """
    if len(first) != len(second):
        raise UsageError(f"{len(first)} scores against {len(second)}: they must be of the same rows")
    return _pearson(_centred_ranks(first), _centred_ranks(second))


def _centred_ranks(scores: np.ndarray) -> np.ndarray:
    return rankdata(scores) - (len(scores) + 1) / 2


def _pearson(first: np.ndarray, second: np.ndarray) -> float | None:
    """Of two centred vectors."""
    size = np.sqrt((first @ first) * (second @ second))
    if len(first) < MIN_ROWS or not size:
        return None
    return float(np.clip(first @ second / size, -1.0, 1.0))


def correlations(scores: Mapping[str, Scores]) -> list[Correlation]:
    """Every pair of scores, on the rows that both have.

    Serves both questions: {method: scores} of one seed, and {seed: scores} of one method.
    """
    whole: dict[str, np.ndarray] = {}  # ranks among all rows, once for all pairs with the same rows
    found = []
    for first, second in combinations(scores, 2):
        a, b = scores[first], scores[second]
        if np.array_equal(a.ids, b.ids):
            for name in {first, second} - whole.keys():
                whole[name] = _centred_ranks(scores[name].scores)
            n, rho = len(a.ids), _pearson(whole[first], whole[second])
        else:
            shared, at_a, at_b = np.intersect1d(a.ids, b.ids, assume_unique=True, return_indices=True)
            n, rho = shared.size, spearman(a.scores[at_a], b.scores[at_b])
        found.append(Correlation(str(first), str(second), n, rho))
    return found
