"""The recorder for any training loop."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from deepcore.common.checks import UsageError
from deepcore.proxy.loss_recorder import LossRecorder, load_losses
from deepcore.proxy.signals import Signal
from methods.cld import CLD

IDS = np.array([40, 7, 19, 3, 25])
LABELS = np.array([0, 1, 0, 1, 0])
VAL_LABELS = np.array([0, 1, 1])
TRAIN = np.random.default_rng(0).exponential(1, (6, 5)).astype(np.float32)
VAL = np.random.default_rng(1).exponential(1, (6, 3)).astype(np.float32)


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


@pytest.mark.parametrize("tensors", [True, False])
def test_batches_in_any_order_come_out_aligned(tensors):
    run = record(tensors).run()
    np.testing.assert_array_equal(run.ids, IDS)
    np.testing.assert_array_equal(run.trajectory(Signal.LOSS, "online"), TRAIN)
    np.testing.assert_array_equal(run.val_trajectory(Signal.LOSS), VAL)
    assert not run.has_initial
    assert record(tensors, has_initial=True).run().epochs == 5
    assert CLD().score(run).shape == (5,)


def test_saved_and_loaded(tmp_path):
    recorder = record(False, has_initial=True)
    recorder.save(tmp_path / "log.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["log.npz"]
    loaded = load_losses(tmp_path / "log.npz")
    assert loaded.has_initial is True
    np.testing.assert_array_equal(CLD().score(loaded), CLD().score(recorder.run()))
    np.testing.assert_array_equal(loaded.ids, IDS)
    with pytest.raises(UsageError, match=r"must end in .npz"):
        recorder.save(tmp_path / "log")
    (tmp_path / "cut.npz").write_bytes((tmp_path / "log.npz").read_bytes()[:700])
    with pytest.raises(UsageError, match=r"cut.npz: no .npz of plain arrays, or a truncated one"):
        load_losses(tmp_path / "cut.npz")
    np.savez(tmp_path / "other.npz", format=1, ids=IDS)
    with pytest.raises(UsageError, match=r"not written by LossRecorder.save"):
        load_losses(tmp_path / "other.npz")
    with pytest.raises(UsageError, match=r"missing.npz: it cannot be read"):
        load_losses(tmp_path / "missing.npz")


def fresh(train: dict[int, float], val: int = 3) -> LossRecorder:
    recorder = LossRecorder(LABELS, VAL_LABELS, IDS)
    recorder.log(list(train), list(train.values()))
    recorder.log_val(np.ones(val))
    return recorder


ALL = {40: 1.0, 7: 1.0, 19: 1.0, 3: 1.0, 25: 1.0}


def test_what_an_epoch_refuses():
    with pytest.raises(UsageError, match=r"epoch 1: id 19 has no loss \(2 such samples\)"):
        fresh({40: 1.0, 7: 1.0, 3: 1.0}).end_epoch()
    twice = fresh(ALL)
    twice.log([7], [1.0])
    with pytest.raises(UsageError, match="epoch 1: id 7 has several losses"):
        twice.end_epoch()
    with pytest.raises(UsageError, match="id 8 is not among the recorder's ids"):
        fresh({**ALL, 8: 1.0}).end_epoch()
    with pytest.raises(UsageError, match="id 99 is not among the recorder's ids"):
        fresh({**ALL, 99: 1.0}).end_epoch()
    with pytest.raises(UsageError, match="2 validation losses were logged for 3 validation rows"):
        fresh(ALL, val=2).end_epoch()
    with pytest.raises(UsageError, match="epoch 1: the loss of id 3 is nan"):
        fresh({**ALL, 3: float("nan")}).end_epoch()
    with pytest.raises(UsageError, match="0 validation losses"):
        LossRecorder(LABELS, VAL_LABELS).end_epoch()


def test_what_a_batch_and_a_run_refuse():
    recorder = LossRecorder(LABELS, VAL_LABELS)
    with pytest.raises(UsageError, match=r'shape \(\): one loss per sample .* reduction="none"'):
        recorder.log(torch.arange(5), torch.tensor(1.5))
    with pytest.raises(UsageError, match=r"ids of shape \(4,\) for losses of shape \(5,\)"):
        recorder.log(torch.arange(4), torch.ones(5))
    with pytest.raises(UsageError, match="epoch 1 is not closed"):
        recorder.run()
    recorder.log(torch.arange(5), torch.ones(5))
    with pytest.raises(UsageError, match="epoch 1 is not closed"):
        recorder.run()
    with pytest.raises(UsageError, match="4 ids for 5 labels"):
        LossRecorder(LABELS, VAL_LABELS, [0, 1, 2, 3])
    with pytest.raises(UsageError, match="id 1 occurs 2 times"):
        LossRecorder(LABELS, VAL_LABELS, [0, 1, 1, 3, 4])
