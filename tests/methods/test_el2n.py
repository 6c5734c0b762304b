"""EL2N and GraNd."""

import dataclasses

import numpy as np
import pytest
import torch
from helpers import full_run, labels_of, online_run

from deepcore.common.checks import MissingSignal, UsageError
from deepcore.proxy.signals import Signal, signals_from_logits
from methods.el2n import EL2N
from methods.grand import GraNd

ROWS = np.array([[1.0, 0.5], [0.5, 0.25], [0.0, 0.75], [9.0, 9.0]])
RUN = online_run([0, 1], el2n=ROWS, grand=2 * ROWS)


def test_error_norm_by_hand():
    """p = (1/4, 3/4), y = 1: || (1/4, -1/4) || = sqrt(2)/4; p = (1/2, 1/2), y = 0: sqrt(2)/2."""
    logits = torch.tensor([[0.0, np.log(3.0)], [0.0, 0.0]])
    error = signals_from_logits(logits, torch.tensor([1, 0]), frozenset({Signal.EL2N}))[Signal.EL2N]
    np.testing.assert_allclose(error, [np.sqrt(2) / 4, np.sqrt(2) / 2], rtol=1e-6)
    run = online_run([1, 0], el2n=np.stack([error.numpy(), np.zeros(2)]))
    np.testing.assert_allclose(EL2N(epochs=2).score(run), [np.sqrt(2) / 8, np.sqrt(2) / 4], rtol=1e-6)


@pytest.mark.parametrize(("cls", "scale"), [(EL2N, 1), (GraNd, 2)])
def test_mean_over_the_first_epochs_or_one_epoch(cls, scale):
    np.testing.assert_allclose(cls(epochs=3).score(RUN), scale * np.array([0.5, 0.5]))
    np.testing.assert_allclose(cls(epochs=1).score(RUN), scale * np.array([1.0, 0.5]))
    np.testing.assert_allclose(cls(at=3).score(RUN), scale * np.array([0.0, 0.75]))


def test_default_reads_ten_epochs_and_not_the_untrained_network():
    run = full_run(labels_of(5, 5))
    expected = run.trajectories["online", Signal.EL2N][1:11].mean(axis=0, dtype=np.float64)
    np.testing.assert_allclose(EL2N().score(run), expected, rtol=1e-12)


def test_parameters_beyond_the_record_are_reduced():
    with pytest.warns(UserWarning, match="EL2N: epochs=10 is more than the 4"):
        np.testing.assert_allclose(EL2N().score(RUN), ROWS.mean(axis=0))
    with pytest.warns(UserWarning, match="GraNd: at=7 is more than the 4"):
        np.testing.assert_allclose(GraNd(at=7).score(RUN), [18.0, 18.0])


def test_repeats_average_the_shared_proxy_and_as_many_short_runs():
    run = full_run(labels_of(6, 6), repeats=2)
    each = [EL2N().score(proxy) for proxy in (run, *run.repeats)]
    assert np.abs(each[1] - each[0]).max() > 0.01
    np.testing.assert_allclose(EL2N(repeats=2).score(run), (each[0] + each[1]) / 2)
    np.testing.assert_allclose(EL2N(repeats=3).score(run), sum(each) / 3)


def test_too_few_repeats_or_other_rows_are_refused():
    run = full_run(labels_of(6, 6), repeats=2)
    with pytest.raises(MissingSignal, match=r"repeats=10 proxies .* holds 3: record 7 more"):
        EL2N(repeats=10).score(run)
    with pytest.raises(UsageError, match="other row ids"):
        EL2N(repeats=2).score(dataclasses.replace(run, ids=run.ids + 1))


def test_what_the_harness_must_train_is_visible():
    assert (EL2N().repeats_needed, EL2N().repeat_epochs) == (1, 0)
    assert (EL2N(repeats=10).repeats_needed, EL2N(repeats=10).repeat_epochs) == (10, 10)
    assert GraNd(repeats=3, at=20).repeat_epochs == 20


@pytest.mark.parametrize("bad", [{"epochs": 0}, {"at": 0}, {"repeats": 0}, {"epochs": 1.5}])
def test_bad_fields(bad):
    with pytest.raises(UsageError):
        GraNd(**bad)


def test_grand_is_the_norm_of_the_last_layers_gradient():
    """Against autograd, one sample at a time."""
    torch.manual_seed(0)
    layer = torch.nn.Linear(5, 3)
    h, y = torch.randn(8, 5), torch.tensor([0, 1, 2, 0, 1, 2, 0, 1])
    norms = []
    for i in range(8):
        layer.zero_grad()
        torch.nn.functional.cross_entropy(layer(h[i : i + 1]), y[i : i + 1]).backward()
        norms.append(torch.sqrt(layer.weight.grad.square().sum() + layer.bias.grad.square().sum()).item())
    grand = signals_from_logits(
        layer(h).detach(), y, frozenset({Signal.GRAND}), feature_norm2=h.square().sum(dim=1)
    )[Signal.GRAND]
    run = online_run(y.numpy(), grand=grand.numpy()[None])
    np.testing.assert_allclose(GraNd(epochs=1).score(run), norms, rtol=1e-5)
