"""Scores of unscored rows, as weighted means over their scored neighbours."""

from __future__ import annotations

import numpy as np


def weighted_means(values: np.ndarray, neighbours: np.ndarray, distances: np.ndarray) -> np.ndarray:
    """Mean of the neighbours' values, weighted by exp(-distance).

    The weights are computed as exp(d_min - d), d_min the row's smallest distance: the means are the same, and
    no row loses all its weights where features are far apart.

    Args:
        values: (..., n) of the scored rows: one score each, or one for each checkpoint (T, n).
        neighbours: (m, k) positions among the scored rows, k at least 1.
        distances: (m, k), not decreasing along a row.

    Returns:
        (..., m) float64, between the smallest and the largest of the neighbours' values.
    """
    weights = np.exp(distances[:, :1] - distances)
    weights /= weights.sum(axis=1, keepdims=True)
    out = np.zeros((*values.shape[:-1], len(neighbours)))
    for near, weight in zip(neighbours.T, weights.T, strict=True):
        out += values[..., near] * weight
    return out
