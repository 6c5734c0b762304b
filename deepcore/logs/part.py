"""One part of the data, train or validation: its ids and labels, and an epoch of it put into their order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from deepcore.common.checks import UsageError
from deepcore.logs.batches import Batches
from deepcore.logs.ids import Columns, as_ids
from deepcore.logs.ranks import gathered, of_each_rank, world
from deepcore.proxy.logs import FURTHER
from deepcore.proxy.own_log import SPARE
from deepcore.proxy.signals import Signal

_SIGNALS = (Signal.LOSS, *FURTHER)
REPEATED = ("error", "last")


@dataclass(frozen=True)
class Row:
    """One epoch of a part, in the order of its columns.

    Attributes:
        values: of each signal, (N,) float32; NaN where a sample is missing.
        columns: the ids.
        labels: (N,) int64 by `Classes`, None where none are known; -1 for a sample without one yet.
        missing: samples without a value.
        repeated: samples with several.
    """

    values: dict[Signal, np.ndarray]
    columns: Columns
    labels: np.ndarray | None
    missing: int
    repeated: int


class Classes:
    """The classes that labels name: numbers as they are, text by the order in which it came."""

    def __init__(self, names: tuple[str, ...] = ()) -> None:
        self.names = {name: number for number, name in enumerate(names)}

    def numbers(self, labels: np.ndarray, where: str, *, learn: bool) -> np.ndarray:
        """Labels as (n,) int64; with `learn`, a name that is new becomes a class."""
        if labels.dtype.kind in "iu" and not self.names:
            return labels.astype(np.int64)
        if labels.dtype.kind != "U" or (not self.names and not learn):
            raise UsageError(
                f"{where}: labels are {labels.dtype} values: classes are whole numbers, or text throughout"
            )
        texts, places = np.unique(labels, return_inverse=True)
        for text in map(str, texts):
            if text not in self.names and not learn:
                raise UsageError(f"{where}: {_shown(text)} is none of the classes {', '.join(self.names)}")
            self.names.setdefault(text, len(self.names))
        return np.array([self.names[str(text)] for text in texts])[places]


class Part:
    """The ids and labels of a part, given or learned from its first epoch.

    Args:
        name: "sample" or "validation row", for messages.
        columns: the ids; None to learn them.
        labels: (N,) int64; None to learn them, if the loop logs any.
        classes: of both parts.
        missing: "error" or "nan", what becomes of a sample that an epoch does not log.
        repeated: "error" or "last", what becomes of one that it logs several times.
    """

    def __init__(
        self,
        name: str,
        columns: Columns | None,
        labels: np.ndarray | None,
        classes: Classes,
        *,
        missing: str,
        repeated: str,
    ) -> None:
        self.name, self.columns, self.labels, self.classes = name, columns, labels, classes
        self.missing, self.repeated = missing, repeated
        self.signals: set[Signal] | None = None

    def labels_on(self, ids: Any) -> torch.Tensor:
        """The labels of ids, for logits that came without; on the device of the ids."""
        if self.labels is None or self.columns is None:
            raise UsageError("log: logits need labels: give labels=... here, or make the recorder with them")
        if self.classes.names:
            raise UsageError(
                "log: logits do not say which of the text labels each column means: give numbers as labels"
            )
        labels = torch.from_numpy(self.labels)
        if isinstance(ids, torch.Tensor):
            return labels.to(ids.device)[self.columns.positions_on(ids)]
        return labels[torch.from_numpy(np.maximum(self.columns.positions(as_ids(ids, "log")), 0))]

    def close(self, batches: Batches, epoch: int, *, needs_ids: bool) -> Row | None:
        """The epoch that was logged, checked; None when nothing was logged by anybody.

        Raises:
            UsageError: see `LossRecorder.end_epoch`; nothing has changed then.
        """
        ids, labels, values = batches.collected()
        where = f"epoch {epoch}"
        if ids is None and values and needs_ids:
            raise UsageError(f"{where}: log was called without ids: each loss needs the id of its sample")
        if labels is not None:
            learn = self.labels is None and world() == 1
            labels = self.classes.numbers(labels, where, learn=learn)
        ids, labels, values = self._of_all_ranks(ids, labels, values, where)
        if not values:
            return None
        count = len(values[Signal.LOSS])
        ids = np.arange(count) if ids is None else ids
        columns = self.columns or Columns(np.unique(ids), where)
        positions = columns.positions(ids)
        if (positions < 0).any():
            strange = ids[positions < 0][0]
            raise UsageError(
                f"{where}: id {_shown(strange)} is not among the recorder's ids ({(positions < 0).sum()} "
                "such "
                "values): an id that the first epoch did not have must be given to the recorder as ids=..."
            )
        if self.signals not in (None, set(values)):
            raise UsageError(f"{where}: other signals were logged than in the epochs before")
        missing, repeated = self._check_counts(positions, columns, where)
        known = self._check_labels(labels, positions, columns, where)
        rows = {}
        for signal, of_signal in values.items():
            self._check_finite(of_signal, ids, signal, known, positions, batches.classes, where)
            rows[signal] = np.full(len(columns), np.nan, np.float32)
            rows[signal][positions] = of_signal
        return Row(rows, columns, known, missing, repeated)

    def _of_all_ranks(
        self,
        ids: np.ndarray | None,
        labels: np.ndarray | None,
        values: dict[Signal, np.ndarray],
        where: str,
    ) -> tuple[np.ndarray | None, np.ndarray | None, dict[Signal, np.ndarray]]:
        """What every rank logged, together. Text ids travel as columns."""
        if ids is not None:
            ids = as_ids(ids, where)
        if world() == 1:
            return ids, labels, values
        text = ids is not None and ids.dtype.kind == "U"
        if text:
            if self.columns is None:
                raise UsageError("text ids under torchrun: give all ids to the recorder as ids=...")
            ids = self.columns.positions(ids)
        parts = {s.value: values[s] for s in values}
        parts |= {name: a for name, a in (("id", ids), ("label", labels)) if a is not None}
        names = ["id", "label", *(signal.value for signal in _SIGNALS)]
        masks = of_each_rank(sum(1 << names.index(name) for name in parts))
        logging = [mask for mask in masks if mask]
        if not logging:
            return None, None, {}
        if len(set(logging)) > 1 or (len(logging) > 1 and not logging[0] & 1):
            raise UsageError(
                f"{where}: the ranks logged different things, or rows without ids: under torchrun each rank "
                "logs its own rows with their ids, the same signals on all (validation rows too: "
                "log_val(losses, ids=...), or log_val on one rank alone)"
            )
        present = [name for i, name in enumerate(names) if logging[0] >> i & 1]
        empty = {"id": np.zeros(0, np.int64), "label": np.zeros(0, np.int64)}
        whole = gathered({n: parts.get(n, empty.get(n, np.zeros(0, np.float32))) for n in present})
        all_ids = whole.pop("id", None)
        if all_ids is not None and self.columns is not None and self.columns.is_text:
            known = np.append(self.columns.ids, "(unknown)")
            all_ids = known[all_ids]
        return all_ids, whole.pop("label", None), {Signal(name): a for name, a in whole.items()}

    def _check_counts(self, positions: np.ndarray, columns: Columns, where: str) -> tuple[int, int]:
        times = np.bincount(positions, minlength=len(columns))
        for wrong, what, allowed, remedy in (
            (times == 0, "no value", self.missing == "nan", 'missing="nan" allows it'),
            (times > 1, "several values", self.repeated == "last", 'repeated="last" keeps the last'),
        ):
            if wrong.any() and not allowed:
                raise UsageError(
                    f"{where}: {self.name} {_shown(columns.ids[wrong][0])} has {what} ({wrong.sum()} of "
                    f"{len(columns)}): log each once an epoch (drop_last=False, no drawing with replacement, "
                    f"no sampler that repeats rows), then call end_epoch; {remedy}"
                )
        return int((times == 0).sum()), int((times > 1).sum())

    def _check_labels(
        self, labels: np.ndarray | None, positions: np.ndarray, columns: Columns, where: str
    ) -> np.ndarray | None:
        """The labels known after this epoch; UsageError where one is not what it was."""
        if labels is None:
            return self.labels
        if labels.min(initial=0) < 0:
            raise UsageError(f"{where}: a label is {labels.min()}: classes are numbered from 0")
        if labels.max(initial=0) > len(columns) + SPARE:
            first = positions[labels.argmax()]
            raise UsageError(
                f"{where}: the label of {self.name} {_shown(columns.ids[first])} is {labels.max()}, and "
                f"there are {len(columns)} of them: classes count from 0 (without classes log no labels)"
            )
        if self.labels is None and self.signals is not None:
            raise UsageError(f"{where}: labels were logged, and not in the epochs before: log them in each")
        known = np.full(len(columns), -1) if self.labels is None else self.labels.copy()
        new = known[positions] < 0
        known[positions[new][::-1]] = labels[new][::-1]  # of several rows of a sample, the first one's
        wrong = np.flatnonzero(known[positions] != labels)
        if wrong.size:
            first = positions[wrong[0]]
            raise UsageError(
                f"{where}: {self.name} {_shown(columns.ids[first])} came with label "
                f"{self._class(labels[wrong[0]])} and has label {self._class(known[first])} ({wrong.size} of "
                f"{labels.size} differ): a label does not change between epochs; if many differ, the ids are "
                "shifted, or the data were shuffled without them"
            )
        return known

    def _class(self, number: int) -> str:
        """A label as it was logged."""
        return _shown([*self.classes.names][number]) if self.classes.names else str(number)

    def _check_finite(
        self,
        values: np.ndarray,
        ids: np.ndarray,
        signal: Signal,
        labels: np.ndarray | None,
        positions: np.ndarray,
        classes: int,
        where: str,
    ) -> None:
        bad = np.flatnonzero(~np.isfinite(values))
        if not bad.size or (signal is Signal.KL_STEP and self.signals is None):  # no row before the first
            return
        first = bad[0]
        if classes and labels is not None and labels[positions[first]] not in range(classes):
            raise UsageError(
                f"{where}: the label of {self.name} {_shown(ids[first])} is {labels[positions[first]]} "
                f"and the logits have {classes} classes: labels are 0..{classes - 1}"
            )
        raise UsageError(
            f"{where}: the {signal.value} of {self.name} {_shown(ids[first])} is {values[first]} ({bad.size} "
            "such): training has diverged, or a row of the data is not finite"
        )


def _shown(value: Any) -> str:
    """An id or label in a message: text in quotes, shortened."""
    text = str(value)
    text = text if len(text) <= 60 else f"{text[:57]}..."
    return repr(text) if isinstance(value, str) else text
