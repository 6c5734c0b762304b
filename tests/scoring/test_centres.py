"""Distances to the medians of classes."""

from __future__ import annotations

import numpy as np
import pytest
from oracle_scores import moderate

from deepcore.scoring import centres


def test_by_hand():
    features = np.array([[0.0, 0.0], [3.0, 4.0], [0.0, 0.0], [10.0, 0.0]])
    labels = np.array([0, 0, 0, 1])
    np.testing.assert_array_equal(centres.distances_to_medians(features, labels), [0.0, 5.0, 0.0, 0.0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("sizes", [(7, 8, 1), (2, 5, 6)])
def test_it_is_the_definition(monkeypatch, sizes, dtype):
    rng = np.random.default_rng(1)
    labels = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    features = (rng.normal(size=(len(labels), 10)) * 4 + 100).astype(dtype)
    expected = moderate(features.astype(np.float64), labels)
    np.testing.assert_allclose(centres.distances_to_medians(features, labels), expected, rtol=1e-12)
    monkeypatch.setattr(centres, "COLUMNS", 3)
    np.testing.assert_allclose(centres.distances_to_medians(features, labels), expected, rtol=1e-12)


def test_equal_features_have_no_distance():
    features, labels = np.full((6, 3), 0.1, dtype=np.float32), np.arange(6) % 2
    assert centres.distances_to_medians(features, labels).tolist() == [0.0] * 6
