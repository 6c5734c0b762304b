"""What a method does again under another seed: the order of its scores, and the rows that it keeps.

`rho_seeds` is the mean Spearman correlation of a seed's scores with those of the other seeds, over the rows
that are candidates of both. `kept_again` is the share of a seed's kept rows that the others keep too, among
those that are their candidates; by chance it is the fraction kept.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from deepcore.analysis.overlap import Scores
from deepcore.analysis.seed_agreement import score_agreement


def rank_agreement(scores: Mapping[int, Scores]) -> Iterator[tuple[int, float]]:
    """(seed, rho_seeds) of one method; nothing for a single seed or scores that do not vary."""
    found: dict[int, list[float]] = {seed: [] for seed in scores}
    for seed, other in _pairs(list(scores)):
        rho = score_agreement(scores[seed], scores[other]).spearman
        if rho is not None:
            found[seed].append(rho)
    yield from ((seed, statistics.mean(values)) for seed, values in found.items() if values)


def kept_again(
    kept: Mapping[int, np.ndarray], candidates: Mapping[int, np.ndarray]
) -> Iterator[tuple[int, float]]:
    """(seed, kept_again) of one method at one fraction.

    Args:
        kept: {seed: ids of the kept rows}.
        candidates: {seed: ids of all candidates}.
    """
    found: dict[int, list[float]] = {seed: [] for seed in kept}
    for seed, other in _pairs(list(kept)):
        eligible = kept[seed][np.isin(kept[seed], candidates[other])]
        if eligible.size:
            found[seed].append(float(np.isin(eligible, kept[other]).mean()))
    yield from ((seed, statistics.mean(values)) for seed, values in found.items() if values)


def _pairs(seeds: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Every ordered pair of two seeds."""
    yield from ((seed, other) for seed in seeds for other in seeds if seed != other)
