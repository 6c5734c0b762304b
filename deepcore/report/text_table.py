"""A table as text, Markdown, LaTeX or CSV."""

from __future__ import annotations

import csv
import io
import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from tabulate import tabulate

WIDTH = 118  # of everything in table form
SIGNS = {
    "±": r"$\pm$",
    "≈": r"$\approx$",
    "†": r"$^\dagger$",
    "▲": r"$\uparrow$",
    "▼": r"$\downarrow$",
    "<": "$<$",
    ">": "$>$",
}


def number(value: float) -> str:
    """Three decimals, or two digits for less than 0.0005; 0 as a dash."""
    if value == 0:
        return "-"
    return f"{value:,.3f}" if value >= 0.0005 else f"{value:.2g}"


def first_widths(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> tuple[int | None, ...]:
    """`TextTable.widths` where only the first column is wrapped, to what the others leave of WIDTH."""
    others = 0
    for i, header in enumerate(headers[1:], start=1):
        of_header = 2 + max(map(len, header.split("\n")))  # tabulate keeps two columns beside a header
        others += 2 + max(of_header, *(len(row[i]) for row in rows))
    return (max(8, WIDTH - others), *[None] * (len(headers) - 1))


def render_lines(lines: Sequence[str], output: str) -> str:
    """Remarks below a table: a list in "md", comments in "latex", wrapped lines in "table"."""
    if output == "latex":
        return "\n".join(f"% {line}" for line in lines)
    if output == "md":
        return "\n".join(f"- {line.replace('*', chr(92) + '*')}" for line in lines)  # no list in the list
    return "\n".join(textwrap.fill(line, WIDTH, subsequent_indent="  ") for line in lines)


def to_csv(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Comma-separated, quoted where needed, without a last newline."""
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows([headers, *rows])
    return file.getvalue().rstrip("\n")


@dataclass(frozen=True)
class TextTable:
    """A table of text.

    Attributes:
        title: the line above; "" for none.
        headers: one per column; a newline breaks the line in the form "table".
        rows: the cells; the first column is aligned left, the others right.
        formulas: columns of formulas such as "3 N T_proxy f + O(N) [scores]", aligned left.
        words: further columns of text, aligned left.
        widths: of the columns in the form "table"; longer cells are wrapped.
    """

    title: str
    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    formulas: tuple[int, ...] = ()
    words: tuple[int, ...] = ()
    widths: tuple[int | None, ...] | None = None

    def render(self, output: str) -> str:
        """As "table", "md", "latex" or "csv"."""
        flat = [header.replace("\n", " ") for header in self.headers]
        if output == "csv":
            return to_csv(flat, self.rows)
        words = {0, *self.formulas, *self.words}
        align = ["left" if i in words else "right" for i in range(len(self.headers))]
        if output == "latex":
            rows = [
                [latex(cell) if i in self.formulas else escape(cell) for i, cell in enumerate(row)]
                for row in self.rows
            ]
            headers = [escape(header) for header in flat]
            body = tabulate(rows, headers, "latex_raw", colalign=align, disable_numparse=True)
            return f"% {self.title}\n{body}" if self.title else body
        if output == "md":
            body = tabulate(self.rows, flat, "github", colalign=align, disable_numparse=True)
            return f"**{self.title}**\n\n{body}" if self.title else body
        rows = [
            [_unbroken(cell) if i in self.formulas else cell for i, cell in enumerate(row)]
            for row in self.rows
        ]
        body = tabulate(
            rows, self.headers, "simple", colalign=align, disable_numparse=True, maxcolwidths=self.widths
        )
        return (f"{self.title}\n\n{body}" if self.title else body).replace("\xa0", " ")


def latex(formula: str) -> str:
    """A formula of this module as LaTeX; what stands in [brackets] stays text."""
    out = []
    for piece in re.split(r"(\[[^\]]*\])", formula):
        if piece.startswith("["):
            out.append(escape(piece))
        elif piece.strip():
            math = re.sub(
                r"\b([A-Za-z])_([A-Za-z_]+)",
                lambda m: rf"{m[1]}_{{\text{{{m[2].replace('_', ',')}}}}}",
                piece,
            )
            math = re.sub(r"\b(log|gamma|epsilon|kappa)\b", r"\\\1 ", math)
            out.append(f"${math.replace('O(', chr(92) + 'mathcal{O}(').strip()}$")
    return " ".join(out)


def _unbroken(formula: str) -> str:
    """A formula that is wrapped between its terms only, and before [remarks]."""
    return re.sub(r" (?![+\[])", "\xa0", formula)


def escape(text: str) -> str:
    """Text with LaTeX's special characters escaped, and the signs of our tables in commands."""
    text = re.sub(r"([%_&#$])", r"\\\1", text)
    return re.sub("|".join(SIGNS), lambda found: SIGNS[found[0]], text)
