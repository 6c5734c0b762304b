"""The values of one part of a long table, by id and epoch; both are found as the rows come."""

from __future__ import annotations

from typing import Any

import numpy as np

from deepcore.logs.chunks import Coded

DENSE = 1 << 20  # ids up to this, or 16 for each id seen, have their place in a table; others in a dictionary


class Gathered:
    """Ids in the order of their appearance, their labels, and rows of values by epoch.

    Attributes:
        count: ids seen.
        labels: class of each id, -1 where unknown; longer than `count`.
        repeated: values that came again.
    """

    def __init__(self) -> None:
        self.count = 0
        self.labels = np.full(1024, -1, dtype=np.int64)
        self.repeated = 0
        self._ids: list[np.ndarray] = []
        self._place = np.full(1024, -1, dtype=np.int64)
        self._far: dict[Any, int] = {}
        self._rows: dict[str, dict[int, np.ndarray]] = {}

    def columns(self, ids: np.ndarray | Coded, rows: np.ndarray) -> np.ndarray:
        """The place of the id of each of `rows`, (n,) int64; new ones come behind the others."""
        if isinstance(ids, Coded):
            used, places = np.unique(ids.codes[rows], return_inverse=True)
            values = [ids.values[code] for code in used.tolist()]
            found = self._of_dictionary(values, lambda new: np.array(new, dtype=np.str_))
            columns = np.array(found, dtype=np.int64)[places]
        else:
            columns = self._of_numbers(ids[rows])
        if self.count > len(self.labels):
            grown = np.full(2 * self.count, -1, dtype=np.int64)
            grown[: len(self.labels)] = self.labels
            self.labels = grown
        return columns

    def _of_numbers(self, ids: np.ndarray) -> np.ndarray:
        low, high = int(ids.min()), int(ids.max())
        if low < 0 or high > 16 * (self.count + len(ids)) + DENSE or self._far:
            if not self._far:  # what the table holds moves into the dictionary
                known = np.concatenate(self._ids) if self._ids else np.zeros(0, np.int64)
                self._far = dict(zip(known.tolist(), range(len(known)), strict=True))
            unique, places = np.unique(ids, return_inverse=True)
            found = self._of_dictionary(unique.tolist(), lambda new: np.array(new, dtype=np.int64))
            return np.array(found, dtype=np.int64)[places]
        if high >= len(self._place):
            grown = np.full(2 * high + 1, -1, dtype=np.int64)
            grown[: len(self._place)] = self._place
            self._place = grown
        new = np.unique(ids[self._place[ids] < 0])
        if new.size:
            self._place[new] = np.arange(self.count, self.count + len(new))
            self._ids.append(new)
            self.count += len(new)
        return self._place[ids]

    def _of_dictionary(self, values: list[Any], as_array: Any) -> list[int]:
        new = [value for value in values if value not in self._far]
        for value in new:
            self._far[value] = self.count
            self.count += 1
        if new:
            self._ids.append(as_array(new))
        return [self._far[value] for value in values]

    def take_labels(self, columns: np.ndarray, labels: np.ndarray) -> int | None:
        """Note the labels (-1 for none); the first row whose label is not what it was, None where all are."""
        new = (self.labels[columns] < 0) & (labels >= 0)
        self.labels[columns[new][::-1]] = labels[new][::-1]  # of several rows of an id, the first one's
        wrong = np.flatnonzero((labels >= 0) & (self.labels[columns] != labels))
        return int(wrong[0]) if wrong.size else None

    def put(
        self, role: str, epochs: np.ndarray, columns: np.ndarray, values: np.ndarray, *, count: bool = False
    ) -> int | None:
        """Values (n,) into their cells, the last one where several come; with `count`, the first row whose
        cell had a value before, None for none."""
        rows, again = self._rows.setdefault(role, {}), None
        present = (
            [int(epochs[0])] if len(epochs) and (epochs == epochs[0]).all() else np.unique(epochs).tolist()
        )
        for epoch in present:
            here = np.flatnonzero(epochs == epoch)
            row = self._row(rows, epoch)
            cells = columns[here]
            if count:
                first = self._seen_before(row, cells, here)
                again = first if again is None else again
            row[cells] = values[here]
        return again

    def _seen_before(self, row: np.ndarray, cells: np.ndarray, here: np.ndarray) -> int | None:
        taken = ~np.isnan(row[cells])
        first = np.empty(self.count, dtype=np.int64)
        first[cells[::-1]] = np.arange(len(cells))[::-1]  # of equal cells the last assignment stays
        taken |= first[cells] != np.arange(len(cells))
        self.repeated += int(taken.sum())
        return int(here[taken.argmax()]) if taken.any() else None

    def _row(self, rows: dict[int, np.ndarray], epoch: int) -> np.ndarray:
        """The row of an epoch, long enough for every id seen."""
        row = rows.get(epoch)
        if row is None or len(row) < self.count:
            grown = np.full(self.count if row is None else max(self.count, 2 * len(row)), np.nan, np.float32)
            if row is not None:
                grown[: len(row)] = row
            rows[epoch] = row = grown
        return row

    def roles(self) -> list[str]:
        """The signals that have values."""
        return list(self._rows)

    def known(self, role: str, epoch: int) -> np.ndarray:
        """Which ids have a value in an epoch, (count,) bool."""
        there = np.zeros(self.count, dtype=bool)
        row = self._rows.get(role, {}).get(epoch, np.zeros(0))[: self.count]
        there[: len(row)] = ~np.isnan(row)
        return there

    def array(self, role: str, order: list[int], columns: np.ndarray) -> np.ndarray:
        """(epochs, N) float32 in this order of epochs and columns. The rows are given up one by one."""
        rows = self._rows.pop(role)
        whole = np.full((len(order), self.count), np.nan, np.float32)
        for t, epoch in enumerate(order):
            row = rows.pop(epoch, np.zeros(0, np.float32))[: self.count]
            if len(row) < self.count:
                row = np.append(row, np.full(self.count - len(row), np.nan, np.float32))
            whole[t] = row[columns]
        return whole

    def id_of(self, column: int) -> str:
        """The id of a column, for messages."""
        text = str(np.concatenate(self._ids)[column])
        return text if len(text) <= 60 else f"{text[:57]}..."

    def sorted_ids(self) -> tuple[np.ndarray | None, np.ndarray]:
        """All ids in order, None where there is none, and the column of each."""
        if not self.count:
            return None, np.zeros(0, np.int64)
        ids = np.concatenate(self._ids)
        columns = np.argsort(ids, kind="stable")
        return ids[columns], columns
