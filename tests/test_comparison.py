"""Rows set against each other: what is best, as good, below Random; and the pages made of it."""

import base64
import dataclasses
import re
from html.parser import HTMLParser

import pytest
from scipy import stats as scipy_stats

from deepcore import accuracy_figure as figure_module
from deepcore.accuracy_figure import accuracy_figure
from deepcore.checks import UsageError
from deepcore.comparison import (
    AS_GOOD,
    BELOW,
    BEST,
    blocks,
    comparison_report,
    comparison_sheet,
    rank_lines,
    ranks_over_fractions,
)
from deepcore.report_html import verdict, write_report
from deepcore.results import ResultRow

RECIPE = {"epochs": 3, "lr": 0.05, "milestones": [0.5, 0.75]}
BASE = ResultRow(
    fingerprint="f",
    dataset="Digits",
    seed=0,
    n=1000,
    q=100,
    method="",
    label="",
    method_spec={"name": "x", "beta": 0.3},
    is_selection=True,
    fraction=0.1,
    target_net="MLP",
    proxy_net="MLP",
    recording="online",
    proxy_recipe=RECIPE,
    target_recipe=RECIPE,
    k=100,
    provenance={"torch": "2.6", "command": ["main.py", "--fraction", "0.1"]},
)


def rows_of(label, *percents, **fields):
    fields = {"is_selection": label not in ("Full", "RS2"), **fields}
    return [
        dataclasses.replace(
            BASE,
            label=label,
            method=label,
            seed=seed,
            accuracy=p / 100,
            class_accuracy=[1.0, p / 200],
            **fields,
        )
        for seed, p in enumerate(percents)
    ]


ROWS = [
    *rows_of("A", 85, 87.5, 86, 88),
    *rows_of("B", 85.5, 86, 86.5, 87),
    *rows_of("Bad", 60, 62.5, 61, 63),
    *rows_of("Random", 80, 82, 81.5, 83),
    *rows_of("RS2", 90, 91, 92.5, 93),
    *rows_of("Full", 97, 97.5, 98, 98.5, fraction=None, k=1000),
]


def entry(block, method):
    return next(e for e in block.entries if e.method == method)


def test_a_block_by_hand():
    block, whole = blocks(ROWS)
    assert (block.fraction, whole.fraction) == (0.1, None)
    a = entry(block, "A")
    assert (a.accuracy.mean, a.accuracy.n, a.worst.mean) == (pytest.approx(86.625), 4, pytest.approx(43.3125))
    expected = scipy_stats.ttest_rel([85, 87.5, 86, 88], [80, 82, 81.5, 83])
    assert a.to_reference.difference == pytest.approx(5.0)
    assert a.to_reference.p == pytest.approx(expected.pvalue)
    marks = {e.method: e.mark for e in block.entries}
    assert marks == {"A": BEST, "B": AS_GOOD, "Bad": BELOW, "Random": "", "RS2": ""}
    ranks = {e.method: e.rank for e in block.entries}
    assert ranks == {"A": 1.5, "B": 1.5, "Bad": 4.0, "Random": 3.0, "RS2": None}
    assert entry(block, "Random").to_reference is None
    assert entry(block, "RS2").to_reference.difference == pytest.approx(10.0)
    assert entry(whole, "Full").to_reference is None


def test_p_values_are_adjusted_over_the_block():
    block = blocks(ROWS)[0]
    pairs = [e.to_reference for e in block.entries if e.to_reference]
    smallest = min(pairs, key=lambda pair: pair.p)
    assert len(pairs) == 4
    assert smallest.p_adjusted == pytest.approx(4 * smallest.p)


def test_two_seeds_have_no_verdict():
    two = [row for row in ROWS if row.seed < 2]
    block = blocks(two)[0]
    assert {e.method: e.mark for e in block.entries if e.mark} == {"A": BEST}
    assert "n = 2" in comparison_sheet(block).render("md")
    assert "too few seeds to tell it from the others: A, B, Bad, Random" in verdict(block)


def test_failed_rows_do_not_count_and_random_may_be_missing():
    failed = [dataclasses.replace(row, status="failed", accuracy=None) for row in rows_of("Random", 1, 2, 3)]
    block = blocks([*rows_of("A", 85, 86, 87), *failed])[0]
    assert [e.method for e in block.entries] == ["A"]
    assert (block.entries[0].mark, block.entries[0].to_reference) == ("", None)
    assert comparison_report(failed) == "no row finished: there is nothing to compare"


def test_rows_of_two_recipes_are_refused():
    with pytest.raises(UsageError, match=r"A at 0.1 has two rows of seed 0"):
        blocks([*rows_of("A", 85), *rows_of("A", 86)])


def test_blocks_are_ordered_and_kept_apart():
    rows = [
        *rows_of("A", 1.0, fraction=0.5),
        *rows_of("A", 2.0, fraction=0.05),
        *rows_of("A", 3.0, fraction=0.05, target_net="LeNet"),
        *ROWS,
    ]
    keys = [(b.net, b.fraction) for b in blocks(rows)]
    assert keys == [("LeNet", 0.05), ("MLP", 0.05), ("MLP", 0.1), ("MLP", 0.5), ("MLP", None)]


