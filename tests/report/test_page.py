"""The page's tables and figures: styles, groups, escapes, both widths."""

from __future__ import annotations

import re

from deepcore.report.page import STYLE, Drawing, Section, page
from deepcore.report.table import Table
from deepcore.report.text_table import TextTable

SHEET = TextTable(
    "Of <all>",
    ("method", "kept", "%", "verdict"),
    (("A", "1%", "50", "best"), ("B", "1%", "40", ""), ("A", "5%", "60", "< Random")),
    words=(3,),
)
STYLES = (("", "", "best above", ""), ("", "", "same", ""), ("", "", "below", ""))


def body(section: Section) -> str:
    return page("t", "l", [section]).split("<body>")[1]


def rows(text: str) -> list[str]:
    return re.findall(r"<tr[^>]*>.*?</tr>", text)


def test_cells_carry_their_styles_and_words_are_left():
    lines = rows(body(Section("s", tables=[Table("t", SHEET, (), styles=STYLES)])))
    assert lines[0] == (
        '<tr><th class="word">method</th><th>kept</th><th>%</th><th class="word">verdict</th></tr>'
    )
    assert lines[1] == (
        '<tr><td class="word">A</td><td>1%</td><td class="best above">50</td><td class="word">best</td></tr>'
    )
    assert '<td class="same">40</td>' in lines[2]
    assert '<td class="below">60</td><td class="word">&lt; Random</td>' in lines[3]


def test_every_style_of_a_cell_is_in_the_style_sheet():
    marks = ("best", "same", "below", "above", *(f"{s}{i}" for s in ("plus", "minus") for i in range(1, 5)))
    for mark in marks:
        assert f"td.{mark} {{" in STYLE


def test_a_line_parts_groups_of_rows():
    def ruled(grouped_by):
        lines = rows(body(Section("s", tables=[Table("t", SHEET, (), (), STYLES, grouped_by)])))
        return ["class=rule" in line for line in lines]

    assert ruled(1) == [False, False, False, True]  # where 1% becomes 5%
    assert ruled(0) == [False, False, True, True]
    assert ruled(None) == [False] * 4


def test_a_table_without_styles_with_notes():
    text = body(Section("s", tables=[Table("t", SHEET, (), ("a < b",))]))
    assert "<h3>Of &lt;all&gt;</h3>" in text
    assert '<p class="note">a &lt; b</p>' in text
    assert "best above" not in text


def test_a_figure_is_there_in_both_widths_and_one_is_shown():
    text = body(Section("s", drawings=[Drawing("<svg>w</svg>", "<svg>n</svg>", "of <x>")]))
    label = 'role="img" aria-label="of &lt;x&gt;"'
    wide, narrow = (f'<div class="{name}" {label}><svg>{name[0]}</svg></div>' for name in ("wide", "narrow"))
    assert wide + narrow in text
    assert "<figcaption>of &lt;x&gt;</figcaption>" in text
    phone, printer = STYLE.split("@media (max-width")[1].split("@media print")
    assert ".narrow { display: none; }" in STYLE.split("@media")[0]
    assert ".wide { display: none; }" in phone
    assert ".narrow { display: block; }" in phone
    assert ".wide { display: block; }" in printer
    assert ".narrow { display: none; }" in printer
    assert ".scroll { overflow: visible; }" in printer  # paper does not scroll


def test_folded_points_are_there():
    text = body(Section("s", points=["one"], folded="open"))
    assert "<details><summary>open</summary><ul><li>one</li></ul></details>" in text
