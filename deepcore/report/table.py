"""A table in two forms: text for people, records for programs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deepcore.report.text_table import TextTable, render_lines


@dataclass(frozen=True)
class Table:
    """A table in both forms.

    Attributes:
        name: file stem.
        text: the table for people.
        records: unrounded, for csv and json; at least one record per line of the table.
        notes: sentences below the table.
        styles: for the page, a tuple of words per row and cell: "best", "same" (not told apart from the
            best), "above", "below" (Random), joined by spaces, or a shade ("plus1" to "plus4", "minus1" to
            "minus4").
        grouped_by: for the page, the column whose change begins a new group of rows.
    """

    name: str
    text: TextTable
    records: tuple[Mapping[str, Any], ...]
    notes: tuple[str, ...] = ()
    styles: tuple[tuple[str, ...], ...] = ()
    grouped_by: int | None = None

    def render(self, output: str) -> str:
        """As one of `deepcore.report.accuracy_report.OUTPUTS`."""
        if output == "json":
            return json.dumps(self.records, indent=1)
        if output == "csv":
            return records_csv(self.records)
        body = self.text.render(output)
        return f"{body}\n\n{render_lines(self.notes, output)}" if self.notes else body


def records_csv(records: Sequence[Mapping[str, Any]]) -> str:
    """A header and a line per record, without a last newline; None is empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(records[0]) if records else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue().rstrip("\n")
