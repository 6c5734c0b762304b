import numpy as np
import pytest
import torch
from helpers import full_run, labels_of, online_run

from deepcore.common.checks import UsageError
from deepcore.proxy.signals import Signal, signals_from_logits
from deepcore.selection.budget import Budget
from methods.aum import AUM


def test_margin_by_hand():
    """y = 1: (2, 5, 1) then (4, 1, 1), margins 3 and -3; y = 0: (0, 0, 0) then (1, -1, -1), 0 and 2."""
    both = frozenset({Signal.MARGIN, Signal.MARGIN_P})
    y = torch.tensor([1, 0])
    epochs = [
        signals_from_logits(torch.tensor(z), y, both)
        for z in ([[2.0, 5.0, 1.0], [0.0, 0.0, 0.0]], [[4.0, 1.0, 1.0], [1.0, -1.0, -1.0]])
    ]
    rows = {s: np.stack([e[s].numpy() for e in epochs]) for s in both}
    run = online_run(y.numpy(), margin=rows[Signal.MARGIN], margin_p=rows[Signal.MARGIN_P])
    np.testing.assert_allclose(AUM().score(run), [0.0, 1.0])
    e = np.exp
    first = (e(5) - e(2)) / (e(2) + e(5) + e(1))
    second = (e(1) - e(4)) / (e(4) + 2 * e(1))
    other = (e(1) - e(-1)) / (e(1) + 2 * e(-1)) / 2
    np.testing.assert_allclose(AUM(of="probability").score(run), [(first + second) / 2, other], atol=1e-6)


def test_equals_the_mean_over_all_epochs_without_the_untrained_network():
    run = full_run(labels_of(9, 9))
    for of, signal in (("logit", Signal.MARGIN), ("probability", Signal.MARGIN_P)):
        for mode in ("online", "post_epoch"):
            slow = [np.mean([float(x) for x in run.trajectories[mode, signal][1:, i]]) for i in range(18)]
            np.testing.assert_allclose(AUM(of=of, record=mode).score(run), slow, rtol=1e-12)


@pytest.mark.parametrize(("keep", "rows"), [("lowest", [2, 0]), ("highest", [3, 1]), ("zero", [0, 1])])
def test_which_end_is_kept(keep, rows):
    run = online_run([0, 0, 0, 0], margin=[[-0.5, 1.0, -3.0, 4.0]])
    assert AUM(keep=keep).select(run, Budget.of(0.5, 4), np.random.default_rng(0)).rows.tolist() == rows


@pytest.mark.parametrize("bad", [{"of": "loss"}, {"keep": "middle"}])
def test_bad_fields(bad):
    with pytest.raises(UsageError, match="valid:"):
        AUM(**bad)
