"""Distances to the centres of classes."""

from __future__ import annotations

import numpy as np

COLUMNS = 64  # features in work at once


def distances_to_medians(features: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """||h_i - m_y|| with m_c the coordinate-wise median of the features of class c.

    The median of an even number of values is the mean of the middle two.

    Args:
        features: (N, D), may be memory-mapped.
        labels: (N,) int64.

    Returns:
        (N,) float64, at least 0; 0 for the only row of a class.

    Memory: 24 n D' bytes, n the largest class and D' = min(D, 64); one class is read at a time.
    """
    out = np.zeros(len(labels))
    for c in np.unique(labels):
        rows = np.flatnonzero(labels == c)
        of_class = features[rows]
        squares = np.zeros(len(rows))
        for start in range(0, of_class.shape[1], COLUMNS):
            part = of_class[:, start : start + COLUMNS].astype(np.float64)
            squares += ((part - np.median(part, axis=0)) ** 2).sum(axis=1)
        out[rows] = np.sqrt(squares)
    return out
