"""Chunks of CSV and Parquet files by pyarrow. Imported only where that is installed and used."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.compute
import pyarrow.csv
import pyarrow.parquet

from deepcore.common.checks import UsageError, first_line
from deepcore.logs.chunks import CLASSES, NUMBERS, Chunk, Coded, NotWhole, chunk_of, digits, refuse_cell
from deepcore.logs.columns import LogColumns

BLOCK = 1 << 20  # bytes of a CSV parsed at once


class NotRead(Exception):
    """pyarrow does not read the CSV; the reader that knows the line says why."""


def csv_chunks(path: Path, where: str, columns: LogColumns, *, text_ids: bool) -> Iterator[Chunk]:
    """The chunks of a CSV; NotRead where pyarrow refuses it, NotWhole where an id is no whole number."""
    number, text = pyarrow.float64(), pyarrow.string()
    try:
        with pyarrow.csv.open_csv(path) as head:
            names = columns.present((name.strip() for name in head.schema.names), where)
        kinds = {names[role]: number for role in NUMBERS if role in names}
        kinds |= {names[role]: text for role in ("id", "split", *CLASSES) if role in names}
        reader = pyarrow.csv.open_csv(
            path,
            read_options=pyarrow.csv.ReadOptions(block_size=BLOCK),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=kinds, include_columns=list(kinds), strings_can_be_null=False
            ),
        )
        line = 2
        for batch in reader:
            yield _chunk(batch, where, names, line, "line", text_ids=text_ids)
            line += batch.num_rows
    except (pyarrow.ArrowInvalid, pyarrow.ArrowKeyError, UnicodeDecodeError):
        raise NotRead from None


def parquet_rows(path: Path, where: str) -> int:
    """Rows of a Parquet file; UsageError where it is none."""
    try:
        return pyarrow.parquet.ParquetFile(path).metadata.num_rows
    except (pyarrow.ArrowException, OSError) as error:
        raise UsageError(f"{where}: no Parquet file, or one that is cut off ({first_line(error)})") from None


def parquet_chunks(path: Path, where: str, columns: LogColumns, *, text_ids: bool) -> Iterator[Chunk]:
    """The chunks of a Parquet file; NotWhole where an id is no whole number."""
    first = 0
    try:
        file = pyarrow.parquet.ParquetFile(path)
        names = columns.present(file.schema_arrow.names, where)
        for batch in file.iter_batches(batch_size=1 << 16, columns=list(names.values())):
            yield _chunk(batch, where, names, first, "row", text_ids=text_ids)
            first += batch.num_rows
    except (pyarrow.ArrowException, OSError) as error:
        raise UsageError(f"{where}: it is damaged after row {first} ({first_line(error)})") from None


def _chunk(batch: Any, where: str, names: dict[str, str], first: int, unit: str, *, text_ids: bool) -> Chunk:
    """A record batch as a chunk; what is not of the usual types goes the way of Python objects."""
    columns = {role: batch.column(batch.schema.get_field_index(name)) for role, name in names.items()}
    kinds = pyarrow.types
    if unit == "line" and not text_ids:
        columns["id"] = _whole_numbers(columns["id"])
    plain = all(
        kinds.is_floating(columns[role].type) or kinds.is_integer(columns[role].type)
        for role in NUMBERS
        if role in columns
    )
    whole = kinds.is_integer(columns["id"].type) and not columns["id"].null_count
    if not plain or (not whole and not text_ids):
        if plain and kinds.is_string(columns["id"].type):
            raise NotWhole
        raw = {role: column.to_pylist() for role, column in columns.items()}
        return chunk_of(where, names, raw, first, unit, text_ids=text_ids)
    numbers = {
        role: columns[role].cast(pyarrow.float64()).to_numpy(zero_copy_only=False)
        for role in NUMBERS
        if role in columns
    }
    coded = {role: _coded(columns[role]) for role in ("split", *CLASSES) if role in columns}
    if not text_ids:
        try:
            whole_ids = columns["id"].cast(pyarrow.int64()).to_numpy()
        except pyarrow.ArrowInvalid:
            raise NotWhole from None
        return Chunk(where, names, whole_ids, numbers, coded, first, unit)
    ids = _coded(columns["id"])
    texts = ["" if value is None else str(value) for value in ids.values]
    if "" in texts:
        row = int(np.flatnonzero(ids.codes == texts.index(""))[0])
        refuse_cell(f"{where}: {unit} {first + row}", names["id"], "", "every row needs the id of its sample")
    return Chunk(where, names, Coded(ids.codes, texts), numbers, coded, first, unit)


def _whole_numbers(column: Any) -> Any:
    """A text column of whole numbers as int64; NotWhole where one is no number, or is written otherwise."""
    try:
        numbers = column.cast(pyarrow.int64())
    except pyarrow.ArrowInvalid:
        raise NotWhole from None
    if pyarrow.compute.sum(pyarrow.compute.utf8_length(column)).as_py() != digits(numbers.to_numpy()):
        raise NotWhole
    return numbers


def _coded(column: Any) -> Coded:
    """A column by its distinct values; nulls are a value of their own."""
    encoded = column.dictionary_encode(null_encoding="encode")
    return Coded(
        encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64), encoded.dictionary.to_pylist()
    )
