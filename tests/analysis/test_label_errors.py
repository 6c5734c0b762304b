"""Suspects, the share of wrong labels, and what the model says instead."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from deepcore.analysis.label_errors import instead, rank_suspects, wrong_share
from deepcore.proxy.run import ProxyRun

N, Q, T, C = 2000, 60, 20, 4
LABELS, VAL_LABELS = np.arange(N) % C, np.arange(Q) % C
WRONG = np.arange(N) % 10 == 3  # a tenth


def logits_of(*, wrong: np.ndarray, learned_by_heart: int = 14) -> tuple[np.ndarray, np.ndarray]:
    """A network that learns the true class of every sample, and from an epoch on the wrong labels by heart;
    its validation loss turns up there."""
    rng = np.random.default_rng(0)
    true = np.where(wrong, (LABELS + 1) % C, LABELS)
    train, val = rng.normal(0, 1, (T, N, C)), rng.normal(0, 0.3, (T, Q, C))
    for t in range(T):
        heart = t >= learned_by_heart
        train[t, np.arange(N), np.where(heart, LABELS, true)] += min(6, t)
        val[t, np.arange(Q), VAL_LABELS] += (6 - 0.5 * t) if heart else min(6, 0.5 * t)
    return train, val


def run_of(wrong: np.ndarray, **fields: object) -> ProxyRun:
    train, val = logits_of(wrong=wrong)
    return ProxyRun.from_logits(train, LABELS, val, VAL_LABELS, **fields)


def test_the_share_is_bracketed():
    found = wrong_share(run_of(WRONG))
    assert found.epochs <= 14
    assert found.low <= 0.1 <= found.high
    assert found.estimate == pytest.approx(0.1, abs=0.02)
    assert 0 <= found.low <= found.estimate <= found.high <= 1
    none = wrong_share(run_of(np.zeros(N, dtype=bool)))
    assert none.low == 0
    assert none.estimate < 0.01
    assert 0 < none.high < 0.01


def test_epochs_after_the_least_validation_loss_are_not_read():
    run = run_of(WRONG)
    found = wrong_share(run)
    late = {
        key: np.concatenate([rows[: found.epochs], -9 * np.abs(rows[found.epochs :])])
        for key, rows in run.trajectories.items()
    }
    assert wrong_share(dataclasses.replace(run, trajectories=late)) == found


def test_what_the_estimate_needs():
    losses, val = np.random.default_rng(0).random((2, T, N))
    assert wrong_share(ProxyRun.from_losses(losses, LABELS, val[:, :Q], VAL_LABELS)) is None  # no margins
    margin = {"margin": losses - 0.5}
    assert wrong_share(ProxyRun.from_losses(losses, LABELS, None, signals=margin)) is None  # no validation
    assert wrong_share(ProxyRun.from_losses(losses, None, val[:, :Q], signals=margin)) is None  # no classes
    assert wrong_share(ProxyRun.from_losses(losses, LABELS, val[:, :Q], VAL_LABELS, signals=margin))
    assert wrong_share(ProxyRun.from_losses(losses, LABELS, val[:, 0], signals=margin))


def test_margins_without_probabilities_and_gaps():
    whole = run_of(WRONG)
    kept = {key: rows for key, rows in whole.trajectories.items() if key[1].value in ("loss", "margin")}
    found = wrong_share(dataclasses.replace(whole, trajectories=kept))
    assert found.low <= 0.1 <= found.high
    assert found.estimate == wrong_share(whole).estimate
    holed = {key: np.where(np.random.default_rng(1).random((T, N)) < 0.2, np.nan, rows)
             for key, rows in whole.trajectories.items()}  # fmt: skip
    gaps = dataclasses.replace(whole, trajectories=holed, log=dataclasses.replace(whole.log, has_gaps=True))
    assert wrong_share(gaps).estimate == pytest.approx(0.1, abs=0.03)


def test_samples_without_a_value_in_these_epochs_are_left_out():
    """The share is that of the others: 1 and then 1000 samples have values in the last epochs alone."""
    whole = run_of(WRONG)
    for unknown in ([7], [3, 7, *range(1000)]):
        mask = np.isin(np.arange(N), unknown)
        holed = {key: rows.copy() for key, rows in whole.trajectories.items()}
        for rows in holed.values():
            rows[:14, mask] = np.nan
        log = dataclasses.replace(whole.log, has_gaps=True)
        found = wrong_share(dataclasses.replace(whole, trajectories=holed, log=log))
        there = {key: rows[:, ~mask] for key, rows in whole.trajectories.items()}
        left = {"ids": whole.ids[~mask], "labels": whole.labels[~mask], "trajectories": there}
        assert found == wrong_share(dataclasses.replace(whole, **left))
        assert 0 < found.low <= 0.1 <= found.high
    nothing = {key: np.where(np.arange(T)[:, None] < 14, np.nan, rows) for key, rows in holed.items()}
    assert wrong_share(dataclasses.replace(whole, trajectories=nothing, log=log)) is None


def test_ranks_by_hand():
    scores = {"CLD": np.array([0.9, -0.5, 0.1, 0.1]), "loss": np.array([1.0, 2.0, 8.0, 8.0])}
    suspects = rank_suspects(scores, {"CLD": "lowest", "loss": "highest"}, np.array([7, 5, 4, 3]))
    # ranks of CLD 4, 1, 2.5, 2.5, of the loss 4, 3, 1.5, 1.5
    np.testing.assert_array_equal(suspects.combined, [1.0, 0.5, 0.5, 0.5])
    np.testing.assert_array_equal(suspects.order, [3, 2, 1, 0])  # ties by lower id
    # ranks of AUM 3, 4, 2, 1: of three ranks the middle one counts
    three = rank_suspects(
        {**scores, "AUM": np.array([5.0, 6.0, -1.0, -2.0])},
        {"CLD": "lowest", "loss": "highest", "AUM": "lowest"},
        np.array([7, 5, 4, 3]),
    )
    np.testing.assert_array_equal(three.combined, [1.0, 0.75, 0.5, 0.375])


def test_the_class_that_is_said_instead():
    classes, shares = instead(run_of(WRONG), np.flatnonzero(WRONG))
    np.testing.assert_array_equal(classes, (LABELS[WRONG] + 1) % C)
    assert (shares > 0.5).all()
    losses = np.random.default_rng(0).random((T, N))
    assert instead(ProxyRun.from_losses(losses, LABELS, None), np.arange(3)) is None
    unknown = ProxyRun.from_losses(losses, LABELS, None, signals={"other": np.full((T, N), -1.0)})
    classes, shares = instead(unknown, np.arange(3))
    assert (classes == -1).all()
    assert np.isnan(shares).all()
    one_pass = dataclasses.replace(unknown.log, summaries={"other": np.arange(N) % C})
    classes, shares = instead(dataclasses.replace(unknown, log=one_pass), np.arange(3))
    np.testing.assert_array_equal(classes, [0, 1, 2])
