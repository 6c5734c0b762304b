"""Columns as a file: CSV, .npz, Parquet or JSON, each whole or not at all."""

from __future__ import annotations

import csv
import importlib.util
import io
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from deepcore.common.checks import UsageError
from deepcore.common.files import write_bytes, write_npz

SUFFIXES = (".csv", ".npz", ".parquet", ".json")


def check_path(path: Path) -> None:
    """Refuse a path that `write_columns` could not write, before anything is computed."""
    if path.suffix not in SUFFIXES:
        raise UsageError(f"{path}: the file must end in one of {', '.join(SUFFIXES)}")
    if path.suffix == ".parquet" and importlib.util.find_spec("pyarrow") is None:
        raise UsageError(f"{path}: writing Parquet needs pyarrow: pip install pyarrow, or write a .csv")
    if path.is_dir() or not path.absolute().parent.is_dir():
        what = "is a folder" if path.is_dir() else "lies in a folder that does not exist"
        raise UsageError(f"{path} {what}: give the path of a file in a folder that is there")


def write_columns(path: Path, columns: Mapping[str, np.ndarray]) -> None:
    """Named columns of equal length; an .npz holds them as ids, labels, scores, ranks, weights."""
    check_path(path)
    if path.suffix == ".npz":
        write_npz(path, **{f"{name}s": column for name, column in columns.items()})
    elif path.suffix == ".csv":
        write_bytes(path, csv_text(columns).encode())
    elif path.suffix == ".json":
        rows = zip(*(column.tolist() for column in columns.values()), strict=True)
        records = [dict(zip(columns, row, strict=True)) for row in rows]
        write_bytes(path, (json.dumps(records, indent=1) + "\n").encode())
    else:
        import pyarrow
        from pyarrow import parquet

        content = io.BytesIO()
        table = pyarrow.table({name: column.tolist() for name, column in columns.items()})
        parquet.write_table(table, content)
        write_bytes(path, content.getvalue())


def csv_text(columns: Mapping[str, np.ndarray]) -> str:
    """A header and a line per row."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*(column.tolist() for column in columns.values()), strict=True))
    return text.getvalue()
