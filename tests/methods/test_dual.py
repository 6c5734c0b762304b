import numpy as np
import pytest
from helpers import full_run, labels_of, online_run, permuted

from deepcore.common.checks import UsageError
from deepcore.proxy.signals import Signal
from deepcore.selection.budget import Budget
from deepcore.selection.weighted import beta_weights, sample_weighted
from methods.dual import DUAL


def test_two_windows_by_hand():
    """q = 1/2, 1, 1/4 (J = 2): sd (1 - mean) = 1/(2 sqrt 2) * 1/4 and 3/(4 sqrt 2) * 3/8."""
    run = online_run([0, 0], loss=[[np.log(2), 0.0], [0.0, 0.0], [np.log(4), 0.0]])
    expected = (1 / (8 * np.sqrt(2)) + 9 / (32 * np.sqrt(2))) / 2
    np.testing.assert_allclose(DUAL(window=2, epochs=3).score(run), [expected, 0.0], rtol=1e-6)


@pytest.mark.parametrize(("window", "epochs"), [(10, 12), (2, None), (4, 7)])
def test_equals_plain_loops(window, epochs):
    run = full_run(labels_of(20, 15, 5))
    q = np.exp(-run.trajectories["online", Signal.LOSS][1:][:epochs].astype(np.float64))
    terms = [
        np.std(q[w : w + window], axis=0, ddof=1) * (1 - q[w : w + window].mean(axis=0))
        for w in range(len(q) - window + 1)
    ]
    np.testing.assert_allclose(
        DUAL(window=window, epochs=epochs).score(run), np.mean(terms, axis=0), rtol=1e-10
    )


def test_only_the_first_thirty_epochs_by_default():
    losses = np.random.default_rng(0).random((40, 7))
    whole = online_run(np.zeros(7, int), loss=losses)
    cut = online_run(np.zeros(7, int), loss=losses[:30])
    np.testing.assert_array_equal(DUAL().score(whole), DUAL().score(cut))
    budget = Budget.of(0.5, 7)
    rows = [DUAL().select(run, budget, np.random.default_rng(3)).rows for run in (whole, cut)]
    np.testing.assert_array_equal(*rows)


@pytest.mark.parametrize("class_balanced", [True, False])
def test_selection_is_the_weighted_draw_of_its_functions(class_balanced):
    run, budget = full_run(labels_of(20, 15, 5)), Budget.of(0.3, 40)
    method = DUAL(window=4, epochs=7, c_d=6.0, class_balanced=class_balanced)
    q = np.exp(-run.trajectories["online", Signal.LOSS][1:8].astype(np.float64))
    scores = method.score(run)
    weights = beta_weights(q.mean(axis=0), scores, 0.3, c_d=6.0, ids=run.ids)
    expected = sample_weighted(
        weights, scores, run.ids, run.labels, budget, np.random.default_rng(5), class_balanced=class_balanced
    )
    chosen = method.select(run, budget, np.random.default_rng(5))
    np.testing.assert_array_equal(chosen.rows, expected.rows)


def test_top_sampling_and_the_inherited_sampler():
    run, budget = full_run(labels_of(20, 20)), Budget.of(0.2, 40)
    scores = DUAL(epochs=12).score(run)
    top = DUAL(epochs=12, sampling="top", class_balanced=False).select(run, budget, np.random.default_rng(0))
    np.testing.assert_array_equal(top.rows, run.ids[np.argsort(-scores)[:8]])
    same = DUAL(epochs=12, sampler="top", class_balanced=False).select(run, budget, np.random.default_rng(0))
    np.testing.assert_array_equal(top.rows, same.rows)


def test_probabilities_of_exactly_0_and_1():
    """Half the samples never move from 1, the other half from 0: all weights are 0, the lowest ids win."""
    losses = np.where(np.arange(8) % 2, np.inf, 0.0) * np.ones((12, 1))
    run = permuted(online_run(np.zeros(8, int), loss=losses), np.arange(8)[::-1])
    chosen = DUAL(epochs=12).select(run, Budget.of(0.5, 8), np.random.default_rng(0))
    assert chosen.rows.tolist() == [0, 1, 2, 3]
    assert "4 of 4 picks had no positive weight" in chosen.notes[-1]


@pytest.mark.parametrize("bad", [{"window": 1}, {"epochs": 2}, {"sampling": "strata"}, {"c_d": 0}])
def test_bad_fields(bad):
    with pytest.raises(UsageError):
        DUAL(**bad)
