"""The one-pass form of CLD against the definition in exact differences, and against CLD of the whole log."""

from __future__ import annotations

import tracemalloc
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from deepcore.common.checks import UsageError
from deepcore.proxy.run import ProxyRun
from deepcore.scoring import one_pass
from deepcore.scoring.correlation import FLAT
from deepcore.scoring.one_pass import CLDStream
from methods.cld import CLD

KINDS = ("plain", "ties", "constant", "line", "nearly", "tiny", "far", "drift", "falling")


def definition(train: np.ndarray, val: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Pearson of the differences, one sample at a time, in the widest float there is; 0 where either does not
    vary."""
    scores = []
    for m, label in enumerate(labels):
        d, v = (np.diff(x.astype(np.longdouble)) for x in (train[:, m], val[:, label]))
        flat = [
            np.ptp(np.diff(x.astype(float))) <= FLAT * np.abs(x).max() for x in (train[:, m], val[:, label])
        ]
        d, v = d - d.mean(), v - v.mean()
        scores.append(0.0 if any(flat) else float((d * v).sum() / np.sqrt((d * d).sum() * (v * v).sum())))
    return np.array(scores)


def losses_of(kind: str, rng: np.random.Generator, checkpoints: int, count: int) -> np.ndarray:
    """float32 losses, (T+1, N)."""
    losses = rng.exponential(1.0, (checkpoints, count))
    t = np.arange(checkpoints)[:, None]
    if kind == "ties":
        losses = rng.integers(0, 4, losses.shape) / 4
    elif kind == "constant":
        losses[:, ::2] = losses[0, ::2]
    elif kind == "line":
        losses[:, ::2] = 100.0 - t * rng.integers(0, 3, (1, count))[:, ::2]
    elif kind == "nearly":  # some of them are taken for lines: the spread is about 1e-6 of the largest
        losses = 64.0 - t * 2.0 + rng.integers(-8, 9, losses.shape) * 2.0**-18
    elif kind == "tiny":
        losses *= 1e-20
    elif kind == "far":
        losses += 1000.0
    elif kind == "drift":  # varies at first, but no longer once the line has become long
        losses = 128.0 * t + 2.0**-10 * (t == 2) * rng.integers(0, 2, (1, count))
    elif kind == "falling":
        losses = 3 * np.exp(-t / 4 * losses[:1]) + 0.05 * losses
    return losses.astype(np.float32)


def fed(train: np.ndarray, val: np.ndarray, labels: np.ndarray, block: int = one_pass.BLOCK) -> np.ndarray:
    """The stream's scores of a whole log, in blocks of that many samples."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(one_pass, "BLOCK", block)
        stream = CLDStream(labels, val.shape[1])
        for row, means in zip(train, val, strict=True):
            stream.update(row, means)
        return stream.score()


@settings(max_examples=80, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    kind=st.sampled_from(KINDS),
    val_kind=st.sampled_from(KINDS),
    checkpoints=st.integers(4, 40),
    count=st.integers(1, 20),
    classes=st.integers(1, 4),
    block=st.sampled_from([1, 3, 7, 32768]),
)
def test_equals_the_definition_and_the_whole_log(seed, kind, val_kind, checkpoints, count, classes, block):
    rng = np.random.default_rng(seed)
    train, val = losses_of(kind, rng, checkpoints, count), losses_of(val_kind, rng, checkpoints, classes)
    labels = rng.integers(0, classes, count)
    scores = fed(train, val, labels, block)
    assert scores.dtype == np.float64
    assert np.abs(scores).max() <= 1.0
    if "nearly" not in (kind, val_kind):  # there, the spread is 1e-6 of the mean, and so is float64's rest
        np.testing.assert_allclose(scores, definition(train, val, labels), rtol=0, atol=1e-9)
    run = ProxyRun.from_losses(train, labels, val, np.arange(classes), has_initial=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what does not vary
        whole = CLD().score(run)
    np.testing.assert_allclose(scores, whole, rtol=0, atol=1e-9)


def test_a_score_depends_neither_on_the_block_nor_on_its_neighbours():
    rng = np.random.default_rng(0)
    train = np.hstack([losses_of(kind, rng, 12, 40) for kind in KINDS])
    val, labels = losses_of("falling", rng, 12, 3), rng.integers(0, 3, train.shape[1])
    scores = fed(train, val, labels)
    for block in (1, 2, 13, 359):
        np.testing.assert_array_equal(fed(train, val, labels, block), scores)
    order = rng.permutation(len(labels))
    np.testing.assert_array_equal(fed(train[:, order], val, labels[order], 32), scores[order])


def test_what_varied_once_may_be_flat_in_the_end():
    t = np.arange(30.0)
    bump = 128.0 * t + 2.0**-10 * (t == 2)
    val = np.array([[x] for x in np.random.default_rng(0).random(30)])
    for stop, flat in ((5, False), (30, True)):
        train = bump[:stop, None]
        assert (np.ptp(np.diff(train[:, 0])) <= 1e-6 * train.max()) == flat
        assert (fed(train, val[:stop], np.zeros(1, int))[0] == 0.0) == flat


@pytest.mark.parametrize(("width", "flat"), [(0.95e-6, True), (1.05e-6, False)])
@pytest.mark.parametrize("step", [4.0, -4.0])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_largest_loss_counts_be_it_the_first_or_the_last(sign, step, width, flat):
    d = step + 16 * width * np.array([0.0, 1.0, 0.5, 0.0])  # nearly a line between 16 and 0
    loss = sign * ((0.0 if step > 0 else 16.0) + np.concatenate([[0.0], np.cumsum(d)]))
    val = np.random.default_rng(0).random((5, 1))
    assert (fed(loss[:, None], val, np.zeros(1, int))[0] == 0.0) == flat


def test_a_long_log_with_a_large_mean_keeps_its_precision():
    rng = np.random.default_rng(1)
    steps = np.float32(-0.25) + rng.integers(-64, 64, (5000, 5)) * 2.0**-12  # exact in float32, as their sums
    steps[0] += 0.25
    losses = 1000.0 + np.cumsum(steps, axis=0)
    assert np.array_equal(losses.astype(np.float32), losses)
    train, val = losses[:, :4], losses[:, 4:]
    scores = fed(train.astype(np.float32), val, np.zeros(4, int))
    np.testing.assert_allclose(scores, definition(train, val, np.zeros(4, int)), rtol=0, atol=1e-10)


def test_the_global_trajectory_is_one_number():
    rng = np.random.default_rng(2)
    train, val, labels = losses_of("falling", rng, 9, 6), rng.random((9, 1)), rng.integers(0, 3, 6)
    stream = CLDStream(labels, 3)
    for row, mean in zip(train, val, strict=True):
        stream.update(row, float(mean[0]))
    np.testing.assert_array_equal(stream.score(), fed(train, val, np.zeros(6, int)))


def test_any_array_of_numbers_is_taken_and_none_is_kept_or_changed():
    rng = np.random.default_rng(3)
    exact = rng.integers(0, 32, (8, 6)) / 8  # in float16, too
    val, labels = rng.random((8, 2)), np.array([0, 1, 1, 0, 1, 0])
    expected = fed(exact, val, labels)
    forms = {
        "float32": lambda row: row.astype(np.float32),
        "float16": lambda row: row.astype(np.float16),
        "list": lambda row: row.tolist(),
        "torch": torch.tensor,
        "column": lambda row: np.ascontiguousarray(np.stack([row, row]).T)[:, 0],
        "read only": lambda row: np.frombuffer(row.tobytes()),
    }
    for form in forms.values():
        np.testing.assert_array_equal(fed([form(row) for row in exact], val, labels), expected)
    wider = [row.astype(np.float32 if t < 4 else np.float64) for t, row in enumerate(exact)]
    np.testing.assert_array_equal(fed(wider, val, labels), expected)
    fine = exact.copy()
    fine[1:] += rng.random((7, 6)) / 10  # more digits than float32 has
    of_fine = fed(fine, val, labels)
    np.testing.assert_allclose(of_fine, definition(fine, val, labels), rtol=0, atol=1e-12)
    np.testing.assert_array_equal(fed([fine[0].astype(np.float32), *fine[1:]], val, labels), of_fine)
    stream, buffer = CLDStream(labels, 2), np.empty(6, np.float32)
    for row, means in zip(exact, val, strict=True):
        buffer[:] = row
        before = buffer.copy(), means.copy()
        stream.update(buffer, means)
        np.testing.assert_array_equal(buffer, before[0])
        np.testing.assert_array_equal(means, before[1])
    np.testing.assert_array_equal(stream.score(), expected)


@pytest.mark.parametrize(
    ("train", "val", "message"),
    [
        (np.ones(2), np.ones(4), r"shape \(2,\) and \(4,\); expected \(3,\) and \(4,\) or one number"),
        (np.ones(3), np.ones(3), r"shape \(3,\) and \(3,\); expected"),
        (np.array([1, np.nan, 1], np.float32), np.ones(4), "the loss of sample 1 is nan"),
        (np.array([1, 1, -np.inf]), np.ones(4), "the loss of sample 2 is -inf"),
        (np.ones(3), np.array([1, np.nan, np.nan, 1]), "the loss of class 2 is nan"),
        (np.ones(3), np.nan, "the loss of class 0 is nan"),
    ],
)
def test_what_it_cannot_take_leaves_it_as_it_was(train, val, message):
    rng = np.random.default_rng(4)
    log = [(rng.random(3, dtype=np.float32), np.array([rng.random(), np.nan, rng.random(), np.nan]))
           for _ in range(6)]  # fmt: skip
    stream, undisturbed = CLDStream(np.array([0, 0, 2]), 4), CLDStream(np.array([0, 0, 2]), 4)
    for row, means in log:
        with pytest.raises(UsageError, match=message):
            stream.update(train, val)
        stream.update(row, means)
        undisturbed.update(row, means)
    np.testing.assert_array_equal(stream.score(), undisturbed.score())


def test_three_differences_are_needed_and_scores_may_be_asked_for_at_any_time():
    rng = np.random.default_rng(5)
    train, val = losses_of("plain", rng, 7, 5), losses_of("plain", rng, 7, 1)
    stream = CLDStream(np.zeros(5, int), 1)
    for t, (row, means) in enumerate(zip(train, val, strict=True)):
        if t < 4:
            with pytest.raises(UsageError, match=f"{max(t - 1, 0)} loss differences per sample, at least 3"):
                stream.score()
        else:
            np.testing.assert_array_equal(stream.score(), fed(train[:t], val[:t], np.zeros(5, int)))
        stream.update(row, means)


@pytest.mark.parametrize(("kind", "per_sample"), [("plain", 40), ("line", 40 + 17)])
def test_memory_per_sample_is_as_documented(kind, per_sample):
    rng, count = np.random.default_rng(6), 200_000
    train, labels = losses_of(kind, rng, 12, count), rng.integers(0, 10, count)
    tracemalloc.start()
    stream = CLDStream(labels, 10)
    for row in train:
        stream.update(row, rng.random(10))
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 39 * count < held < 1.05 * per_sample * count


@pytest.mark.parametrize("classes", [None, "", "3", 0, -1, 1.5, float("nan"), 10**9, 2**63, []])
def test_a_number_of_classes_that_is_none(classes):
    with pytest.raises(UsageError, match="num_classes is"):
        CLDStream(np.zeros(3, np.int64), classes)
