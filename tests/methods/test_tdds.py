import numpy as np
import pytest
import torch
from helpers import online_run

from deepcore.common.checks import UsageError
from deepcore.proxy.signals import Signal, signals_from_logits
from deepcore.selection.budget import Budget
from methods.tdds import TDDS


def slow(probabilities: np.ndarray, epochs: int, window: int, decay: float) -> float:
    """The score of one sample from its (T, C) probabilities, straight from the definition."""
    p = probabilities[:epochs].astype(np.float64)
    steps = [
        sum(
            abs(p[t + 1, c] * (np.log(p[t + 1, c] + 1e-8) - np.log(p[t, c] + 1e-8)))
            for c in range(p.shape[1])
        )
        for t in range(epochs - 1)
    ]
    score = 0.0
    for k in range(epochs - window + 1):
        inside = np.array(steps[k : k + window - 1])
        score += decay * (1 - decay) ** (epochs - window - k) * np.sqrt(((inside - inside.mean()) ** 2).sum())
    return score


def test_two_windows_by_hand():
    """Steps 1, 3, 7 (T = 4, J = 3): windows {1, 3} and {3, 7}, spreads sqrt 2 and sqrt 8; decay 0.9."""
    run = online_run([0], kl_step=[[np.nan], [1.0], [3.0], [7.0]])
    expected = 0.09 * np.sqrt(2) + 0.9 * np.sqrt(8)
    np.testing.assert_allclose(TDDS(window=3, epochs=4).score(run), [expected], rtol=1e-12)
    # the whole as one window: || (1, 3, 7) - 11/3 ||
    one = 0.9 * np.sqrt((8 / 3) ** 2 + (2 / 3) ** 2 + (10 / 3) ** 2)
    np.testing.assert_allclose(TDDS(window=4, epochs=4).score(run), [one], rtol=1e-12)
    # the first three epochs only
    np.testing.assert_allclose(TDDS(window=3, epochs=3).score(run), [0.9 * np.sqrt(2)], rtol=1e-12)


@pytest.mark.parametrize(
    ("window", "epochs", "decay"), [(3, 14, 0.9), (5, 10, 0.3), (10, 14, 0.9), (14, 14, 1.0)]
)
def test_equals_plain_loops_from_the_logits(window, epochs, decay):
    z = torch.from_numpy(np.random.default_rng(1).normal(size=(14, 25, 4)) * 3)
    y = torch.arange(25) % 4
    steps = [
        signals_from_logits(z[t], y, frozenset({Signal.KL_STEP}), before=z[t - 1] if t else None)[
            Signal.KL_STEP
        ]
        for t in range(14)
    ]
    run = online_run(y.numpy(), kl_step=torch.stack(steps).numpy())
    p = torch.softmax(z, dim=2).numpy()
    expected = [slow(p[:, i], epochs, window, decay) for i in range(25)]
    scores = TDDS(window=window, epochs=epochs, decay=decay).score(run)
    np.testing.assert_allclose(scores, expected, rtol=2e-5, atol=1e-7)


def test_constant_steps_score_exactly_zero():
    run = online_run([0, 0], kl_step=np.full((9, 2), 0.1))
    np.testing.assert_array_equal(TDDS(window=4, epochs=9).score(run), [0.0, 0.0])


@pytest.mark.parametrize(
    ("fraction", "epochs", "window"),
    [
        (0.7, 90, 10),
        (0.5, 70, 10),
        (0.3, 60, 20),
        (0.2, 20, 10),
        (0.1, 10, 5),
        (0.05, 30, 10),
        (0.25, 30, 10),
    ],
)
def test_settings_per_fraction(fraction, epochs, window):
    assert TDDS().resolve(fraction) == TDDS(window=window, epochs=epochs)
    assert TDDS(window=7).resolve(fraction) == TDDS(window=7, epochs=epochs)
    assert TDDS(epochs=8).resolve(fraction) == TDDS(window=window, epochs=8)


def test_score_without_a_fraction_uses_30_and_10():
    steps = np.random.default_rng(0).random((40, 6))
    run = online_run(np.zeros(6, int), kl_step=steps)
    np.testing.assert_array_equal(TDDS().score(run), TDDS(window=10, epochs=30).score(run))


def test_short_runs_reduce_both_and_say_so():
    run = online_run(np.zeros(6, int), kl_step=np.random.default_rng(0).random((8, 6)))
    with pytest.warns(UserWarning, match="more than the 8 epochs") as said:
        chosen = TDDS().select(run, Budget.of(0.5, 6), np.random.default_rng(0))
    assert {str(w.message).split(" is ")[0] for w in said} == {"TDDS: epochs=70", "TDDS: window=10"}
    np.testing.assert_array_equal(chosen.scores, TDDS(window=8, epochs=8).score(run))


def test_three_epochs_are_the_least():
    steps = np.random.default_rng(0).random((3, 4))
    np.testing.assert_allclose(
        TDDS(window=3, epochs=3).score(online_run(np.zeros(4, int), kl_step=steps)),
        0.9 * np.abs(steps[2].astype(np.float32) - steps[1].astype(np.float32)) / np.sqrt(2),
        rtol=1e-5,
    )
    short = online_run(np.zeros(4, int), kl_step=steps[:2])
    with pytest.warns(UserWarning, match="epochs=3"), pytest.raises(UsageError, match="of epochs and has 2"):
        TDDS(window=3, epochs=3).score(short)


@pytest.mark.parametrize(
    "bad", [{"window": 2}, {"epochs": 2}, {"decay": 0.0}, {"decay": 1.5}, {"window": 4.5}]
)
def test_bad_fields(bad):
    with pytest.raises(UsageError):
        TDDS(**bad)
