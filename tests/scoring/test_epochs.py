import warnings

import numpy as np
import pytest
from helpers import online_run
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from deepcore.proxy.signals import Signal
from deepcore.scoring import epochs as streams
from methods.forgetting import Forgetting


@given(
    hnp.arrays(
        np.float32, st.tuples(st.integers(3, 12), st.integers(1, 4)), elements=st.floats(0, 1, width=32)
    ),
    st.integers(2, 12),
)
def test_sliding_moments_equal_numpy(rows, width):
    windows = [(m.copy(), s.copy()) for m, s in streams.sliding_moments(rows, width)]
    assert len(windows) == max(0, len(rows) - width + 1)
    for k, (mean, squares) in enumerate(windows):
        inside = rows[k : k + width].astype(np.float64)
        np.testing.assert_allclose(mean, inside.mean(axis=0), rtol=1e-13, atol=1e-300)
        expected = ((inside - inside.mean(axis=0)) ** 2).sum(axis=0)
        np.testing.assert_allclose(squares, expected, rtol=1e-12, atol=1e-30)


def test_sliding_moments_keep_their_precision_far_from_zero(monkeypatch):
    """Deviations of 1e-6 around 1e4: sums of squares would cancel to nothing. Blocks do not matter."""
    rows = 1e4 + 1e-6 * np.random.default_rng(0).normal(size=(20, 30))
    monkeypatch.setattr(streams, "_BLOCK", 7)
    for k, (_, squares) in enumerate(streams.sliding_moments(rows, 10)):
        np.testing.assert_allclose(np.sqrt(squares / 9), rows[k : k + 10].std(axis=0, ddof=1), rtol=1e-6)


def test_means_and_probabilities():
    rows = np.random.default_rng(0).random((7, 5)).astype(np.float32)
    np.testing.assert_allclose(streams.mean_over_epochs(rows), rows.astype(np.float64).mean(axis=0))
    np.testing.assert_allclose(np.stack(list(streams.p_true(rows))), np.exp(-rows.astype(np.float64)))


def test_reduction_is_said_only_when_it_happens():
    run = online_run([0, 0], margin=np.ones((5, 2)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(streams.first_epochs(run, Signal.MARGIN, Forgetting(), None)) == 5
        assert len(streams.first_epochs(run, Signal.MARGIN, Forgetting(), 5)) == 5
        assert len(streams.first_epochs(run, Signal.MARGIN, Forgetting(), 2)) == 2
    with pytest.warns(
        UserWarning, match="Forgetting: epochs=6 is more than the 5 epochs at hand; epochs=5 is used"
    ):
        assert len(streams.first_epochs(run, Signal.MARGIN, Forgetting(), 6)) == 5
