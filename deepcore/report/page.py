"""A self-contained HTML page of text, figures and tables, for screen, phone and print."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass

from deepcore.report.table import Table

STYLE = """
:root { --ink: #1d2126; --soft: #5c6670; --rule: #d9dee3; --tint: #f5f7f9; --best: #d5efdc; --same: #ecf8ef;
  --below: #b3261e; --above: #0b6b3a; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 60rem; padding: 2rem 1.25rem 4rem; color: var(--ink); background: #fff;
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .4rem; }
h2 { font-size: 1.2rem; margin: 2.4rem 0 .6rem; padding-bottom: .25rem; border-bottom: 2px solid var(--ink); }
h3 { font-size: 1rem; margin: 1.6rem 0 .4rem; }
p, ul { margin: .5rem 0; }
ul { padding-left: 1.2rem; }
.lead { color: var(--soft); }
.note { color: var(--soft); font-size: .85rem; }
figure { margin: 1rem 0; }
figcaption { color: var(--soft); font-size: .85rem; }
svg { display: block; width: 100%; height: auto; }
svg text { font-family: system-ui, -apple-system, "Segoe UI", Roboto, Arial, sans-serif !important; }
.narrow { display: none; }
.scroll { overflow-x: auto; margin: .5rem 0; -webkit-overflow-scrolling: touch; }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; }
th, td { padding: .22rem .6rem; text-align: right; white-space: nowrap; }
th { border-bottom: 1px solid var(--ink); font-weight: 600; vertical-align: bottom; }
td { border-bottom: 1px solid var(--rule); }
th.word, td.word { text-align: left; }
th:first-child, td:first-child { position: sticky; left: 0; background: #fff; }
tr.rule td { border-top: 2px solid #9aa4ad; }
td.best { background: var(--best); font-weight: 600; }
td.same { background: var(--same); }
td.below { color: var(--below); }
td.above { color: var(--above); }
td.plus1 { background: rgb(31 119 180 / 8%); }
td.plus2 { background: rgb(31 119 180 / 18%); }
td.plus3 { background: rgb(31 119 180 / 30%); }
td.plus4 { background: rgb(31 119 180 / 44%); }
td.minus1 { background: rgb(192 80 77 / 8%); }
td.minus2 { background: rgb(192 80 77 / 18%); }
td.minus3 { background: rgb(192 80 77 / 30%); }
td.minus4 { background: rgb(192 80 77 / 44%); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1.2rem; margin: .5rem 0;
  font-size: .9rem; }
dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; }
code { font-size: .85em; overflow-wrap: anywhere; }
details summary { cursor: pointer; color: var(--soft); }
@media (max-width: 40rem) {
  body { padding: 1rem .8rem 3rem; font-size: 15px; }
  h1 { font-size: 1.35rem; }
  table { font-size: .78rem; }
  th, td { padding: .2rem .45rem; }
  dl { grid-template-columns: 1fr; gap: 0; }
  dd { margin: 0 0 .4rem; }
  .wide { display: none; }
  .narrow { display: block; }
}
@media print {
  @page { margin: 14mm; }
  body { max-width: none; padding: 0; font-size: 10pt;
    -webkit-print-color-adjust: exact; print-color-adjust: exact; }
  .wide { display: block; }
  .narrow { display: none; }
  .scroll { overflow: visible; }
  .note, figcaption { font-size: 8pt; }
  table { font-size: 7pt; }
  th, td { padding: .12rem .4rem; }
  h2, h3 { break-after: avoid; }
  tr, figure { break-inside: avoid; }
  thead { display: table-header-group; }
}
"""


@dataclass(frozen=True)
class Drawing:
    """A figure in the two widths of `STYLE`, as <svg> elements, and its caption."""

    wide: str
    narrow: str
    caption: str


@dataclass(frozen=True)
class Section:
    """A part of the page under a heading.

    Attributes:
        heading: its title.
        lines: paragraphs of plain text.
        points: a bullet list of plain text.
        folded: text to click on before the list is shown; "" shows it at once.
        facts: pairs of name and value.
        drawings, tables: shown in this order.
        markup: HTML that is put below all this as it stands.
    """

    heading: str
    lines: Sequence[str] = ()
    points: Sequence[str] = ()
    folded: str = ""
    facts: Sequence[tuple[str, str]] = ()
    drawings: Sequence[Drawing] = ()
    tables: Sequence[Table] = ()
    markup: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether the section has no content; empty sections are left out."""
        return not (self.points or self.facts or self.drawings or self.tables or self.markup)


def page(title: str, lead: str, sections: Sequence[Section], style: str = "") -> str:
    """The whole document, without scripts and without links to other files; `style` is further CSS."""
    body = "\n".join(_section(section) for section in sections if not section.is_empty)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>{STYLE}{style}</style>\n</head>\n<body>\n"
        f'<h1>{html.escape(title)}</h1>\n<p class="lead">{html.escape(lead)}</p>\n{body}\n</body>\n</html>\n'
    )


def _section(section: Section) -> str:
    parts = [f"<h2>{html.escape(section.heading)}</h2>"]
    parts += [f"<p>{html.escape(line)}</p>" for line in section.lines]
    if section.points:
        points = "<ul>" + "".join(f"<li>{html.escape(point)}</li>" for point in section.points) + "</ul>"
        folded = f"<details><summary>{html.escape(section.folded)}</summary>{points}</details>"
        parts.append(folded if section.folded else points)
    if section.facts:
        facts = (
            f"<dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd>" for name, value in section.facts
        )
        parts.append(f"<dl>{''.join(facts)}</dl>")
    parts += [_drawing(drawing) for drawing in section.drawings]
    parts += [_table(table) for table in section.tables]
    parts += [section.markup] if section.markup else []
    return "<section>\n" + "\n".join(parts) + "\n</section>"


def _drawing(drawing: Drawing) -> str:
    caption = html.escape(drawing.caption)
    label = f'role="img" aria-label="{caption}"'
    pictures = "".join(
        f'<div class="{name}" {label}>{svg}</div>'
        for name, svg in (("wide", drawing.wide), ("narrow", drawing.narrow))
    )
    return f"<figure>{pictures}<figcaption>{caption}</figcaption></figure>"


def _table(table: Table) -> str:
    text = table.text
    words = {0, *text.formulas, *text.words}
    head = "".join(_cell("th", header, i in words) for i, header in enumerate(text.headers))
    styles = table.styles or [("",) * len(text.headers)] * len(text.rows)
    body, before = [], None
    for row, of_row in zip(text.rows, styles, strict=True):
        group = None if table.grouped_by is None else row[table.grouped_by]
        ruled = before not in (None, group)
        before = group
        cells = (
            _cell("td", cell, i in words, mark)
            for i, (cell, mark) in enumerate(zip(row, of_row, strict=True))
        )
        body.append(f"<tr{' class=rule' if ruled else ''}>{''.join(cells)}</tr>")
    title = f"<h3>{html.escape(text.title)}</h3>\n" if text.title else ""
    notes = "".join(f'<p class="note">{html.escape(note)}</p>' for note in table.notes)
    return (
        f'{title}<div class="scroll"><table><thead><tr>{head}</tr></thead>\n<tbody>\n'
        + "\n".join(body)
        + f"\n</tbody></table></div>{notes}"
    )


def _cell(tag: str, text: str, is_word: bool, mark: str = "") -> str:
    names = " ".join(filter(None, ("word" if is_word else "", mark)))
    attribute = f' class="{names}"' if names else ""
    return f"<{tag}{attribute}>{html.escape(text)}</{tag}>"
