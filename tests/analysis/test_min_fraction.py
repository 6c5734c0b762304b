"""The smallest fraction: by hand, monotone, and its bootstrap interval."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.isotonic import isotonic_regression

from deepcore.analysis.min_fraction import crossing, increasing, min_fraction
from deepcore.common.checks import UsageError


def rng():
    return np.random.default_rng(0)


def of_seeds(*values):
    return dict(enumerate(values))


def test_between_two_fractions_it_is_linear():
    assert crossing(np.array([0.2, 0.6, 1.0]), np.array([80.0, 88.0, 92.0]), 90.0) == pytest.approx(0.8)


def test_a_dip_is_smoothed_away():
    """80, 91, 89, 92 is made 80, 90, 90, 92: 90 is reached at 0.4, not before."""
    fractions = np.array([0.2, 0.4, 0.6, 1.0])
    assert crossing(fractions, np.array([80.0, 91.0, 89.0, 92.0]), 90.0) == pytest.approx(0.4)
    assert crossing(fractions, np.array([80.0, 91.0, 89.0, 92.0]), 91.0) == pytest.approx(0.8)


def test_increasing_is_isotonic_regression():
    curves = rng().normal(size=(30, 7))
    expected = [isotonic_regression(curve) for curve in curves]
    np.testing.assert_allclose(increasing(curves), expected, atol=1e-12)


def test_ends():
    fractions = np.array([0.5, 1.0])
    assert crossing(fractions, np.array([91.0, 92.0]), 90.0) == 0.5
    assert crossing(fractions, np.array([95.0, 90.0]), 94.0) == 1.0  # made level at 92.5


def test_tolerance_is_below_all_data_and_the_interval_holds_the_estimate():
    curve = {0.5: of_seeds(89.0, 90.0, 91.0), 1.0: of_seeds(91.0, 92.0, 93.0)}
    found = min_fraction(curve, 1.0, rng())
    assert found.fraction == pytest.approx(0.75)
    assert (found.low, found.high) == (pytest.approx(0.75), pytest.approx(0.75))  # seeds stay together
    noisy = {0.5: of_seeds(88.0, 91.8, 90.2), 1.0: of_seeds(92.0, 92.0, 92.0)}
    found = min_fraction(noisy, 1.0, rng())
    assert found.low == 0.5
    assert found.low < found.fraction < found.high
    assert not found.at_edge
    assert min_fraction(noisy, 5.0, rng()).at_edge


def test_two_seeds_have_no_interval_and_seeds_without_all_fractions_are_left_out():
    curve = {0.5: of_seeds(89.0, 90.0, 91.0), 1.0: of_seeds(91.0, 92.0)}
    found = min_fraction(curve, 1.0, rng())
    assert (found.n, found.low) == (2, None)


def test_all_data_must_be_there():
    with pytest.raises(UsageError, match="all data"):
        min_fraction({0.5: of_seeds(1.0)}, 1.0, rng())
