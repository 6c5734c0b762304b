"""Clusters of trajectories by k-means (S2L)."""

from __future__ import annotations

import numpy as np


def trajectory_clusters(points: np.ndarray, clusters: int, seed: int) -> np.ndarray:
    """The cluster of each trajectory, by scikit-learn's k-means (k-means++ start, Lloyd's iterations).

    Args:
        points: (n, T) finite; equal rows fall into one cluster.
        clusters: K; no more are made than there are different rows.
        seed: of the start, 0..2**32 - 1.

    Returns:
        (n,) int64 cluster numbers 0..K'-1, K' <= K, none of them empty.
    """
    from sklearn.cluster import KMeans  # it takes a second to load
    from threadpoolctl import threadpool_limits

    different = len(np.unique(points, axis=0))
    kmeans = KMeans(min(clusters, different), n_init=1, random_state=seed)
    with threadpool_limits(1):  # sums in one order: the same clusters whatever the number of cores
        found = kmeans.fit_predict(np.ascontiguousarray(points))
    return np.unique(found, return_inverse=True)[1].astype(np.int64)


def standardised(points: np.ndarray) -> np.ndarray:
    """`points` (n, T) with mean 0 and standard deviation 1 in every column; a column without spread is 0."""
    points = np.asarray(points, dtype=np.float64)
    spread = points.std(axis=0)
    return (points - points.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
