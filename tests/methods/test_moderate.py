"""Moderate: the middle ranks of the distance to the class's median."""

from __future__ import annotations

import numpy as np
import pytest
from oracle_scores import middle, moderate

import methods
from deepcore.proxy.run import ProxyRun
from deepcore.selection.budget import Budget, class_quotas


def run_of(features, labels, ids=None):
    logits = np.zeros((1, len(labels), int(labels.max()) + 1))
    q = logits.shape[2]
    return ProxyRun.from_logits(
        logits, labels, logits[:, :q], np.arange(q), features=features, val_features=features[:q], ids=ids
    )


def case(sizes=(31, 20, 7), seed=0, grid=False):
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    features = rng.normal(size=(len(labels), 3))
    ids = rng.permutation(5 * len(labels))[: len(labels)]
    return (np.round(features) if grid else features), labels, ids


@pytest.mark.parametrize("grid", [False, True])
def test_it_is_the_definition(grid):
    features, labels, ids = case(grid=grid)
    run = run_of(features.astype(np.float32), labels, ids)
    scores = methods.get("Moderate")().score(run)
    np.testing.assert_allclose(scores, moderate(features.astype(np.float32).astype(float), labels), rtol=1e-9)


@pytest.mark.parametrize("class_balanced", [True, False])
@pytest.mark.parametrize("fraction", [0.001, 0.1, 0.37, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("grid", [False, True])
def test_the_middle_ranks_are_kept(grid, fraction, class_balanced):
    features, labels, ids = case(grid=grid)
    run = run_of(features, labels, ids)
    method, budget = methods.get("Moderate")(class_balanced=class_balanced), Budget.of(fraction, len(ids))
    chosen = method.select(run, budget, np.random.default_rng(0))
    scores = method.score(run)
    expected = set()
    if class_balanced:
        for c, quota in enumerate(class_quotas(labels, budget.k, 3)):
            rows = np.flatnonzero(labels == c)
            expected |= {int(ids[rows[i]]) for i in middle(scores[rows], ids[rows], int(quota))}
    else:
        expected = {int(ids[i]) for i in middle(scores, ids, budget.k)}
    assert set(chosen.rows.tolist()) == expected
    assert len(chosen.rows) == budget.k


def test_by_hand():
    """Distances 0, 1, ..., 9 in one class: of ten rows four are kept, three dropped at each end; of seven,
    two are dropped at the low end and one at the high (halves go to the even number)."""
    labels = np.concatenate([np.zeros(20, int), [1]])
    # positions -9.5 .. 9.5 have their median at 0: each distance .5, 1.5, ..., 9.5 twice
    features = np.concatenate([np.arange(20) - 9.5, [0.0]])[:, None]
    method = methods.get("Moderate")(class_balanced=False)
    chosen = method.select(run_of(features, labels), Budget(6 / 21, 6), np.random.default_rng(0))
    distances = np.abs(features[chosen.rows, 0])
    # of the 21 sorted distances 0, .5, .5, ..., 9.5, 9.5 the ranks 8..13 (round(7.5) = 8) stay
    assert sorted(distances.tolist()) == [3.5, 4.5, 4.5, 5.5, 5.5, 6.5]
    # the middle one, of rank 10, comes first
    assert distances[0] in (4.5, 5.5)


def test_equal_features_go_by_id():
    labels = np.arange(12) % 2
    run = run_of(np.ones((12, 2)), labels, ids=np.arange(12) * 3)
    chosen = methods.get("Moderate")().select(run, Budget.of(0.5, 12), np.random.default_rng(0))
    assert len(chosen.rows) == 6
    assert any("tie rule" in note for note in chosen.notes)
