"""Clusters of trajectories."""

from __future__ import annotations

import numpy as np

from deepcore.scoring.trajectory_clusters import standardised, trajectory_clusters


def test_groups_far_apart_are_found():
    rng = np.random.default_rng(0)
    truth = np.repeat(np.arange(4), (3, 10, 20, 30))
    points = 100.0 * truth[:, None] + rng.normal(size=(63, 5))
    found = trajectory_clusters(points, 4, seed=1)
    assert sorted(np.bincount(found).tolist()) == [3, 10, 20, 30]
    for c in range(4):
        assert len(set(found[truth == c].tolist())) == 1


def test_no_more_clusters_than_different_rows():
    points = np.repeat(np.arange(3.0), 5)[:, None]
    found = trajectory_clusters(points, 50, seed=0)
    assert np.bincount(found).tolist() == [5, 5, 5]
    assert trajectory_clusters(np.ones((6, 4)), 5, seed=0).tolist() == [0] * 6
    assert trajectory_clusters(np.ones((1, 4)), 5, seed=0).tolist() == [0]


def test_the_seed_alone_decides():
    points = np.random.default_rng(2).normal(size=(80, 6))
    first = trajectory_clusters(points, 9, seed=5)
    np.testing.assert_array_equal(trajectory_clusters(points.copy(), 9, seed=5), first)
    assert len(np.unique(first)) == first.max() + 1


def test_standardised_columns():
    points = np.array([[1.0, 7.0], [3.0, 7.0]])
    np.testing.assert_array_equal(standardised(points), [[-1.0, 0.0], [1.0, 0.0]])
