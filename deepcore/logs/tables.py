"""Long tables as chunks: CSV, JSONL, Parquet; pandas, polars, Hugging Face, pyarrow, mappings of arrays."""

from __future__ import annotations

import csv
import gc
import importlib.util
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from deepcore.common.checks import UsageError, first_line
from deepcore.logs.chunks import Chunk, NotWhole, RowError, chunk_of
from deepcore.logs.columns import LogColumns
from deepcore.logs.long_table import LongTable
from deepcore.proxy.run import ProxyRun

ROWS = 1 << 15  # of a chunk
LEAST_BYTES = 6  # of a row of text: an id, an epoch and a loss of a digit each


class TableReader:
    """Reads long tables with the same columns and rules.

    Args:
        columns: which column is what.
        has_initial: the first epoch is the untrained network.
        missing, repeated: as for `LossRecorder`.
    """

    def __init__(self, columns: LogColumns, *, has_initial: bool, missing: str, repeated: str) -> None:
        self.names, self.has_initial = columns, has_initial
        self.rules = {"missing": missing, "repeated": repeated}

    def csv(self, path: Path, where: str) -> ProxyRun:
        """A CSV with a header; by pyarrow where that is installed, which is ten times as fast.

        What pyarrow refuses, or what is refused of what it gives, is read again line by line: that knows the
        line.
        """
        most = path.stat().st_size // LEAST_BYTES
        if importlib.util.find_spec("pyarrow") is not None:
            from deepcore.logs.arrow import NotRead, csv_chunks

            try:
                return self._run(lambda text: csv_chunks(path, where, self.names, text_ids=text), where, most)
            except (NotRead, RowError):
                pass
        return self._run(lambda text: _csv_chunks(path, where, self.names, text_ids=text), where, most)

    def jsonl(self, path: Path, where: str) -> ProxyRun:
        """A JSON object a line."""
        most = path.stat().st_size // LEAST_BYTES
        return self._run(lambda text: _jsonl_chunks(path, where, self.names, text_ids=text), where, most)

    def parquet(self, path: Path, where: str) -> ProxyRun:
        """A Parquet file, by pyarrow."""
        if importlib.util.find_spec("pyarrow") is None:
            raise UsageError(f"{where}: reading Parquet needs pyarrow: pip install pyarrow, or write a CSV")
        from deepcore.logs.arrow import parquet_chunks, parquet_rows

        most = parquet_rows(path, where)
        return self._run(lambda text: parquet_chunks(path, where, self.names, text_ids=text), where, most)

    def frame(self, frame: Any, where: str) -> ProxyRun:
        """A pandas or polars frame, a Hugging Face or pyarrow table, or a mapping of columns."""
        header, pieces, rows = _frame(frame, where)
        names = self.names.present(header, where)

        def chunks(text_ids: bool) -> Iterator[Chunk]:
            for first, piece in pieces(list(names.values())):
                columns = {role: piece[name] for role, name in names.items()}
                yield chunk_of(where, names, columns, first, "row", text_ids=text_ids)

        return self._run(chunks, where, rows)

    def _run(self, chunks: Any, where: str, most: int) -> ProxyRun:
        """The run of all chunks; ids are read as numbers and, where one is none, all again as text."""
        for text_ids in (False, True):
            table = LongTable(where, most=most, columns=self.names, **self.rules)
            try:
                with _without_collection():
                    for chunk in chunks(text_ids):
                        table.add(chunk)
            except NotWhole:
                continue
            return table.run(has_initial=self.has_initial)
        raise AssertionError("text ids are always read")


