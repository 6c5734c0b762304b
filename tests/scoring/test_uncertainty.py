"""Uncertainty of predictions and their distance from the neighbours', against loops in float64."""

from __future__ import annotations

import numpy as np
import pytest
from oracle_scores import cal, entropy, least_confidence, margin, nearest

from deepcore.scoring import uncertainty
from deepcore.scoring.divergence import neighbour_divergence

RNG = np.random.default_rng(0)
LOGITS = {
    "plain": RNG.normal(size=(40, 5)) * 3,
    "two classes": RNG.normal(size=(30, 2)),
    "confident": RNG.normal(size=(30, 4)) * 30,
    "extreme": np.where(RNG.random((30, 4)) < 0.5, 80.0, -80.0),
    "ties": np.round(RNG.normal(size=(30, 3))),
    "float32": (RNG.normal(size=(30, 6)) * 5).astype(np.float32),
}


@pytest.mark.parametrize("kind", LOGITS)
@pytest.mark.parametrize(
    ("fast", "slow"),
    [
        (uncertainty.max_probability, least_confidence),
        (uncertainty.entropy, entropy),
        (uncertainty.first_two_margin, margin),
    ],
)
def test_it_is_the_definition(monkeypatch, kind, fast, slow):
    z = LOGITS[kind]
    whole = fast(z)
    np.testing.assert_allclose(whole, slow(z.astype(np.float64)), rtol=1e-9, atol=1e-15)
    monkeypatch.setattr(uncertainty, "BLOCK", 7 * z.shape[1])
    np.testing.assert_array_equal(fast(z), whole)


def test_one_class_is_sure():
    logits = np.array([[-3.0], [0.0], [900.0]])
    assert uncertainty.first_two_margin(logits).tolist() == [1.0, 1.0, 1.0]
    assert uncertainty.entropy(logits).tolist() == [0.0, 0.0, 0.0]


def test_a_uniform_prediction_by_hand():
    z = np.zeros((1, 4))
    assert uncertainty.max_probability(z) == pytest.approx([0.25])
    assert uncertainty.entropy(z) == pytest.approx([np.log(4)])
    assert uncertainty.first_two_margin(z) == pytest.approx([0.0], abs=0)


@pytest.mark.parametrize("kind", LOGITS)
def test_divergence_of_neighbours_is_the_definition(monkeypatch, kind):
    z = LOGITS[kind]
    h = RNG.normal(size=(len(z), 3))
    near = np.array(nearest(h, np.arange(len(z)), 4, np.zeros(len(z))))
    expected = cal(z.astype(np.float64), h, np.arange(len(z)), 4, np.zeros(len(z)))
    whole = neighbour_divergence(z, near)
    np.testing.assert_allclose(whole, expected, rtol=1e-9, atol=1e-15)
    monkeypatch.setattr(uncertainty, "BLOCK", 50)
    np.testing.assert_allclose(neighbour_divergence(z, near), whole, rtol=1e-14, atol=1e-300)


def test_divergence_by_hand_and_without_neighbours():
    z = np.log([[0.5, 0.5], [0.9, 0.1]])
    by_hand = 0.5 * (0.4 * np.log(0.9 / 0.5) - 0.4 * np.log(0.1 / 0.5))
    np.testing.assert_allclose(neighbour_divergence(z, np.array([[1], [0]])), [by_hand, by_hand])
    assert neighbour_divergence(z, np.zeros((2, 0), dtype=np.int64)).tolist() == [0.0, 0.0]
