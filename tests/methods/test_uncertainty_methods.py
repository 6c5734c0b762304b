"""LeastConfidence, Entropy and Margin."""

from __future__ import annotations

import numpy as np
import pytest
from oracle_scores import entropy, least_confidence, margin

import methods
from deepcore.proxy.run import ProxyRun
from deepcore.selection.budget import Budget

# predictions (.7, .2, .1), (.4, .35, .25), (.5, .5, 0+)
PREDICTIONS = np.array([[0.7, 0.2, 0.1], [0.4, 0.35, 0.25], [0.5 - 5e-7, 0.5 - 5e-7, 1e-6]])


def run_of(logits, labels=None):
    n, classes = logits.shape
    labels = np.arange(n) % classes if labels is None else labels
    return ProxyRun.from_logits(logits[None], labels, logits[None, :classes], np.arange(classes))


def test_least_confidence_by_hand():
    method = methods.get("LeastConfidence")()
    np.testing.assert_allclose(method.score(run_of(np.log(PREDICTIONS))), [0.7, 0.4, 0.5], rtol=1e-5)
    assert method.keep == "lowest"


def test_entropy_by_hand():
    method = methods.get("Entropy")()
    by_hand = [-sum(p * np.log(p) for p in row) for row in PREDICTIONS]
    np.testing.assert_allclose(method.score(run_of(np.log(PREDICTIONS))), by_hand, rtol=1e-6)
    assert method.keep == "highest"


def test_margin_by_hand():
    method = methods.get("Margin")()
    np.testing.assert_allclose(method.score(run_of(np.log(PREDICTIONS)))[:2], [0.5, 0.05], rtol=1e-5)
    assert method.keep == "lowest"


@pytest.mark.parametrize(
    ("name", "definition"), [("LeastConfidence", least_confidence), ("Entropy", entropy), ("Margin", margin)]
)
def test_it_is_the_definition_and_ignores_the_label(name, definition):
    rng = np.random.default_rng(0)
    logits = (rng.normal(size=(30, 5)) * 4).astype(np.float32)
    scores = methods.get(name)().score(run_of(logits))
    np.testing.assert_allclose(scores, definition(logits.astype(np.float64)), rtol=1e-7)
    np.testing.assert_array_equal(scores, methods.get(name)().score(run_of(logits, np.arange(30) % 3)))


@pytest.mark.parametrize("name", ["LeastConfidence", "Entropy", "Margin"])
def test_the_unsure_rows_are_kept(name):
    """Of each class the two rows whose logits are smallest, with and without class balance."""
    scale = np.tile([5.0, 0.1, 3.0, 0.2], 2)
    labels = np.repeat([0, 1], 4)
    run = run_of(scale[:, None] * np.eye(2)[labels], labels)
    for class_balanced in (True, False):
        method = methods.get(name)(class_balanced=class_balanced)
        chosen = method.select(run, Budget.of(0.5, 8), np.random.default_rng(0))
        assert sorted(chosen.rows.tolist()) == [1, 3, 5, 7]
