"""What a recorder keeps of each epoch: the whole log, in memory or in a folder."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from deepcore.common.checks import UsageError
from deepcore.logs.folder import LogFolder
from deepcore.logs.ids import Columns
from deepcore.logs.layout import run_of, stem_of
from deepcore.logs.part import Classes, Part, Row
from deepcore.logs.ranks import rank
from deepcore.proxy.run import ProxyRun
from deepcore.proxy.signals import Signal


class Keeper(abc.ABC):
    """Keeps the epochs of one recorder.

    Args:
        path: the folder; None for memory.
        facts: what was asked of the recorder, as JSON values; a folder must agree with them to be resumed.
    """

    def __init__(self, path: Path | None, facts: Mapping[str, Any]) -> None:
        self.folder = None if path is None else LogFolder(path)
        self.facts = dict(facts)
        self.counts: list[tuple[int, int]] = []  # missing and repeated samples of each epoch

    def open(self, part: Part, val: Part, resume: bool | int) -> int:
        """Begin, or go on with what the folder holds; returns the number of epochs that are kept."""
        if self.folder is None or not (self.folder.epochs or LogFolder.is_one(self.folder.path)):
            if not isinstance(resume, bool) and resume != 0 and rank() == 0:  # the others have no folder
                raise UsageError(f"resume={resume}: there is no log to go on with; give the folder it is in")
            return 0
        if resume is False:
            raise UsageError(
                f"{self.folder.path} holds a log of {self.folder.epochs} epochs: give resume=True to go on "
                "after them, resume=N to go on after the first N, or another folder"
            )
        held = {name: self.folder.facts.get(name) for name in self.facts}
        if held != self.facts:
            differ = next(name for name in held if held[name] != self.facts[name])
            raise UsageError(
                f"{self.folder.path} was logged with {differ}={held[differ]!r}, and this is "
                f"{differ}={self.facts[differ]!r}: use the same, or another folder"
            )
        if resume is not True:
            self.folder.cut(resume)
        self.counts = [tuple(pair) for pair in self.folder.facts.get("counts", [])][: self.folder.epochs]
        if self.folder.epochs:
            self._take_constants(part, val)
            self._resume(part, val)
        return self.folder.epochs

    def _take_constants(self, part: Part, val: Part) -> None:
        """Ids, labels and signals of the folder; UsageError where other ones were given."""
        held = self.folder.constants()
        names = held.get("class_names")
        if names is not None:
            if part.classes.names and list(part.classes.names) != names.tolist():
                raise UsageError(f"{self.folder.path}: its classes are {', '.join(names)}, not those given")
            part.classes.names = {str(name): number for number, name in enumerate(names)}
        for one, ids, labels in ((part, "ids", "train_labels"), (val, "val_ids", "val_labels")):
            for name, given in ((ids, one.columns and one.columns.ids), (labels, one.labels)):
                if given is not None and not np.array_equal(held.get(name), given):
                    raise UsageError(
                        f"{self.folder.path}: {name} are not those that this recorder was given: it is "
                        "the log of other data; give it another folder"
                    )
            if labels in held and (held[labels].dtype.kind not in "iu" or held[labels].ndim != 1):
                raise UsageError(f"{self.folder.path}: {labels} are damaged: no whole numbers in a row")
            if ids in held:
                one.columns = Columns(np.array(held[ids]))
            one.labels = np.array(held[labels], np.int64) if labels in held else None
        part.signals = {Signal(name) for name in self.folder.facts["signals"]}
        val.signals = None  # of validation rows the loss alone is kept, from logits or not

    def keep(self, row: Row, val: Row | None, classes: Classes) -> None:
        """One epoch more; on other ranks than 0 nothing."""
        if rank():
            return
        counts, constants = [*self.counts, (row.missing, row.repeated)], _constants(row, val, classes)
        facts = {
            **self.facts,
            "counts": counts,
            "constants": sorted(constants),
            "signals": sorted(signal.value for signal in row.values),
        }
        if self.folder is not None:
            held = self.folder.constants() if self.folder.epochs else {}
            changed = {n: a for n, a in constants.items() if not np.array_equal(held.get(n), a)}
            self.folder.write_constants(changed)
        self._keep(row, val, classes, facts)
        self.counts = counts

    def notes(self) -> tuple[str, ...]:
        """A sentence for missing and one for repeated samples, where there were any."""
        found = []
        for place, what in ((0, "were missing from"), (1, "were logged several times in")):
            counts = [pair[place] for pair in self.counts]
            if any(counts):
                epochs = sum(1 for count in counts if count)
                found.append(
                    f"samples {what} {epochs} of {len(counts)} epochs ({max(counts):,} in one, "
                    f"{sum(counts):,} in all)"
                )
        return tuple(found)

    @abc.abstractmethod
    def _resume(self, part: Part, val: Part) -> None:
        """Take over what the folder holds of its epochs."""

    @abc.abstractmethod
    def _keep(self, row: Row, val: Row | None, classes: Classes, facts: Mapping[str, Any]) -> None:
        """One epoch more."""

    @abc.abstractmethod
    def arrays(self, part: Part, val: Part) -> dict[str, np.ndarray]:
        """The log by the names of `layout`."""

    @abc.abstractmethod
    def run(self, part: Part, val: Part) -> ProxyRun:
        """The log as a run."""


def _constants(row: Row, val: Row | None, classes: Classes) -> dict[str, np.ndarray]:
    """The ids, labels and class names that there are."""
    found = {"ids": row.columns.ids, "train_labels": row.labels}
    if val is not None:
        found |= {"val_ids": val.columns.ids, "val_labels": val.labels}
    if classes.names:
        found["class_names"] = np.array(list(classes.names))
    return {name: array for name, array in found.items() if array is not None}


class LogKeeper(Keeper):
    """Every value of every epoch."""

    def __init__(self, path: Path | None, facts: Mapping[str, Any]) -> None:
        super().__init__(path, facts)
        self._rows: dict[str, list[np.ndarray]] = {}

    def _resume(self, part: Part, val: Part) -> None:
        self.folder.rows()  # they are there

    def _keep(self, row: Row, val: Row | None, classes: Classes, facts: Mapping[str, Any]) -> None:
        rows = {stem_of(signal): values for signal, values in row.values.items()}
        if val is not None:
            rows["val_losses"] = val.values[Signal.LOSS]
        if self.folder is not None:
            self.folder.append(rows, {**facts, "arrays": sorted(rows)})
            return
        for name, values in rows.items():
            self._rows.setdefault(name, []).append(values)

    def arrays(self, part: Part, val: Part) -> dict[str, np.ndarray]:
        if self.folder is not None:
            rows = self.folder.rows()
        else:
            rows = {name: np.stack(values) for name, values in self._rows.items()}
        return arrays_of(rows, part, val, self.facts)

    def run(self, part: Part, val: Part) -> ProxyRun:
        where = "the log" if self.folder is None else str(self.folder.path)
        return run_of(self.arrays(part, val), where, notes=self.notes())


def arrays_of(
    rows: Mapping[str, np.ndarray], part: Part, val: Part, facts: Mapping[str, Any]
) -> dict[str, np.ndarray]:
    """A log by the names of `layout`: text labels as text, overall means where validation rows have no
    label."""
    arrays = {**rows, "ids": part.columns.ids, "has_initial": np.array(facts["has_initial"])}
    arrays["missing"] = np.array(facts["missing"])
    if part.labels is not None:
        arrays["train_labels"] = _labels(part)
    if part.labels is not None and val.labels is not None:
        arrays["val_labels"] = _labels(val)
    elif part.labels is not None and "val_losses" in arrays:
        arrays["val_losses"] = arrays["val_losses"].mean(axis=1, dtype=np.float64)
    return arrays


def _labels(part: Part) -> np.ndarray:
    """The labels of a part, as text where they came so; UsageError where one is not known yet."""
    unknown = np.flatnonzero(part.labels < 0)
    if unknown.size:
        raise UsageError(
            f"the label of {part.name} {part.columns.ids[unknown[0]]} is not known ({unknown.size} of "
            f"{len(part.labels)}): log it with its label in one epoch at least, or leave it out of the ids"
        )
    return np.array(list(part.classes.names))[part.labels] if part.classes.names else part.labels
