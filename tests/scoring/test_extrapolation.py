"""Weighted means of neighbours' scores."""

from __future__ import annotations

import numpy as np
from oracle_scores import extrapolate
from scipy.spatial.distance import cdist

from deepcore.scoring.extrapolation import weighted_means


def test_it_is_the_definition():
    rng = np.random.default_rng(0)
    scored, others, scores = rng.normal(size=(30, 4)), rng.normal(size=(20, 4)), rng.normal(size=30)
    lengths = cdist(others, scored)
    near = np.argsort(lengths, axis=1)[:, :6]
    found = weighted_means(scores, near, np.take_along_axis(lengths, near, axis=1))
    np.testing.assert_allclose(found, extrapolate(scores, scored, others, 6), rtol=1e-12)
    two = weighted_means(np.stack([scores, -scores]), near, np.take_along_axis(lengths, near, axis=1))
    np.testing.assert_allclose(two, [found, -found], rtol=1e-12)


def test_far_neighbours_still_count():
    far = np.array([[2000.0, 2000.0 + np.log(3)]])
    found = weighted_means(np.array([1.0, 5.0]), np.array([[0, 1]]), far)
    np.testing.assert_allclose(found, [0.75 * 1 + 0.25 * 5])
    copies = weighted_means(np.array([1.0, 5.0]), np.array([[0, 1]]), np.zeros((1, 2)))
    np.testing.assert_allclose(copies, [3.0])
