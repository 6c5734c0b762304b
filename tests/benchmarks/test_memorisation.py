"""Memorisation, validation sets chosen by it, and runs narrowed to them."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
import torch

from benchmarks.memorisation import difference_of_accuracies, memorisation, validation_sets
from benchmarks.pool_split import narrowed, pool_split
from benchmarks.validation_size import nested
from deepcore.common.checks import UsageError
from deepcore.data import datasets
from deepcore.data.label_noise import Relabelled
from deepcore.proxy.run import ProxyRun
from deepcore.training.spec import TrainSpec
from methods.cld import CLD


def test_mem_is_the_difference_of_two_accuracies():
    inside = np.array([[1, 1, 0], [1, 0, 0], [0, 1, 0], [0, 0, 0]], bool)
    correct = np.array([[1, 1, 1], [1, 0, 0], [0, 0, 1], [1, 1, 1]], bool)
    # sample 0: 2/2 - 1/2; sample 1: 1/2 - 1/2; sample 2 is in no network's rows
    assert difference_of_accuracies(correct, inside) == pytest.approx([0.5, 0.0, 0.0])


def test_mislabelled_rows_are_memorised():
    data = datasets.load("Digits", data_path="data")
    ids = np.arange(300)
    labels = data.train.labels.copy()
    labels[:20] = (labels[:20] + 1) % 10
    wrong = dataclasses.replace(data, train=Relabelled(data.train, labels))
    spec = TrainSpec(epochs=100, lr=0.1, weight_decay=0.0, augment=False)
    mem = memorisation("MLP", wrong, ids, spec, networks=10, device=torch.device("cpu"))
    assert mem[:20].mean() > 0.6
    assert abs(mem[20:].mean()) < 0.2


def test_validation_sets_are_what_their_names_say():
    rng = np.random.default_rng(0)
    labels, mem = np.repeat(np.arange(4), 100), rng.random(400) ** 3
    sets = validation_sets(mem, labels, 80, rng)
    for name, at in sets.items():
        assert len(np.unique(at)) == 80, name
        assert np.bincount(labels[at]).tolist() == [20] * 4, name
    for c in range(4):
        own = np.sort(mem[labels == c])
        assert sorted(mem[sets["highest"]][labels[sets["highest"]] == c]) == pytest.approx(own[-20:])
        assert sorted(mem[sets["lowest"]][labels[sets["lowest"]] == c]) == pytest.approx(own[:20])
        mixed = sorted(mem[sets["mixed"]][labels[sets["mixed"]] == c])
        assert mixed == pytest.approx([*own[:10], *own[-10:]])
    share = np.mean(mem[sets["proportional"]] < 0.3)
    assert share == pytest.approx(np.mean(mem < 0.3), abs=0.06)


def test_pool_split_is_class_wise_and_disjoint():
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(5), 30))
    split = pool_split(labels, train=50, pool=60, seed=1)
    assert np.bincount(labels[split.train]).tolist() == [10] * 5
    assert np.bincount(labels[split.val]).tolist() == [12] * 5
    assert not np.intersect1d(split.train, split.val).size
    among = np.flatnonzero(np.arange(150) % 2 == 0)
    small = pool_split(labels, train=10, pool=10, seed=1, among=among)
    assert np.isin([*small.train, *small.val], among).all()
    with pytest.raises(UsageError, match="lower the sizes"):
        pool_split(labels, train=100, pool=60, seed=1)


def test_a_narrowed_run_scores_as_one_that_held_out_those_rows_alone():
    rng = np.random.default_rng(0)
    train, val = rng.random((8, 30)), rng.random((8, 40))
    labels, val_labels = np.arange(30) % 2, np.arange(40) % 2
    whole = ProxyRun.from_losses(train, labels, val, val_labels, has_initial=True)
    whole = dataclasses.replace(whole, val_ids=100 + np.arange(40))
    some = np.array([100, 101, 105, 130])
    part = ProxyRun.from_losses(train, labels, val[:, some - 100], val_labels[some - 100], has_initial=True)
    assert np.array_equal(CLD().score(narrowed(whole, some)), CLD().score(part))
    assert np.array_equal(CLD().score(narrowed(whole, whole.val_ids)), CLD().score(whole))
    assert not np.allclose(CLD().score(part), CLD().score(whole))
    with pytest.raises(UsageError, match="not held out"):
        narrowed(whole, np.array([7]))


def test_nested_parts_hold_each_other():
    labels = np.repeat(np.arange(3), 40)
    parts = nested(labels, [3, 12, 60], np.random.default_rng(0))
    assert [len(part) for part in parts] == [3, 12, 60]
    for small, large in itertools.pairwise(parts):
        assert np.isin(small, large).all()
    assert all(len(set(np.bincount(labels[part]))) == 1 for part in parts)
