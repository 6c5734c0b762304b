"""Logs with gaps: each sample is scored at the checkpoints that it has."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import methods
from deepcore.common.checks import DeepcoreError, UsageError
from deepcore.proxy.run import ProxyRun
from deepcore.proxy.signals import Signal
from deepcore.scoring.gaps import GapCLD
from deepcore.scoring.one_pass import CLDStream
from deepcore.scoring.running import RunningScores
from deepcore.selection.budget import Budget
from methods.cld import CLD
from methods.ltc import LTC

T, N, Q, C = 14, 40, 12, 3
RNG = np.random.default_rng(0)
LABELS, VAL_LABELS = np.arange(N) % C, np.arange(Q) % C
LOSSES = RNG.exponential(1, (T, N)).astype(np.float32)
VAL = RNG.exponential(1, (T, Q)).astype(np.float32)
SIGNALS = {
    "margin": RNG.normal(0, 1, (T, N)).astype(np.float32),
    "margin_p": RNG.uniform(-1, 1, (T, N)).astype(np.float32),
    "el2n": RNG.uniform(0, 1.4, (T, N)).astype(np.float32),
    "other": (LABELS + RNG.integers(1, C, (T, N))) % C,
}
NAMES = ["CLD", "CLD:trajectory=global", "AUM", "AUM:of=probability", "EL2N", "Forgetting", "DynUnc", "DUAL"]


def gaps(share: float = 0.35) -> np.ndarray:
    """Which cells are missing, (T, N); each sample keeps four checkpoints at least."""
    rng = np.random.default_rng(1)
    missing = rng.random((T, N)) < share
    missing[rng.permuted(np.tile(np.arange(T), (N, 1)), axis=1)[:, :4], np.arange(N)[:, None]] = False
    return missing


def run_of(missing: np.ndarray | None, **fields: object) -> ProxyRun:
    def holed(values: np.ndarray) -> np.ndarray:
        return values if missing is None else np.where(missing, np.nan, values).astype(np.float32)

    return ProxyRun.from_losses(
        holed(LOSSES),
        LABELS,
        VAL,
        VAL_LABELS,
        signals={name: holed(values) for name, values in SIGNALS.items()},
        missing="error" if missing is None else "nan",
        **fields,
    )


def one_sample(i: int, known: np.ndarray) -> ProxyRun:
    """Sample i alone, logged at its known checkpoints and no others; a log without gaps."""
    return ProxyRun.from_losses(
        LOSSES[known, i][:, None],
        LABELS[[i]],
        VAL[known],
        VAL_LABELS,
        signals={name: values[known, i][:, None] for name, values in SIGNALS.items()},
    )


@pytest.mark.filterwarnings("ignore:.* epochs at hand")
@pytest.mark.parametrize("name", NAMES)
def test_a_sample_scores_as_if_its_checkpoints_were_all(name):
    # the first n epochs are counted over the log, not over the sample's own
    known_of = (~gaps()).sum(axis=0)
    name = f"{name}:epochs={T}" if name in ("EL2N", "DUAL") else name
    missing = gaps()
    scores = methods.parse(name).score(run_of(missing))
    for i in range(N):
        known = ~missing[:, i]
        window = {"window": min(10, known.sum())} if name.startswith(("DynUnc", "DUAL")) else {}
        expected = methods.parse(name, **window).score(one_sample(i, known))[0]
        never = name == "Forgetting" and expected == known.sum()
        if never and known.sum() >= np.median(known_of) / 2:  # as a complete log counts it
            expected = T
        assert scores[i] == pytest.approx(expected, abs=1e-6), i


@pytest.mark.filterwarnings("ignore:.* epochs at hand")
@pytest.mark.parametrize("name", NAMES)
def test_without_gaps_nothing_changes(name):
    method = methods.parse(name)
    nothing = np.zeros((T, N), dtype=bool)
    np.testing.assert_allclose(method.score(run_of(nothing)), method.score(run_of(None)), atol=1e-9)


def test_gap_cld_equals_the_stream_without_gaps():
    means = np.stack([VAL[:, c == VAL_LABELS].mean(axis=1) for c in range(C)], axis=1)
    with_gaps, without = GapCLD(LABELS, C), CLDStream(LABELS, C)
    for losses, mean in zip(LOSSES, means, strict=True):
        with_gaps.update(losses, mean)
        without.update(losses, mean)
    np.testing.assert_allclose(with_gaps.score(), without.score(), atol=1e-12)


def test_too_few_checkpoints_or_none_that_vary_score_zero():
    losses = LOSSES.copy()
    losses[:, 0] = np.nan
    losses[[2, 5, 9], 0] = 1.0, 2.0, 0.5  # two differences always correlate at +1 or -1
    losses[3:, 1] = losses[2, 1] + np.arange(T - 3)
    losses[:3, 1] = np.nan  # the differences do not vary
    run = ProxyRun.from_losses(losses, LABELS, VAL, VAL_LABELS, missing="nan")
    with pytest.warns(UserWarning, match="of 2 of 40 samples"):
        scores = CLD().score(run)
    assert (scores[:2] == 0).all()
    assert (scores[2:] != 0).all()


def test_samples_with_few_checkpoints_do_not_win_by_chance():
    rng = np.random.default_rng(7)
    losses, val = rng.exponential(1, (30, 600)), rng.exponential(1, (30, 4))
    rare = np.arange(600) < 60
    for i in np.flatnonzero(rare):
        losses[rng.permutation(30)[:25], i] = np.nan  # 5 of 30 stay
    losses[rng.permutation(30)[:10], 60:200] = np.nan  # 20 of 30 are enough
    run = ProxyRun.from_losses(losses, np.zeros(600, int), val, np.zeros(4, int), missing="nan")
    with pytest.warns(UserWarning, match="60 of 600 samples have fewer than half as many losses"):
        scores = CLD().score(run)
    assert (scores[rare] == 0).all()
    assert (scores[~rare] != 0).all()


def test_a_sample_that_is_never_learned_counts_as_most_forgotten():
    margin = np.where(np.arange(8)[:, None] % 2 == [0, 0], 1.0, -1.0)  # forgotten four times
    margin[:, 1] = -1.0
    margin[3:, 1] = np.nan  # never learned, and seen three times: as often as not
    margin = np.column_stack([margin, margin[:, 1], margin[:, 1]])
    margin[1:, 2], margin[:, 3] = np.nan, np.where(np.arange(8) < 6, np.nan, -1.0)  # once; twice, but late
    losses, val = np.exp(-margin), np.ones((8, 1))
    run = ProxyRun.from_losses(losses, np.zeros(4, int), val, np.zeros(1, int), signals={"margin": margin},
                               missing="nan")  # fmt: skip
    assert methods.parse("Forgetting").score(run).tolist() == [4.0, 8.0, 1.0, 8.0]
    with pytest.raises(DeepcoreError, match="rows 3"):
        methods.parse("Forgetting:epochs=5").checked_scores(run)


def test_what_reads_complete_logs_alone_refuses():
    run = run_of(gaps())
    for method in (LTC(), CLD(correlation="spearman"), CLD(keep="zero")):  # few losses count as 0.0
        with pytest.raises(UsageError, match="reads complete logs"):
            method.score(run)
    broken, empty = np.where(gaps(), np.nan, LOSSES), LOSSES.copy()
    broken[2, 3], empty[:, 3] = np.inf, np.nan
    with pytest.raises(UsageError, match="id 3 is inf at checkpoint 2"):
        ProxyRun.from_losses(broken, LABELS, VAL, VAL_LABELS, missing="nan")
    with pytest.raises(UsageError, match="id 3 has no value at any checkpoint"):
        ProxyRun.from_losses(empty, LABELS, VAL, VAL_LABELS, missing="nan")
    with pytest.raises(UsageError, match="id 3 is nan at checkpoint 0"):
        ProxyRun.from_losses(empty, LABELS, VAL, VAL_LABELS)


def test_a_stream_goes_on_from_its_state(monkeypatch):
    monkeypatch.setattr("deepcore.scoring.one_pass.BLOCK", 16)
    losses = LOSSES.copy()
    losses[:, [3, 20, 39]] = 2.0 + 0.5 * np.arange(T)[:, None]  # watched to the end: they do not vary
    means = np.stack([VAL[:, c == VAL_LABELS].mean(axis=1) for c in range(C)], axis=1)
    whole, part = CLDStream(LABELS, C), CLDStream(LABELS, C)
    for t in range(T):
        whole.update(losses[t], means[t])
        part.update(losses[t], means[t])
        state = {name: array.copy() for name, array in part.state().items()}
        part = CLDStream(LABELS, C)
        part.load(state)
    np.testing.assert_array_equal(part.score(), whole.score())
    assert (part.score()[[3, 20, 39]] == 0).all()


@pytest.mark.filterwarnings("ignore:.* epochs at hand")
@pytest.mark.parametrize("with_gaps", [False, True])
@pytest.mark.parametrize("initial", [False, True])
def test_running_scores_equal_those_of_the_log(with_gaps, initial):
    missing = gaps() if with_gaps else None
    run = run_of(missing, has_initial=initial)
    means = run.val_class_means(initial=initial)
    signals = [Signal(name) for name in ("loss", *SIGNALS)]

    def make() -> RunningScores:
        return RunningScores(LABELS, C, frozenset(signals), gaps=with_gaps, has_val=True, initial=initial)

    running = make()
    for t in range(T):
        rows = {s: run.trajectory(s, "online", initial=initial)[t] for s in signals}
        running.update(rows, means[t], initial=initial and t == 0)
        if t == 5:  # stopped, and gone on with from its file
            state = running.state()
            running = make()
            running.load(state, "here")
    scores = running.scores()
    others = {"AUM", "AUM:of=probability", "EL2N", "Forgetting", "DynUnc", "DUAL"}
    assert set(scores) == {"CLD", "CLD:record=online", *others}
    for name, values in scores.items():
        method = methods.parse(name)
        assert method.score_name == name
        np.testing.assert_allclose(values, method.score(run), atol=1e-6, err_msg=name)
    losses = run.trajectory(Signal.LOSS, "online")[:30].astype(np.float64)
    np.testing.assert_allclose(running.summaries()["p_true:30"], np.nanmean(np.exp(-losses), axis=0))
    older = {name: array for name, array in state.items() if not name.startswith("cld_online.")}
    del older["forgetting.known"]
    went_on = make()
    went_on.load(older, "here")
    assert (went_on.forgetting.known == state["forgetting.known"]).all()
    for t in range(6, T):
        rows = {s: run.trajectory(s, "online", initial=initial)[t] for s in signals}
        went_on.update(rows, means[t])
    assert set(went_on.scores()) == scores.keys() - ({"CLD:record=online"} if initial else set())
    for name, values in went_on.scores().items():
        np.testing.assert_array_equal(values, scores[name])
    with pytest.raises(UsageError, match="here: the scores are of another log, or damaged"):
        make().load({}, "here")


def test_the_majority_vote_finds_a_majority():
    running = RunningScores(LABELS, C, frozenset({Signal.LOSS, Signal.OTHER}), gaps=False, has_val=False)
    other = SIGNALS["other"].astype(np.float32)
    other[:8] = (LABELS + 1) % C  # 8 of 14
    other[:, 5] = -1
    for t in range(T):
        running.update({Signal.LOSS: LOSSES[t], Signal.OTHER: other[t]}, None)
    found = running.summaries()["other"]
    assert found[5] == -1
    rest = np.arange(N) != 5
    np.testing.assert_array_equal(found[rest], ((LABELS + 1) % C)[rest])
    assert "CLD" not in running.scores()


def test_finished_scores_are_read_by_name():
    run = run_of(None)
    held = {"AUM": np.arange(N, dtype=float)}
    one_pass = dataclasses.replace(run, trajectories={}, log=dataclasses.replace(run.log, scores=held))
    rng = np.random.default_rng(0)
    picked = methods.parse("AUM:keep=highest,class_balanced=false").select(one_pass, Budget.of(0.1, N), rng)
    np.testing.assert_array_equal(picked.rows, [39, 38, 37, 36])
    with pytest.raises(UsageError, match="holds finished scores only: AUM; record with"):
        methods.parse("EL2N").select(one_pass, Budget.of(0.1, N), rng)
