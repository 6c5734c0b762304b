"""Runs from arrays: what they hold, and what they refuse."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from scipy.special import softmax

from deepcore.common.checks import MissingSignal, UsageError
from deepcore.proxy.run import ProxyRun, class_means
from deepcore.proxy.signals import TRAJECTORIES, Signal
from deepcore.selection.budget import Budget
from methods.cld import CLD

T, N, Q, C, D = 6, 30, 9, 3, 4


def losses(seed: int = 0, checkpoints: int = T) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        "train_losses": rng.exponential(1, (checkpoints, N)).astype(np.float32),
        "train_labels": np.arange(N) % C,
        "val_losses": rng.exponential(1, (checkpoints, Q)).astype(np.float32),
        "val_labels": np.arange(Q) % C,
    }


def logits(seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        "train_logits": rng.normal(0, 2, (T, N, C)).astype(np.float32),
        "train_labels": np.arange(N) % C,
        "val_logits": rng.normal(0, 2, (T, Q, C)).astype(np.float32),
        "val_labels": np.arange(Q) % C,
    }


def test_from_losses_keeps_what_it_is_given(tmp_path):
    given = losses()
    np.save(tmp_path / "losses.npy", given["train_losses"])
    mapped = np.load(tmp_path / "losses.npy", mmap_mode="r")
    run = ProxyRun.from_losses(**{**given, "train_losses": mapped})
    assert np.shares_memory(run.trajectory(Signal.LOSS, "post_epoch"), mapped)
    assert np.shares_memory(run.trajectory(Signal.LOSS, "online"), mapped)
    assert (run.num_classes, run.epochs, run.has_initial) == (C, T, False)
    np.testing.assert_array_equal(run.ids, np.arange(N))
    np.testing.assert_allclose(
        run.trajectory(Signal.P_TRUE, "online"), np.exp(-given["train_losses"]), rtol=1e-6
    )
    with pytest.raises(MissingSignal, match="margin"):
        run.trajectory(Signal.MARGIN, "online")
    assert ProxyRun.from_losses(**given, has_initial=True).epochs == T - 1


@pytest.mark.parametrize("kind", [torch.tensor, torch.Tensor.tolist, list])
def test_other_containers_give_the_same_scores(kind):
    given = losses()
    expected = CLD().score(ProxyRun.from_losses(**given))
    as_tensors = {name: torch.from_numpy(array) for name, array in given.items()}
    if kind is torch.tensor:
        other = as_tensors
    else:
        other = {name: kind(tensor) for name, tensor in as_tensors.items() if "loss" in name}
        other |= {name: tensor.tolist() for name, tensor in as_tensors.items() if "loss" not in name}
    np.testing.assert_allclose(CLD().score(ProxyRun.from_losses(**other)), expected, atol=1e-12)


def test_precision_is_kept():
    given = losses()
    fine = given["train_losses"].astype(np.float64) + 1e-9
    run = ProxyRun.from_losses(**{**given, "train_losses": fine})
    assert run.trajectory(Signal.LOSS, "online").dtype == np.float64
    half = torch.from_numpy(given["train_losses"]).bfloat16()
    run = ProxyRun.from_losses(**{**given, "train_losses": half})
    assert run.trajectory(Signal.LOSS, "online").dtype == np.float32


def test_class_means_and_one_mean():
    given = losses()
    whole = ProxyRun.from_losses(**given)
    means = np.stack(
        [given["val_losses"][:, given["val_labels"] == c].mean(axis=1) for c in range(C)], axis=1
    )
    del given["val_labels"]
    by_class = ProxyRun.from_losses(**{**given, "val_losses": means})
    np.testing.assert_allclose(by_class.val_class_means(), whole.val_class_means(), rtol=1e-6)
    np.testing.assert_allclose(CLD().score(by_class), CLD().score(whole), atol=1e-6)
    one = ProxyRun.from_losses(**{**given, "val_losses": whole.val_mean()})
    by_mean = CLD(trajectory="global")
    np.testing.assert_allclose(by_mean.score(one), by_mean.score(whole), atol=1e-12)
    with pytest.raises(MissingSignal, match='trajectory="global"'):
        CLD().score(one)


def test_a_class_mean_may_be_unknown():
    given = losses()
    del given["val_labels"]
    means = np.random.default_rng(0).random((T, C))
    means[:, 1] = np.nan
    run = ProxyRun.from_losses(**{**given, "val_losses": means})
    with pytest.raises(UsageError, match="class 1 of the train pool has no validation row"):
        CLD().score(run)
    means[0, 1] = 1.0  # known at one checkpoint only: not a class without rows but a broken log
    with pytest.raises(UsageError, match="val_losses: class 1 is nan at checkpoint 1"):
        ProxyRun.from_losses(**{**given, "val_losses": means})


def test_alignment_of_unsorted_ids():
    given = losses()
    rng = np.random.default_rng(1)
    ids, order = rng.permutation(1000)[:N], rng.permutation(N)
    run = ProxyRun.from_losses(**given, ids=ids)
    shuffled = ProxyRun.from_losses(
        given["train_losses"][:, order],
        given["train_labels"][order],
        given["val_losses"],
        given["val_labels"],
        ids=ids[order],
    )
    score_of = dict(zip(run.ids, CLD().score(run), strict=True))
    assert dict(zip(shuffled.ids, CLD().score(shuffled), strict=True)) == score_of
    picks = [CLD().select(r, Budget.of(0.2, N), rng).rows for r in (run, shuffled)]
    np.testing.assert_array_equal(*picks)
    assert set(picks[0]) <= set(ids)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train_losses": np.zeros(N)}, r"train_losses has shape \(30,\): expected \(checkpoints, samples\)"),
        ({"train_losses": np.zeros((0, N))}, "no axis empty"),
        ({"train_losses": np.full((T, N), "x")}, "train_losses holds <U1 values"),
        ({"train_losses": [[1.0, 2.0], [1.0]]}, "rows of unequal length"),
        ({"val_losses": np.zeros((T + 1, Q))}, "val_losses has 7 checkpoints, the train part 6"),
        ({"val_losses": np.zeros((T, Q + 1))}, "val_labels has 9 labels for 10 rows"),
        ({"train_labels": np.zeros(N - 1, int)}, "train_labels has 29 labels for 30 rows"),
        ({"train_labels": np.full(N, -1)}, "train_labels: labels run from -1"),
        ({"train_labels": np.full(N, 0.5)}, "train_labels: labels must be whole numbers"),
        ({"ids": np.zeros(N, int)}, "id 0 occurs 30 times"),
        ({"ids": np.arange(N) - 1}, "id -1 is negative"),
        ({"ids": np.arange(N - 1)}, "ids has 29 entries for 30 rows"),
        ({"ids": np.arange(N) / 2}, "ids must be a vector of whole numbers"),
        ({"val_labels": None}, "val_losses has 9 columns and came without val_labels"),
        ({"val_labels": None, "val_losses": np.zeros(T - 1)}, "val_losses has 5 checkpoints"),
    ],
)
def test_losses_refused(change, message):
    with pytest.raises(UsageError, match=message):
        ProxyRun.from_losses(**{**losses(), **change})


def test_losses_that_are_not_finite_are_named():
    given = losses()
    given["train_losses"][2, 5] = np.inf
    with pytest.raises(UsageError, match="train_losses: id 105 is inf at checkpoint 2"):
        ProxyRun.from_losses(**given, ids=np.arange(N) + 100)
    given = losses()
    given["val_losses"][4, 1] = np.nan
    with pytest.raises(UsageError, match="val_losses: row 1 is nan at checkpoint 4"):
        ProxyRun.from_losses(**given)
    with pytest.raises(UsageError, match="only the untrained network"):
        ProxyRun.from_losses(**losses(checkpoints=1), has_initial=True)


def test_from_logits_by_the_definitions():
    given = logits()
    rng = np.random.default_rng(7)
    features = rng.normal(0, 1, (T, N, D)).astype(np.float32)
    run = ProxyRun.from_logits(**given, features=features, ids=np.arange(N)[::-1])
    z, y = given["train_logits"].astype(np.float64), given["train_labels"]
    p = softmax(z, axis=2)
    rows = np.arange(N)
    onehot = np.eye(C)[y]
    others = np.where(onehot[None] == 1, -np.inf, 1.0)
    expected = {
        Signal.LOSS: -np.log(p[:, rows, y]),
        Signal.MARGIN: z[:, rows, y] - (z + np.where(np.isinf(others), -np.inf, 0)).max(axis=2),
        Signal.MARGIN_P: p[:, rows, y] - np.where(np.isinf(others), -np.inf, p).max(axis=2),
        Signal.EL2N: np.linalg.norm(p - onehot, axis=2),
        Signal.GRAND: np.linalg.norm(p - onehot, axis=2) * np.sqrt(1 + np.square(features).sum(axis=2)),
        Signal.KL_STEP: np.abs(p[1:] * (np.log(p[1:] + 1e-8) - np.log(p[:-1] + 1e-8))).sum(axis=2),
    }
    assert set(expected) == set(TRAJECTORIES)
    for signal, values in expected.items():
        array = run.trajectory(signal, "online")
        assert (array.shape, array.dtype) == ((T, N), np.float32)
        if signal is Signal.KL_STEP:
            assert np.isnan(array[0]).all()
            array = array[1:]
        np.testing.assert_allclose(array, values, rtol=1e-4, atol=1e-6, err_msg=signal.value)
    np.testing.assert_array_equal(run.final_array(Signal.LOGITS), given["train_logits"][-1])
    np.testing.assert_array_equal(run.final_array(Signal.FEATURES), features[-1])
    np.testing.assert_array_equal(run.final_array(Signal.LOGITS, val=True), given["val_logits"][-1])
    from_losses = ProxyRun.from_losses(
        expected[Signal.LOSS], y, run.val_trajectory(Signal.LOSS), given["val_labels"]
    )
    np.testing.assert_allclose(CLD().score(run), CLD().score(from_losses), atol=1e-5)


def test_features_of_the_last_checkpoint_do_not_make_grand():
    rng = np.random.default_rng(7)
    last_layer = (rng.random((C, D)), rng.random(C))
    run = ProxyRun.from_logits(
        **logits(), features=rng.random((N, D)), val_features=rng.random((Q, D)), last_layer=last_layer
    )
    assert not run.has(Signal.GRAND, "online")
    assert run.final_array(Signal.FEATURES).shape == (N, D)
    assert run.final_array(Signal.FEATURES, val=True).shape == (Q, D)
    np.testing.assert_array_equal(run.last_layer[0], last_layer[0])
    plain = ProxyRun.from_logits(**logits())
    assert plain.last_layer is None
    with pytest.raises(MissingSignal, match="features"):
        plain.final_array(Signal.FEATURES)


def test_blocks_of_logits_do_not_show(monkeypatch):
    features = np.random.default_rng(0).random((T, N, D))
    whole = ProxyRun.from_logits(**logits(), features=features)
    monkeypatch.setattr("deepcore.proxy.logs.BLOCK", 7)
    parts = ProxyRun.from_logits(**logits(), features=features)
    for key, rows in whole.trajectories.items():
        np.testing.assert_allclose(parts.trajectories[key], rows, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"val_logits": np.zeros((T, Q, C + 1))}, "val_logits has 4 classes, train_logits 3"),
        ({"val_logits": np.zeros((T - 1, Q, C))}, "val_logits has 5 checkpoints"),
        ({"train_labels": np.full(N, C)}, r"train_labels: labels run from 3 to 3, out of range 0..2"),
        ({"train_logits": np.zeros((T, N))}, r"expected \(checkpoints, samples, classes\)"),
        ({"features": np.zeros((N + 1, D))}, r"features has shape \(31, 4\): expected \(30, D\)"),
        ({"features": np.zeros((T - 1, N, D))}, r"or \(6, 30, D\) of all"),
        ({"features": np.full((N, D), np.nan)}, "features holds values that are not finite"),
        ({"val_features": np.zeros(Q)}, r"val_features has shape \(9,\)"),
        ({"last_layer": (np.zeros((C, D)),)}, "last_layer has 1 parts"),
        ({"last_layer": (np.zeros((D, C)), np.zeros(C))}, r"last_layer has shapes \(4, 3\)"),
        (
            {"last_layer": (np.zeros((C, D)), np.zeros(C)), "features": np.zeros((N, D + 1))},
            r"expected \(3, 5\)",
        ),
    ],
)
def test_logits_refused(change, message):
    with pytest.raises(UsageError, match=message):
        ProxyRun.from_logits(**{**logits(), **change})


def test_logits_that_are_not_finite_are_named():
    given = logits()
    given["train_logits"][3, 4, 1] = np.nan
    with pytest.raises(UsageError, match="train_logits: checkpoint 3 of id 104 is not finite"):
        ProxyRun.from_logits(**given, ids=np.arange(N) + 100)


def test_class_means_by_a_loop():
    rng = np.random.default_rng(0)
    values, labels = rng.random((4, 11)), rng.choice([0, 2, 5], 11)
    means = class_means(values, labels, 7)
    for c in range(7):
        if c in labels:
            np.testing.assert_allclose(means[:, c], values[:, labels == c].mean(axis=1), rtol=1e-14)
        else:
            assert np.isnan(means[:, c]).all()
    assert np.isnan(class_means(values[:, :0], labels[:0], 2)).all()


def test_a_run_from_logs_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        ProxyRun.from_losses(**losses()).num_classes = 5


@pytest.mark.parametrize(
    "val", [{}, {"val_losses": np.ones(T), "val_labels": None}, {"val_losses": None, "val_labels": None}]
)
def test_a_stray_label_among_small_ones_is_no_class(val):
    """Memory for 10^9 classes would be 60 GB."""
    given = losses() | val
    labels = np.array(given["train_labels"])
    labels[4] = 10**9
    with pytest.raises(UsageError, match="the label of row 4 is 1000000000, and there are"):
        ProxyRun.from_losses(**given | {"train_labels": labels})


def test_labels_that_are_one_number():
    with pytest.raises(UsageError, match=r"train_labels: labels have shape \(\)"):
        ProxyRun.from_losses(**losses() | {"train_labels": np.array(3)})
