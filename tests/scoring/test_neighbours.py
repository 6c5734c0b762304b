"""Nearest neighbours against all pairwise distances, where the fast path is tempted to err."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from deepcore.common.checks import UsageError
from deepcore.scoring import neighbours
from deepcore.scoring.neighbours import nearest_neighbours


def slow_neighbours(features, count):
    """All distances by differences in float64, then sorted by (distance, position)."""
    points = np.asarray(features, dtype=np.float64)
    n = len(points)
    distances = np.sqrt(((points[:, None] - points[None]) ** 2).sum(axis=-1))
    np.fill_diagonal(distances, np.inf)
    order = np.argsort(distances, axis=1, kind="stable")[:, : min(count, n - 1)]
    return order, np.take_along_axis(distances, order, axis=1)


def check_equal(features, count, **options):
    indices, distances = nearest_neighbours(features, count, **options)
    expected, lengths = slow_neighbours(features, count)
    np.testing.assert_array_equal(indices, expected)
    np.testing.assert_allclose(distances, lengths, rtol=1e-13, atol=0)


def test_by_hand():
    indices, distances = nearest_neighbours(np.array([[0.0], [1.0], [3.0], [1.0]], dtype=np.float32), 2)
    assert indices.tolist() == [[1, 3], [3, 0], [1, 3], [1, 0]]
    assert distances.tolist() == [[1, 1], [0, 1], [2, 2], [0, 1]]


@given(
    n=st.integers(1, 60),
    dim=st.integers(1, 4),
    levels=st.integers(1, 4),
    count=st.integers(1, 12),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=60, deadline=None)
def test_grids_full_of_ties(n, dim, levels, count, seed):
    features = np.random.default_rng(seed).integers(0, levels, (n, dim)).astype(np.float32)
    check_equal(features, count, block_bytes=512)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("spread", [1.0, 1e-3, 1e-6])
@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_one_cluster_far_from_the_origin(dtype, spread, offset):
    """Float64 features that differ by less than float32 can hold of them."""
    features = offset + spread * np.random.default_rng(3).normal(size=(200, 8))
    check_equal(features.astype(dtype), 5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("spread", [1.0, 1e-3, 1e-6])
@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_random_points_with_cancellation(dtype, spread, offset):
    """Clusters far from each other and from the origin: in float32 products hold nothing of the distances."""
    rng = np.random.default_rng(3)
    centres = rng.normal(size=(4, 16)) * 100 + offset
    features = (centres[rng.integers(0, 4, 300)] + spread * rng.normal(size=(300, 16))).astype(dtype)
    check_equal(features, 5)


@pytest.mark.parametrize("size", [1e-30, 1e18, 1e30])
def test_sizes_that_overflow_or_vanish_when_squared(size):
    features = (np.random.default_rng(0).normal(size=(100, 8)) * size).astype(np.float32)
    check_equal(features, 3)


@pytest.mark.parametrize("size", [1e-23, 1e-22, 1e-21, 1e-20])
def test_a_tight_cluster_between_outliers(size):
    """Squares of the cluster's coordinates are below float32's normal numbers."""
    features = (np.random.default_rng(0).normal(size=(300, 4)) * size).astype(np.float32)
    features[7], features[11] = 1.0, -1.0
    check_equal(features, 3)


def test_equal_features_go_by_position():
    indices, distances = nearest_neighbours(np.full((50, 3), 0.1, dtype=np.float32), 2)
    assert indices[:4].tolist() == [[1, 2], [0, 2], [0, 1], [0, 1]]
    assert not distances.any()


def test_blocked_equals_whole():
    features = np.random.default_rng(1).normal(size=(257, 5)).astype(np.float32)
    whole = nearest_neighbours(features, 4)
    for block_bytes in (1, 3000, 1 << 20):
        blocked = nearest_neighbours(features, 4, block_bytes=block_bytes)
        np.testing.assert_array_equal(blocked[0], whole[0])
        np.testing.assert_array_equal(blocked[1], whole[1])


def test_most_rows_are_settled_in_float32(monkeypatch):
    """The bound is tight enough for real features: no second pass, no scan."""
    dtypes = []
    products = neighbours._from_products
    monkeypatch.setattr(neighbours, "_from_products", lambda *args: dtypes.append(args[4]) or products(*args))
    features = np.maximum(np.random.default_rng(2).normal(size=(600, 64)), 0).astype(np.float32)
    check_equal(features, 10)
    assert dtypes == [torch.float32]


def test_one_row_has_no_neighbour():
    indices, distances = nearest_neighbours(np.ones((1, 3), dtype=np.float32), 5)
    assert indices.shape == distances.shape == (1, 0)


def test_low_precision_products_do_not_matter(monkeypatch):
    """Training may have chosen TF32 or bfloat16 products for the process; it keeps its choice."""
    seen = []
    addmm = torch.addmm
    monkeypatch.setattr(
        torch, "addmm", lambda *a, **k: seen.append(torch.get_float32_matmul_precision()) or addmm(*a, **k)
    )
    torch.set_float32_matmul_precision("medium")
    try:
        check_equal(np.random.default_rng(4).normal(size=(50, 8)).astype(np.float32), 5)
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision("highest")
    assert seen == ["highest"]


def test_bad_features_are_named():
    features = np.zeros((4, 2), dtype=np.float32)
    features[2, 1] = np.nan
    with pytest.raises(UsageError, match=r"1 rows are not finite .*position 2"):
        nearest_neighbours(features, 1)
    with pytest.raises(UsageError, match=r"\(N, D\)"):
        nearest_neighbours(np.zeros(3, dtype=np.float32), 1)
    with pytest.raises(UsageError, match="neighbors is 0"):
        nearest_neighbours(np.zeros((3, 1), dtype=np.float32), 0)


def slow_neighbours_of(queries, features, count):
    a, b = (np.asarray(x, dtype=np.float64) for x in (queries, features))
    distances = np.sqrt(((a[:, None] - b[None]) ** 2).sum(axis=-1))
    order = np.argsort(distances, axis=1, kind="stable")[:, :count]
    return order, np.take_along_axis(distances, order, axis=1)


@pytest.mark.parametrize("levels", [2, 4, None])
@pytest.mark.parametrize("count", [1, 5, 50])
def test_queries_have_neighbours_among_the_rows(levels, count):
    """With `levels` a grid full of ties and of queries that are equal to rows: those are no exception."""
    rng = np.random.default_rng(7)
    a, b = (rng.normal(size=(n, 3)) if levels is None else rng.integers(0, levels, (n, 3)) for n in (23, 40))
    queries, features = a.astype(np.float32), b.astype(np.float32)
    expected, lengths = slow_neighbours_of(queries, features, min(count, 40))
    for block_bytes in (512, 1 << 20):
        indices, distances = nearest_neighbours(features, count, queries=queries, block_bytes=block_bytes)
        np.testing.assert_array_equal(indices, expected)
        np.testing.assert_allclose(distances, lengths, rtol=1e-13, atol=0)


def test_queries_far_from_the_rows():
    rng = np.random.default_rng(8)
    features, queries = rng.normal(size=(30, 4)).astype(np.float32), 1e4 + rng.normal(size=(9, 4))
    expected, _ = slow_neighbours_of(queries, features, 3)
    np.testing.assert_array_equal(nearest_neighbours(features, 3, queries=queries)[0], expected)
    indices, distances = nearest_neighbours(features[:1], 3, queries=features[:2])
    assert indices.tolist() == [[0], [0]]
    assert distances[0].tolist() == [0.0]
    with pytest.raises(UsageError, match="features of 1 rows are not finite"):
        nearest_neighbours(features, 3, queries=np.full((1, 4), np.nan))
