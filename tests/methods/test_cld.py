"""CLD, LTC, the influence and the one-pass form against loops over scipy.stats."""

from __future__ import annotations

import dataclasses
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from deepcore.common.checks import MissingSignal, UsageError
from deepcore.proxy.run import ProxyRun
from deepcore.proxy.signals import Signal
from deepcore.scoring.correlation import correlate, does_not_vary, standardise
from deepcore.scoring.one_pass import CLDStream
from deepcore.selection.budget import Budget
from methods import parse
from methods.cld import CLD, cld_influence
from methods.ltc import LTC

SCIPY = {"pearson": stats.pearsonr, "spearman": stats.spearmanr}


def is_flat(losses: np.ndarray) -> bool:
    d = np.diff(losses)
    return bool(d.max() - d.min() <= 1e-6 * np.abs(losses).max())


def correlation(a: np.ndarray, b: np.ndarray, kind: str = "pearson") -> float:
    """Of the differences of two loss trajectories, by scipy; 0 where either does not vary."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    if is_flat(a) or is_flat(b):
        return 0.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scipy's own threshold for nearly constant input
        return float(SCIPY[kind](np.diff(a), np.diff(b))[0])


def loop(run: ProxyRun, method: CLD, mode: str, rows: list[int]) -> np.ndarray:
    """The definition, one sample at a time. `rows` are positions in the stored array."""
    losses = run.trajectories[mode, Signal.LOSS][rows]
    val = run.val_trajectories[Signal.LOSS][rows].astype(np.float64)
    scores = []
    for m, label in enumerate(run.labels):
        of_class = np.flatnonzero(run.val_labels == label) if method.trajectory == "class" else slice(None)
        if isinstance(method, LTC):
            each = [correlation(losses[:, m], q, method.correlation) for q in val[:, of_class].T]
            scores.append(np.mean(each))
        else:
            mean = val[:, of_class].mean(axis=1)
            scores.append(correlation(losses[:, m], mean, method.correlation))
    return np.array(scores)


def trajectories(rng: np.random.Generator, checkpoints: int, count: int, kind: str) -> np.ndarray:
    """Random losses: with ties among the differences, with rows that do not vary, tiny, or far from 0."""
    losses = rng.exponential(1.0, (checkpoints, count))
    if kind == "ties":
        losses = rng.integers(0, 4, (checkpoints, count)) / 4
    elif kind == "constant":
        losses[:, ::2] = losses[0, ::2]
    elif kind == "line":
        losses[:, ::2] = 100.0 - np.arange(checkpoints)[:, None] * rng.integers(0, 3, (1, count))[:, ::2]
    elif kind == "tiny":
        losses *= 1e-20
    elif kind == "far":
        losses += 1000.0
    return losses.astype(np.float32)


def make_run(
    seed: int, checkpoints: int, count: int, classes: int, kind: str, extra_val: int = 5
) -> ProxyRun:
    rng = np.random.default_rng(seed)
    val_labels = np.concatenate([np.arange(classes), rng.integers(0, classes, extra_val)])
    return ProxyRun(
        ids=rng.permutation(10 * count)[:count],
        labels=rng.integers(0, classes, count),
        num_classes=classes,
        val_labels=val_labels,
        trajectories={
            (mode, Signal.LOSS): trajectories(rng, checkpoints, count, kind)
            for mode in ("online", "post_epoch")
        },
        val_trajectories={Signal.LOSS: trajectories(rng, checkpoints, len(val_labels), kind)},
    )


def quiet(method: CLD, run: ProxyRun) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return method.score(run)


@settings(max_examples=100, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    method=st.sampled_from([CLD, LTC]),
    kind=st.sampled_from(["plain", "ties", "constant", "line", "tiny", "far"]),
    checkpoints=st.integers(9, 14),
    count=st.integers(1, 12),
    classes=st.integers(1, 4),
    extra_val=st.integers(0, 6),
    initial=st.sampled_from([None, True, False]),
    record=st.sampled_from([None, "online", "post_epoch"]),
    first=st.sampled_from([None, 7, 8]),
    every=st.sampled_from([1, 2]),
    correlation=st.sampled_from(["pearson", "spearman"]),
    trajectory=st.sampled_from(["class", "global"]),
    batch=st.sampled_from([1, 3, 32768]),
)
def test_equals_the_definition(seed, method, kind, checkpoints, count, classes, extra_val, batch, **fields):
    run = make_run(seed, checkpoints, count, classes, kind, extra_val)
    method = method(batch=batch, **fields)
    mode = fields["record"] or "post_epoch"
    initial = fields["initial"] if fields["initial"] is not None else mode == "post_epoch"
    last = fields["first"] or checkpoints - 1
    rows = list(range(0 if initial else 1, last + 1, fields["every"]))
    scores = quiet(method, run)
    assert scores.dtype == np.float64
    np.testing.assert_allclose(scores, loop(run, method, mode, rows), rtol=0, atol=1e-6)
    assert np.abs(scores).max() <= 1.0


def test_by_hand():
    # d = (-1, -2, 0) against v = (-2, -4, 0): 1; against (0, -2, -1): centred (0,-1,1).(1,-1,0)/2 = 1/2
    losses = np.array([[5, 5], [4, 5], [2, 3], [2, 2]], dtype=np.float32)
    val = np.array([[9], [7], [3], [3]], dtype=np.float32)
    run = ProxyRun.from_losses(losses, [0, 0], val, [0], has_initial=True)
    np.testing.assert_allclose(CLD().score(run), [1.0, 0.5], atol=1e-12)


@pytest.mark.parametrize("kind", ["pearson", "spearman"])
def test_chunked_equals_whole_and_mapped_equals_memory(tmp_path, kind):
    run = make_run(3, 12, 2500, 7, "constant", 40)
    np.save(tmp_path / "losses.npy", run.trajectories["post_epoch", Signal.LOSS])
    mapped = np.load(tmp_path / "losses.npy", mmap_mode="r")
    mapped_run = dataclasses.replace(run, trajectories={("post_epoch", Signal.LOSS): mapped})
    whole = quiet(CLD(correlation=kind, batch=10**6), run)
    for batch in (13, 2048, 2499, 2500):
        np.testing.assert_array_equal(quiet(CLD(correlation=kind, batch=batch), mapped_run), whole)


def test_fast_path_equals_the_plain_one():
    run = make_run(4, 30, 500, 5, "plain", 50)
    losses = run.trajectories["post_epoch", Signal.LOSS]
    reference, _ = CLD().reference(run, slice(None), initial=True)
    z, _ = standardise(losses)
    plain = (z * reference[:, run.labels]).sum(axis=0)
    np.testing.assert_allclose(correlate(losses, reference, run.labels)[0], plain, atol=1e-13)


def test_a_large_mean_does_not_cancel():
    rng = np.random.default_rng(0)
    steps = -100.0 + 0.05 * rng.standard_normal((40, 6))
    losses = np.vstack([np.full((1, 6), 5000.0), 5000.0 + np.cumsum(steps, axis=0)])
    run = ProxyRun.from_losses(losses, np.zeros(6, int), losses[:, :2], [0, 0], has_initial=True)
    mean = losses[:, :2].mean(axis=1)
    expected = [stats.pearsonr(np.diff(x), np.diff(mean))[0] for x in losses.T]
    stream = CLDStream(np.zeros(6, int), 1)
    for train, val in zip(losses, mean, strict=True):
        stream.update(train, val)
    np.testing.assert_allclose(CLD().score(run), expected, atol=1e-9)
    np.testing.assert_allclose(stream.score(), expected, atol=1e-6)


@pytest.mark.parametrize(("width", "flat"), [(0.0, True), (0.9e-6, True), (1.1e-6, False), (1e-3, False)])
def test_the_rule_of_what_varies_is_the_same_everywhere(width, flat):
    d = np.array([-1.0, -1.0, -1.0, -1.0]) + width * 10 * np.array([0.5, -0.5, 0.25, 0.0])
    losses = (10.0 + np.concatenate([[0.0], np.cumsum(d)]))[:, None]
    other = np.array([[5.0], [4.0], [4.0], [2.0], [2.5]])
    pair = np.hstack([losses, other])
    assert does_not_vary(pair).tolist() == [flat, False]
    run = ProxyRun.from_losses(pair, [0, 0], other, [0], has_initial=True)
    stream = CLDStream(np.array([0, 0]), 1)
    for row, val in zip(pair, other, strict=True):
        stream.update(row, val)
    scores = (quiet(CLD(), run), quiet(LTC(), run), stream.score(), cld_influence(pair, other)[:, 0])
    for of_form in scores:
        assert (of_form[0] == 0.0) == flat
        np.testing.assert_allclose(of_form, scores[0], atol=1e-8)


def test_one_warning_counts_what_does_not_vary():
    run = make_run(1, 10, 20, 3, "plain", 6)
    losses = run.trajectories["post_epoch", Signal.LOSS]
    losses[:, [2, 5, 11]] = 4.0
    val = run.val_trajectories[Signal.LOSS]
    val[:, run.val_labels == 1] = 0.25
    with pytest.warns(UserWarning, match="3 of 20 samples and of 1 of 3 validation trajectories") as said:
        scores = CLD().score(run)
    assert len(said) == 1
    assert np.all(scores[[2, 5, 11]] == 0.0)
    assert np.all(scores[run.labels == 1] == 0.0)
    assert np.count_nonzero(scores) == np.count_nonzero(np.delete(run.labels, [2, 5, 11]) != 1)
    with pytest.warns(UserWarning, match=rf"of {(run.val_labels == 1).sum()} of 9 validation trajectories"):
        LTC().score(run)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        CLD().score(make_run(1, 10, 20, 3, "plain"))


@pytest.mark.parametrize("method", [CLD(), CLD(every=4), CLD(first=2), CLD(initial=False, every=4)])
def test_fewer_than_three_differences(method):
    enough = make_run(0, 12, 4, 2, "plain")
    few = make_run(0, 3 if method == CLD() else 10, 4, 2, "plain")
    with pytest.raises(UsageError, match=r"2 loss differences per sample, at least 3"):
        method.score(few)
    assert CLD(first=3).score(enough).shape == (4,)


def test_first_beyond_the_recorded_epochs_is_reduced_and_said():
    run = make_run(0, 9, 4, 2, "plain")
    with pytest.warns(UserWarning, match=r"CLD:first=45: first is 45, but 8 epochs are recorded"):
        scores = CLD(first=45).score(run)
    np.testing.assert_array_equal(scores, CLD().score(run))


@pytest.mark.parametrize("method", [CLD(), LTC()])
def test_a_class_without_a_validation_row(method):
    run = make_run(0, 9, 30, 3, "plain")
    keep = run.val_labels != 2
    run = dataclasses.replace(
        run,
        val_labels=run.val_labels[keep],
        val_trajectories={Signal.LOSS: run.val_trajectories[Signal.LOSS][:, keep]},
    )
    with pytest.raises(
        UsageError, match=r"class 2 of the train pool has no validation row .* split class-wise"
    ):
        method.score(run)
    assert np.isfinite(dataclasses.replace(method, trajectory="global").score(run)).all()
    absent = dataclasses.replace(run, labels=np.zeros(30, np.int64))  # class 2 is not in the pool either
    assert np.isfinite(method.score(absent)).all()


def test_initial_is_used_where_it_is_recorded():
    run = make_run(0, 9, 6, 2, "plain")
    without = dataclasses.replace(
        run,
        has_initial=False,
        trajectories={key: rows[1:] for key, rows in run.trajectories.items()},
        val_trajectories={Signal.LOSS: run.val_trajectories[Signal.LOSS][1:]},
    )
    np.testing.assert_array_equal(CLD().score(run), CLD(initial=True).score(run))
    np.testing.assert_array_equal(CLD().score(without), CLD(initial=False).score(run))
    np.testing.assert_array_equal(
        CLD(record="online").score(run), CLD(record="online", initial=False).score(run)
    )
    with pytest.raises(MissingSignal, match="row 0"):
        CLD(initial=True).score(without)


def test_class_means_serve_cld_but_not_ltc():
    run = make_run(0, 9, 30, 3, "plain", 20)
    means = dataclasses.replace(
        run,
        val_labels=np.zeros(0, np.int64),
        val_trajectories={},
        val_class_loss=run.val_class_means(initial=True),
    )
    np.testing.assert_array_equal(CLD().score(means), CLD().score(run))
    with pytest.raises(MissingSignal, match="each validation row"):
        LTC().score(means)


@pytest.mark.parametrize("keep", ["highest", "lowest", "zero"])
def test_keep_is_the_direction_of_the_selection(keep):
    run = make_run(5, 12, 40, 2, "plain", 10)
    method = CLD(keep=keep)
    assert method.keep == keep
    scores = method.score(run)
    selection = method.select(run, Budget.of(0.25, 40), np.random.default_rng(0))
    chosen = np.isin(run.ids, selection.rows)
    worth = {"highest": scores, "lowest": -scores, "zero": -np.abs(scores)}[keep]
    for c in range(2):
        inside, outside = (worth[(run.labels == c) & part] for part in (chosen, ~chosen))
        assert inside.size
        assert inside.min() >= outside.max()


@pytest.mark.parametrize("method", [CLD(), LTC(), CLD(correlation="spearman", keep="zero")])
def test_storage_order_does_not_matter(method):
    run = make_run(6, 10, 60, 3, "ties", 12)
    order = np.random.default_rng(1).permutation(60)
    shuffled = dataclasses.replace(
        run,
        ids=run.ids[order],
        labels=run.labels[order],
        trajectories={key: rows[:, order] for key, rows in run.trajectories.items()},
    )
    np.testing.assert_array_equal(method.score(shuffled), method.score(run)[order])
    budget = Budget.of(0.3, 60)
    picks = [method.select(r, budget, np.random.default_rng(0)).rows for r in (run, shuffled)]
    np.testing.assert_array_equal(*picks)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    kind=st.sampled_from(["plain", "ties", "constant", "line", "far"]),
    checkpoints=st.integers(4, 20),
    trajectory=st.sampled_from(["class", "global"]),
)
def test_one_pass_equals_batch(seed, kind, checkpoints, trajectory):
    run = make_run(seed, checkpoints, 15, 3, kind)
    stream = CLDStream(run.labels, 3)
    means = run.val_class_means(initial=True) if trajectory == "class" else run.val_mean(initial=True)
    buffer = np.empty(15)  # a loop may reuse its own
    for train, val in zip(run.trajectories["post_epoch", Signal.LOSS], means, strict=True):
        buffer[:] = train
        stream.update(buffer, val)
    expected = quiet(CLD(trajectory=trajectory), run)
    np.testing.assert_allclose(stream.score(), expected, rtol=0, atol=1e-9)


def test_one_pass_refuses_what_it_cannot_take():
    stream = CLDStream(np.array([0, 0, 2]), 4)
    with pytest.raises(UsageError, match=r"shape \(2,\) and \(4,\); expected \(3,\)"):
        stream.update(np.ones(2), np.ones(4))
    with pytest.raises(UsageError, match="loss of sample 1 is nan"):
        stream.update(np.array([1.0, np.nan, 1.0]), np.ones(4))
    with pytest.raises(UsageError, match="loss of class 2 is nan"):
        stream.update(np.ones(3), np.array([1.0, np.nan, np.nan, 1.0]))
    rng = np.random.default_rng(0)
    for _ in range(3):
        stream.update(rng.random(3), np.array([rng.random(), np.nan, rng.random(), np.nan]))
    with pytest.raises(UsageError, match="2 loss differences"):
        stream.score()
    stream.update(rng.random(3), rng.random(4))
    assert np.isfinite(stream.score()).all()


@pytest.mark.parametrize("kind", ["pearson", "spearman"])
def test_influence(kind):
    rng = np.random.default_rng(2)
    train, val = trajectories(rng, 9, 23, "constant"), trajectories(rng, 9, 6, "ties")
    expected = [[correlation(m, q, kind) for q in val.T] for m in train.T]
    for batch in (1, 7, 32768):
        influence = cld_influence(train, val, correlation=kind, batch=batch)
        np.testing.assert_allclose(influence, expected, rtol=0, atol=1e-6)
    with pytest.raises(UsageError, match="same checkpoints"):
        cld_influence(train, val[:-1])
    with pytest.raises(UsageError, match="2 loss differences"):
        cld_influence(train[:3], val[:3])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"first": 0}, "first is 0"),
        ({"first": 2.5}, "first is 2.5"),
        ({"every": 0}, "every is 0"),
        ({"batch": 0}, "batch is 0"),
        ({"correlation": "kendall"}, "unknown correlation 'kendall'.*pearson, spearman"),
        ({"trajectory": "classes"}, r"unknown trajectory 'classes' \(did you mean class\?\)"),
        ({"keep": "low"}, "unknown keep 'low'.*highest, lowest, zero"),
        ({"record": "offline"}, "unknown recording 'offline'"),
        ({"initial": "yes"}, "initial is 'yes'"),
    ],
)
def test_bad_fields(fields, message):
    with pytest.raises(UsageError, match=message):
        CLD(**fields)


def test_spec_and_label_leave_out_the_batch():
    method = parse("CLD:first=45,every=2,batch=100")
    assert (method.first, method.every, method.batch) == (45, 2, 100)
    assert method.label() == "CLD:first=45,every=2"
    assert "batch" not in method.spec()
    assert parse("LTC").spec()["name"] == "LTC"
    assert method.needs == method.needs_val == {Signal.LOSS}
    assert (CLD().mode, CLD(record="online").mode) == ("post_epoch", "online")
