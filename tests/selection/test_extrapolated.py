"""Scores of all candidates from those of a share."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from helpers import full_run, labels_of, on_a_share, permuted
from oracle_scores import extrapolate

import methods
from deepcore.common.checks import MissingSignal, UsageError
from deepcore.proxy.signals import Signal
from deepcore.selection import extrapolated
from deepcore.selection.budget import Budget
from deepcore.selection.method import ScoreMethod
from deepcore.selection.samplers import SAMPLERS

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # twelve epochs: parameters are reduced

RUN = full_run(labels_of(30, 24, 14))
SHARED = on_a_share(RUN)
SCORING = [
    name
    for name, cls in methods.METHODS.items()
    if issubclass(cls, ScoreMethod) and cls.is_selection and name != "TAP"
]


@pytest.mark.parametrize("name", SCORING)
def test_scored_rows_keep_their_score_and_the_others_get_their_neighbours(name, monkeypatch):
    monkeypatch.setattr(extrapolated, "NEIGHBOURS", 4)
    method = methods.get(name)(extrapolate=0.5)
    scores = method.checked_scores(SHARED)
    own = SHARED.own
    of_share = methods.get(name)().score(own)
    scored, rest = np.isin(RUN.ids, own.ids), np.isin(RUN.ids, own.rest_ids)
    np.testing.assert_array_equal(scores[scored], of_share)
    features = own.final_array(Signal.FEATURES).astype(float)
    expected = extrapolate(of_share, features, own.rest_features.astype(float), 4)
    np.testing.assert_allclose(scores[rest], expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("sampler", [None, *SAMPLERS])
@pytest.mark.parametrize("name", ["AUM", "CCS", "DUAL", "Moderate", "SloCurv"])
def test_any_sampler_spends_the_budget(name, sampler):
    method = methods.get(name)(extrapolate=0.5, sampler=sampler)
    for fraction in (0.1, 0.6, 1.0):
        budget = Budget.of(fraction, len(RUN.ids))
        chosen = method.select(SHARED, budget, np.random.default_rng(3))
        chosen.check_within(RUN.ids, budget.k)
        order = np.random.default_rng(2).permutation(len(RUN.ids))
        moved = dataclasses.replace(SHARED, ids=RUN.ids[order], labels=RUN.labels[order])
        again = method.select(moved, budget, np.random.default_rng(3))
        np.testing.assert_array_equal(again.rows, chosen.rows)


def test_a_sampler_reads_weighted_means_of_probabilities():
    own, device = SHARED.own, SHARED.device_for("cpu")
    run = extrapolated.run_for_sampler(SHARED, own, {Signal.P_TRUE}, "online", device)
    spread = extrapolated.Spread.of(SHARED, own, device)
    found = run.trajectory(Signal.P_TRUE, "online")
    assert found.shape == (12, len(RUN.ids))
    np.testing.assert_allclose(found, spread.over(own.trajectory(Signal.P_TRUE, "online")), rtol=1e-5)
    scored = np.isin(RUN.ids, own.ids)
    np.testing.assert_allclose(found[:, scored], own.trajectory(Signal.P_TRUE, "online"), rtol=1e-5)


def test_fewer_scored_rows_than_neighbours():
    shared = on_a_share(RUN, 0.05)
    assert len(shared.own.ids) == 3
    scores = methods.get("AUM")(extrapolate=0.05).checked_scores(shared)
    low, high = methods.get("AUM")().score(shared.own).min(), methods.get("AUM")().score(shared.own).max()
    assert np.isfinite(scores).all()
    assert low - 1e-12 <= scores.min()
    assert scores.max() <= high + 1e-12


def test_features_all_equal():
    shared = on_a_share(full_run(labels_of(12, 9), constant=True))
    scores = methods.get("EL2N")(extrapolate=0.5).checked_scores(shared)
    assert np.isfinite(scores).all()


def test_what_is_missing_is_said():
    method = methods.get("AUM")(extrapolate=0.5)
    with pytest.raises(MissingSignal, match="AUM reads a training of its own"):
        method.checked_scores(dataclasses.replace(RUN, own=None))
    with pytest.raises(MissingSignal, match="no final features of the candidates it was not trained on"):
        method.checked_scores(RUN)


@pytest.mark.parametrize("share", [0, 1, 1.5, -0.1, True, "x"])
def test_a_share_is_between_0_and_1(share):
    with pytest.raises(UsageError, match=r"extrapolate is .*above 0 and below 1"):
        methods.get("EL2N")(extrapolate=share)


def test_one_proxy_or_several():
    with pytest.raises(UsageError, match=r"trains one proxy.*10 are to be averaged"):
        methods.get("EL2N")(extrapolate=0.2, repeats=10)


def test_it_is_a_field_of_every_score_and_changes_no_finished_row():
    for name in SCORING:
        method = methods.parse(f"{name}:extrapolate=0.25")
        assert method.own_run == methods.get("AUM")(extrapolate=0.25).own_run
        assert method.label() == f"{name}:extrapolate=0.25"
        assert method.spec()["extrapolate"] == 0.25
        assert "extrapolate" not in methods.get(name)().spec()


def test_storage_order_does_not_matter():
    order = np.random.default_rng(5).permutation(len(RUN.ids))
    shuffled = dataclasses.replace(on_a_share(RUN), ids=RUN.ids[order], labels=RUN.labels[order])
    method = methods.get("DynUnc")(extrapolate=0.5)
    np.testing.assert_array_equal(method.checked_scores(shuffled), method.checked_scores(SHARED)[order])
    assert permuted(RUN, order).ids.tolist() == shuffled.ids.tolist()
