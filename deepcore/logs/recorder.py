"""Log per-sample losses from any training loop, and get a ProxyRun to score."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from deepcore.common.checks import UsageError, check_choice, check_positive
from deepcore.common.files import write_npz
from deepcore.logs.batches import Batches
from deepcore.logs.ids import Columns
from deepcore.logs.keeper import Keeper, LogKeeper
from deepcore.logs.one_pass import OnePassKeeper
from deepcore.logs.part import REPEATED, Classes, Part, Row
from deepcore.logs.ranks import rank, world
from deepcore.proxy.logs import to_numpy
from deepcore.proxy.own_log import MISSING, numbered_labels
from deepcore.proxy.run import ProxyRun

MODES = ("log", "one_pass")


class LossRecorder:
    """One loss per sample and epoch, from a loop of your own.

        recorder = LossRecorder(labels, val_labels)
        for epoch in range(epochs):
            for x, y, ids in loader:                     # a data set that also returns the row number
                losses = F.cross_entropy(net(x), y, reduction="none")
                losses.mean().backward()
                ...
                recorder.log(ids, losses)                # or log(ids, logits=..., labels=y)
            for x, y in val_loader:                      # in the same order every epoch: not shuffled
                recorder.log_val(F.cross_entropy(net(x), y, reduction="none"))
            recorder.end_epoch()
        scores = CLD(record="online").score(recorder.run())

    Losses stay on their device until `end_epoch`, so that logging never waits for it. Losses taken from the
    training batches are the "online" recording; CLD's own is "post_epoch", an eval pass over all samples
    after each epoch, logged in the same way. Memory: 4 * epochs * (N + Q) bytes a signal, in a folder that of
    one epoch.

    Under torchrun every process makes the recorder with the same arguments and logs the rows of its own
    batches; `end_epoch`, which all of them call, brings them together. Rank 0 keeps the log.

    Args:
        labels: (N,) of the train samples, in 0..C-1 or text; None to take those that are logged, or where
            there are no classes (regression, language models).
        val_labels: (Q,) of the validation rows, as `labels`.
        ids: (N,) the ids that `log` is called with, aligned with labels, numbers or text; 0..N-1 by default,
            and without labels those of the first epoch.
        has_initial: the first epoch logged is an eval pass of the untrained network.
        size: N, where neither labels nor ids are given and ids are 0..N-1.
        folder: where each epoch is written, whole or not at all; None keeps the log in memory.
        resume: go on with the log in `folder`, after all of its epochs, or after so many of them (those of
            the checkpoint that the training goes on from). False refuses a folder with a log in it.
        mode: "log" keeps every loss; "one_pass" keeps O(N) numbers (350 to 570 * N bytes) and no log: the
            finished scores of CLD in both recordings, AUM, EL2N, Forgetting, DynUnc and DUAL with their
            default fields (those of CLD, DynUnc and DUAL where losses alone are logged).
        missing: "error", or "nan": a sample that an epoch does not log has no value there, is counted, and is
            scored at the checkpoints it has (drop_last, sampling with replacement).
        repeated: "error", or "last": a sample logged several times in an epoch keeps the last, and is
            counted.

    Raises:
        UsageError: labels or ids out of range, repeated or not aligned; a folder that holds another log.
    """

    def __init__(
        self,
        labels: Any = None,
        val_labels: Any = None,
        ids: Any = None,
        *,
        has_initial: bool = False,
        size: int | None = None,
        folder: str | os.PathLike[str] | None = None,
        resume: bool | int = False,
        mode: str = "log",
        missing: str = "error",
        repeated: str = "error",
    ) -> None:
        check_choice("mode", mode, MODES)
        check_choice("missing", missing, MISSING)
        check_choice("repeated", repeated, REPEATED)
        self.has_initial, self.mode, self.missing, self.repeated = has_initial, mode, missing, repeated
        train, val, classes = _given_labels(labels, val_labels)
        columns = _given_columns(ids, size, train)
        rules = {"missing": missing, "repeated": repeated}
        self._part = Part("sample", columns, train, classes, **rules)
        val_columns = None if val is None else Columns(np.arange(len(val)))
        self._val = Part("validation row", val_columns, val, classes, missing="error", repeated=repeated)
        path = Path(folder) if folder is not None and rank() == 0 else None
        kind = OnePassKeeper if mode == "one_pass" else LogKeeper
        facts = {"mode": mode, "has_initial": has_initial, **rules}
        self._keeper: Keeper = kind(path, facts)
        self.epochs = self._keeper.open(self._part, self._val, resume)
        self._begin()

    @property
    def epoch(self) -> int:
        """The epoch being logged: from 1, or from 0 with `has_initial`."""
        return self.epochs + (0 if self.has_initial else 1)

    @property
    def ids(self) -> np.ndarray | None:
        """(N,) the ids in the order of the log; None before they are known."""
        return None if self._part.columns is None else self._part.columns.ids

    @property
    def is_open(self) -> bool:
        """Whether something was logged since the last `end_epoch`."""
        return bool(self._batches)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was missing or repeated so far, a sentence each."""
        return self._keeper.notes()

    def log(
        self,
        ids: Any,
        losses: Any = None,
        *,
        logits: Any = None,
        labels: Any = None,
        signals: Mapping[str, Any] | None = None,
    ) -> None:
        """One batch.

        Args:
            ids: (batch,) of the samples.
            losses: (batch,) one each, torch or numpy (`reduction="none"`).
            logits: (batch, C) instead: losses, margins, error norms and the strongest other class are
                computed from them, for AUM, EL2N, Forgetting and the audit.
            labels: (batch,); with `logits`, where the recorder has none; else to check that they are those of
                the ids.
            signals: further numbers of each sample, {"margin": (batch,), ...}, beside `losses`.

        Raises:
            UsageError: shapes that do not fit.
        """
        self._batches.add(ids, losses, logits, labels, signals)

    def log_val(self, losses: Any = None, *, logits: Any = None, labels: Any = None, ids: Any = None) -> None:
        """The next validation rows, as `log`. Without `ids` they come in the same order in every epoch, that
        of `val_labels`; with `ids`, (batch,) numbers of the rows from 0 or other ids, in any."""
        if logits is not None and labels is None and ids is None and self._val.labels is not None:
            labels = self._val.labels[self._val_seen : self._val_seen + len(logits)]
        self._val_seen += self._val_batches.add(ids, losses, logits, labels, None)

    def end_epoch(self) -> None:
        """Close the epoch; in a folder, write it.

        Raises:
            UsageError: a sample without a value or with two, an id not seen before, a label that is not what
                it was, a loss that is not finite, or another number of validation rows than before; the first
                example is named, and the epoch stays open.
        """
        row = self._part.close(self._batches, self.epoch, needs_ids=True)
        if row is None or not len(row.columns):
            raise UsageError(f"epoch {self.epoch}: no losses were logged: call log for each batch")
        val = self._closed_val()
        self._keeper.keep(row, val, self._part.classes)
        for part, closed in ((self._part, row), (self._val, val)):
            part.signals = set(closed.values) if closed else set()
            if closed:
                part.columns, part.labels = closed.columns, closed.labels
        self.epochs += 1
        self._begin()

    def _closed_val(self) -> Row | None:
        seen = len(self._val.columns) if self._val.columns is not None else None
        if world() == 1 and self._val_batches and all(ids is None for ids in self._val_batches.ids):
            logged = self._val_seen
            if seen is not None and logged != seen:
                raise UsageError(
                    f"epoch {self.epoch}: {logged} validation losses were logged for {seen} validation rows: "
                    "log each once between two calls of end_epoch"
                )
        row = self._val.close(self._val_batches, self.epoch, needs_ids=False)
        if row is None and seen:
            raise UsageError(
                f"epoch {self.epoch}: 0 validation losses were logged for {seen} validation rows: log each "
                "once between two calls of end_epoch"
            )
        if row is not None and seen is None and self.epochs:
            raise UsageError(
                f"epoch {self.epoch}: validation losses were logged, and none in the epochs before: log them "
                "in each"
            )
        return row

    def _begin(self) -> None:
        """A new epoch."""
        known = self._part.columns is not None and self._part.labels is not None
        self._batches = Batches("log", self._part.labels_on if known else None)
        self._val_batches = Batches("log_val", self._val.labels_on if self._val.labels is not None else None)
        self._val_seen = 0

    def run(self) -> ProxyRun:
        """What was logged, for every method that the logged signals serve; with mode="one_pass", what the
        finished scores serve.

        Samples that were missing or repeated are counted in a warning.

        Raises:
            UsageError: no epoch was ended, or batches were logged after the last `end_epoch`; or this is not
                rank 0 of a torchrun, which keeps the log.
        """
        self._check_closed()
        for note in self.notes:
            warnings.warn(note, stacklevel=2)
        return self._keeper.run(self._part, self._val)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write what was logged to an .npz file, whole or not at all; `read_logs` reads it."""
        path = Path(path)
        if path.suffix != ".npz":
            raise UsageError(f"{path}: the file's name must end in .npz")
        self._check_closed()
        write_npz(path, **self._keeper.arrays(self._part, self._val))

    def _check_closed(self) -> None:
        if rank():
            raise UsageError(f"this is rank {rank()}: rank 0 keeps the log, ask it alone")
        if self._batches or self._val_batches or not self.epochs:
            raise UsageError(
                f"epoch {self.epoch} is not closed: call end_epoch after each epoch, and before run or save"
            )


def _given_labels(labels: Any, val_labels: Any) -> tuple[np.ndarray | None, np.ndarray | None, Classes]:
    """Labels of both parts as numbers, where they are given, and the classes."""
    if labels is None:
        if val_labels is not None:
            raise UsageError("val_labels came without labels: give the labels of both parts, or none")
        return None, None, Classes()
    train, val, names = numbered_labels(
        to_numpy(labels), None if val_labels is None else to_numpy(val_labels)
    )
    return train, val, Classes(names)


def _given_columns(ids: Any, size: int | None, labels: np.ndarray | None) -> Columns | None:
    """The ids, where they are known beforehand."""
    if size is not None:
        check_positive("size", size, whole=True)
        if ids is not None or (labels is not None and len(labels) != size):
            raise UsageError("size is for ids 0..size-1 without labels: leave it out, or the ids or labels")
    if ids is None:
        count = size if labels is None else len(labels)
        return None if count is None else Columns(np.arange(count))
    columns = Columns(ids)
    if labels is not None and len(columns) != len(labels):
        raise UsageError(f"{len(columns)} ids for {len(labels)} labels: they must be aligned")
    return columns
