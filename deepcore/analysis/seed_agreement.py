"""How far the scores of one method under two seeds agree: in value, in order, and in the rows kept."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from deepcore.analysis.overlap import MIN_ROWS, Scores, spearman
from deepcore.common.checks import UsageError


@dataclass(frozen=True)
class ScoreAgreement:
    """Two score vectors on the rows that both have.

    Attributes:
        n: number of these rows.
        mae: mean absolute difference of the scores, in their unit.
        spread: mean of their two sample standard deviations; scores of independent order differ by about
            as much.
        pearson, spearman: in [-1, 1]; None where a score does not vary.
    """

    n: int
    mae: float
    spread: float
    pearson: float | None
    spearman: float | None


def score_agreement(first: Scores, second: Scores) -> ScoreAgreement:
    """Compare two score vectors by row id; UsageError below MIN_ROWS common rows."""
    ids, at_first, at_second = np.intersect1d(first.ids, second.ids, assume_unique=True, return_indices=True)
    if ids.size < MIN_ROWS:
        raise UsageError(f"{ids.size} rows have both scores: at least {MIN_ROWS} are needed")
    a, b = first.scores[at_first], second.scores[at_second]
    spreads = a.std(ddof=1), b.std(ddof=1)
    varies = min(spreads) > 0
    return ScoreAgreement(
        int(ids.size),
        float(np.abs(a - b).mean()),
        float(np.mean(spreads)),
        float(np.clip(np.corrcoef(a, b)[0, 1], -1.0, 1.0)) if varies else None,
        spearman(a, b),
    )
