"""S2L: clusters of loss trajectories."""

from __future__ import annotations

import numpy as np
import pytest
from oracle_scores import even_draws

import methods
from deepcore.common.checks import UsageError
from deepcore.proxy.run import ProxyRun
from deepcore.selection.budget import Budget


def run_of(losses, labels, ids=None):
    classes = int(labels.max()) + 1
    return ProxyRun.from_losses(losses, labels, np.zeros((len(losses), classes)), ids=ids)


def pick(run, budget):
    return methods.get("S2L")().select(run, budget, np.random.default_rng(0))


def grouped(sizes, seed=0, epochs=6):
    """One class in groups of trajectories far from each other."""
    rng = np.random.default_rng(seed)
    group = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    return 10.0 * group + rng.random((epochs, len(group))), group


@pytest.mark.parametrize("k", [1, 4, 11, 24, 39, 60])
def test_draws_are_even_and_small_clusters_come_first(k):
    sizes = (5, 10, 20, 25)
    losses, group = grouped(sizes)
    run = run_of(losses, np.zeros(60, dtype=int), ids=np.arange(60) * 2 + 5)
    method = methods.get("S2L")(clusters=4)
    chosen = method.select(run, Budget(k / 60, k), np.random.default_rng(3))
    positions = (chosen.rows - 5) // 2
    assert np.bincount(group[positions], minlength=4).tolist() == even_draws(sizes, k)


def test_the_order_goes_round_the_clusters():
    losses, group = grouped((15, 15, 15))
    run = run_of(losses, np.zeros(45, dtype=int))
    chosen = methods.get("S2L")(clusters=3).select(run, Budget(0.4, 18), np.random.default_rng(0))
    for start in range(0, 18, 3):
        assert set(group[chosen.rows[start : start + 3]].tolist()) == {0, 1, 2}


def test_every_row_of_a_cluster_can_be_drawn():
    losses, _ = grouped((10, 10))
    run = run_of(losses, np.zeros(20, dtype=int))
    drawn = np.zeros(20)
    for seed in range(200):
        chosen = methods.get("S2L")(clusters=2).select(run, Budget(0.2, 4), np.random.default_rng(seed))
        drawn[chosen.rows] += 1
    assert np.all(np.abs(drawn / 200 - 0.2) < 4 * np.sqrt(0.2 * 0.8 / 200))


def test_clusters_are_within_the_class():
    """Two classes with the same trajectories: each class has its own clusters and quota."""
    losses, group = grouped((20, 20))
    losses, labels = np.concatenate([losses, losses], axis=1), np.repeat([0, 1], 40)
    chosen = methods.get("S2L")(clusters=2).select(
        run_of(losses, labels), Budget(0.1, 8), np.random.default_rng(0)
    )
    for c in (0, 1):
        mine = chosen.rows[labels[chosen.rows] == c] - 40 * c
        assert np.bincount(group[mine]).tolist() == [2, 2]


def test_more_clusters_than_rows_are_reduced_and_it_is_said():
    losses, _ = grouped((12, 11))
    labels = np.arange(23) % 2
    with pytest.warns(UserWarning, match="2 of 2 classes have fewer than 100 clusters"):
        chosen = pick(run_of(losses, labels), Budget(0.5, 12))
    assert len(chosen.rows) == 12
    with pytest.warns(UserWarning, match="the pool has fewer than 100 clusters"):
        methods.get("S2L")(class_balanced=False).select(
            run_of(losses, labels), Budget(1.0, 23), np.random.default_rng(0)
        )


def test_a_fifth_of_the_rows_is_the_most_clusters(monkeypatch):
    seen = []
    module = methods.s2l
    real = module.trajectory_clusters
    monkeypatch.setattr(
        module, "trajectory_clusters", lambda points, k, seed: seen.append(k) or real(points, k, seed)
    )
    losses, _ = grouped((30, 24))
    labels = np.concatenate([np.zeros(41, int), np.ones(9, int), np.full(4, 2)])
    with pytest.warns(UserWarning, match="3 of 3 classes"):
        pick(run_of(losses, labels), Budget(0.5, 27))
    assert seen == [8, 1, 1]


def test_standardised_checkpoints_weigh_the_same():
    """A late checkpoint in small numbers separates the groups only when it is standardised."""
    rng = np.random.default_rng(0)
    group = np.repeat([0, 1], 30)
    losses = np.stack([100 * rng.random(60), 0.01 * group + 0.0001 * rng.random(60)])
    run = run_of(losses, np.zeros(60, dtype=int))
    method = methods.get("S2L")(clusters=2, standardize=True)
    chosen = method.select(run, Budget(0.2, 12), np.random.default_rng(1))
    assert abs(np.bincount(group[chosen.rows], minlength=2) - 6).max() <= 6
    points = methods.s2l.standardised(losses.T)
    np.testing.assert_allclose(points.std(axis=0), 1)


def test_equal_trajectories_are_one_cluster():
    run = run_of(np.ones((5, 20)), np.arange(20) % 2)
    with pytest.warns(UserWarning, match="2 in all"):
        chosen = methods.get("S2L")().select(run, Budget(0.3, 6), np.random.default_rng(0))
    assert len(set(chosen.rows.tolist())) == 6


@pytest.mark.parametrize("text", ["S2L:clusters=0", "S2L:clusters=1.5", "S2L:standardize=2"])
def test_bad_fields(text):
    with pytest.raises(UsageError):
        methods.parse(text)
