"""Reading a log, whatever form it is in."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from deepcore.common.checks import UsageError, check_choice
from deepcore.logs.arrays import folder_arrays, npz_arrays
from deepcore.logs.columns import LogColumns
from deepcore.logs.folder import LogFolder
from deepcore.logs.keeper import LogKeeper
from deepcore.logs.layout import run_of
from deepcore.logs.one_pass import OnePassKeeper
from deepcore.logs.part import REPEATED, Classes, Part
from deepcore.logs.tables import TableReader
from deepcore.proxy.own_log import MISSING
from deepcore.proxy.run import ProxyRun

SUFFIXES = (".npz", ".csv", ".jsonl", ".ndjson", ".parquet", ".pq")


def read_logs(
    source: Any,
    *,
    columns: LogColumns | None = None,
    has_initial: bool | None = None,
    missing: str | None = None,
    repeated: str = "error",
) -> ProxyRun:
    """A run from the log of any training loop.

    Args:
        source: the path of an .npz, of a folder of .npy or of a `LossRecorder`, of a long CSV, JSONL or
            Parquet file (one row a sample and epoch); "-" for any of the files on standard input; a pandas or
            polars frame, a Hugging Face Dataset, a pyarrow Table or a mapping of columns.
        columns: the names of a long table's columns; None for those of `LogColumns`.
        has_initial: the first checkpoint is the untrained network; None for what the log says, else no.
        missing: "error" or "nan", for samples that lack an epoch; None for what the log says, else "error".
        repeated: "error" or "last", for several values of a sample in an epoch of a long table.

    Returns:
        A run for every method whose signals are there. `log` holds text ids, class names and notes.

    Raises:
        UsageError: one sentence that names the file, row or column and the remedy.
    """
    if missing is not None:
        check_choice("missing", missing, MISSING)
    check_choice("repeated", repeated, REPEATED)
    rules = {"has_initial": bool(has_initial), "missing": missing or "error", "repeated": repeated}
    reader = TableReader(columns or LogColumns(), **rules)
    if not isinstance(source, (str, os.PathLike)):
        return reader.frame(source, "the table")
    if str(source) == "-":
        with tempfile.TemporaryDirectory() as folder:
            path = _from_stdin(Path(folder))
            return _read_file(path, "standard input", reader, has_initial, missing)
    path = Path(source)
    if path.is_dir():
        return _read_folder(path, has_initial, missing)
    if not path.is_file():
        raise UsageError(f"{path}: there is no such file or folder")
    return _read_file(path, str(path), reader, has_initial, missing)


def _read_folder(path: Path, has_initial: bool | None, missing: str | None) -> ProxyRun:
    """A recorder's folder, or any folder of .npy; arrays memory-mapped."""
    if not LogFolder.is_one(path):
        return run_of(folder_arrays(path), str(path), has_initial=has_initial, missing=missing)
    folder = LogFolder(path)
    if not folder.epochs:
        raise UsageError(f"{path}: the recorder has not ended an epoch in it")
    facts = folder.facts
    rules = {name: facts.get(name) for name in ("mode", "has_initial", "missing", "repeated")}
    kind = OnePassKeeper if facts.get("mode") == "one_pass" else LogKeeper
    keeper = kind(path, rules)
    classes = Classes()
    parts = [
        Part(name, None, None, classes, missing=str(rules["missing"]), repeated=str(rules["repeated"]))
        for name in ("sample", "validation row")
    ]
    keeper.open(*parts, True)
    if isinstance(keeper, OnePassKeeper):
        return keeper.run(*parts)
    arrays = keeper.arrays(*parts)
    return run_of(arrays, str(path), has_initial=has_initial, missing=missing, notes=keeper.notes())


def _read_file(
    path: Path, where: str, reader: TableReader, has_initial: bool | None, missing: str | None
) -> ProxyRun:
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise UsageError(
            f"{where}: a log is an .npz, .csv, .jsonl or .parquet file, or a folder of .npy; this is "
            f"{suffix or 'without an ending'}"
        )
    try:
        if suffix == ".npz":
            return run_of(npz_arrays(path), where, has_initial=has_initial, missing=missing)
        if suffix == ".csv":
            return reader.csv(path, where)
        return reader.parquet(path, where) if suffix in (".parquet", ".pq") else reader.jsonl(path, where)
    except OSError as error:
        raise UsageError(f"{where}: it cannot be read ({error.strerror or error})") from None


def _from_stdin(folder: Path) -> Path:
    """Standard input as a file, whose ending is that of what it holds: tables are read more than once, and
    arrays are mapped."""
    path = folder / "log"
    with open(path, "wb") as handle:
        shutil.copyfileobj(sys.stdin.buffer, handle, 1 << 20)
    with open(path, "rb") as handle:
        head = handle.read(64)
    if not head.strip():
        raise UsageError("standard input is empty: pipe a CSV, JSONL, Parquet or .npz into it")
    kinds = {b"PK": ".npz", b"PAR1": ".parquet", b"{": ".jsonl"}
    suffix = next(
        (kind for sign, kind in kinds.items() if head.lstrip(b"\xef\xbb\xbf").startswith(sign)), ".csv"
    )
    return path.rename(path.with_suffix(suffix))
