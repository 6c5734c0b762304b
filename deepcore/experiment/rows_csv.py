"""Result rows as one CSV file and back, without loss.

The file begins with comment lines, `# NAME NUMBER: JSON`, that hold what many rows share (provenance with
command, versions and hardware; recipes; the fields of each method); the columns of these names hold the
number. Then a header and a line per row: nested values have a column each with dots in its name, lists are
JSON. `pandas.read_csv(path, comment="#")` reads it.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from deepcore.common.checks import StoredMismatch
from deepcore.experiment.row_check import wrong_field
from deepcore.experiment.rows import ResultRow

SHARED = ("provenance", "target_recipe", "proxy_recipe", "method_spec", "notes")
FIRST = ("dataset", "target_net", "method", "label", "fraction", "seed", "k", "accuracy")
COMMENT = re.compile(r"# (\w+) (\d+): (.*)")


def to_csv(rows: Sequence[ResultRow]) -> str:
    """The file's text; rows in the order given."""
    shared: dict[str, dict[str, int]] = {name: {} for name in SHARED}
    lines = []
    for row in rows:
        value = dataclasses.asdict(row)
        for name in SHARED:
            if value[name] is not None:
                known = shared[name]
                value[name] = known.setdefault(_json(value[name]), len(known) + 1)
        lines.append(dict(_flat(value)))
    names = dict.fromkeys([*FIRST, *(name for line in lines for name in line)])
    text = io.StringIO()
    for name, values in shared.items():
        text.writelines(f"# {name} {number}: {content}\n" for content, number in values.items())
    writer = csv.DictWriter(text, list(names), restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()


def read_csv(path: Path) -> list[ResultRow]:
    """The rows of a file that `to_csv` wrote; StoredMismatch for anything else."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StoredMismatch(f"{path} cannot be read as a CSV of result rows ({error})") from None
    return from_csv(text, str(path))


def from_csv(text: str, name: str = "the file") -> list[ResultRow]:
    """The counterpart of `to_csv`; StoredMismatch for anything else, with `name` in its message."""
    file = io.StringIO(text, newline="")
    shared: dict[tuple[str, int], Any] = {}
    start = 0
    try:
        while comment := COMMENT.match(file.readline()):
            shared[comment[1], int(comment[2])] = json.loads(comment[3])
            start = file.tell()
        file.seek(start)
        reader = csv.DictReader(file)
        rows = [(text.count("\n", 0, start) + reader.line_num, _row(line, shared)) for line in reader]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, csv.Error) as error:
        raise StoredMismatch(f"{name} is not a CSV of result rows ({error!r})") from None
    for number, row in rows:
        if wrong := wrong_field(row):
            raise StoredMismatch(
                f"{name}: line {number}: {wrong} is {getattr(row, wrong)!r}, which no row has"
            )
    return [row for _, row in rows]


def _row(line: dict[str, str], shared: dict[tuple[str, int], Any]) -> ResultRow:
    if None in line or None in line.values():
        raise ValueError("a line with another number of cells than the header")
    fields: dict[str, Any] = {}
    for name, cell in line.items():
        top, *path = name.split(".")
        if not cell:
            if not path:
                fields[top] = None
            continue
        place = fields
        for key in [top, *path][:-1]:
            place = place.setdefault(key, {})
        place[name.split(".")[-1]] = _value(cell)
    for name in SHARED:
        if fields.get(name) is not None:
            fields[name] = shared[name, fields[name]]
    if fields.get("error") is None:
        fields["error"] = ""
    return ResultRow(**fields)


def _flat(value: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """(dotted name, cell); None at the top is an empty cell, an empty dict none at all."""
    cells = []
    for name, item in value.items():
        if isinstance(item, dict):
            cells += _flat(item, f"{prefix}{name}.")
        elif item == "" or (item is None and not prefix):
            cells.append((prefix + name, ""))
        else:
            cells.append((prefix + name, _cell(item)))
    return cells


def _cell(item: Any) -> str:
    """A word as it is, unless it would be read as something else; everything else as JSON."""
    if isinstance(item, str) and _value(item) == item:
        return item
    return _json(item)


def _value(cell: str) -> Any:
    try:
        return json.loads(cell)
    except ValueError:
        return cell


def _json(item: Any) -> str:
    return json.dumps(item, sort_keys=True, separators=(",", ":"))
