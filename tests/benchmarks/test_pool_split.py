"""Targets of hand-made validation sets: a stopped one is gone on with by the same training alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.claims import Setting
from benchmarks.pool_split import PoolSize, accuracy_of
from deepcore.common.progress import Progress
from deepcore.experiment import target

SIZE = PoolSize("Digits", ("MLP",), (0.1,), seeds=1, epochs=4)


@pytest.fixture
def setting(tmp_path, monkeypatch):
    monkeypatch.setattr(target, "CHECKPOINT_SECONDS", 0)
    return Setting(SIZE, "data", tmp_path, torch.device("cpu"), Progress(quiet=True))


def test_another_training_does_not_go_on_from_a_stopped_one(setting, monkeypatch, tmp_path):
    rows = np.arange(100), np.arange(100, 300)
    whole = accuracy_of(setting, setting.data, rows[1], seed=0)
    stop_after(monkeypatch, 3)
    with pytest.raises(KeyboardInterrupt):
        accuracy_of(setting, setting.data, rows[0], seed=0)
    monkeypatch.undo()
    assert list(tmp_path.glob("target-*.pt"))
    assert accuracy_of(setting, setting.data, rows[1], seed=0) == whole


def stop_after(monkeypatch, epochs):
    """Ctrl-C once so many epochs are saved."""
    from deepcore.training import checkpoint

    save, done = checkpoint.Checkpoint.save, []

    def saves(self, *given):
        save(self, *given)
        done.append(1)
        if len(done) == epochs:
            raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint.Checkpoint, "save", saves)
