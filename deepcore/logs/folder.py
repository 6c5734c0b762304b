"""The folder that a recorder writes: arrays by the names of `layout`, one row an epoch, readable by numpy.

log.json             format, epochs that are whole, the arrays that are the log's, and what was asked for;
                     written last, so that an epoch is in the log with everything or not at all
ids.npy, train_labels.npy, val_labels.npy, val_ids.npy, class_names.npy
train_losses.npy ... (epochs, N), val_losses.npy (epochs, Q); float32; a row is appended an epoch
state-E.npz          instead of these with mode="one_pass": the scores after E epochs
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from deepcore.common.checks import UsageError
from deepcore.common.files import write_bytes, write_npz
from deepcore.logs.arrays import mapped, npz_arrays
from deepcore.proxy.signals import Signal

FORMAT = 2
HEAD = "log.json"
CONSTANTS = ("ids", "train_labels", "val_labels", "val_ids", "class_names")


def _wrong_fact(head: dict[str, Any]) -> str | None:
    """The first entry of log.json that is missing or none that a recorder writes; None if all are."""

    def names(value: Any) -> bool:
        return isinstance(value, list) and all(
            isinstance(name, str) and name.isidentifier() for name in value
        )

    def counts(value: Any) -> bool:
        return isinstance(value, list) and all(
            isinstance(pair, list) and len(pair) == 2 and all(type(n) is int and n >= 0 for n in pair)
            for pair in value
        )

    valid = {
        "epochs": head["epochs"] >= 0,
        "mode": head.get("mode", "log") in ("log", "one_pass"),
        "has_initial": isinstance(head.get("has_initial"), bool),
        "missing": head.get("missing") in ("error", "nan"),
        "repeated": head.get("repeated", "error") in ("error", "last"),
        "counts": counts(head.get("counts", [])),
        "signals": names(head.get("signals")) and {*head["signals"]} <= {s.value for s in Signal},
        "arrays": names(head.get("arrays", [])),
        "constants": names(listed := head.get("constants", [])) and {*listed} <= {*CONSTANTS},
    }
    return next((name for name, holds in valid.items() if not holds), None)


class LogFolder:
    """A folder of one recorder.

    Attributes:
        epochs: that are whole, the untrained network's among them.
        facts: what else log.json holds.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.epochs = 0
        self.facts: dict[str, Any] = {}
        if (path / HEAD).exists():
            self._read()

    @staticmethod
    def is_one(path: Path) -> bool:
        """Whether `path` is the folder of a recorder."""
        return (path / HEAD).is_file()

    def _read(self) -> None:
        where = self.path / HEAD
        try:
            head = json.loads(where.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UsageError(
                f"{where}: it cannot be read ({error}); the folder holds no whole log: log into another"
            ) from None
        if not isinstance(head, dict) or head.get("format") != FORMAT or type(head.get("epochs")) is not int:
            raise UsageError(f"{where}: not written by LossRecorder, or in another format than {FORMAT}")
        wrong = _wrong_fact(head)
        if wrong:
            raise UsageError(
                f"{where}: {wrong} is {head.get(wrong)!r}: it was changed after LossRecorder wrote it, or is "
                "damaged"
            )
        self.epochs = head.pop("epochs")
        head.pop("format")
        self.facts = head

    def write_constants(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Ids and labels, each replaced as a whole."""
        self.path.mkdir(parents=True, exist_ok=True)
        for name, array in arrays.items():
            content = io.BytesIO()
            np.save(content, array, allow_pickle=False)
            write_bytes(self.path / f"{name}.npy", content.getvalue())

    def append(self, rows: Mapping[str, np.ndarray], facts: Mapping[str, Any]) -> None:
        """The next epoch: row `epochs` of each array, then log.json with `facts`.

        What a kill, or a full disk, leaves of it is overwritten by the next call and read by nobody.
        """
        for name, row in rows.items():
            self._append(self.path / f"{name}.npy", np.ascontiguousarray(row, dtype=np.float32))
        self._commit(facts)

    def replace_state(self, state: Mapping[str, np.ndarray], facts: Mapping[str, Any]) -> None:
        """The scores after the next epoch, then log.json, then the scores of the epoch before go."""
        self.path.mkdir(parents=True, exist_ok=True)
        write_npz(self._state(self.epochs + 1), **state)
        self._commit(facts)
        self._state(self.epochs - 1).unlink(missing_ok=True)

    def cut(self, epochs: int) -> None:
        """Forget every epoch after the first `epochs`; UsageError where that cannot be."""
        if not 0 <= epochs <= self.epochs:
            raise UsageError(
                f"{self.path}: resume={epochs} is none of its {self.epochs} epochs: give the number of "
                "epochs that the training goes on after"
            )
        if epochs < self.epochs and self.facts.get("mode") == "one_pass":
            raise UsageError(
                f"{self.path}: a one-pass log keeps its last epoch, {self.epochs}, alone: the training "
                f"cannot go on after epoch {epochs}; log into another folder"
            )
        if epochs < self.epochs:
            self._write_head(epochs, {**self.facts, "counts": self.facts.get("counts", [])[:epochs]})

    def constants(self) -> dict[str, np.ndarray]:
        """Those of this log. An earlier log may have left others in the folder; a log.json of an older
        version does not tell them apart."""
        there = [name for name in CONSTANTS if (self.path / f"{name}.npy").exists()]
        return {name: mapped(self.path / f"{name}.npy") for name in self.facts.get("constants", there)}

    def rows(self) -> dict[str, np.ndarray]:
        """The trajectories, (epochs, columns) each, memory-mapped; UsageError names one that is cut off."""
        names = [*self.facts.get("arrays", ())]
        found = {}
        for name in names:
            array = mapped(self.path / f"{name}.npy")
            if array.ndim != 2 or len(array) < self.epochs:
                raise UsageError(
                    f"{self.path / name}.npy has shape {array.shape} and {HEAD} counts {self.epochs} epochs: "
                    "it is cut off or damaged"
                )
            found[name] = array[: self.epochs]
        return found

    def state(self) -> dict[str, np.ndarray]:
        """The scores of a one-pass log."""
        return npz_arrays(self._state(self.epochs))

    def _state(self, epochs: int) -> Path:
        return self.path / f"state-{epochs}.npz"

    def _append(self, path: Path, row: np.ndarray) -> None:
        """Row `epochs` of an array, behind the rows before it, then the header with one row more."""
        header = io.BytesIO()
        shape = (self.epochs + 1, len(row))
        np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": shape})
        begins = header.tell()  # numpy leaves room in it for the number of rows to grow
        with open(path, "r+b" if path.exists() else "w+b") as handle:
            handle.seek(begins + self.epochs * row.nbytes)
            handle.write(row.astype("<f4", copy=False).tobytes())
            handle.flush()  # the header never counts a row that is not there
            handle.seek(0)
            handle.write(header.getvalue())
            handle.truncate(begins + (self.epochs + 1) * row.nbytes)
            handle.flush()
            os.fsync(handle.fileno())

    def _commit(self, facts: Mapping[str, Any]) -> None:
        """The next epoch counts."""
        self._write_head(self.epochs + 1, facts)

    def _write_head(self, epochs: int, facts: Mapping[str, Any]) -> None:
        head = {**facts, "format": FORMAT, "epochs": epochs}
        write_bytes(self.path / HEAD, (json.dumps(head, indent=1, sort_keys=True) + "\n").encode())
        self.facts, self.epochs = dict(facts), epochs
