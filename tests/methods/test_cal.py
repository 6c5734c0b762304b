"""Cal: contrast between a row and its neighbours."""

from __future__ import annotations

import numpy as np
import pytest
from oracle_scores import cal

import methods
from deepcore.common.checks import UsageError
from deepcore.proxy.run import ProxyRun
from deepcore.selection.budget import Budget


def run_of(logits, features, labels, ids=None):
    q = logits.shape[1]
    return ProxyRun.from_logits(
        logits[None],
        labels,
        logits[None, :q],
        np.arange(q),
        features=features,
        val_features=features[:q],
        ids=ids,
    )


def case(seed=0, sizes=(30, 25), classes=2, dtype=np.float64, grid=False):
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    logits, features = rng.normal(size=(len(labels), classes)) * 3, rng.normal(size=(len(labels), 4))
    if grid:  # ties of distance, and rows that are the same
        features = np.round(features)
    ids = rng.permutation(10 * len(labels))[: len(labels)]
    return logits.astype(dtype), features.astype(dtype), labels, ids


@pytest.mark.parametrize("grid", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"neighbors": 3},
        {"class_balanced": False},
        {"graph": "global"},
        {"graph": "class", "class_balanced": False},
    ],
    ids=str,
)
def test_it_is_the_definition(fields, dtype, grid):
    logits, features, labels, ids = case(sizes=(30, 25, 14), classes=3, dtype=dtype, grid=grid)
    method = methods.get("Cal")(**fields)
    scores = method.score(run_of(logits, features, labels, ids))
    within = fields.get("graph", "class" if fields.get("class_balanced", True) else "global") == "class"
    group = labels if within else np.zeros_like(labels)
    wide = logits.astype(np.float64), features.astype(np.float64)
    expected = cal(*wide, ids, fields.get("neighbors", 10), group)
    np.testing.assert_allclose(scores, expected, rtol=1e-6, atol=1e-12)


def test_the_contrastive_rows_are_kept():
    """Two tight groups of each class; in each, one row is predicted otherwise than its neighbours."""
    features = np.repeat(np.arange(4.0), 6)[:, None] * 100 + np.tile(np.arange(6.0), 4)[:, None]
    labels = np.repeat([0, 1], 12)
    logits = np.tile([3.0, 0.0], (24, 1))
    odd = [2, 9, 13, 22]
    logits[odd] = [0.0, 3.0]
    method = methods.get("Cal")(neighbors=3)
    assert method.keep == "highest"
    chosen = method.select(run_of(logits, features, labels), Budget.of(4 / 24, 24), np.random.default_rng(0))
    assert sorted(chosen.rows.tolist()) == odd


def test_a_row_alone_in_its_class_scores_zero():
    logits, features, labels, ids = case(sizes=(12, 1, 4), classes=3)
    with pytest.warns(UserWarning, match="more than the other rows of 2 of 3 graphs.*1 rows that are alone"):
        scores = methods.get("Cal")().score(run_of(logits, features, labels, ids))
    assert scores[labels == 1].tolist() == [0.0]
    assert np.isfinite(scores).all()


def test_equal_predictions_have_no_contrast():
    _, features, labels, ids = case()
    logits = np.tile([1.0, 2.0], (len(labels), 1))
    assert methods.get("Cal")().score(run_of(logits, features, labels, ids)).tolist() == [0.0] * len(labels)


@pytest.mark.parametrize(
    ("fields", "message"), [({"neighbors": 0}, "neighbors is 0"), ({"graph": "clas"}, "did you mean class")]
)
def test_bad_fields(fields, message):
    with pytest.raises(UsageError, match=message):
        methods.get("Cal")(**fields)