def test_ranks_over_fractions_take_the_selections_that_all_have():
    more = [
        *rows_of("A", 70, 71, 72, 73, fraction=0.01),
        *rows_of("Bad", 60, 61, 62, 63, fraction=0.01),
        *rows_of("Random", 75, 75.5, 76, 77, fraction=0.01),
    ]
    found = blocks([*ROWS, *more])
    ranks = ranks_over_fractions(found)
    assert ranks.ranks == pytest.approx({"A": 1.5, "Bad": 3.0, "Random": 1.5})
    assert ranks.n == 4
    assert any(
        "average ranks over fractions: A 1.50, Random 1.50, Bad 3.00" in line for line in rank_lines(found)
    )
    assert ranks_over_fractions(blocks(ROWS)) is None


@pytest.mark.parametrize("output", ["table", "md", "latex", "csv"])
def test_report_in_every_form(output):
    text = comparison_report(ROWS, output)
    assert "nan" not in text.lower()
    for word in ("Bad", "below Random", "+5.00", "86.62"):
        assert word in text
    if output != "csv":
        assert "Friedman" in text
        assert "Holm" in text


class Reader(HTMLParser):
    """Checks that tags nest, and collects what a reader sees and what a page would load."""

    def __init__(self):
        super().__init__()
        self.open, self.text, self.loads = [], [], []

    def handle_starttag(self, tag, attributes):
        if tag not in ("meta", "img"):
            self.open.append(tag)
        self.loads += [value for key, value in attributes if key in ("src", "href")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def read(path):
    reader = Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    assert reader.open == []
    return " ".join(reader.text), reader.loads


def test_page_is_whole_and_self_contained(tmp_path):
    bad = dataclasses.replace(
        ROWS[0], label="<b>", status="failed", error="a < b & c", notes=["9 of 10 came back"]
    )
    written = write_report([*ROWS, bad], tmp_path / "run" / "report.html")
    assert [path.name for path in written] == [
        "report.html",
        "accuracy-Digits-MLP.png",
        "accuracy-Digits-MLP.svg",
    ]
    assert all(path.stat().st_size > 0 for path in written)
    text, loads = read(written[0])
    assert len(loads) == 1
    assert loads[0].startswith("data:image/svg+xml;base64,")
    assert b"<svg" in base64.b64decode(loads[0].split(",")[1])
    for words in (
        "Digits, MLP, 10% kept: the highest mean is A's; not distinguishable from it: B; below Random: Bad.",
        "1,000 candidates, 100 validation rows",
        "seeds 0, 1, 2, 3",
        "86.62 ± 1.38 (4)",
        "epochs=3, lr=0.05, milestones=0.5 0.75",
        "beta=0.3",
        "<b>, seed 0: a < b & c",
        "9 of 10 came back",
        "main.py --fraction 0.1",
    ):
        assert words in text
    assert not re.search(r"https?://", written[0].read_text().replace("http://www.w3.org", ""))


def test_page_of_the_same_rows_is_the_same(tmp_path):
    first, again = (write_report(ROWS, tmp_path / name / "r.html") for name in "ab")
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in again]


def test_page_without_matplotlib_or_rows(tmp_path, monkeypatch):
    def missing(found):
        raise ImportError

    monkeypatch.setattr(figure_module, "accuracy_figure", missing)
    assert write_report(ROWS, tmp_path / "a.html") == [tmp_path / "a.html"]
    assert "matplotlib is not installed" in read(tmp_path / "a.html")[0]
    write_report([], tmp_path / "b.html")
    assert "no rows" in read(tmp_path / "b.html")[0]


def test_figure_draws_every_method():
    figure = accuracy_figure(blocks([*ROWS, *rows_of("A", 70, 71, fraction=0.01)]))
    ax = figure.axes[0]
    lines = {line.get_label(): line for line in ax.lines}
    assert set(lines) == {"A", "B", "Bad", "Random", "RS2 (no selection)", "Full (1,000 rows)"}
    assert lines["A"].get_xdata().tolist() == [1.0, 10.0]
    assert lines["A"].get_ydata().tolist() == pytest.approx([70.5, 86.625])
    assert lines["Full (1,000 rows)"].get_ydata() == pytest.approx([97.75, 97.75])
    below = figure.axes[1].lines
    assert [line.get_ydata().tolist() for line in below[:2]] == [pytest.approx([5.0]), pytest.approx([4.625])]
    assert len(accuracy_figure(blocks(rows_of("A", 70, 71))).axes) == 1
    with pytest.raises(UsageError, match="one data set"):
        accuracy_figure([])
    with pytest.raises(UsageError, match="at least one fraction"):
        accuracy_figure(blocks(rows_of("Full", 97, fraction=None)))
