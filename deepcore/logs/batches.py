"""What a loop logs between two ends of an epoch: batches, kept on their device until then."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from deepcore.common.checks import UsageError, check_choice
from deepcore.proxy.logs import FURTHER, to_numpy
from deepcore.proxy.own_log import is_text
from deepcore.proxy.signals import Signal, signals_from_logits

OF_LOGITS = (Signal.LOSS, Signal.MARGIN, Signal.MARGIN_P, Signal.EL2N, Signal.OTHER)
ONE_LOSS = 'one loss per sample is needed, (batch,); most loss functions give it with reduction="none"'
ONE_ROW = "logits are (batch, classes)"
BUFFER = 1 << 22  # logits held before the signals are computed from them (16 MB)


class Batches:
    """The batches of one epoch and one part of the data.

    Nothing here waits for a device: ids, losses and labels stay where they are, and logits are turned into
    signals there, many batches at a time.

    Args:
        what: "log" or "log_val", for messages.
        labels_of: the labels of ids on the device of the ids, where the loop gives none with its logits;
            None where they are not known.
    """

    def __init__(self, what: str, labels_of: Callable[[Any], torch.Tensor] | None) -> None:
        self.what, self.labels_of = what, labels_of
        self.ids: list[Any] = []
        self.labels: list[Any] = []
        self.values: dict[Signal, list[Any]] = {}
        self._logits: list[tuple[torch.Tensor, torch.Tensor]] = []
        self._held = 0
        self.classes = 0  # of the logits; 0 where there were none

    def __bool__(self) -> bool:
        return bool(self.values or self._logits)

    def add(
        self,
        ids: Any,
        losses: Any,
        logits: Any,
        labels: Any,
        signals: Mapping[str, Any] | None,
    ) -> int:
        """One batch, and how many rows it has; UsageError for shapes that do not fit, or other signals than
        in the batches before."""
        if (losses is None) == (logits is None):
            raise UsageError(f"{self.what}: give losses, or logits (and labels), one of the two")
        if logits is not None and signals:
            raise UsageError(f"{self.what}: signals go with losses; those of logits are computed here")
        shape = tuple(np.shape(losses if logits is None else logits))
        if len(shape) != (1 if logits is None else 2):
            raise UsageError(f"{self.what}: {ONE_LOSS if logits is None else ONE_ROW}, and this is {shape}")
        count = shape[0]
        ids = None if ids is None else _copied(ids)
        labels = None if labels is None else _copied(labels)
        for name, values in (("ids", ids), ("labels", labels)):
            if values is not None and tuple(np.shape(values)) != (count,):
                raise UsageError(
                    f"{self.what}: {name} of shape {tuple(np.shape(values))} for {count} losses or logits"
                )
        if logits is None:
            given = {Signal.LOSS: losses, **_named(signals, self.what)}
            self._check_same(set(given))
            taken = {signal: _per_sample(v, count, self.what, signal) for signal, v in given.items()}
            for signal, values in taken.items():  # all of a batch, or nothing of it
                self.values.setdefault(signal, []).append(values)
        else:
            self._check_same(set(OF_LOGITS))
            self._add_logits(ids, logits, labels)
        self.ids.append(ids)
        self.labels.append(labels)
        return count

    def _add_logits(self, ids: Any, logits: Any, labels: Any) -> None:
        z = torch.as_tensor(_numbers(logits, f"{self.what}: logits"))
        if labels is None and (self.labels_of is None or ids is None):
            raise UsageError(
                f"{self.what}: logits need labels: give labels=... here, or make the recorder with labels"
            )
        if self.classes not in (0, z.shape[1]):
            raise UsageError(f"{self.what}: logits of {z.shape[1]} classes after those of {self.classes}")
        y = (
            self.labels_of(ids)
            if labels is None
            else torch.as_tensor(_numbers(labels, f"{self.what}: labels"))
        )
        self.classes = z.shape[1]
        self._logits.append((z, y.to(z.device, torch.int64)))
        self._held += z.numel()
        for signal in OF_LOGITS:  # known from the first batch on
            self.values.setdefault(signal, [])
        if self._held >= BUFFER:
            self._flush()

    def _flush(self) -> None:
        """The signals of the logits held, on their device."""
        if not self._logits:
            return
        z, y = (torch.cat(parts) for parts in zip(*self._logits, strict=True))
        inside = y.clamp(0, z.shape[1] - 1)  # a label outside is refused when the epoch ends
        for signal, values in signals_from_logits(z, inside, frozenset(OF_LOGITS)).items():
            self.values[signal].append(values.where(inside == y, float("nan")))
        self._logits, self._held = [], 0

    def _check_same(self, signals: set[Signal]) -> None:
        if self.values and set(self.values) != signals:
            before, now = (", ".join(sorted(s.value for s in part)) for part in (self.values, signals))
            raise UsageError(f"{self.what}: {now} after batches with {before}: log the same in each batch")

    def collected(self) -> tuple[np.ndarray | None, np.ndarray | None, dict[Signal, np.ndarray]]:
        """Ids and labels (None where they were not given), and the values of each signal, all (n,)."""
        self._flush()
        values = {signal: _joined(parts).astype(np.float32) for signal, parts in self.values.items()}
        return self._whole(self.ids, "ids"), self._whole(self.labels, "labels"), values

    def _whole(self, parts: list[Any], name: str) -> np.ndarray | None:
        given = [part for part in parts if part is not None]
        if not given:
            return None
        if len(given) != len(parts):
            raise UsageError(f"{self.what}: {name} came with some batches of the epoch and not with others")
        return _joined(given)


def _named(signals: Mapping[str, Any] | None, what: str) -> dict[Signal, Any]:
    """Further signals by their name."""
    known = [signal.value for signal in FURTHER]
    return {Signal(check_choice(f"signal of {what}", n, known)): v for n, v in (signals or {}).items()}


def _copied(values: Any) -> Any:
    """A copy on its own device: loops reuse their buffers."""
    if isinstance(values, torch.Tensor):
        return values.detach().clone()
    if isinstance(values, (list, tuple)) and values and isinstance(values[0], str):
        return np.array(values, dtype=np.str_)
    array = np.array(values)
    return array.astype(np.str_) if array.dtype.kind == "O" and is_text(array) else array


def _numbers(values: Any, what: str) -> Any:
    """A copy, which holds real numbers."""
    values = _copied(values)
    text = not isinstance(values, torch.Tensor) and values.dtype.kind not in "fiub"
    if text or (isinstance(values, torch.Tensor) and values.is_complex()):
        raise UsageError(f"{what} hold {values.dtype} values: expected numbers")
    return values


def _per_sample(values: Any, count: int, what: str, signal: Signal) -> Any:
    values = _numbers(values, f"{what}: values of {signal.value}")
    if tuple(values.shape) != (count,):
        raise UsageError(f"{what}: {signal.value} has shape {tuple(values.shape)} for {count} losses")
    return values


def _joined(parts: list[Any]) -> np.ndarray:
    """Behind one another, from each device in one transfer."""
    if all(isinstance(part, torch.Tensor) for part in parts) and len({part.device for part in parts}) == 1:
        return to_numpy(torch.cat(parts))
    return np.concatenate([to_numpy(part) for part in parts])
