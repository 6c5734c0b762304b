"""One self-contained HTML page of a run: what came out, how sure it is, how it was made."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deepcore.comparison import (
    AS_GOOD,
    BELOW,
    BEST,
    LEGEND,
    Block,
    block_title,
    blocks,
    comparison_sheet,
    rank_lines,
)
from deepcore.figures import save_figure
from deepcore.files import write_bytes
from deepcore.results import ResultRow
from deepcore.stats import MIN_SEEDS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #222; margin: 0 auto; padding: 1rem;
  max-width: 68rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2.2rem; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-size: .875rem; }
th, td { padding: .3rem .65rem; border-bottom: 1px solid #ddd; text-align: right; white-space: nowrap;
  vertical-align: top; }
th { border-bottom: 2px solid #888; } td:first-child, th:first-child,
.words td, .words th { text-align: left; }
.words td:last-child { white-space: normal; overflow-wrap: anywhere; min-width: 12rem; }
td:first-child { white-space: normal; overflow-wrap: anywhere; min-width: 6rem; max-width: 14rem; }
tr.best td { font-weight: 600; } tr.below td { color: #a33; }
img { width: 100%; height: auto; } ul { font-size: .875rem; color: #444; padding-left: 1.2rem; }
@media print { body { max-width: none; font-size: 11px; padding: 0; } table, ul { font-size: 8.5px; }
  th, td { padding: .15rem .3rem; } .scroll { overflow: visible; }
  section, tr, img { break-inside: avoid; } section.long { break-inside: auto; } }
"""


def write_report(rows: Sequence[ResultRow], path: Path) -> list[Path]:
    """Write the page to `path`, and each figure beside it as PNG and SVG.

    Args:
        rows: of one run: any number of data sets, nets, methods, fractions and seeds; failed ones are listed.
        path: of the HTML file; its folder is made.

    Returns:
        What was written. Without matplotlib there are no figures, and the page says so.
    """
    found = blocks(rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    pictures, written = [], []
    for dataset, net in dict.fromkeys((b.dataset, b.net) for b in found if b.fraction is not None):
        stem = path.parent / f"accuracy-{dataset}-{net}".replace("/", "_")
        figure = _figure([block for block in found if (block.dataset, block.net) == (dataset, net)])
        if figure is None:
            pictures.append(_list(["matplotlib is not installed: no figure"]))
            continue
        written += save_figure(figure, stem)
        pictures.append(_picture(figure, f"Test accuracy against the fraction kept: {dataset}, {net}"))
    title = "Coreset selection: " + (", ".join(dict.fromkeys(row.dataset for row in rows)) or "no rows")
    body = [
        f"<h1>{escape(title)}</h1>",
        _list(_setting(rows)),
        _section("What came out", _list(map(verdict, found))),
        *pictures,
        *(_section(block_title(block), _comparison(block)) for block in found),
        _section("How to read the tables", _list([*LEGEND, *rank_lines(found)])),
        *_how_it_was_made(rows),
    ]
    page = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>\n<body>\n"
    )
    write_bytes(path, (page + "\n".join(body) + "\n</body></html>\n").encode())
    return [path, *written]


def verdict(block: Block) -> str:
    """What the block says in a sentence."""
    named = {mark: [e.method for e in block.entries if mark in e.mark] for mark in (BEST, AS_GOOD, BELOW)}
    parts = []
    if named[BEST]:
        parts.append(f"the highest mean is {named[BEST][0]}'s")
        unsure = [e.method for e in block.entries if e.is_selection and e.accuracy.n < MIN_SEEDS]
        if named[AS_GOOD]:
            parts.append(f"not distinguishable from it: {', '.join(named[AS_GOOD])}")
        elif unsure:
            parts.append(f"too few seeds to tell it from the others: {', '.join(unsure)}")
    if named[BELOW]:
        parts.append(f"below Random: {', '.join(named[BELOW])}")
    means = ", ".join(f"{e.method} {e.accuracy.mean:.2f}%" for e in block.entries)
    return f"{block_title(block)}: {'; '.join(parts) or means}."


