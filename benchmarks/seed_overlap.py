"""What a method does again under another seed: the order of its scores, and the rows that it keeps.

`rho_seeds` is the mean Spearman correlation of a seed's scores with those of the other seeds, over the rows
that are candidates of both. `kept_again` is the share of a seed's kept rows that the others keep too, among
those that are their candidates; by chance it is the fraction kept.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping

import numpy as np

from deepcore.analysis.overlap import Scores, correlations


def rank_agreement(scores: Mapping[int, Scores]) -> Iterator[tuple[int, float]]:
    """(seed, rho_seeds) of one method; nothing for a single seed, or for scores that do not vary."""
    found: dict[str, list[float]] = {str(seed): [] for seed in scores}
    for pair in correlations({str(seed): of for seed, of in scores.items()}):
        if pair.rho is not None:
            found[pair.first].append(pair.rho)
            found[pair.second].append(pair.rho)
    yield from ((seed, statistics.mean(values)) for seed in scores if (values := found[str(seed)]))


def kept_again(
    kept: Mapping[int, np.ndarray], candidates: Mapping[int, np.ndarray]
) -> Iterator[tuple[int, float]]:
    """(seed, kept_again) of one method at one fraction.

    Args:
        kept: {seed: ids of the kept rows}.
        candidates: {seed: ids of all candidates}.
    """
    for seed, rows in kept.items():
        shares = []
        for other in kept.keys() - {seed}:
            eligible = rows[np.isin(rows, candidates[other])]
            if eligible.size:
                shares.append(float(np.isin(eligible, kept[other]).mean()))
        if shares:
            yield seed, statistics.mean(shares)
