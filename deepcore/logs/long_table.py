"""A long table, one row a sample and epoch, gathered chunk by chunk into arrays."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from deepcore.common.checks import UsageError
from deepcore.logs.chunks import CLASSES, Chunk, RowError
from deepcore.logs.columns import LogColumns
from deepcore.logs.gathering import Gathered
from deepcore.proxy.own_log import SPARE
from deepcore.proxy.run import ProxyRun
from deepcore.proxy.signals import Signal

TRAIN, VAL = ("train", "training"), ("val", "valid", "validation", "dev", "eval")
NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")  # a class as numbers are usually written
MARGIN = 1 << 20  # cells beyond what the table's size explains


class LongTable:
    """The rows of a long table by sample and epoch.

    Memory: 4 * epochs * (N + Q) bytes a signal, and a place for each id.

    Args:
        where: the table, for messages.
        missing, repeated: as for `LossRecorder`; with missing="nan" an empty cell is a missing value.
        most: rows that the table can have, from its size; None where unknown.
        columns: the names of its columns.
    """

    def __init__(
        self, where: str, *, missing: str, repeated: str, most: int | None, columns: LogColumns
    ) -> None:
        self.where, self.missing, self.repeated, self.most = where, missing, repeated, most
        self.names, self.roles = columns, set[str]()
        self.train, self.val = Gathered(), Gathered()
        self.classes: dict[str, int] = {}
        self.epochs: dict[int, int] = {}
        self.rows = 0

    def add(self, chunk: Chunk) -> None:
        """Take in the next rows."""
        if "split" in chunk.names and self.rows and "split" not in self.roles:
            raise RowError(
                f"{chunk.place(0)} or soon after is the first with the column {chunk.names['split']!r}: give "
                "it to every row, or read all rows as train with --split_column none"
            )
        self.roles.update(chunk.names)
        epochs = self._epochs(chunk)
        is_train = self._is_train(chunk)
        classes = {role: self._classes(chunk, role) for role in CLASSES if role in chunk.coded}
        self.rows += len(chunk)
        for part, mask in ((self.train, is_train), (self.val, ~is_train)):
            rows = np.flatnonzero(mask)
            if not rows.size:
                continue
            columns = part.columns(chunk.id, rows)
            self._check_size(part)
            if "label" in classes:
                self._take_labels(part, columns, chunk, rows, classes["label"][rows])
            self._put(part, chunk, rows, epochs[rows], columns, classes)

    def _put(
        self,
        part: Gathered,
        chunk: Chunk,
        rows: np.ndarray,
        epochs: np.ndarray,
        columns: np.ndarray,
        classes: dict[str, np.ndarray],
    ) -> None:
        """The values of `rows` into their cells."""
        losses = chunk.numbers["loss"][rows]
        for role, values in chunk.numbers.items():
            if role == "epoch" or (part is self.val and role != "loss"):
                continue
            values = values[rows]
            empty = self.missing == "nan" or role == "kl_step"
            bad = np.flatnonzero(np.isinf(values) if empty else ~np.isfinite(values))
            if bad.size:
                chunk.refuse(rows[bad[0]], role, "a finite number is needed")
            if role != "loss":
                there = ~np.isnan(values)
                part.put(role, epochs[there], columns[there], values[there])
        there = np.flatnonzero(~np.isnan(losses))
        again = part.put("loss", epochs[there], columns[there], losses[there], count=True)
        if again is not None and self.repeated == "error":
            again = there[again]
            row = rows[again]
            raise RowError(
                f"{chunk.place(row)}: id {part.id_of(columns[again])} has a loss in epoch "
                f"{chunk.numbers['epoch'][row]:.0f} already: log each once an epoch, or keep the last with "
                "--repeated last"
            )
        if part is self.train:
            for role in ("other", "predicted"):
                if role in classes:
                    part.put(role, epochs, columns, classes[role][rows].astype(np.float64))

    def _epochs(self, chunk: Chunk) -> np.ndarray:
        values = chunk.numbers["epoch"]
        bad = np.flatnonzero(~(np.floor(values) == values) | (np.abs(values) > 1 << 53))
        if bad.size:
            chunk.refuse(bad[0], "epoch", "a whole number is needed")
        if len(values) and values.min() == values.max():
            return np.full(len(values), self.epochs.setdefault(int(values[0]), len(self.epochs)))
        unique, places = np.unique(values.astype(np.int64), return_inverse=True)
        codes = [self.epochs.setdefault(epoch, len(self.epochs)) for epoch in unique.tolist()]
        return np.array(codes)[places]

    def _is_train(self, chunk: Chunk) -> np.ndarray:
        """Which rows are train rows, (n,) bool."""
        split = chunk.coded.get("split")
        if split is None:
            return np.ones(len(chunk), dtype=bool)
        kinds = []
        for code, value in enumerate(split.values):
            text = str(value).strip().lower()
            if text not in TRAIN + VAL:
                row = np.flatnonzero(split.codes == code)[0]
                chunk.refuse(row, "split", "train or val is needed (--split_column none reads all as train)")
            kinds.append(text in TRAIN)
        return np.array(kinds, dtype=bool)[split.codes]

    def _classes(self, chunk: Chunk, role: str) -> np.ndarray:
        """Each row's class, in the order of their appearance; -1 where the cell is empty."""
        coded, codes = chunk.coded[role], []
        for code, value in enumerate(coded.values):
            text = _class_text(value)
            if text is None:
                row = int(np.flatnonzero(coded.codes == code)[0])
                chunk.refuse(
                    row,
                    role,
                    "a class is a whole number or text (without classes: --label_column none)",
                )
            codes.append(self.classes.setdefault(text, len(self.classes)) if text else -1)
        return np.array(codes, dtype=np.int64)[coded.codes]

    def _take_labels(
        self, part: Gathered, columns: np.ndarray, chunk: Chunk, rows: np.ndarray, labels: np.ndarray
    ) -> None:
        wrong = part.take_labels(columns, labels)
        if wrong is None:
            return
        names = list(self.classes)
        raise RowError(
            f"{chunk.place(rows[wrong])}: id {part.id_of(columns[wrong])} has label {names[labels[wrong]]}, "
            f"and had {names[part.labels[columns[wrong]]]} before: a label does not change between epochs "
            "(if many do, the ids are shifted)"
        )

    def _check_size(self, part: Gathered) -> None:
        """What is gathered can have come from the table; a wrong column would ask for a value of each "
        "pair."""
        if self.most is not None and part.count * len(self.epochs) > 16 * self.most + MARGIN:
            raise UsageError(
                f"{self.where}: {part.count:,} ids and {len(self.epochs):,} epochs in {self.rows:,} rows: "
                "the "
                "table cannot have a row for each pair of them; is the epoch column the epoch, and the id "
                "that of the sample?"
            )

    def run(self, *, has_initial: bool) -> ProxyRun:
        """The run of the rows taken in.

        Raises:
            UsageError: no train rows, a sample that lacks an epoch or a label, or labels far above the number
                of rows.
        """
        if not self.train.count:
            raise UsageError(f"{self.where}: there is no train row in it ({self.rows} rows in all)")
        numbers = sorted(self.epochs)
        order = [self.epochs[epoch] for epoch in numbers]
        notes = [*self.names.absent(self.roles), *self._check_complete(self.train, "train", numbers)]
        notes += self._check_complete(self.val, "val", numbers)
        number_of, names = self._numbered()
        ids, columns = self.train.sorted_ids()
        labels = self._labels(self.train, "train", number_of)
        val_ids, val_columns = self.val.sorted_ids()
        val_labels = self._labels(self.val, "val", number_of) if val_ids is not None else None
        val_losses = self.val.array("loss", order, val_columns) if val_ids is not None else None
        if labels is None:
            val_labels = None
        elif val_losses is not None and val_labels is None:
            val_losses = val_losses.mean(axis=1, dtype=np.float64)
        losses = self.train.array("loss", order, columns)
        try:
            return ProxyRun.from_losses(
                losses,
                None if labels is None else labels[columns],
                val_losses,
                None if val_labels is None else val_labels[val_columns],
                ids=ids,
                has_initial=has_initial,
                signals=self._signals(order, columns, number_of, labels),
                missing=self.missing,
                class_names=names if labels is not None else (),
                notes=tuple(notes),
            )
        except UsageError as error:
            raise UsageError(f"{self.where}: {error}") from None

    def _signals(
        self, order: list[int], columns: np.ndarray, number_of: np.ndarray, labels: np.ndarray | None
    ) -> dict[str, np.ndarray]:
        """The trajectories beside the loss; the strongest other class by its number, -1 where unknown."""
        held = [role for role in self.train.roles() if role != "loss"]
        signals = {r: self.train.array(r, order, columns) for r in held if r not in ("other", "predicted")}
        role = next((role for role in ("other", "predicted") if role in held), None)
        if role is not None and labels is not None:
            codes = self.train.array(role, order, columns)
            known = np.nan_to_num(codes, nan=-1).astype(np.int64)
            other = np.where(known >= 0, number_of[known], -1)
            signals[Signal.OTHER.value] = np.where(other == labels[columns], -1, other).astype(np.float32)
        return signals

    def _numbered(self) -> tuple[np.ndarray, tuple[str, ...]]:
        """The number of each class by its appearance, and the names of the classes where they are text."""
        texts = list(self.classes)
        if all(text.isdecimal() and str(int(text)) == text for text in texts):
            return np.array([int(text) for text in texts] or [0], dtype=np.int64), ()
        names = sorted(texts)
        place = {name: number for number, name in enumerate(names)}
        return np.array([place[text] for text in texts], dtype=np.int64), tuple(names)

    def _labels(self, part: Gathered, name: str, number_of: np.ndarray) -> np.ndarray | None:
        """The class of each column, (N,); None where the part has no labels."""
        codes = part.labels[: part.count]
        if (codes < 0).all():
            return None
        lacking = np.flatnonzero(codes < 0)
        if lacking.size:
            raise UsageError(
                f"{self.where}: id {part.id_of(lacking[0])} ({name}) has no label in any row ({lacking.size} "
                "such): give every sample one, or none (--label_column none)"
            )
        labels = number_of[codes]
        if labels.max() > part.count + SPARE:
            worst = int(labels.argmax())
            raise UsageError(
                f"{self.where}: id {part.id_of(worst)} has label {labels[worst]}, and there are {part.count} "
                f"{name} ids: labels number the classes from 0 (without classes: --label_column none)"
            )
        return labels

    def _check_complete(self, part: Gathered, name: str, epochs: list[int]) -> list[str]:
        """Every sample has a loss in every epoch, or a note on how many have not."""
        lacking = 0
        for epoch in epochs:
            there = part.known("loss", self.epochs[epoch])
            holes = part.count - int(there.sum())
            if holes and (name == "val" or self.missing == "error"):
                first = part.id_of(int(np.flatnonzero(~there)[0]))
                remedy = "" if name == "val" else ", or score at the checkpoints at hand with --missing nan"
                raise UsageError(
                    f"{self.where}: epoch {epoch} has {part.count - holes:,} of the {part.count:,} {name} "
                    "ids; "
                    f"id {first} is missing: every epoch needs every sample (is the file cut off?){remedy}"
                )
            lacking += holes
        notes = []
        if lacking:
            cells = part.count * len(epochs)
            notes.append(f"{lacking:,} of {cells:,} losses are missing: samples are scored at what they have")
        if part.repeated:
            notes.append(f"{part.repeated:,} {name} losses came again in their epoch: the last counts")
        return notes


def _class_text(value: Any) -> str | None:
    """A class as text: whole numbers as such, "" for an empty cell, None for what is no class. Text stays
    what it is: "01" and "1e1" are names."""
    if value is None:
        return ""
    if isinstance(value, str):
        text = value.strip()
        if not NUMBER.fullmatch(text):
            return "" if text.lower() == "nan" else text
        whole, _, rest = text.partition(".")
        return None if text.startswith("-") or rest.strip("0") else whole
    number = float(value)
    if number != number:
        return ""
    return str(int(number)) if number >= 0 and number.is_integer() and number < 1e18 else None