def _setting(rows: Sequence[ResultRow]) -> list[str]:
    """Sizes and seeds, per data set."""
    lines = []
    for dataset in dict.fromkeys(row.dataset for row in rows):
        of = [row for row in rows if row.dataset == dataset]
        sizes = {f"{row.n:,} candidates, {row.q:,} validation rows, {row.n_test:,} test rows" for row in of}
        seeds = ", ".join(map(str, sorted({row.seed for row in of})))
        lines.append(f"{dataset}: {' or '.join(sorted(sizes))}; seeds {seeds}")
    lines.append(
        "Fractions are of the candidates. Accuracy is that of the last step on the test set, which nothing "
        "else has seen: mean ± sample standard deviation (number of seeds). Methods of one seed share split, "
        "proxy run, initialisation and data order."
    )
    return lines


def _comparison(block: Block) -> str:
    """The block's table; the best in bold, below Random in red."""
    sheet = comparison_sheet(block)
    marks = [("best" if BEST in e.mark else "below" if BELOW in e.mark else "") for e in block.entries]
    return _table(sheet.headers, sheet.rows, marks)


def _how_it_was_made(rows: Sequence[ResultRow]) -> list[str]:
    """Methods, recipes, failures and provenance."""
    specs: dict[str, dict[str, None]] = {}
    notes: dict[str, None] = {}
    for row in rows:
        fields = {k: v for k, v in row.method_spec.items() if k != "name"}
        specs.setdefault(row.label, {})[_pairs(fields)] = None
        where = "its own size" if row.fraction is None else f"{100 * row.fraction:g}%"
        for note in row.notes:
            notes[f"{row.label}, {where}, seed {row.seed}: {note}"] = None
    recordings = {row.label: row.recording or "none" for row in rows}
    methods = [(label, recordings[label], "; ".join(found)) for label, found in specs.items()]
    recipes = [("target", _each(_pairs(row.target_recipe) for row in rows))]
    recipes.append(
        ("proxy", _each(f"{r.proxy_net}: {_pairs(r.proxy_recipe)}" for r in rows if r.proxy_recipe))
    )
    failed = [f"{row.label}, seed {row.seed}: {row.error}" for row in rows if row.status != "ok"]
    keys = dict.fromkeys(key for row in rows for key in row.provenance)
    provenance = [(key, _each(_text(r.provenance[key]) for r in rows if key in r.provenance)) for key in keys]
    return [
        _section("Methods", _table(("method", "recording", "fields"), methods, words=True), long=True),
        _section("Recipes", _table(("of", "fields"), recipes, words=True)),
        _section("Failed", _list(failed)) if failed else "",
        _section("Notes of the selections", _list(notes), long=True) if notes else "",
        _section("Provenance", _table(("of", "value"), provenance, words=True)),
    ]


def _figure(found: list[Block]) -> Figure | None:
    """The accuracy figure; None without matplotlib."""
    try:
        from deepcore.accuracy_figure import accuracy_figure

        return accuracy_figure(found)
    except ImportError:
        return None


def _picture(figure: Figure, what: str) -> str:
    """The figure inside the page, as SVG."""
    from matplotlib import rc_context

    file = io.BytesIO()
    with rc_context({"svg.hashsalt": "deepcore", "svg.fonttype": "path"}):
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    data = base64.b64encode(file.getvalue()).decode()
    return f'<img alt="{escape(what)}" src="data:image/svg+xml;base64,{data}">'


def _section(title: str, content: str, *, long: bool = False) -> str:
    """A heading and what is below it; a long one may break over printed pages."""
    kind = ' class="long"' if long else ""
    return f"<section{kind}><h2>{escape(title)}</h2>\n{content}</section>"


def _list(lines: Iterable[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>"


def _table(
    headers: Sequence[str],
    rows: Sequence[Sequence[str]],
    marks: Sequence[str] | None = None,
    *,
    words: bool = False,
) -> str:
    """A table that scrolls by itself on a narrow screen; `marks` are classes of the rows."""
    head = "".join(f"<th>{escape(header)}</th>" for header in headers)
    body = "".join(
        f'<tr class="{mark}">' + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>\n"
        for row, mark in zip(rows, marks or [""] * len(rows), strict=True)
    )
    kind = ' class="words"' if words else ""
    return f'<div class="scroll"><table{kind}><tr>{head}</tr>\n{body}</table></div>'


def _pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={_text(value)}" for key, value in values.items())


def _each(texts: Iterable[str]) -> str:
    """The different ones, in order of appearance."""
    return "; ".join(dict.fromkeys(texts)) or "none"


def _text(value: Any) -> str:
    """A value as a reader writes it: lists as words, numbers with six digits."""
    if isinstance(value, list):
        return " ".join(map(_text, value))
    return f"{value:.6g}" if isinstance(value, float) else str(value)
