"""Glister against autograd, against the dense greedy, and by hand."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch.nn import functional

from deepcore.common.checks import MissingSignal, UsageError
from deepcore.proxy.run import ProxyRun
from deepcore.proxy.signals import Signal
from deepcore.scoring.last_layer import Argmax, LastLayer, MovedGradient, errors_of
from deepcore.selection.budget import Budget, class_quotas
from methods.glister import Glister

CPU = torch.device("cpu")


def make_run(n=40, q=18, classes=3, dim=4, *, seed=0, levels=None):
    """A run whose logits come from its last layer; `levels` draws features from a few values (duplicates)."""
    rng = np.random.default_rng(seed)

    def features(rows):
        drawn = rng.normal(size=(rows, dim)) if levels is None else rng.integers(0, levels, (rows, dim))
        return drawn.astype(np.float64)

    weight = rng.normal(size=(classes, dim))
    bias = rng.normal(size=classes)
    train, val = features(n), features(q)
    return ProxyRun(
        ids=np.sort(rng.choice(1000, n, replace=False)),
        labels=np.arange(n) % classes,
        num_classes=classes,
        val_ids=np.arange(1000, 1000 + q),
        val_labels=np.arange(q) % classes,
        final={Signal.LOGITS: train @ weight.T + bias, Signal.FEATURES: train},
        val_final={Signal.LOGITS: val @ weight.T + bias, Signal.FEATURES: val},
        last_layer=(weight, bias),
    )


def layer(run, features, labels):
    """The last layer [b, W] (C, D+1) of a run in float64, inputs [1, h] and labels as tensors."""
    weight, bias = (torch.tensor(a, dtype=torch.float64) for a in run.last_layer)
    inputs = torch.tensor(features, dtype=torch.float64)
    inputs = torch.cat([torch.ones(len(inputs), 1, dtype=torch.float64), inputs], dim=1)
    return torch.cat([bias[:, None], weight], dim=1), inputs, torch.tensor(labels)


def gradient(theta, inputs, labels):
    """Autograd of the mean loss with respect to the layer."""
    theta = theta.clone().requires_grad_()
    loss = functional.cross_entropy(inputs @ theta.T, labels)
    return torch.autograd.grad(loss, theta)[0]


def slow_picks(run, rows, val_rows, k, *, eta=0.1, step="mean", every=1, refresh=True):
    """Dense gradients by autograd, the layer really moved, argmax over a Python list (first of ties)."""
    theta, inputs, labels = layer(run, run.final[Signal.FEATURES][rows], run.labels[rows])
    _, val_inputs, val_labels = layer(run, run.val_final[Signal.FEATURES][val_rows], run.val_labels[val_rows])
    own = [gradient(theta, inputs[i : i + 1], labels[i : i + 1]) for i in range(len(rows))]
    picks = []
    while len(picks) < k:
        if not picks or (refresh and len(picks) % every == 0):
            moved = theta
            if picks:
                total = sum(own[i] for i in picks)
                moved = theta - eta * (total / len(picks) if step == "mean" else total)
            v = gradient(moved, val_inputs, val_labels)
            gains = [float((g * v).sum()) for g in own]
        left = [i for i in range(len(rows)) if i not in picks]
        largest = max(abs(gain) for gain in gains)
        assume(largest > 1e-9)  # below, autograd's softmax minus 1 is little but rounding
        tie = 1e-11 * largest
        best = max(gains[j] for j in left)
        picks.append(next(i for i in left if gains[i] >= best - tie))
    return run.ids[rows[picks]]


def chosen(run, fraction=0.5, **fields):
    method = Glister(device="cpu", **fields)
    return method.select(run, Budget.of(fraction, len(run.ids)), np.random.default_rng(0)).rows


def test_gain_is_an_autograd_step_of_the_last_layer():
    """<g_i, v> is the slope of the validation loss along a step on row i, after the move on the picks."""
    run = make_run()
    everything = np.arange(len(run.ids)), np.arange(len(run.val_ids))
    candidates = LastLayer.of(run, everything[0], CPU, val=False)
    fast = MovedGradient(LastLayer.of(run, everything[1], CPU, val=True), eta=0.3, step="mean")
    theta, inputs, labels = layer(run, run.final[Signal.FEATURES], run.labels)
    _, val_inputs, val_labels = layer(run, run.val_final[Signal.FEATURES], run.val_labels)
    own = [gradient(theta, inputs[i : i + 1], labels[i : i + 1]) for i in range(len(run.ids))]
    for picks in ([], [5], [5, 11, 2]):
        for i in picks[fast.picked :]:
            fast.add(candidates.errors[i], candidates.inputs[i])
        moved = theta - 0.3 * sum((own[i] for i in picks), torch.zeros_like(theta)) / max(len(picks), 1)
        gains = candidates.products(fast.gradient())
        step = 1e-6
        for i, g in enumerate(own):
            after, before = (
                functional.cross_entropy(val_inputs @ (moved - sign * step * g).T, val_labels)
                for sign in (1, -1)
            )
            assert float(before - after) / (2 * step) == pytest.approx(float(gains[i]), abs=2e-6)


@pytest.mark.parametrize("step", ["mean", "sum"])
@pytest.mark.parametrize(("every", "refresh"), [(1, True), (3, True), (1, False)])
@given(
    seed=st.integers(0, 2**32 - 1),
    levels=st.sampled_from([None, 2]),
    eta=st.sampled_from([0.1, 2.0]),
    fraction=st.sampled_from([0.1, 0.5, 1.0]),
)
@settings(max_examples=10, deadline=None)
def test_equals_the_dense_greedy(seed, levels, step, eta, every, refresh, fraction):
    run = make_run(n=24, q=12, seed=seed, levels=levels)
    slow = {"eta": eta, "step": step, "every": every, "refresh": refresh}
    fields = {"eta": eta, "step": step, "picks_per_refresh": every, "refresh": refresh}
    budget = Budget.of(fraction, 24)
    everything = np.arange(24)
    expected = slow_picks(run, everything, np.arange(12), budget.k, **slow)
    assert chosen(run, fraction, class_balanced=False, **fields).tolist() == expected.tolist()
    quotas = class_quotas(run.labels, budget.k, 3)
    per_class = [
        slow_picks(run, everything[run.labels == c], np.flatnonzero(run.val_labels == c), quotas[c], **slow)
        for c in np.flatnonzero(quotas)
    ]
    in_turn = [p[turn] for turn in range(max(quotas)) for p in per_class if turn < len(p)]
    assert chosen(run, fraction, **fields).tolist() == in_turn


def test_errors_of_confident_rows_keep_their_digits():
    errors = errors_of(torch.tensor([[0.0, 60.0, -5.0]], dtype=torch.float64), torch.tensor([1]))
    expected = [np.exp(-60), -np.exp(-60) - np.exp(-65), np.exp(-65)]
    np.testing.assert_allclose(errors[0].numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize("drift", [0.0, 1e-3, 0.05, 1.0])
@given(seed=st.integers(0, 2**32 - 1), levels=st.sampled_from([None, 2]))
@settings(max_examples=8, deadline=None)
def test_argmax_over_the_possible_is_that_over_all(drift, seed, levels):
    """While v wanders little, much, or not at all; computing few of the products when it hardly moves."""
    run = make_run(n=200, seed=seed, levels=levels)
    candidates = LastLayer.of(run, np.arange(200), CPU, val=False)
    argmax = Argmax(candidates)
    generator = torch.Generator().manual_seed(seed)
    v = torch.randn(3, 5, dtype=torch.float64, generator=generator)
    left = list(range(200))
    for _ in range(200):
        gains = [float(gain) for gain in candidates.products(v)]
        tie = 1e-12 * float(candidates.norms().max() * v.norm())
        largest = max(gains[j] for j in left)
        expected = next(i for i in left if gains[i] >= largest - tie)
        assert argmax.pick(v) == expected
        left.remove(expected)
        v = v + drift * torch.randn(3, 5, dtype=torch.float64, generator=generator)


def test_argmax_computes_few_products(monkeypatch):
    run = make_run(n=1000, seed=1)
    computed = []
    products = LastLayer.products
    monkeypatch.setattr(LastLayer, "products", lambda *args: computed.append(products(*args)) or computed[-1])
    assert len(chosen(run, 0.1, class_balanced=False)) == 100
    assert sum(len(gains) for gains in computed) < 0.2 * 100 * 1000


def test_by_hand():
    """One feature, two classes, all logits 0, so r = (-1/2, 1/2) for class 0. v = r outer [1, 2] for the one
    validation row, and <g_i, v> = (1 + 2 h_i) / 2 for class 0, -(1 + 2 h_i) / 2 for class 1."""
    zeros = {rows: np.zeros((rows, 2), np.float32) for rows in (1, 4)}
    run = ProxyRun(
        ids=np.array([3, 5, 8, 9]),
        labels=np.array([0, 0, 1, 1]),
        num_classes=2,
        val_ids=np.array([20]),
        val_labels=np.array([0]),
        final={
            Signal.LOGITS: zeros[4],
            Signal.FEATURES: np.array([[1.0], [3.0], [1.0], [-2.0]], np.float32),
        },
        val_final={Signal.LOGITS: zeros[1], Signal.FEATURES: np.array([[2.0]], np.float32)},
    )
    candidates = LastLayer.of(run, np.arange(4), CPU, val=False)
    v = MovedGradient(LastLayer.of(run, np.arange(1), CPU, val=True), 0.1, "mean").gradient()
    assert v.tolist() == [[-0.5, -1.0], [0.5, 1.0]]
    assert candidates.products(v).tolist() == [1.5, 3.5, -1.5, 1.5]
    rows = chosen(run, 1.0, class_balanced=False, refresh=False)
    assert rows.tolist() == [5, 3, 9, 8]  # 3 and 9 tie


def test_refreshing_matters_and_counts_picks():
    run = make_run(n=60, q=30, seed=2)
    orders = {
        chosen(run, 0.5, class_balanced=False, eta=5.0, **fields).tobytes()
        for fields in ({}, {"step": "sum"}, {"picks_per_refresh": 7}, {"refresh": False})
    }
    assert len(orders) == 4
    one_shot = chosen(run, 0.5, class_balanced=False, eta=5.0, refresh=False)
    never = chosen(run, 0.5, class_balanced=False, eta=5.0, picks_per_refresh=30)
    assert one_shot.tolist() == never.tolist()


def test_duplicates_go_by_id_wherever_they_are_stored():
    """Many equal rows: a matrix product may round them differently, the order must not show it."""
    base = make_run(n=1, q=9, dim=64, seed=5)
    n = 101
    run = dataclasses.replace(
        base,
        ids=np.arange(n)[::-1].copy(),
        labels=np.zeros(n, np.int64),
        final={signal: np.repeat(array, n, axis=0) for signal, array in base.final.items()},
    )
    assert chosen(run, 0.5).tolist() == list(range(51))


def test_storage_order_does_not_matter():
    run = make_run(n=50, seed=7, levels=2)
    shuffle = np.random.default_rng(0).permutation(50)
    moved = dataclasses.replace(
        run,
        ids=run.ids[shuffle],
        labels=run.labels[shuffle],
        final={signal: array[shuffle] for signal, array in run.final.items()},
    )
    for balanced in (True, False):
        expected = chosen(run, 0.3, class_balanced=balanced)
        assert chosen(moved, 0.3, class_balanced=balanced).tolist() == expected.tolist()


def test_quotas_hold_for_unequal_classes():
    run = dataclasses.replace(make_run(n=40), labels=np.array([0] * 30 + [1] * 9 + [2]))
    rows = chosen(run, 0.25)
    labels = run.labels[np.searchsorted(run.ids, rows)]
    assert np.bincount(labels, minlength=3).tolist() == class_quotas(run.labels, 10, 3).tolist() == [7, 2, 1]
    assert sorted(chosen(run, 1.0).tolist()) == run.ids.tolist()


def test_one_candidate():
    run = make_run(n=1, q=3)
    assert chosen(run, 1.0).tolist() == run.ids.tolist()


def test_what_is_missing_is_named():
    run = make_run()
    without = dataclasses.replace(run, val_labels=np.zeros(18, np.int64))
    with pytest.raises(UsageError, match="no validation row of class 1"):
        chosen(without)
    assert len(chosen(without, class_balanced=False)) == 20
    with pytest.raises(MissingSignal, match="no final logits of the validation rows"):
        chosen(dataclasses.replace(run, val_final={}))
    broken = dict(run.final)
    broken[Signal.FEATURES] = np.full_like(broken[Signal.FEATURES], np.nan)
    with pytest.raises(UsageError, match="features of some candidates are not finite"):
        chosen(dataclasses.replace(run, final=broken))


@pytest.mark.parametrize(
    "fields", [{"eta": 0}, {"eta": float("nan")}, {"step": "max"}, {"picks_per_refresh": 0}]
)
def test_bad_fields(fields):
    with pytest.raises(UsageError, match=next(iter(fields))):
        Glister(**fields)
