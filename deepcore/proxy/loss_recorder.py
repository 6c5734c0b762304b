"""Log per-sample losses from any training loop, and get a ProxyRun to score."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch

from deepcore.common.checks import UsageError, check_ids, check_labels, read_npz
from deepcore.common.files import write_npz
from deepcore.proxy.logs import to_numpy
from deepcore.proxy.run import ProxyRun

FORMAT = 1
ARRAYS = {"train_losses", "train_labels", "val_losses", "val_labels", "ids", "has_initial"}


class LossRecorder:
    """Records one loss per sample and epoch from your own training loop.

        recorder = LossRecorder(labels, val_labels)
        for epoch in range(epochs):
            for x, y, ids in loader:                     # a data set that also returns the row number
                losses = F.cross_entropy(net(x), y, reduction="none")
                losses.mean().backward()
                ...
                recorder.log(ids, losses)
            for x, y in val_loader:                      # in the order of val_labels: not shuffled
                recorder.log_val(F.cross_entropy(net(x), y, reduction="none"))
            recorder.end_epoch()
        scores = CLD(record="online").score(recorder.run())

    Losses stay on their device until `end_epoch`, so that logging never waits for it. Losses taken from the
    training batches are the "online" recording; CLD's own is "post_epoch", an eval pass over all samples
    after each epoch, logged in the same way. Memory: 4 * epochs * (N + Q) bytes.

    Args:
        labels: (N,) of the train samples, in 0..C-1.
        val_labels: (Q,) of the validation rows.
        ids: (N,) the ids that `log` is called with, aligned with labels; 0..N-1 by default.
        has_initial: the first epoch logged is an eval pass of the untrained network.
    """

    def __init__(self, labels: Any, val_labels: Any, ids: Any = None, *, has_initial: bool = False) -> None:
        self.labels = check_labels(to_numpy(labels), None, "labels")
        self.val_labels = check_labels(to_numpy(val_labels), None, "val_labels")
        self.ids = np.arange(len(self.labels)) if ids is None else check_ids(to_numpy(ids), "ids")
        if self.ids.shape != self.labels.shape:
            raise UsageError(f"{len(self.ids)} ids for {len(self.labels)} labels: they must be aligned")
        self.has_initial = has_initial
        self._sorter = np.argsort(self.ids)
        self._train: list[np.ndarray] = []
        self._val: list[np.ndarray] = []
        self._batches: list[tuple[Any, Any]] = []
        self._val_batches: list[Any] = []

    @property
    def epoch(self) -> int:
        """The epoch being logged: from 1, or from 0 with `has_initial`."""
        return len(self._train) + (0 if self.has_initial else 1)

    def log(self, ids: Any, losses: Any) -> None:
        """The losses of one batch.

        Args:
            ids: (batch,) of the samples.
            losses: (batch,) one each, torch or numpy (`reduction="none"`).

        Raises:
            UsageError: shapes that do not fit.
        """
        losses = _per_sample(losses)
        ids = _copy(ids)
        if ids.shape != losses.shape:
            raise UsageError(
                f"log: ids of shape {tuple(ids.shape)} for losses of shape {tuple(losses.shape)}"
            )
        self._batches.append((ids, losses))

    def log_val(self, losses: Any) -> None:
        """The losses of the next validation rows, (batch,), in the order of `val_labels`."""
        self._val_batches.append(_per_sample(losses))

    def end_epoch(self) -> None:
        """Close the epoch.

        Raises:
            UsageError: a sample without a loss or with two, an id that is not among `ids`, a loss that is not
                finite, or another number of validation losses than Q; each is named.
        """
        val = np.concatenate([to_numpy(losses) for losses in self._val_batches] or [np.zeros(0)])
        if len(val) != len(self.val_labels):
            raise UsageError(
                f"epoch {self.epoch}: {len(val)} validation losses were logged for {len(self.val_labels)} "
                "validation rows: log each once between two calls of end_epoch"
            )
        train = self._gather()
        _check_finite(train, self.ids, f"epoch {self.epoch}: the loss of id")
        _check_finite(val, np.arange(len(val)), f"epoch {self.epoch}: the loss of validation row")
        self._train.append(train)
        self._val.append(val.astype(np.float32))
        self._batches, self._val_batches = [], []

    def _gather(self) -> np.ndarray:
        """The epoch's batches as (N,) float32, aligned with `ids`."""
        ids = np.concatenate([to_numpy(ids) for ids, _ in self._batches] or [np.zeros(0, np.int64)])
        losses = np.concatenate([to_numpy(losses) for _, losses in self._batches] or [np.zeros(0)])
        found = np.searchsorted(self.ids, ids, sorter=self._sorter)
        positions = self._sorter[np.minimum(found, len(self.ids) - 1)]
        strange = np.flatnonzero(self.ids[positions] != ids)
        if strange.size:
            raise UsageError(f"epoch {self.epoch}: id {ids[strange[0]]} is not among the recorder's ids")
        times = np.bincount(positions, minlength=len(self.ids))
        for wrong, what in ((times == 0, "no loss"), (times > 1, "several losses")):
            if wrong.any():
                raise UsageError(
                    f"epoch {self.epoch}: id {self.ids[wrong][0]} has {what} ({wrong.sum()} such samples): "
                    "log each sample once (drop_last=False, no drawing with replacement), then call end_epoch"
                )
        out = np.empty(len(self.ids), np.float32)
        out[positions] = losses
        return out

    def run(self) -> ProxyRun:
        """What was logged, for any method that needs losses only.

        Raises:
            UsageError: no epoch was ended, or batches were logged after the last `end_epoch`.
        """
        return _run(self._arrays())

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write what `run` would give to an .npz file, whole or not at all; `load_losses` reads it."""
        path = Path(path)
        if path.suffix != ".npz":
            raise UsageError(f"{path}: the file's name must end in .npz")
        write_npz(path, format=np.array(FORMAT), **self._arrays())

    def _arrays(self) -> dict[str, np.ndarray]:
        if self._batches or self._val_batches or not self._train:
            raise UsageError(
                f"epoch {self.epoch} is not closed: call end_epoch after each epoch, and before run or save"
            )
        return {
            "train_losses": np.stack(self._train),
            "train_labels": self.labels,
            "val_losses": np.stack(self._val),
            "val_labels": self.val_labels,
            "ids": self.ids,
            "has_initial": np.array(self.has_initial),
        }


def load_losses(path: str | os.PathLike[str]) -> ProxyRun:
    """The run that `LossRecorder.save` wrote; UsageError when the file is missing, damaged or another's."""
    arrays = read_npz(path, str(path))
    if arrays.pop("format", None) != FORMAT or set(arrays) != ARRAYS:
        raise UsageError(f"{path}: not written by LossRecorder.save, or in another format than {FORMAT}")
    return _run(arrays)


def _run(arrays: dict[str, np.ndarray]) -> ProxyRun:
    return ProxyRun.from_losses(**{**arrays, "has_initial": bool(arrays["has_initial"])})


def _copy(values: Any) -> Any:
    """A copy on its own device: loops reuse their buffers."""
    return values.detach().clone() if isinstance(values, torch.Tensor) else np.array(values)


def _per_sample(losses: Any) -> Any:
    losses = _copy(losses)
    if losses.ndim != 1:
        raise UsageError(
            f"losses have shape {tuple(losses.shape)}: one loss per sample is needed, (batch,); most loss "
            'functions give it with reduction="none"'
        )
    return losses


def _check_finite(losses: np.ndarray, names: np.ndarray, what: str) -> None:
    bad = np.flatnonzero(~np.isfinite(losses))
    if bad.size:
        raise UsageError(f"{what} {names[bad[0]]} is {losses[bad[0]]} ({bad.size} such)")
