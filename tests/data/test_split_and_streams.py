"""Random streams and the split."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from deepcore.common import seeding
from deepcore.common.checks import UsageError
from deepcore.data.split import make_split


def test_streams_are_named_and_repeatable():
    first = seeding.stream(3, "split").random(4)
    assert np.array_equal(first, seeding.stream(3, "split").random(4))
    others = [seeding.stream(4, "split"), seeding.stream(3, "order"), seeding.stream(3, "split", 0)]
    for other in others:
        assert not np.array_equal(first, other.random(4))
    # names do not run into each other
    assert seeding.key(1, "a", "bc") != seeding.key(1, "ab", "c")


def test_a_stream_s_key_is_fixed_for_ever():
    # stored runs and committed rows depend on it
    assert seeding.key(0, "split") == 3769940940748469125
    assert seeding.key(7, "order", 3) == 929583480629082613


def test_global_stream_restores_the_global_state():
    before = torch.get_rng_state()
    with seeding.global_stream(1, "init"):
        inside = torch.rand(3)
    assert torch.equal(before, torch.get_rng_state())
    with seeding.global_stream(1, "init"):
        assert torch.equal(inside, torch.rand(3))


@given(
    sizes=st.lists(st.integers(2, 40), min_size=1, max_size=6),
    fraction=st.floats(0.01, 0.99),
    seed=st.integers(0, 5),
)
def test_split_holds_out_a_share_of_each_class(sizes, fraction, seed):
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    split = make_split(labels, val_fraction=fraction, seed=seed)
    assert np.array_equal(np.sort(np.concatenate([split.train, split.val])), np.arange(len(labels)))
    assert np.all(np.diff(split.train) > 0)
    assert np.all(np.diff(split.val) > 0)
    for c, size in enumerate(sizes):
        held = int((labels[split.val] == c).sum())
        assert 1 <= held <= size - 1
        if 1 <= fraction * size <= size - 1:
            assert abs(held - fraction * size) <= 0.5


def test_another_seed_another_split():
    labels = np.repeat(np.arange(4), 25)
    a, b = (make_split(labels, val_fraction=0.2, seed=s) for s in (0, 1))
    assert not np.array_equal(a.val, b.val)
    assert np.array_equal(a.val, make_split(labels, val_fraction=0.2, seed=0).val)


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, float("nan")])
def test_a_val_fraction_outside_its_range_is_refused(fraction):
    with pytest.raises(UsageError, match="val_fraction"):
        make_split(np.array([0, 0, 1, 1]), val_fraction=fraction, seed=0)


def test_a_class_of_one_row_is_named():
    with pytest.raises(UsageError, match="class 1 has 1 training row"):
        make_split(np.array([0, 0, 1]), val_fraction=0.5, seed=0)


def test_the_share_is_decimal():
    split = make_split(np.repeat([0, 1], 50), val_fraction=0.29, seed=0)  # 14.5 of each, not 14.4999...
    assert len(split.val) == 30