@contextmanager
def _without_collection() -> Iterator[None]:
    """Rows are many small objects without circles: looking for circles among them takes most of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _csv_chunks(path: Path, where: str, columns: LogColumns, *, text_ids: bool) -> Iterator[Chunk]:
    with open(path, encoding="utf-8-sig", newline="") as handle:
        reader = csv.reader(handle, strict=True)
        try:
            header = next((row for row in reader if row), None)
            if header is None:
                raise UsageError(
                    f"{where}: the file is empty: a header and a row a sample and epoch are needed"
                )
            header = [cell.strip() for cell in header]
            names = columns.present(header, where)
            places = {role: header.index(name) for role, name in names.items()}
            first = reader.line_num + 1
            while rows := list(itertools.islice(reader, ROWS)):
                try:
                    by_column = list(zip(*rows, strict=True))
                except ValueError:
                    by_column = []
                if len(by_column) != len(header):
                    rows = _whole_rows(rows, len(header), where, first, reader.line_num)
                    by_column = list(zip(*rows, strict=True))
                if rows:
                    cells = {role: by_column[place] for role, place in places.items()}
                    yield chunk_of(where, names, cells, first, "line", text_ids=text_ids)
                first = reader.line_num + 1
        except (UnicodeDecodeError, csv.Error) as error:
            raise UsageError(
                f"{where}: line {reader.line_num + 1} is no CSV ({first_line(error)}): the file is "
                "damaged, or of another kind"
            ) from None


def _whole_rows(rows: list[list[str]], width: int, where: str, first: int, last: int) -> list[list[str]]:
    """Rows of the header's width; blank lines are left out. Lines are counted exactly where no cell holds a
    line break."""
    exact = last - first + 1 == len(rows)
    for place, row in enumerate(rows):
        if row and len(row) != width:
            line = f"line {first + place}" if exact else f"a line from {first} to {last}"
            raise RowError(
                f"{where}: {line} has {len(row)} of {width} columns ({','.join(row)[:60]}): the file is cut "
                "off, or a cell is"
            )
    return [row for row in rows if row]


def _jsonl_chunks(path: Path, where: str, columns: LogColumns, *, text_ids: bool) -> Iterator[Chunk]:
    with open(path, encoding="utf-8-sig") as handle:
        first, header = 1, dict[str, None]()  # the keys of all objects so far
        try:
            while lines := list(itertools.islice(handle, ROWS)):
                rows = [_object(line, where, first + i) for i, line in enumerate(lines) if line.strip()]
                if rows:
                    header.update(dict.fromkeys(itertools.chain.from_iterable(rows)))
                    names = columns.present(header, where)
                    cells = {role: [row.get(name) for row in rows] for role, name in names.items()}
                    yield chunk_of(where, names, cells, first, "line", text_ids=text_ids)
                first += len(lines)
        except UnicodeDecodeError as error:
            raise UsageError(f"{where}: it is no text in UTF-8 ({error.reason} near line {first})") from None
        if not header:
            raise UsageError(f"{where}: the file is empty: a JSON object a sample and epoch is needed")


def _object(line: str, where: str, number: int) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise RowError(
            f"{where}: line {number} is no JSON ({first_line(error)}): the file is damaged or cut off"
        ) from None
    if not isinstance(value, dict):
        raise RowError(f'{where}: line {number} is no JSON object like {{"id": 7, "epoch": 1, ...}}')
    return value


Pieces = Any  # (names) -> iterator of (first row, {name: column})


def _frame(frame: Any, where: str) -> tuple[list[str], Pieces, int]:
    """Header, pieces and rows of anything with columns."""
    if hasattr(frame, "with_format") and hasattr(frame, "column_names"):  # a Hugging Face Dataset
        return list(frame.column_names), _hugging_face(frame), len(frame)
    if hasattr(frame, "to_batches") and hasattr(frame, "column_names"):  # a pyarrow Table
        return list(frame.column_names), _arrow_table(frame), frame.num_rows
    if isinstance(frame, Mapping):
        whole = {str(name): _column(values) for name, values in frame.items()}
        sizes = {len(values) for values in whole.values()}
        if len(sizes) > 1:
            raise UsageError(f"{where}: its columns have different lengths, {sorted(sizes)}")
        return list(whole), _pieces(whole.__getitem__, min(sizes, default=0)), min(sizes, default=0)
    if hasattr(frame, "iloc") and hasattr(frame, "columns"):  # pandas
        header = [str(name) for name in frame.columns]
        place = {name: i for i, name in enumerate(header)}
        return header, _pieces(lambda name: frame.iloc[:, place[name]], len(frame)), len(frame)
    if hasattr(frame, "get_column") and hasattr(frame, "columns"):  # polars
        return list(frame.columns), _pieces(frame.get_column, len(frame)), len(frame)
    raise UsageError(
        f"{where} is {type(frame).__name__}: a path, a pandas or polars frame, a Hugging Face Dataset, a "
        "pyarrow Table or a mapping of columns can be read"
    )


def _pieces(column: Any, rows: int) -> Pieces:
    def pieces(names: Iterable[str]) -> Iterator[tuple[int, dict[str, Any]]]:
        held = {name: column(name) for name in names}
        for start in range(0, rows, ROWS):
            yield start, {name: _column(values[start : start + ROWS]) for name, values in held.items()}

    return pieces


def _hugging_face(dataset: Any) -> Pieces:
    def pieces(names: list[str]) -> Iterator[tuple[int, dict[str, Any]]]:
        start = 0
        for batch in dataset.select_columns(names).with_format("arrow").iter(batch_size=ROWS):
            yield start, {name: _column(batch[name].to_pylist()) for name in names}
            start += batch.num_rows

    return pieces


def _arrow_table(table: Any) -> Pieces:
    def pieces(names: list[str]) -> Iterator[tuple[int, dict[str, Any]]]:
        for start in range(0, table.num_rows, ROWS):
            piece = table.slice(start, ROWS)
            yield start, {name: _column(piece[name].to_pylist()) for name in names}

    return pieces


def _column(values: Any) -> np.ndarray:
    """One column as an array of numbers, or of Python objects."""
    if hasattr(values, "to_numpy"):
        values = values.to_numpy()
    array = values if isinstance(values, np.ndarray) else np.asarray(values)
    if array.dtype.kind == "f" and array is not values and set(map(type, values)) == {int}:
        return np.asarray(values, dtype=object)  # some are above int64: as floats they would be rounded
    return array.astype(object) if array.dtype.kind in "UTM" else array
