"""Signals against formulas written out."""

from __future__ import annotations

import math

import pytest
import torch

from deepcore.proxy.signals import TRAJECTORIES, Signal, signals_from_logits

ALL = frozenset(TRAJECTORIES)


def test_hand_computed():
    # p = (1/2, 1/4, 1/4) for label 1, and (1/4, 1/4, 1/2) before
    z = torch.tensor([[math.log(2), 0.0, 0.0]])
    before = torch.tensor([[0.0, 0.0, math.log(2)]])
    got = signals_from_logits(z, torch.tensor([1]), ALL, feature_norm2=torch.tensor([3.0]), before=before)
    el2n = math.sqrt(0.25 + 0.75**2 + 0.0625)
    expected = {
        Signal.LOSS: math.log(4),
        Signal.MARGIN: -math.log(2),
        Signal.MARGIN_P: -0.25,
        Signal.EL2N: el2n,
        Signal.GRAND: 2 * el2n,
        Signal.KL_STEP: 0.5 * math.log(2) + 0.0 + 0.25 * math.log(2),
    }
    assert set(got) == ALL
    for signal, value in expected.items():
        assert got[signal].item() == pytest.approx(value, abs=1e-6), signal


def test_grand_is_the_norm_of_the_last_layer_s_gradient():
    torch.manual_seed(0)
    head = torch.nn.Linear(5, 4)
    h, y = torch.randn(6, 5), torch.tensor([0, 1, 2, 3, 0, 1])
    got = signals_from_logits(head(h), y, frozenset({Signal.GRAND}), feature_norm2=h.square().sum(1))
    for i in range(6):
        loss = torch.nn.functional.cross_entropy(head(h[i : i + 1]), y[i : i + 1])
        grads = torch.autograd.grad(loss, list(head.parameters()))
        norm = math.sqrt(sum(float(g.square().sum()) for g in grads))
        assert got[Signal.GRAND][i].item() == pytest.approx(norm, rel=1e-5)


def test_the_loss_is_cross_entropy_and_never_negative():
    z, y = torch.randn(50, 7) * 30, torch.arange(50) % 7
    loss = signals_from_logits(z, y, frozenset({Signal.LOSS}))[Signal.LOSS]
    assert torch.allclose(loss, torch.nn.functional.cross_entropy(z, y, reduction="none"))
    assert not torch.signbit(loss).any()


def test_only_what_is_wanted_and_no_step_without_a_checkpoint_before():
    z, y = torch.randn(3, 2), torch.tensor([0, 1, 0])
    got = signals_from_logits(z, y, frozenset({Signal.KL_STEP}))
    assert list(got) == [Signal.KL_STEP]
    assert torch.isnan(got[Signal.KL_STEP]).all()


def test_grand_without_features_is_an_error():
    with pytest.raises(ValueError, match="feature_norm2"):
        signals_from_logits(torch.zeros(1, 2), torch.tensor([0]), frozenset({Signal.GRAND}))


def test_derived_signals_say_what_they_are_read_from():
    assert Signal.P_TRUE.stored == {Signal.LOSS}
    assert Signal.CORRECT.stored == {Signal.MARGIN}
    assert Signal.EL2N.stored == {Signal.EL2N}
