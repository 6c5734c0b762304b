"""Herding and farthest-first traversal against loops over all points, where float32 alone would go wrong."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from deepcore.scoring import k_center as k_center_module
from deepcore.scoring.herding import herding
from deepcore.scoring.k_center import k_center


def points(seed, n, dim, *, offset=0.0, levels=None, near=None):
    """`levels`: on a grid; `near`: copies that differ by that much."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, dim)) if levels is None else rng.integers(0, levels, (n, dim)).astype(float)
    if near is not None:
        x[: n // 2] = x[n // 2 : 2 * (n // 2)] + near * rng.normal(size=(n // 2, dim))
    return x + offset


def naive_herding(x, k):
    y, picks = x - x.mean(axis=0), []
    slack = 1e-12 * np.linalg.norm(y, axis=1).max()
    for _ in range(k):
        far = np.linalg.norm(y + y[picks].sum(axis=0), axis=1)
        left = [i for i in range(len(x)) if i not in picks]
        picks.append(next(i for i in left if far[i] <= far[left].min() + slack))
    return picks


def naive_k_center(x, first, k):
    far = np.array([[np.sqrt(((a - b) ** 2).sum()) for b in x] for a in x])
    picks, slack = [first], 1e-12 * far[first].max()
    while len(picks) < k:
        nearest = far[picks].min(axis=0)
        left = [i for i in range(len(x)) if i not in picks]
        picks.append(next(i for i in left if nearest[i] >= nearest[left].max() - slack))
    return picks


@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 50),
    dim=st.sampled_from([1, 3, 70]),
    offset=st.sampled_from([0.0, 1e5]),
    levels=st.sampled_from([None, 2]),
    near=st.sampled_from([None, 0.0, 1e-7]),
)
@settings(max_examples=80, deadline=None)
def test_same_picks_as_a_loop_over_all(seed, n, dim, offset, levels, near):
    x = points(seed, n, dim, offset=offset, levels=levels, near=near)
    k, first = max(1, 2 * n // 3), seed % n
    assert k_center(torch.tensor(x), first, k).tolist() == naive_k_center(x, first, k)
    if offset == 0:  # x - mean keeps 11 digits otherwise, and ties are no longer equal to 12
        assert herding(torch.tensor(x), k).tolist() == naive_herding(x, k)


@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_herding_far_from_the_origin(offset):
    """The gaps between the best distances are far above 1e-12, and far below float32's digits of the
    features."""
    x = points(3, 120, 40, offset=offset)
    assert herding(torch.tensor(x), 60).tolist() == naive_herding(x, 60)


def test_herding_follows_the_mean():
    x = points(0, 2000, 20)
    picks = herding(torch.tensor(x, dtype=torch.float32), 100)
    random = np.random.default_rng(0).permutation(2000)[:100]
    off = [np.linalg.norm(x[rows].mean(axis=0) - x.mean(axis=0)) for rows in (picks, random)]
    assert off[0] < off[1] / 10


def test_k_center_covers():
    """No point is farther from the picks than the last pick was: the picks are as far apart."""
    x = points(1, 500, 3)
    picks = k_center(torch.tensor(x), 7, 40)
    nearest = np.linalg.norm(x[:, None] - x[picks][None], axis=2).min(axis=1)
    last = np.linalg.norm(x[picks[-1]] - x[picks[:-1]], axis=1).min()
    assert nearest.max() <= last


def test_k_center_in_blocks_computes_few_distances(monkeypatch):
    computed = []
    distances = k_center_module._distances

    def counted(a, b):
        computed.append(len(a) * len(b))
        return distances(a, b)

    x = torch.tensor(points(2, 1500, 60))
    expected = k_center(x, 0, 150).tolist()
    monkeypatch.setattr(k_center_module, "_distances", counted)
    monkeypatch.setattr(k_center_module, "BLOCK_BYTES", 8 * 1500 * 3)
    assert k_center(x, 0, 150).tolist() == expected
    assert sum(computed) < 0.6 * 1500 * 150
    assert max(computed) <= 3 * 1500
