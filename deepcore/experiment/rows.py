"""A result row (one target training and its cost), and the folder of rows."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deepcore.common.checks import StoredMismatch
from deepcore.common.files import read_json, write_json
from deepcore.common.identity import fingerprint
from deepcore.experiment.row_check import changed_field, wrong_field

SCHEMA = 1
CHECKSUM = "checksum"  # of a whole row, in the provenance of its file
CODES = CODE, NET_CODE, PROXY_CODE = "method_code", "net_code", "proxy_code"  # `provenance.code_of` method,
# target and proxy network, in the provenance of a row
WITHOUT_CHECKSUM = "0.1.0"  # files of this version may have none
LATER = {"label_noise", "long_tail"}  # fields that older rows of this schema lack: their defaults hold


@dataclass(frozen=True)
class ResultRow:
    """One target training.

    Attributes:
        schema: version of this layout.
        fingerprint: hash of everything that fixes the result.
        status, error: "ok" and "", or "failed" and what went wrong.
        dataset, seed, n, q: data and split; n candidates, q validation rows.
        method: its name.
        label: its name with the fields that differ from the defaults.
        method_spec: all its fields, resolved for the fraction.
        is_selection: False for reference rows.
        fraction: kept, as asked; None where the method fixes its size.
        k: rows of one epoch of training.
        proxy_net, target_net: names; proxy_net is None where no proxy was needed.
        recording: the mode the method read, or None.
        proxy_recipe, target_recipe: the TrainSpec of each.
        epochs, steps, batch: of the target.
        accuracy, class_accuracy: share right in [0, 1] on the test set after the last step; per class, None
            for a class without a test row.
        n_test: test rows.
        proxy_run, recorded: name of the proxy run that it read, and all that was
            recorded there (a `deepcore.proxy.use.ProxyUse`); None and zeros where none was needed.
        reads: the part of a proxy run that this method reads, in the same form.
        repeats: {"runs", "epochs"} of the extra short proxy runs that the method averages over.
        passes: {"proxy": {...}, "repeats": {...}, "score": {...}, "target": {...}}, examples counted where
            the batches ran; the proxy run is shared (or the method's own, see `recorded`), and so may be its
            short repeats, whose epochs read are counted; the passes of scoring are this method's own.
        flops_per_example: {"proxy": {"forward", "backward"}, "target": ...}, one multiply-add = 2.
        signal_bytes: bytes of the recordings that the method reads, no checkpoint more.
        notes: sentences for the user on the selection.
        label_noise: rates, flipped and kept rows, AUROC (`deepcore.experiment.noise_record`); empty without
            label noise.
        long_tail: imbalance and class sizes of the candidates (`deepcore.experiment.tail_record`); empty
            without a long tail.
        measured: seconds {proxy, record, repeats, score, select, train, test}, peak_bytes {proxy, repeats,
            score, target}, and when: what differs between two runs of the same command. Peaks are of the
            process, of the device on a GPU; scoring, on a GPU too, of the process ("score") and of the device
            ("score_device").
        provenance: versions, commit, hardware.
    """

    fingerprint: str
    dataset: str
    seed: int
    n: int
    q: int
    method: str
    label: str
    method_spec: dict[str, Any]
    is_selection: bool
    fraction: float | None
    target_net: str
    proxy_net: str | None
    recording: str | None
    proxy_recipe: dict[str, Any] | None
    target_recipe: dict[str, Any]
    status: str = "ok"
    error: str = ""
    k: int = 0
    epochs: int = 0
    steps: int = 0
    batch: int = 0
    n_test: int = 0
    proxy_run: str | None = None
    recorded: dict[str, int | bool | str] = field(default_factory=dict)
    reads: dict[str, int | bool | str] = field(default_factory=dict)
    repeats: dict[str, int] = field(default_factory=dict)
    accuracy: float | None = None
    class_accuracy: list[float | None] = field(default_factory=list)
    passes: dict[str, dict[str, int]] = field(default_factory=dict)
    flops_per_example: dict[str, dict[str, int]] = field(default_factory=dict)
    signal_bytes: int = 0
    notes: list[str] = field(default_factory=list)
    label_noise: dict[str, Any] = field(default_factory=dict)
    long_tail: dict[str, Any] = field(default_factory=dict)
    measured: dict[str, Any] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)
    schema: int = SCHEMA

    def content(self) -> dict[str, Any]:
        """The row without `measured` and `provenance`, which differ between two runs of the same command."""
        value = dataclasses.asdict(self)
        del value["measured"], value["provenance"]
        return value

    def worst_class(self) -> float | None:
        """The lowest class accuracy, in [0, 1]."""
        known = [a for a in self.class_accuracy if a is not None]
        return min(known) if known else None


class RowStore:
    """One JSON file per row, written atomically."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, row: ResultRow) -> Path:
        """Where `row` is, or would be."""
        size = "all" if row.fraction is None else f"f{row.fraction:g}"
        parts = (row.dataset, row.target_net, row.method, size, f"seed{row.seed}", row.fingerprint)
        return self.folder / ("-".join(parts).replace("/", "_").replace(":", "_") + ".json")

    def finished(self, row: ResultRow) -> ResultRow | None:
        """The stored row of the same fingerprint if it is there and ok, under the label of `row`: two labels
        may come to the same once their fields are resolved ("CCS" and "CCS:beta=0.3" at 10% kept)."""
        path = self.path(row)
        if not path.exists():
            return None
        stored = read_row(path)
        if stored.fingerprint != row.fingerprint:
            raise StoredMismatch(
                f"the result row {path} is damaged (it is of fingerprint {stored.fingerprint}); delete it "
                "and run the command again"
            )
        if other := changed_field(stored, row):
            raise StoredMismatch(
                f"the result row {path} was changed, or comes from elsewhere: its {other} is "
                f"{getattr(stored, other)!r} where {getattr(row, other)!r} belongs; move it away and run the "
                "command again"
            )
        return dataclasses.replace(stored, label=row.label) if stored.status == "ok" else None

    def error(self, row: ResultRow) -> str:
        """The error of the last attempt at the row of this fingerprint; "" without an error."""
        path = self.path(row)
        return read_row(path).error if path.exists() else ""

    def save(self, row: ResultRow) -> None:
        """Write or replace the row's file."""
        self.folder.mkdir(exist_ok=True)  # not its parents: where they are gone, so are this row's selections
        value = dataclasses.asdict(row)
        value["provenance"][CHECKSUM] = fingerprint(value)
        write_json(self.path(row), value)

    def all(self) -> list[ResultRow]:
        """Every stored row, by file name."""
        return [read_row(path) for path in sorted(self.folder.glob("*.json"))]


def read_row(path: Path) -> ResultRow:
    """A stored row; StoredMismatch when it is damaged or of another schema."""
    value = read_json(path, "the result row")
    names = {f.name for f in dataclasses.fields(ResultRow)}
    if not isinstance(value, dict) or value.get("schema") != SCHEMA or set(value) | LATER != names:
        schema = value.get("schema") if isinstance(value, dict) else None
        what = f"has schema {schema} where this version reads {SCHEMA}"
        if schema == SCHEMA:
            odd = ", ".join(sorted(names ^ (set(value) | LATER)))
            what = f"lacks, or has beyond what this version reads, {odd}"
        raise StoredMismatch(f"the result row {path} {what}: move it away, or give another --save_path")
    origin = value["provenance"] if isinstance(value["provenance"], dict) else {}
    written = origin.pop(CHECKSUM, None)
    without = written is None and origin.get("deepcore") == WITHOUT_CHECKSUM
    if not without and written != fingerprint(value):  # of the fields that it was written with
        raise StoredMismatch(
            f"the result row {path} is damaged, or was changed after it was written; delete it and run the "
            "command again"
        )
    row = ResultRow(**value)
    wrong = wrong_field(row)
    if wrong:
        raise StoredMismatch(
            f"the result row {path} is damaged ({wrong} is {value[wrong]!r}); delete it and run the command "
            "again"
        )
    return row


def to_json(rows: list[ResultRow]) -> str:
    """Rows as a JSON list."""
    return json.dumps([dataclasses.asdict(row) for row in rows], indent=1, sort_keys=True)
