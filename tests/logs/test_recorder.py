"""The recorder for any training loop."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from deepcore.common.checks import MissingSignal, UsageError
from deepcore.common.seeding import stream
from deepcore.logs import LossRecorder, read_logs
from deepcore.proxy.run import ProxyRun
from deepcore.proxy.signals import Signal
from methods.aum import AUM
from methods.cld import CLD
from methods.el2n import EL2N
from methods.forgetting import Forgetting

IDS = np.array([40, 7, 19, 3, 25])
LABELS = np.array([0, 1, 0, 1, 0])
VAL_LABELS = np.array([0, 1, 1])
TRAIN = np.random.default_rng(0).exponential(1, (6, 5)).astype(np.float32)
VAL = np.random.default_rng(1).exponential(1, (6, 3)).astype(np.float32)
LOGITS = np.random.default_rng(2).normal(0, 2, (6, 5, 4)).astype(np.float32)
VAL_LOGITS = np.random.default_rng(3).normal(0, 2, (6, 3, 4)).astype(np.float32)
ALL = {40: 1.0, 7: 1.0, 19: 1.0, 3: 1.0, 25: 1.0}


def record(tensors: bool, **fields: object) -> LossRecorder:
    """Six epochs in shuffled batches, through buffers that the loop reuses."""
    kind = torch.from_numpy if tensors else np.asarray
    recorder = LossRecorder(LABELS, VAL_LABELS, IDS, **fields)
    rng = np.random.default_rng(2)
    for train, val in zip(TRAIN, VAL, strict=True):
        order = rng.permutation(5)
        for batch in (order[:2], order[2:]):
            ids, losses = IDS[batch], train[batch].copy()
            logged = kind(losses)
            recorder.log(kind(ids), logged.requires_grad_() if tensors else logged)
            losses[:], ids[:] = -1.0, 40
        recorder.log_val(kind(val[:2].copy()))
        recorder.log_val(kind(val[2:].copy()))
        recorder.end_epoch()
    return recorder


def fresh(train: dict[int, float], val: int = 3, **fields: object) -> LossRecorder:
    recorder = LossRecorder(LABELS, VAL_LABELS, IDS, **fields)
    recorder.log(list(train), list(train.values()))
    recorder.log_val(np.ones(val))
    return recorder


@pytest.mark.parametrize("tensors", [True, False])
def test_batches_in_any_order_come_out_aligned(tensors):
    run = record(tensors).run()
    np.testing.assert_array_equal(run.ids, IDS)
    np.testing.assert_array_equal(run.trajectory(Signal.LOSS, "online"), TRAIN)
    np.testing.assert_array_equal(run.val_trajectory(Signal.LOSS), VAL)
    assert not run.has_initial
    assert record(tensors, has_initial=True).run().epochs == 5
    assert CLD().score(run).shape == (5,)


def test_saved_and_read(tmp_path):
    recorder = record(False, has_initial=True)
    recorder.save(tmp_path / "log.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["log.npz"]
    loaded = read_logs(tmp_path / "log.npz")
    assert loaded.has_initial is True
    np.testing.assert_array_equal(CLD().score(loaded), CLD().score(recorder.run()))
    np.testing.assert_array_equal(loaded.ids, IDS)
    with pytest.raises(UsageError, match=r"must end in .npz"):
        recorder.save(tmp_path / "log")


@pytest.mark.parametrize("given", ["labels", "nothing", "ids"])
@pytest.mark.parametrize("buffer", [7, 1 << 22])
def test_logits_give_the_signals_of_from_logits(given, buffer, monkeypatch):
    monkeypatch.setattr("deepcore.logs.batches.BUFFER", buffer)
    known = {"labels": (LABELS, VAL_LABELS, IDS), "ids": (None, None, IDS), "nothing": ()}[given]
    recorder = LossRecorder(*known)
    for train, val in zip(LOGITS, VAL_LOGITS, strict=True):
        for batch in ([1, 4], [0], [3, 2]):
            labels = None if given == "labels" else torch.from_numpy(LABELS[batch])
            recorder.log(torch.from_numpy(IDS[batch]), logits=torch.from_numpy(train[batch]), labels=labels)
        for part in (slice(0, 2), slice(2, 3)):
            recorder.log_val(logits=val[part], labels=None if given == "labels" else VAL_LABELS[part])
        recorder.end_epoch()
    run = recorder.run()
    expected = ProxyRun.from_logits(LOGITS, LABELS, VAL_LOGITS, VAL_LABELS, ids=IDS)
    order = np.searchsorted(run.ids, IDS, sorter=np.argsort(run.ids))
    order = np.argsort(run.ids)[order]
    assert (run.ids[order] == IDS).all()
    for signal in (Signal.LOSS, Signal.MARGIN, Signal.MARGIN_P, Signal.EL2N, Signal.OTHER):
        np.testing.assert_allclose(
            run.trajectory(signal, "online")[:, order], expected.trajectory(signal, "online"), rtol=1e-6
        )
    for method in (CLD(), AUM(), EL2N(epochs=6), Forgetting()):
        np.testing.assert_allclose(method.score(run)[order], method.score(expected), atol=1e-6)


def test_further_signals_go_with_losses():
    recorder = LossRecorder(LABELS, VAL_LABELS)
    recorder.log(np.arange(5), np.ones(5), signals={"margin": np.arange(5) - 2.0})
    recorder.log_val(np.ones(3))
    recorder.end_epoch()
    np.testing.assert_array_equal(AUM().score(recorder.run()), [-2, -1, 0, 1, 2])
    with pytest.raises(UsageError, match=r"unknown signal of log 'margn' .did you mean margin"):
        recorder.log(np.arange(5), np.ones(5), signals={"margn": np.ones(5)})
    recorder.log(np.arange(5), np.ones(5))
    recorder.log_val(np.ones(3))
    with pytest.raises(UsageError, match="epoch 2: other signals were logged than in the epochs before"):
        recorder.end_epoch()


def test_text_ids_and_text_labels():
    names, labels = np.array(["d", "b", "a", "c", "e"]), np.array(["dog", "cat", "dog", "cat", "dog"])
    given = LossRecorder(labels, np.array(["dog", "cat", "cat"]), names)
    learned = LossRecorder()
    for train, val in zip(TRAIN, VAL, strict=True):
        for recorder in (given, learned):
            recorder.log(names.tolist(), train, labels=labels.tolist())
            recorder.log_val(val, labels=["dog", "cat", "cat"])
            recorder.end_epoch()
    for recorder in (given, learned):
        run = recorder.run()
        assert run.log.name_of(run.ids).tolist() == list(names if recorder is given else sorted(names))
        assert run.log.class_names == ("cat", "dog")
        of = dict(zip(run.log.name_of(run.ids), CLD().score(run), strict=True))
        plain = CLD().score(ProxyRun.from_losses(TRAIN, 1 - LABELS, VAL, 1 - VAL_LABELS))
        np.testing.assert_allclose([of[name] for name in names], plain, atol=1e-12)
    given.log(names.tolist(), TRAIN[0], labels=["dog", "cat", "dog", "cow", "dog"])
    given.log_val(VAL[0])
    with pytest.raises(UsageError, match="'cow' is none of the classes cat, dog"):
        given.end_epoch()


@pytest.mark.filterwarnings("ignore:samples were missing")
@pytest.mark.parametrize("names", [np.array(["cat", "dog"]), np.arange(2)])
def test_a_label_that_is_not_known_yet_is_that_of_no_class(tmp_path, names):
    recorder = LossRecorder(ids=IDS, folder=tmp_path / "log", missing="nan")
    for rows in ([0, 1, 2, 4], [0, 1, 2, 4], [0, 1, 2, 3, 4]):
        recorder.log(IDS[rows], TRAIN[0][rows], labels=names[LABELS[rows]])
        recorder.log_val(VAL[0], labels=names[VAL_LABELS])
        recorder.end_epoch()
        if len(rows) == 4:
            unknown = r"the label of sample 3 is not known \(1 of 5\): log it with its label in one epoch"
            for read in (recorder.run, lambda: read_logs(tmp_path / "log"),
                         lambda: recorder.save(tmp_path / "log.npz")):  # fmt: skip
                with pytest.raises(UsageError, match=unknown):
                    read()
    assert read_logs(tmp_path / "log").labels.tolist() == LABELS.tolist()
    np.save(tmp_path / "log" / "val_labels.npy", [0, -1, 1])
    with pytest.raises(UsageError, match="the label of validation row 1 is not known"):
        read_logs(tmp_path / "log")


def test_without_classes_there_is_one_validation_trajectory():
    recorder = LossRecorder(size=5)
    for train, val in zip(TRAIN, VAL, strict=True):
        recorder.log(np.arange(5), train)
        recorder.log_val(val)
        recorder.end_epoch()
    run = recorder.run()
    assert not run.log.has_classes
    plain = ProxyRun.from_losses(TRAIN, LABELS, VAL, VAL_LABELS)
    np.testing.assert_allclose(CLD().score(run), CLD(trajectory="global").score(plain), atol=1e-12)


def test_labels_that_change_show_shifted_ids():
    recorder = LossRecorder(LABELS, VAL_LABELS, IDS)
    recorder.log(np.roll(IDS, 1), TRAIN[0], labels=LABELS)
    recorder.log_val(VAL[0])
    with pytest.raises(
        UsageError, match=r"epoch 1: sample 40 came with label 1 and has label 0 \(4 of 5 differ\).*shifted"
    ):
        recorder.end_epoch()
    learned = LossRecorder()
    for shift in (0, 1):
        learned.log(np.roll(IDS, shift), TRAIN[0], labels=LABELS)
        if not shift:
            learned.end_epoch()
    with pytest.raises(UsageError, match=r"epoch 2: sample \d+ came with label \d and has label \d \(4 of 5"):
        learned.end_epoch()
    wrong_val = LossRecorder(LABELS, VAL_LABELS, IDS)
    wrong_val.log(IDS, TRAIN[0])
    wrong_val.log_val(VAL[0], labels=VAL_LABELS[::-1])
    with pytest.raises(UsageError, match="validation row 0 came with label 1 and has label 0"):
        wrong_val.end_epoch()


def test_what_an_epoch_refuses():
    with pytest.raises(UsageError, match=r"epoch 1: sample 19 has no value \(2 of 5\).*missing=.nan"):
        fresh({40: 1.0, 7: 1.0, 3: 1.0}).end_epoch()
    twice = fresh(ALL)
    twice.log([7], [1.0])
    with pytest.raises(UsageError, match=r"epoch 1: sample 7 has several values.*repeated=.last"):
        twice.end_epoch()
    for strange in (8, 99, -1):
        with pytest.raises(UsageError, match=f"id {strange} is not among the recorder's ids"):
            fresh({**ALL, strange: 1.0}).end_epoch()
    with pytest.raises(UsageError, match="2 validation losses were logged for 3 validation rows"):
        fresh(ALL, val=2).end_epoch()
    with pytest.raises(UsageError, match="epoch 1: the loss of sample 3 is nan"):
        fresh({**ALL, 3: float("nan")}).end_epoch()
    with pytest.raises(UsageError, match="epoch 1: no losses were logged"):
        LossRecorder(LABELS, VAL_LABELS).end_epoch()
    without_val = LossRecorder(LABELS, VAL_LABELS)
    without_val.log(np.arange(5), np.ones(5))
    with pytest.raises(UsageError, match="0 validation losses"):
        without_val.end_epoch()
    without_val.log_val(np.ones(3))  # the epoch stayed open
    without_val.end_epoch()
    assert without_val.epoch == 2
    seven = LossRecorder([0, 1, 7, 1, 0], VAL_LABELS)
    seven.log(np.arange(5), logits=LOGITS[0])
    seven.log_val(logits=VAL_LOGITS[0])
    with pytest.raises(UsageError, match="the label of sample 2 is 7 and the logits have 4 classes"):
        seven.end_epoch()


def test_what_a_batch_and_a_run_refuse():
    recorder = LossRecorder(LABELS, VAL_LABELS)
    with pytest.raises(UsageError, match=r'one loss per sample .* reduction="none".*this is \(\)'):
        recorder.log(torch.arange(5), torch.tensor(1.5))
    with pytest.raises(UsageError, match=r"ids of shape \(4,\) for 5 losses"):
        recorder.log(torch.arange(4), torch.ones(5))
    with pytest.raises(UsageError, match="give losses, or logits"):
        recorder.log(torch.arange(4))
    with pytest.raises(UsageError, match="epoch 1 is not closed"):
        recorder.run()
    recorder.log(torch.arange(5), torch.ones(5))
    with pytest.raises(UsageError, match="epoch 1 is not closed"):
        recorder.run()
    with pytest.raises(UsageError, match="4 ids for 5 labels"):
        LossRecorder(LABELS, VAL_LABELS, [0, 1, 2, 3])
    with pytest.raises(UsageError, match="id 1 occurs 2 times"):
        LossRecorder(LABELS, VAL_LABELS, [0, 1, 1, 3, 4])
    with pytest.raises(UsageError, match="the label of row 4 is 1000000000, and there are 8 rows"):
        LossRecorder([0, 1, 0, 1, 10**9], VAL_LABELS)
    with pytest.raises(UsageError, match="logits need labels"):
        LossRecorder(size=5).log(np.arange(5), logits=LOGITS[0])


def test_missing_and_repeated_samples_are_counted_and_said():
    recorder = LossRecorder(LABELS, VAL_LABELS, IDS, missing="nan", repeated="last")
    for t, (train, val) in enumerate(zip(TRAIN, VAL, strict=True)):
        ids, losses = (IDS, train) if t % 2 else (IDS[[0, 1, 2, 4, 4]], train[[0, 1, 2, 3, 4]])
        recorder.log(ids, losses)
        recorder.log_val(val)
        recorder.end_epoch()
    assert recorder.notes == (
        "samples were missing from 3 of 6 epochs (1 in one, 3 in all)",
        "samples were logged several times in 3 of 6 epochs (1 in one, 3 in all)",
    )
    with pytest.warns(UserWarning, match="3 of 6 epochs") as said:
        run = recorder.run()
    assert len(said) == 2
    assert run.log.notes == recorder.notes
    expected = TRAIN.copy()
    expected[::2, 3] = np.nan
    np.testing.assert_array_equal(run.trajectory(Signal.LOSS, "online"), expected)
    with pytest.warns(UserWarning, match="1 of 5 samples"):  # three checkpoints are too few
        scores = CLD().score(run)
    complete = CLD().score(ProxyRun.from_losses(TRAIN, LABELS, VAL, VAL_LABELS))
    np.testing.assert_allclose(scores[[0, 1, 2, 4]], complete[[0, 1, 2, 4]], atol=1e-12)


def test_validation_rows_by_id():
    recorder = LossRecorder(LABELS, VAL_LABELS, IDS)
    for train, val in zip(TRAIN, VAL, strict=True):
        recorder.log(IDS, train)
        recorder.log_val(val[[2, 0]], ids=[2, 0])
        recorder.log_val(val[[1]], ids=[1])
        recorder.end_epoch()
    np.testing.assert_array_equal(recorder.run().val_trajectory(Signal.LOSS), VAL)


def test_one_pass_keeps_the_scores_and_no_log(tmp_path):
    whole, passed = LossRecorder(LABELS, VAL_LABELS, IDS), []
    for path in (None, tmp_path / "log"):
        passed.append(LossRecorder(LABELS, VAL_LABELS, IDS, mode="one_pass", folder=path))
    for train, val in zip(LOGITS, VAL_LOGITS, strict=True):
        for recorder in (whole, *passed):
            recorder.log(IDS, logits=train)
            recorder.log_val(logits=val)
            recorder.end_epoch()
    for run in (*(recorder.run() for recorder in passed), read_logs(tmp_path / "log")):
        assert not run.trajectories
        assert set(run.log.scores) == {
            "CLD",
            "CLD:record=online",
            "AUM",
            "AUM:of=probability",
            "EL2N",
            "Forgetting",
            "DynUnc",
            "DUAL",
        }
        for method in (CLD(), AUM(), Forgetting()):
            expected = method.score(whole.run())
            np.testing.assert_allclose(method.checked_scores(run), expected, atol=1e-6)
    with pytest.raises(UsageError, match="keeps no log to save"):
        passed[0].save(tmp_path / "x.npz")
    lacking = LossRecorder(LABELS, [0, 0], mode="one_pass")
    lacking.log(np.arange(5), TRAIN[0])
    lacking.log_val([1.0, 1.0])
    with pytest.raises(UsageError, match="class 1 has no validation row"):
        lacking.end_epoch()


@pytest.mark.parametrize("missing", ["error", "nan"])
@pytest.mark.parametrize("initial", [False, True])
def test_one_pass_scores_cld_with_and_without_the_untrained_network(tmp_path, initial, missing):
    options = {"has_initial": initial, "missing": missing}
    whole = LossRecorder(LABELS, VAL_LABELS, IDS, **options)
    losses = stream(0, "losses").random((2, 8, 5))
    for half in (slice(0, 5), slice(5, 8)):  # stopped and gone on with
        passed = LossRecorder(
            LABELS,
            VAL_LABELS,
            IDS,
            mode="one_pass",
            folder=tmp_path / "log",
            resume=half.start > 0,
            **options,
        )
        for train, val in zip(*losses[:, half], strict=True):
            for recorder in (whole, passed):
                recorder.log(IDS, train)
                recorder.log_val(val[: len(VAL_LABELS)])
                recorder.end_epoch()
    for run in (passed.run(), read_logs(tmp_path / "log")):
        for method in (CLD(), CLD(record="online"), CLD(initial=False)):
            expected = method.score(whole.run())
            np.testing.assert_allclose(method.checked_scores(run), expected, atol=1e-6)
        with pytest.raises(MissingSignal, match="holds finished scores only: CLD, CLD:record=online"):
            CLD(every=2).checked_scores(run)
    alike = np.allclose(CLD().score(whole.run()), CLD(record="online").score(whole.run()))
    assert alike != initial


@pytest.mark.parametrize("mode", ["log", "one_pass"])
def test_a_sample_that_was_never_logged_is_named(mode):
    recorder = LossRecorder(LABELS, VAL_LABELS, IDS, mode=mode, missing="nan")
    for train, val in zip(TRAIN, VAL, strict=True):
        recorder.log(IDS[:4], train[:4])
        recorder.log_val(val)
        recorder.end_epoch()
    with pytest.raises(UsageError, match=r"id 25 has no value at any checkpoint \(1 such\): leave such"):
        recorder.run()


def test_one_pass_logs_with_gaps_have_no_scores_nearest_zero():
    recorder = LossRecorder(LABELS, VAL_LABELS, IDS, mode="one_pass", missing="nan")
    for t, (train, val) in enumerate(zip(TRAIN, VAL, strict=True)):
        recorder.log(IDS[t == 2 :], train[t == 2 :])
        recorder.log_val(val)
        recorder.end_epoch()
    with pytest.warns(UserWarning, match="missing"):
        run = recorder.run()
    assert np.isfinite(CLD().checked_scores(run)).all()
    with pytest.raises(UsageError, match="reads complete logs"):
        CLD(keep="zero").checked_scores(run)


def test_logging_holds_nothing_of_the_graph():
    recorder = LossRecorder(size=4)
    weight = torch.ones(4, requires_grad=True)
    losses = weight * 2
    recorder.log(torch.arange(4), losses)
    (kept,) = recorder._batches.values[Signal.LOSS]
    assert kept.grad_fn is None
    assert kept.data_ptr() != losses.data_ptr()


@pytest.mark.parametrize("mode", ["log", "one_pass"])
def test_an_epoch_of_empty_batches_is_no_epoch(mode):
    recorder = LossRecorder(mode=mode)
    recorder.log(np.zeros(0, np.int64), np.zeros(0))
    with pytest.raises(UsageError, match="no losses were logged"):
        recorder.end_epoch()


@pytest.mark.parametrize(
    ("values", "what"),
    [
        ({"logits": np.array([["a", "b"]]), "labels": [0]}, "logits hold <U1 values"),
        ({"logits": np.ones((1, 2), complex), "labels": [0]}, "logits hold complex128 values"),
        ({"logits": torch.ones(1, 2, dtype=torch.complex64), "labels": [0]}, "logits hold torch.complex64"),
        ({"logits": np.ones((1, 2)), "labels": ["cat"]}, "labels hold <U3 values"),
        ({"losses": np.array(["a"])}, "values of loss hold <U1 values"),
        ({"losses": [None]}, "values of loss hold object values"),
    ],
)
def test_values_that_are_no_numbers(values, what):
    recorder = LossRecorder()
    with pytest.raises(UsageError, match=f"log: {what}"):
        recorder.log([0], **values)
    assert recorder.epochs == 0


def test_of_a_batch_that_was_refused_nothing_stays():
    recorder = LossRecorder()
    for bad in ({"margin": np.array(["a"])}, {"margin": [1.0, 2.0]}):
        with pytest.raises(UsageError):
            recorder.log([7], [0.5], signals=bad)
    with pytest.raises(UsageError, match="no losses were logged"):
        recorder.end_epoch()
    recorder.log([3], [0.25])  # without the signal, too
    recorder.end_epoch()
    assert recorder.ids.tolist() == [3]


def test_logits_of_other_classes_than_before():
    recorder = LossRecorder()
    recorder.log([0], logits=np.ones((1, 3)), labels=[0])
    with pytest.raises(UsageError, match="logits of 2 classes after those of 3"):
        recorder.log([1], logits=np.ones((1, 2)), labels=[0])
    recorder.end_epoch()
    assert len(recorder.ids) == 1
