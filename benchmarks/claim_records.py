"""The records of a claim: what it measured, a line each, as CSV and back."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Mapping, Sequence

from deepcore.experiment.rows import ResultRow

Value = str | int | float | None
Record = Mapping[str, Value]  # records of one claim may have other columns than each other


def to_csv(records: Sequence[Record], about: Mapping[str, str]) -> str:
    """Comment lines with what the records are of, a header, a line each; six digits of every number."""
    text = io.StringIO()
    text.writelines(f"# {name}: {value}\n" for name, value in about.items())
    names = dict.fromkeys(name for record in records for name in record)
    writer = csv.DictWriter(text, list(names), lineterminator="\n")
    writer.writeheader()
    writer.writerows({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in r.items()} for r in records)
    return text.getvalue()


def from_csv(text: str) -> list[dict[str, Value]]:
    """The records; empty cells are None, numbers are numbers."""
    lines = [line for line in text.splitlines() if not line.startswith("# ")]
    return [{name: _value(cell) for name, cell in line.items()} for line in csv.DictReader(lines)]


def _value(cell: str) -> Value:
    if cell == "":
        return None
    try:
        value = json.loads(cell)
    except ValueError:
        return cell
    return value if type(value) in (int, float) else cell


def digest(records: Sequence[Record]) -> str:
    """Of what a figure is drawn from; kept in the figure's description."""
    return hashlib.sha256(repr(records).encode()).hexdigest()[:16]


def accuracies(rows: Iterable[ResultRow]) -> list[Record]:
    """One record per row, with the accuracy in percent."""
    return [
        {
            "proxy": row.proxy_net,
            "target": row.target_net,
            "method": row.label,
            "fraction": row.fraction,
            "seed": row.seed,
            "k": row.k,
            "accuracy": 100 * row.accuracy,
        }
        for row in rows
    ]


def matching(records: Sequence[Record], **where: Value) -> list[Record]:
    """The records with these values."""
    return [record for record in records if all(record[name] == value for name, value in where.items())]


def by_seed(records: Sequence[Record], value: str = "accuracy", **where: Value) -> dict[int, float]:
    """{seed: value} of the records with these values, averaged where a seed has several."""
    found: dict[int, list[float]] = {}
    for record in matching(records, **where):
        found.setdefault(record["seed"], []).append(record[value])
    return {seed: sum(values) / len(values) for seed, values in found.items()}
