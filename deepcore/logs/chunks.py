"""A piece of a long table: its columns as numbers and codes, whatever they came from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from deepcore.common.checks import UsageError

NUMBERS = ("epoch", "loss", "margin", "margin_p", "el2n", "grand", "kl_step")
CLASSES = ("label", "other", "predicted")
NESTED = frozenset({list, dict, tuple, np.ndarray})  # cells of JSON or Parquet that are no value


class RowError(UsageError):
    """A cell of a table that cannot be read; the message names its row and column."""


@dataclass(frozen=True)
class Coded:
    """A column of few values: `values[codes[i]]` is the i-th."""

    codes: np.ndarray
    values: Sequence[Any]

    @classmethod
    def of(cls, column: Any) -> Coded:
        """Of an array or a sequence of numbers, text or None."""
        array = column if isinstance(column, np.ndarray) else None
        if array is not None and array.dtype.kind in "iufU":
            values, codes = np.unique(array, return_inverse=True)
            return cls(codes, values.tolist())
        values = list(dict.fromkeys(column))
        place = dict(zip(values, range(len(values)), strict=True))
        return cls(np.fromiter(map(place.__getitem__, column), np.int64, len(column)), values)


@dataclass(frozen=True)
class Chunk:
    """Consecutive rows of a long table.

    Attributes:
        where: the table, for messages.
        names: {role: column}.
        id: (n,) int64, or coded text.
        numbers: {role: (n,) float64}, NaN for an empty cell.
        coded: split, label, other and predicted, where they are there.
        first: the number of its first row, as `unit` counts.
        unit: "row" or "line".
    """

    where: str
    names: Mapping[str, str]
    id: np.ndarray | Coded
    numbers: Mapping[str, np.ndarray]
    coded: Mapping[str, Coded]
    first: int
    unit: str

    def __len__(self) -> int:
        return len(self.numbers["epoch"])

    def place(self, row: int) -> str:
        """Where a row is, for messages."""
        return f"{self.where}: {self.unit} {self.first + row}"

    def refuse(self, row: int, role: str, wanted: str) -> NoReturn:
        """RowError: the cell of a column in a row is not what is `wanted`."""
        coded = self.coded.get(role)
        cell = coded.values[coded.codes[row]] if coded else self.numbers[role][row]
        refuse_cell(self.place(row), self.names[role], cell, wanted)


def refuse_cell(place: str, column: str, cell: Any, wanted: str) -> NoReturn:
    """RowError: a cell is not what is `wanted`."""
    empty = cell is None or cell == "" or (isinstance(cell, float) and math.isnan(cell))
    text = str(cell)
    shown = "is empty (or NaN)" if empty else f"is {text if len(text) <= 60 else text[:57] + '...'!r}"
    shown = shown if empty or isinstance(cell, str) else f"is {text}"
    raise RowError(f"{place}: the column {column!r} {shown}: {wanted}")


def chunk_of(
    where: str, names: Mapping[str, str], columns: Mapping[str, Any], first: int, unit: str, *, text_ids: bool
) -> Chunk:
    """A chunk of raw columns, {role: array or sequence of n numbers, text or None}.

    Raises:
        RowError: text among numbers, an empty id, or an id that is no whole number without `text_ids`.
    """

    def place(row: int) -> str:
        return f"{where}: {unit} {first + row}"

    numbers = {
        role: _numbers(columns[role], place, names[role]) for role in NUMBERS if columns.get(role) is not None
    }
    for role in ("id", "split", *CLASSES):
        _check_cells(columns.get(role), place, names.get(role, role))
    coded = {role: Coded.of(columns[role]) for role in ("split", *CLASSES) if columns.get(role) is not None}
    ids = _text_ids(columns["id"], place, names["id"]) if text_ids else _whole_ids(columns["id"])
    if ids is None:
        raise NotWhole
    return Chunk(where, names, ids, numbers, coded, first, unit)


class NotWhole(Exception):
    """An id is text: the table is read again, with text ids."""


def _check_cells(column: Any, place: Any, name: str) -> None:
    """RowError: a cell holds a list or an object."""
    if column is None or (isinstance(column, np.ndarray) and column.dtype.kind != "O"):
        return
    if not NESTED.isdisjoint(map(type, column)):
        row = next(row for row, cell in enumerate(column) if type(cell) in NESTED)
        refuse_cell(place(row), name, str(column[row]), "a number or text is needed")


def _numbers(column: Any, place: Any, name: str) -> np.ndarray:
    """As (n,) float64; None and "" are NaN."""
    if isinstance(column, np.ndarray) and column.dtype.kind in "fiub":
        return column.astype(np.float64)
    try:
        return np.fromiter(map(float, column), np.float64, len(column))
    except (TypeError, ValueError):
        pass
    out = np.empty(len(column))
    for row, cell in enumerate(column):
        try:
            out[row] = math.nan if cell is None or cell == "" else float(cell)
        except (TypeError, ValueError):
            refuse_cell(place(row), name, cell, "a number is needed")
    return out


def _whole_ids(column: Any) -> np.ndarray | None:
    """Ids as (n,) int64, None where they are not whole numbers as these are usually written."""
    if isinstance(column, np.ndarray) and column.dtype.kind in "iu":
        fits = not column.size or column.max() <= np.iinfo(np.int64).max
        return column.astype(np.int64) if fits else None
    if isinstance(column, np.ndarray):
        column = column.tolist()
    kinds = set(map(type, column))
    if len(kinds) > 1 and str in kinds:
        return None
    try:
        ids = np.fromiter(map(int, column), np.int64, len(column))
    except (TypeError, ValueError, OverflowError):
        return None
    if kinds == {str}:  # "007", " 7", "+7" or "1_0" are not what 7 and 10 look like
        return ids if sum(map(len, column)) == digits(ids) else None
    return ids if kinds <= {int} or (ids == np.asarray(column, dtype=np.float64)).all() else None


def digits(ids: np.ndarray) -> int:
    """How many characters whole numbers take, written one after the other."""
    size = np.abs(ids)
    return int(sum((size >= 10**digits).sum() for digits in range(1, 19)) + len(ids) + (ids < 0).sum())


def _text_ids(column: Any, place: Any, name: str) -> Coded:
    coded = Coded.of(column)
    texts = ["" if value is None else str(value) for value in coded.values]
    for code, text in enumerate(texts):
        if not text or text == "nan":
            row = int(np.flatnonzero(coded.codes == code)[0])
            refuse_cell(place(row), name, text, "every row needs the id of its sample")
    return Coded(coded.codes, texts)
