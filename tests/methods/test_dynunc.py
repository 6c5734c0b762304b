import numpy as np
import pytest
from helpers import full_run, labels_of, online_run

from deepcore.common.checks import UsageError
from deepcore.proxy.signals import Signal
from deepcore.selection.budget import Budget
from methods.dynunc import DynUnc


def test_two_windows_by_hand():
    """q = 1/2, 1, 1/4 (J = 2): windows of sd 1/(2 sqrt 2) and 3/(4 sqrt 2), their mean 5/(8 sqrt 2)."""
    run = online_run([0, 0], loss=[[np.log(2), 0.0], [0.0, 0.0], [np.log(4), 0.0]])
    np.testing.assert_allclose(DynUnc(window=2).score(run), [5 / (8 * np.sqrt(2)), 0.0], rtol=1e-6)
    # J = 3: mean 7/12, squares 1/144 + 25/144 + 16/144 over 2
    np.testing.assert_allclose(DynUnc(window=3).score(run), [np.sqrt(42 / 144 / 2), 0.0], rtol=1e-6)


@pytest.mark.parametrize(("window", "epochs"), [(10, None), (2, None), (4, 7), (12, None)])
def test_equals_plain_loops(window, epochs):
    run = full_run(labels_of(20, 15, 5))
    for mode in ("online", "post_epoch"):
        q = np.exp(-run.trajectories[mode, Signal.LOSS][1:][:epochs].astype(np.float64))
        deviations = [np.std(q[w : w + window], axis=0, ddof=1) for w in range(len(q) - window + 1)]
        scores = DynUnc(window=window, epochs=epochs, record=mode).score(run)
        np.testing.assert_allclose(scores, np.mean(deviations, axis=0), rtol=1e-10)


def test_probabilities_of_exactly_0_and_1():
    """They count like any other (the official code skips zeros): q = 0, 1, 0, 1 has sd sqrt(1/3)."""
    run = online_run(
        [0, 0, 0], loss=[[np.inf, 0.0, np.inf], [0.0, 0.0, np.inf], [np.inf, 0.0, np.inf], [0.0, 0.0, 200.0]]
    )
    np.testing.assert_allclose(DynUnc(window=4).score(run), [np.sqrt(1 / 3), 0.0, 0.0], atol=1e-80)


def test_constant_samples_score_exactly_zero_so_that_ties_are_ties():
    run = online_run(np.zeros(50, int), loss=np.tile(np.random.default_rng(0).random(50), (25, 1)))
    np.testing.assert_array_equal(DynUnc().score(run), np.zeros(50))


def test_short_runs():
    run = online_run(np.zeros(5, int), loss=np.random.default_rng(0).random((4, 5)))
    with pytest.warns(UserWarning, match="window=10 is more than the 4 epochs"):
        chosen = DynUnc().select(run, Budget.of(0.4, 5), np.random.default_rng(0))
    np.testing.assert_array_equal(chosen.scores, DynUnc(window=4).score(run))
    with pytest.raises(UsageError, match="DynUnc looks at windows of epochs and has 2 of them"):
        DynUnc(window=2).score(online_run([0], loss=[[1.0], [2.0]]))


@pytest.mark.parametrize("bad", [{"window": 1}, {"epochs": 2}, {"window": 0}])
def test_bad_fields(bad):
    with pytest.raises(UsageError):
        DynUnc(**bad)
