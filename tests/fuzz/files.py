"""Files of other people, changed at bytes and at fields: data sets, logs, subsets, and stored runs."""

from __future__ import annotations

import functools
import random
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.fuzz import stored
from tests.fuzz.commands import some_rows, write_data
from tests.fuzz.mutate import BYTES, changed, changes
from tests.fuzz.outcome import captured, check_command
from tests.fuzz.sandbox import Case, Fuzzer, own_folder

Reader = Callable[[Path], object]


def _load(name: str, path: Path) -> object:
    from deepcore.data import datasets

    data = datasets.load(name, data_path=path, workers=0)
    if hasattr(data.train, "inputs"):
        return data
    import torch

    return next(iter(data.train.batches([np.arange(2)], device=torch.device("cpu"))))


def _npz(path: Path) -> object:
    return _load(str(path / "data.npz"), path)


def _log(name: str, path: Path) -> object:
    from deepcore.cli import inspect
    from deepcore.logs import read_logs

    run = read_logs(path / name if name else path)
    return inspect.facts(run), inspect.methods_table(run)


def _subset(name: str, path: Path) -> object:
    import methods

    return methods.parse(f"file:{path / name}")


def _power(path: Path) -> object:
    from deepcore.report.power_report import power_report

    return power_report(path / "r.csv")


@functools.cache
def _bases() -> dict[str, tuple[Callable[[Path], object], Reader, tuple[str, ...]]]:
    """By kind: how its files are written, how they are read, how they may be changed."""
    from tests import archives
    from tests.logs import tables

    log_arrays = {
        "train_losses": tables.LOSSES,
        "train_labels": tables.LABELS,
        "val_losses": tables.VAL,
        "val_labels": tables.VAL_LABELS,
        "ids": tables.IDS,
    }

    def folder_of_arrays(path: Path) -> None:
        for name, array in log_arrays.items():
            np.save(path / f"{name}.npy", array)

    rows, text = tables.csv_text(tables.rows()), tables.csv_text(tables.rows(text=True))
    arrays, lines, part = (*BYTES, *["array"] * 8), (*BYTES, *["line"] * 8), functools.partial
    ids = {"ids": np.array([1, 4, 9]), "weights": np.ones(3)}
    return {
        "npz data": (lambda path: write_data(path / "data.npz"), _npz, arrays),
        "idx data": (part(archives.write_idx_folder, compress=False), part(_load, "MNIST"), BYTES),
        "gz data": (archives.write_idx_folder, part(_load, "FashionMNIST"), BYTES),
        "npz log": (part(_savez, "l.npz", log_arrays), part(_log, "l.npz"), arrays),
        "csv log": (part(_text, "l.csv", rows), part(_log, "l.csv"), lines),
        "csv text log": (part(_text, "l.csv", text), part(_log, "l.csv"), lines),
        "folder log": (folder_of_arrays, part(_log, ""), arrays),
        "recorder log": (_record, part(_log, "recorded"), (*BYTES, *["json"] * 4, *["array"] * 2)),
        "jsonl log": (part(_table, "l.jsonl"), part(_log, "l.jsonl"), (*BYTES, "line", "line")),
        "parquet log": (part(_table, "l.parquet"), part(_log, "l.parquet"), BYTES),
        "csv subset": (part(_text, "s.csv", "id,weight\n3,1\n5,0.5\n20,2\n"), part(_subset, "s.csv"), lines),
        "csv rows": (part(_text, "r.csv", some_rows()), _power, lines),
        "npz subset": (part(_savez, "s.npz", ids), part(_subset, "s.npz"), arrays),
    }


def _savez(name: str, arrays: dict[str, np.ndarray], path: Path) -> None:
    np.savez(path / name, **arrays)


def _text(name: str, text: str, path: Path) -> None:
    (path / name).write_text(text)


def _table(name: str, path: Path) -> None:
    import json

    import pandas

    from tests.logs import tables

    records = [dict(zip(tables.HEADER, row, strict=True)) for row in tables.rows()]
    if name.endswith("jsonl"):
        (path / name).write_text("\n".join(json.dumps(record) for record in records) + "\n")
    else:
        pandas.DataFrame(records).to_parquet(path / name)


def _record(path: Path) -> None:
    from deepcore import LossRecorder
    from tests.logs import tables

    folder = path / "recorded"
    recorder = LossRecorder(tables.LABELS, tables.VAL_LABELS, tables.IDS, folder=folder)
    for t in range(tables.T):
        recorder.log(tables.IDS, tables.LOSSES[t])
        recorder.log_val(tables.VAL[t])
        recorder.end_epoch()


@functools.cache
def contents(kind: str) -> dict[str, bytes]:
    """The files of a kind, by name, before any change."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        path = Path(folder)
        _bases()[kind][0](path)
        files = [file for file in sorted(path.rglob("*")) if file.is_file()]
        return {str(file.relative_to(path)): file.read_bytes() for file in files}


def draw(rng: random.Random) -> Case:
    """The kind, the file, and the changes that it gets, in pieces."""
    if rng.random() < 0.35:
        return stored.draw(rng)
    kind = rng.choice([*_bases()])
    return (kind, rng.choice([*contents(kind)]), *changes(rng, _bases()[kind][2]))


def attempt(case: Case) -> str:
    """Change the file and read it as a command does."""
    if len(case) < 2 or not isinstance(case[0], str) or not isinstance(case[1], str):
        return "nothing"
    kind, file, *made = case
    if kind == stored.KIND:
        return stored.attempt(file, tuple(made))
    from deepcore.common.console import exit_status

    folder = own_folder()
    for name, content in contents(kind).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(changed(content, tuple(made)) if name == file else content)
    reader = _bases()[kind][1]

    def work() -> int:
        reader(folder)
        return 0

    outcome = check_command(*captured(lambda: exit_status(work, None)))
    return "read" if outcome == "done" else outcome


FUZZER = Fuzzer("files", draw, attempt)
