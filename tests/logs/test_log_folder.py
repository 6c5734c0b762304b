"""The folder of a recorder: whole epochs or none, whatever happens while one is written."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from deepcore.common.checks import UsageError
from deepcore.logs import LossRecorder, read_logs
from deepcore.logs.folder import LogFolder
from deepcore.proxy.signals import Signal

N, Q, T = 30, 8, 12
LABELS, VAL_LABELS = np.arange(N) % 3, np.arange(Q) % 3
LOSSES = np.random.default_rng(0).exponential(1, (T, N)).astype(np.float32)
VAL = np.random.default_rng(1).exponential(1, (T, Q)).astype(np.float32)


def log(recorder: LossRecorder, first: int, last: int) -> None:
    for t in range(first, last):
        recorder.log(np.arange(N), LOSSES[t], labels=LABELS)
        recorder.log_val(VAL[t], labels=VAL_LABELS)
        recorder.end_epoch()


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("mode", ["log", "one_pass"])
@pytest.mark.parametrize("given", [True, False])
def test_resumed_is_uninterrupted(tmp_path, mode, given):
    arguments = (LABELS, VAL_LABELS) if given else ()
    whole = LossRecorder(*arguments, folder=tmp_path / "whole", mode=mode)
    log(whole, 0, T)
    log(LossRecorder(*arguments, folder=tmp_path / "parts", mode=mode), 0, 5)
    resumed = LossRecorder(*arguments, folder=tmp_path / "parts", mode=mode, resume=True)
    assert (resumed.epochs, resumed.epoch) == (5, 6)
    log(resumed, 5, T)
    assert content(tmp_path / "whole") == content(tmp_path / "parts")
    run = read_logs(tmp_path / "parts")
    np.testing.assert_array_equal(run.labels, LABELS)
    if mode == "log":
        np.testing.assert_array_equal(run.trajectory(Signal.LOSS, "online"), LOSSES)
        np.testing.assert_array_equal(run.val_trajectory(Signal.LOSS), VAL)
        plain = np.load(tmp_path / "parts" / "train_losses.npy", mmap_mode="r")
        np.testing.assert_array_equal(plain, LOSSES)
        held = run.trajectory(Signal.LOSS, "online")
        while held.base is not None and not isinstance(held, np.memmap):
            held = held.base
        assert isinstance(held, np.memmap)


@pytest.mark.parametrize("mode", ["log", "one_pass"])
def test_resumed_where_validation_rows_come_as_logits(tmp_path, mode):
    logits = np.random.default_rng(2).normal(0, 1, (4, N, 3)).astype(np.float32)
    for name, stops in (("whole", (4,)), ("parts", (2, 3, 4))):
        for stop in stops:
            recorder = LossRecorder(LABELS, VAL_LABELS, folder=tmp_path / name, mode=mode, resume=True)
            for t in range(recorder.epochs, stop):
                recorder.log(np.arange(N), logits=logits[t])
                recorder.log_val(logits=logits[t, :Q])
                recorder.end_epoch()
    assert content(tmp_path / "whole") == content(tmp_path / "parts")


def test_resume_after_the_checkpoint_of_the_training(tmp_path):
    log(LossRecorder(LABELS, VAL_LABELS, folder=tmp_path), 0, 8)
    resumed = LossRecorder(LABELS, VAL_LABELS, folder=tmp_path, resume=5)
    assert resumed.epoch == 6
    log(resumed, 5, T)
    np.testing.assert_array_equal(read_logs(tmp_path).trajectory(Signal.LOSS, "online"), LOSSES)
    with pytest.raises(UsageError, match="resume=13 is none of its 12 epochs"):
        LossRecorder(LABELS, VAL_LABELS, folder=tmp_path, resume=13)


def test_another_log_is_not_gone_on_with(tmp_path):
    log(LossRecorder(LABELS, VAL_LABELS, folder=tmp_path), 0, 2)
    with pytest.raises(UsageError, match="holds a log of 2 epochs: give resume=True"):
        LossRecorder(LABELS, VAL_LABELS, folder=tmp_path)
    with pytest.raises(UsageError, match="train_labels are not those that this recorder was given"):
        LossRecorder((LABELS + 1) % 3, VAL_LABELS, folder=tmp_path, resume=True)
    with pytest.raises(UsageError, match="ids are not those"):
        LossRecorder(LABELS, VAL_LABELS, np.arange(N) + 1, folder=tmp_path, resume=True)
    with pytest.raises(UsageError, match="was logged with mode='log', and this is mode='one_pass'"):
        LossRecorder(LABELS, VAL_LABELS, folder=tmp_path, resume=True, mode="one_pass")
    one_pass = LossRecorder(LABELS, VAL_LABELS, folder=tmp_path / "one", mode="one_pass")
    log(one_pass, 0, 3)
    with pytest.raises(UsageError, match="keeps its last epoch, 3, alone"):
        LossRecorder(LABELS, VAL_LABELS, folder=tmp_path / "one", mode="one_pass", resume=2)
    for epochs in (1, 4):
        for folder in (tmp_path / "none", None):
            with pytest.raises(UsageError, match=f"resume={epochs}: there is no log to go on with"):
                LossRecorder(LABELS, VAL_LABELS, folder=folder, resume=epochs)
    for start in (True, False, 0):
        assert LossRecorder(LABELS, VAL_LABELS, folder=tmp_path / "none", resume=start).epochs == 0


def log_named(recorder: LossRecorder, epochs: int) -> None:
    """Text labels and validation rows with ids: every array that a folder can hold beside the values."""
    for t in range(epochs):
        recorder.log(np.arange(N), LOSSES[t], labels=np.array(["cat", "dog", "eel"])[LABELS])
        recorder.log_val(VAL[t], labels=np.array(["cat", "dog", "eel"])[VAL_LABELS], ids=np.arange(Q))
        recorder.end_epoch()


@pytest.mark.parametrize("killed", [False, True])
@pytest.mark.parametrize("labels", [None, LABELS + 1])
def test_a_log_from_the_start_reads_nothing_of_an_earlier_one(tmp_path, monkeypatch, labels, killed):
    """Of one with two epochs, or of one whose first epoch was killed before it counted."""

    def kill(*arguments: object) -> None:
        raise KeyboardInterrupt

    if killed:
        with monkeypatch.context() as patched:
            patched.setattr(LogFolder, "_commit", kill)
            with pytest.raises(KeyboardInterrupt):
                log_named(LossRecorder(folder=tmp_path), 1)
    else:
        log_named(LossRecorder(folder=tmp_path), 2)
    assert (tmp_path / "class_names.npy").exists()
    recorder = LossRecorder(labels, size=N, folder=tmp_path, resume=0)
    for t in range(3):
        recorder.log(np.arange(N), LOSSES[t])
        recorder.end_epoch()
        recorder = LossRecorder(labels, folder=tmp_path, resume=True) if t == 1 else recorder
    for run in (recorder.run(), read_logs(tmp_path)):
        assert (run.epochs, run.log.class_names) == (3, ())
        assert run.log.has_classes == (labels is not None)
        np.testing.assert_array_equal(run.labels, np.zeros(N) if labels is None else labels)
        assert not run.val_trajectories


def test_a_log_without_a_list_of_its_constants_has_those_that_are_there(tmp_path):
    log_named(LossRecorder(folder=tmp_path), 2)
    head = json.loads((tmp_path / "log.json").read_text())
    assert head.pop("constants") == ["class_names", "ids", "train_labels", "val_ids", "val_labels"]
    (tmp_path / "log.json").write_text(json.dumps(head))
    assert read_logs(tmp_path).log.class_names == ("cat", "dog", "eel")
    (tmp_path / "ids.npy").rename(tmp_path / "away.npy")
    (tmp_path / "log.json").write_text(json.dumps({**head, "constants": ["ids"]}))
    with pytest.raises(UsageError, match=r"ids.npy: it cannot be read"):
        read_logs(tmp_path)


def test_a_damaged_folder_is_told(tmp_path):
    log(LossRecorder(LABELS, VAL_LABELS, folder=tmp_path), 0, 3)
    path = tmp_path / "train_losses.npy"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) - 4])
    with pytest.raises(UsageError, match=r"train_losses.npy: no .npy of plain values"):
        read_logs(tmp_path)
    path.unlink()
    with pytest.raises(UsageError, match=r"train_losses.npy: it cannot be read"):
        read_logs(tmp_path)
    np.save(path, LOSSES[:2])
    with pytest.raises(UsageError, match=r"train_losses.npy has shape \(2, \d+\) and log.json counts 3"):
        read_logs(tmp_path)
    (tmp_path / "log.json").write_text("{")
    with pytest.raises(UsageError, match=r"log.json: it cannot be read"):
        read_logs(tmp_path)
    (tmp_path / "log.json").write_text('{"format": 9, "epochs": 3}')
    with pytest.raises(UsageError, match="in another format than 2"):
        read_logs(tmp_path)


@pytest.mark.parametrize("mode", ["log", "one_pass"])
@pytest.mark.parametrize("fails", ["_append", "_commit", "write_constants"])
def test_a_disk_that_fails_leaves_the_epochs_before(tmp_path, monkeypatch, mode, fails):
    recorder = LossRecorder(folder=tmp_path, mode=mode)
    log(recorder, 0, 3)
    calls = []

    def full(*arguments: object) -> None:
        calls.append(arguments)
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(LogFolder, fails, full)
        recorder.log(np.arange(N), LOSSES[3], labels=LABELS)
        recorder.log_val(VAL[3], labels=VAL_LABELS)
        if fails == "_append" and mode == "one_pass":
            recorder.end_epoch()  # appends nothing
            assert not calls
            return
        with pytest.raises(OSError, match="No space"):
            recorder.end_epoch()
    assert read_logs(tmp_path).log.has_classes
    assert LogFolder(tmp_path).epochs == 3
    recorder.end_epoch()  # there is room again
    log(recorder, 4, T)
    whole = LossRecorder(folder=tmp_path / "whole", mode=mode)
    log(whole, 0, T)
    for name, expected in content(tmp_path / "whole").items():
        assert (tmp_path / name).read_bytes() == expected, name


def finish(folder: Path, mode: str, seconds: float) -> bool:
    """Go on with the log in a process that is killed after so many seconds; whether it came to its end."""
    ready, begin = os.pipe()
    child = os.fork()
    if not child:
        try:
            recorder = LossRecorder(folder=folder, mode=mode, resume=True)
            os.write(begin, b".")
            log(recorder, recorder.epochs, T)
        finally:
            os._exit(0)
    os.read(ready, 1)
    os.close(ready)
    os.close(begin)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.parametrize("mode", ["log", "one_pass"])
def test_killed_anywhere_and_resumed(tmp_path, mode):
    log(LossRecorder(folder=tmp_path / "whole", mode=mode), 0, T)
    rng = random.Random(0)
    kills = 0
    while not finish(tmp_path / "killed", mode, rng.random() * 0.002 * (1 + kills)):
        kills += 1
        if LogFolder.is_one(tmp_path / "killed"):
            read_logs(tmp_path / "killed")
    assert kills > 2
    for name, expected in content(tmp_path / "whole").items():
        assert (tmp_path / "killed" / name).read_bytes() == expected, name


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("counts", value) for value in (3, [[1, "x"]], [[1]], [[-1, 0]], ["ab"])),
        *(("signals", value) for value in (None, "loss", ["nonsense"], [3])),
        *(("arrays", value) for value in (["../../secret"], "loss", [None])),
        *(("constants", value) for value in (["train_losses"], "ids", [None])),
        *(("epochs", -1), ("mode", "x"), ("has_initial", 1), ("missing", None), ("repeated", [])),
    ],
)
def test_a_head_that_was_edited(tmp_path, name, value):
    recorder = LossRecorder([0, 1], folder=tmp_path / "log")
    recorder.log([0, 1], [0.5, 1.0])
    recorder.end_epoch()
    path = tmp_path / "log" / "log.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {name: value}))
    with pytest.raises(UsageError, match=f"log.json: {name} is "):
        read_logs(tmp_path / "log")
    with pytest.raises(UsageError, match=f"log.json: {name} is "):
        LossRecorder([0, 1], folder=tmp_path / "log", resume=True)


def test_an_array_that_is_one_number(tmp_path):
    recorder = LossRecorder([0, 1], folder=tmp_path / "log")
    recorder.log([0, 1], [0.5, 1.0])
    recorder.end_epoch()
    np.save(tmp_path / "log" / "train_losses.npy", np.array(3.0))
    with pytest.raises(UsageError, match=r"train_losses.npy has shape \(\) and log.json counts 1 epochs"):
        read_logs(tmp_path / "log")


@pytest.mark.parametrize("labels", [np.array(["x", "y"]), np.array([0.5, 1.0]), np.array([[0, 1]])])
def test_labels_that_are_no_whole_numbers(tmp_path, labels):
    recorder = LossRecorder([0, 1], folder=tmp_path / "log")
    recorder.log([0, 1], [0.5, 1.0])
    recorder.end_epoch()
    np.save(tmp_path / "log" / "train_labels.npy", labels)
    with pytest.raises(UsageError, match="train_labels are damaged: no whole numbers in a row"):
        read_logs(tmp_path / "log")
