import numpy as np
import pytest
from helpers import full_run, labels_of, online_run

from deepcore.common.checks import UsageError
from deepcore.proxy.signals import Signal
from deepcore.selection.budget import Budget
from deepcore.selection.strata import sample_strata
from methods.aum import AUM
from methods.ccs import CCS
from methods.el2n import EL2N
from methods.forgetting import Forgetting


@pytest.mark.parametrize(
    ("fraction", "beta"),
    [
        (0.01, 0.3),
        (0.1, 0.3),
        (0.15, 0.2),
        (0.2, 0.1),
        (0.25, 0.1),
        (0.3, 0.1),
        (0.4, 0.05),
        (0.5, 0),
        (1.0, 0),
    ],
)
def test_beta_by_fraction(fraction, beta):
    assert CCS().resolve(fraction) == CCS(beta=beta)
    assert CCS(beta=0.25).resolve(fraction) == CCS(beta=0.25)


def test_score_is_the_margin_over_probabilities():
    run = full_run(labels_of(12, 8))
    np.testing.assert_array_equal(CCS().score(run), AUM(of="probability").score(run))
    assert CCS().keep == "lowest"


@pytest.mark.parametrize(("difficulty", "method"), [("el2n", EL2N()), ("forgetting", Forgetting())])
def test_other_difficulties_keep_the_cut_by_aum(difficulty, method):
    run, budget = full_run(labels_of(30, 30)), Budget.of(0.3, 60)
    ccs = CCS(difficulty=difficulty, beta=0.4, class_balanced=False)
    np.testing.assert_array_equal(ccs.score(run), method.score(run))
    assert ccs.keep == "highest"
    assert Signal.MARGIN_P in CCS(difficulty=difficulty).needs
    cut = run.ids[np.argsort(AUM(of="probability").score(run))[:24]]
    for seed in range(5):
        assert not np.intersect1d(ccs.select(run, budget, np.random.default_rng(seed)).rows, cut).size


def test_cut_is_of_the_pool_or_of_each_class():
    """Class 0 has all the lowest margins: cut of the pool, it loses half; by class, a quarter."""
    margins = np.concatenate([np.arange(8.0), 100 + np.arange(8.0)])
    run, budget = online_run(np.repeat([0, 1], 8), margin_p=[margins]), Budget.of(0.75, 16)
    pool = CCS(beta=0.25, class_balanced=False).select(run, budget, np.random.default_rng(0))
    assert sorted(pool.rows) == list(range(4, 16))
    classes = CCS(beta=0.25).select(run, budget, np.random.default_rng(0))
    assert sorted(classes.rows) == [*range(2, 8), *range(10, 16)]


def test_selection_is_the_draw_of_its_functions():
    run, budget = full_run(labels_of(30, 20, 10)), Budget.of(0.2, 60)
    aum = run.trajectories["online", Signal.MARGIN_P][1:].mean(axis=0, dtype=np.float64)
    for balanced in (True, False):
        expected = sample_strata(
            aum,
            run.ids,
            run.labels,
            budget,
            np.random.default_rng(2),
            strata=7,
            beta=0.1,
            aum=aum,
            class_balanced=balanced,
        )
        chosen = CCS(strata=7, class_balanced=balanced).select(run, budget, np.random.default_rng(2))
        np.testing.assert_array_equal(chosen.rows, expected.rows)


def test_top_sampler_takes_the_hard_ones_without_a_cut():
    run = online_run([0, 0, 0, 0], margin_p=[[0.5, -0.5, 0.1, 0.9]])
    chosen = CCS(sampler="top", beta=0.5).select(run, Budget.of(0.5, 4), np.random.default_rng(0))
    assert chosen.rows.tolist() == [1, 2]


@pytest.mark.parametrize("bad", [{"beta": 1.0}, {"beta": -0.1}, {"strata": 0}, {"difficulty": "loss"}])
def test_bad_fields(bad):
    with pytest.raises(UsageError):
        CCS(**bad)
