"""Two processes under torch.distributed log their rows; rank 0 keeps the log of both."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import distributed, multiprocessing

from deepcore.common.checks import UsageError
from deepcore.logs import LossRecorder, read_logs
from deepcore.proxy.run import ProxyRun
from deepcore.proxy.signals import Signal

N, Q, T, C = 21, 6, 5, 3
LABELS, VAL_LABELS = np.arange(N) % C, np.arange(Q) % C
LOGITS = np.random.default_rng(0).normal(0, 1, (T, N, C)).astype(np.float32)
VAL = np.random.default_rng(1).normal(0, 1, (T, Q, C)).astype(np.float32)
NAMES = np.array([f"row{i:03}" for i in range(N)])


def epoch(recorder: LossRecorder, t: int, rank: int, ids: np.ndarray, *, val_by: str = "ids") -> None:
    """The rows of this rank in two batches, then its validation rows."""
    mine = np.random.default_rng(t).permutation(N)[rank::2]
    for part in (mine[:4], mine[4:]):
        recorder.log(ids[part], logits=torch.from_numpy(LOGITS[t, part]), labels=LABELS[part])
    if val_by == "ids":
        rows = np.arange(Q)[rank::2]
        recorder.log_val(logits=VAL[t, rows], labels=VAL_LABELS[rows], ids=rows)
    elif val_by == "rank 0" and not rank:
        recorder.log_val(logits=VAL[t], labels=VAL_LABELS)
    elif val_by == "order":
        recorder.log_val(logits=VAL[t, rank::2], labels=VAL_LABELS[rank::2])
    recorder.end_epoch()


def work(rank: int, port: int, folder: str) -> None:
    """What each process does; an exception here fails the test."""
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    distributed.init_process_group("gloo", rank=rank, world_size=2)
    number, text = np.arange(N), NAMES
    for name, make, ids, val_by in (
        ("given", lambda path: LossRecorder(LABELS, VAL_LABELS, folder=path), number, "ids"),
        ("learned", lambda path: LossRecorder(folder=path), number, "rank 0"),
        ("text", lambda path: LossRecorder(LABELS, VAL_LABELS, NAMES, folder=path), text, "ids"),
        ("one_pass", lambda path: LossRecorder(folder=path, mode="one_pass"), number, "ids"),
    ):
        recorder = make(Path(folder) / name)
        for t in range(T):
            epoch(recorder, t, rank, ids, val_by=val_by)
        if rank:
            with pytest.raises(UsageError, match="rank 0 keeps the log"):
                recorder.run()
    resumed = LossRecorder(LABELS, VAL_LABELS, folder=Path(folder) / "given", resume=1)
    for t in range(1, T):
        epoch(resumed, t, rank, number)
    # what one rank logs wrongly stops them all
    broken = LossRecorder(LABELS, VAL_LABELS)
    broken.log(np.arange(N)[rank::2] + rank, np.ones(len(np.arange(N)[rank::2])))
    with pytest.raises(UsageError, match=r"epoch 1: id 21|sample 1 has no value|sample 2 has several"):
        broken.end_epoch()
    with pytest.raises(UsageError, match="rows without ids"):
        epoch(LossRecorder(LABELS, VAL_LABELS), 0, rank, number, val_by="order")
    with pytest.raises(UsageError, match="text ids under torchrun"):
        epoch(LossRecorder(), 0, rank, text)
    distributed.destroy_process_group()


def test_two_ranks_make_one_log(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    multiprocessing.spawn(work, (port, str(tmp_path)), nprocs=2)
    expected = ProxyRun.from_logits(LOGITS, LABELS, VAL, VAL_LABELS)
    for name in ("given", "learned", "text"):
        run = read_logs(tmp_path / name)
        for signal in (Signal.LOSS, Signal.MARGIN, Signal.OTHER):
            np.testing.assert_allclose(
                run.trajectory(signal, "online"), expected.trajectory(signal, "online"), rtol=1e-6
            )
        np.testing.assert_allclose(run.val_class_means(), expected.val_class_means(), rtol=1e-6)
        np.testing.assert_array_equal(run.labels, LABELS)
    assert run.log.name_of(run.ids).tolist() == NAMES.tolist()
    from methods.cld import CLD

    one_pass = read_logs(tmp_path / "one_pass")
    np.testing.assert_allclose(CLD().checked_scores(one_pass), CLD().score(expected), atol=1e-6)
