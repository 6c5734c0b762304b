"""The tables of accuracies: what stands in them, in words and in records."""

from __future__ import annotations

import csv
import io
import json

import pytest
from rows import LOW, ROWS, rows_of

from deepcore.analysis.comparison import compare_rows, rank_table
from deepcore.report.accuracy_report import accuracy_report, closing_lines, reference_lines
from deepcore.report.accuracy_tables import (
    accuracy_table,
    overview_table,
    ranks_table,
    statistics_lines,
    verdict_lines,
    worst_table,
)
from deepcore.report.cells import difference, percent


def cells(text: str) -> list[list[str]]:
    """The cells of a Markdown table."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in (lines[0], *lines[2:])]


def test_the_accuracy_table_line_by_line():
    lines = cells(accuracy_report([*ROWS, *LOW], "md"))
    assert lines == [
        ["method", "kept", "rows", "accuracy %", "worst class %", "minus Random, 95%", "p", "verdict"],
        ["A", "1%", "10", "71.62 ± 1.38 (4)", "21.62 ± 1.38", "-4.25 [-5.28, -3.22]", "<0.001", "< Random"],
        ["Random", "1%", "10", "75.88 ± 0.85 (4)", "25.88 ± 0.85", "", "", "best"],
        ["A", "10%", "100", "86.62 ± 1.38 (4)", "36.62 ± 1.38", "+5.00 [+4.35, +5.65]", "<0.001",
         "best, > Random"],
        ["B", "10%", "100", "86.25 ± 0.65 (4)", "36.25 ± 0.65", "+4.62 [+3.43, +5.82]", "0.001",
         "≈ best, > Random"],
        ["Bad", "10%", "100", "61.62 ± 1.38 (4)", "11.62 ± 1.38", "-20.00 [-20.65, -19.35]", "<0.001",
         "< Random"],
        ["Random", "10%", "100", "81.62 ± 1.25 (4)", "31.62 ± 1.25", "", "", ""],
        ["RS2†", "10%", "100", "91.62 ± 1.38 (4)", "41.62 ± 1.38", "+10.00 [+8.70, +11.30]", "<0.001",
         "> Random"],
        ["Full†", "all", "1,000", "97.75 ± 0.65 (4)", "47.75 ± 0.65", "", "", ""],
    ]  # fmt: skip


def test_what_there_is_none_of_has_no_column():
    header, line = cells(accuracy_report(rows_of("A", 85), "md"))
    assert header == ["method", "kept", "rows", "accuracy %", "worst class %"]
    assert line == ["A", "10%", "100", "85.00 (1)", "35.00"]
    header, *_ = cells(accuracy_report([row for row in ROWS if row.seed < 2], "md"))
    assert header[5:] == ["minus Random"]
    header, *_ = cells(accuracy_report([*LOW, *rows_of("A", 1, target_net="LeNet")], "md"))
    assert header[:2] == ["method", "net"]


def test_long_names_are_wrapped_to_120_columns():
    label = "CLD:record=online,first=45,every=2,correlation=spearman"
    rows = [*ROWS, *rows_of(label, 85, 86, 88, 89), *rows_of("A", 1, target_net="DenseNet121")]
    for table in (accuracy_report(rows), *(worst_table(compare_rows(rows), "MLP").render("table"),)):
        assert max(map(len, table.splitlines())) <= 120
    assert "".join(line.split()[0] for line in accuracy_report(rows).splitlines() if "CLD" in line)


def test_records_are_unrounded():
    records = json.loads(accuracy_report(ROWS, "json"))
    by_label = {record["method"]: record for record in records}
    a, random, full = by_label["A"], by_label["Random"], by_label["Full"]
    assert (a["fraction"], a["k"], a["n"], a["mean"], a["minus_random"]) == (0.1, 100, 4, 86.625, 5.0)
    assert a["minus_random_low"] < 5 < a["minus_random_high"]
    assert a["minus_random_p"] < a["minus_random_p_holm"] < 0.001
    assert a["smallest_shown"] == compare_rows(ROWS)[0].reach[0].shown
    assert random["smallest_shown"] is by_label["RS2"]["smallest_shown"] is full["smallest_shown"] is None
    assert (a["best"], a["as_good_as_best"], a["verdict"], a["is_selection"]) == (
        True, False, "best, > Random", True,
    )  # fmt: skip
    assert by_label["B"]["minus_best"] == pytest.approx(-0.375)
    assert random["minus_random"] is None
    assert (full["fraction"], full["is_selection"]) == (None, False)
    lines = list(csv.DictReader(io.StringIO(accuracy_report(ROWS, "csv"))))
    assert [line["method"] for line in lines] == [record["method"] for record in records]
    assert float(lines[0]["worst_mean"]) == a["worst_mean"] == pytest.approx(36.625)
    assert lines[3]["minus_random"] == ""


def test_the_smallest_difference_shown_is_of_the_seeds_that_are_compared():
    """A has four seeds and Random three."""
    comparisons = compare_rows([row for row in ROWS if row.label != "Random" or row.seed < 3])
    (found,) = [record for record in accuracy_table(comparisons).records if record["method"] == "A"]
    (reach,) = comparisons[0].reach
    assert (found["n"], reach.n, found["smallest_shown"]) == (4, 3, reach.shown)


def test_latex_escapes_and_signs():
    text = overview_table(compare_rows([*ROWS, *LOW]), "MLP").render("latex")
    assert r"$\downarrow$ 61.62 $\pm$ 1.38" in text
    assert r"*$\uparrow$ 86.62" in text
    assert r"RS2$^\dagger$" in text
    assert r"10\%" in text
    for sign in "±≈▲▼†":
        assert sign not in text.split(r"\end{tabular}")[0].split(r"\begin{tabular}")[1]


def test_overview_and_worst_class_by_fraction():
    comparisons = compare_rows([*ROWS, *LOW])
    overview = overview_table(comparisons, "MLP")
    header, *lines = cells(overview.render("md"))
    assert header == ["method", "1%", "10%", "own size"]
    assert lines[0] == ["A", "▼ 71.62 ± 1.38", "*▲ 86.62 ± 1.38", ""]
    assert lines[1] == ["Random", "* 75.88 ± 0.85", "81.62 ± 1.25", ""]
    assert lines[2] == ["B", "", "≈▲ 86.25 ± 0.65", ""]
    assert [line[0] for line in lines] == ["A", "Random", "B", "Bad", "RS2†", "Full†"]  # references last
    assert overview.styles[0] == ("", "below", "best above", "")
    assert "over 4 seeds" in overview.text.title
    assert [sign in overview.notes[0] for sign in "*≈▲▼"] == [True] * 4
    first = overview_table(compare_rows([*ROWS[16:], *ROWS[:16]]), "MLP")
    assert [row[0] for row in first.text.rows] == ["A", "B", "Bad", "Random", "RS2†", "Full†"]
    worst = worst_table(comparisons, "MLP")
    assert cells(worst.render("md"))[1] == ["A", "▼ 21.62 ± 1.38", "▲ 36.62 ± 1.38", ""]
    record = next(r for r in worst.records if r["method"] == "A" and r["fraction"] == 0.1)
    assert (record["worst_mean"], record["minus_random"]) == (pytest.approx(36.625), pytest.approx(5.0))
    assert json.loads(worst.render("json"))[0]["k"] == 10


def test_ranks():
    table = ranks_table(rank_table([*ROWS, *LOW], "MLP"))
    assert cells(table.render("md")) == [
        ["method", "1%", "10%", "all fractions"],
        ["A", "2.00", "1.00", "1.50"],
        ["Random", "1.00", "2.00", "1.50"],
        ["Friedman's p", "-", "-", "-"],
        ["seeds", "4", "4", "4"],
    ]
    assert any("Friedman's test needs three" in note for note in table.notes)
    assert any("Not ranked" in note and note.endswith(": B, Bad.") for note in table.notes)
    assert {record["rank"] for record in table.records if record["fraction"] is None} == {1.5}


def test_verdicts_in_sentences():
    comparisons = compare_rows([*ROWS, *LOW])
    assert verdict_lines(comparisons) == [
        "1%: Random is best (75.88%); below Random: A",
        "10%: A is best (86.62%); not told apart from it: B; above Random: A, B; below Random: Bad",
    ]
    two = compare_rows(
        [*LOW, *rows_of("A", 1, 2, 4, target_net="LeNet"), *rows_of("B", 5, 6, 7, target_net="LeNet")]
    )
    assert [line.split(":")[0] for line in verdict_lines(two)] == ["MLP, 1%", "LeNet, 10%"]
    assert verdict_lines(compare_rows([row for row in ROWS if row.seed < 2])) == []


def test_what_could_not_be_told_is_said():
    def said(rows):
        return "\n".join(statistics_lines(compare_rows(rows)))

    assert "Holm" in said(ROWS)
    assert "≈ best" in said(ROWS)
    few = said([row for row in ROWS if row.seed < 2])
    assert "2 seeds: intervals, p values and verdicts need 3" in few
    assert "Holm" not in few
    assert said(rows_of("A", 85)) == "no comparison with Random: add Random to --selection"
    constant = [*rows_of("A", 85, 86, 87), *rows_of("Random", 80, 81, 82)]
    assert "10%, A minus Random: the same difference for all 3 seeds" in said(constant)
    line = cells(accuracy_report(constant, "md"))[1]
    assert line[5] == "+5.00"
    assert "<0.001" not in line
    assert "3 of 4 seeds are common" in said([r for r in ROWS if r.label != "A" or r.seed])


def test_closing_lines_name_data_recipe_and_references(tmp_path):
    note = "RS2 is not a selection: a new random subset of this size every epoch"
    rows = [*ROWS[:4], *rows_of("RS2", 90, 91, notes=[note, "another"])]
    lines = closing_lines(rows, tmp_path)
    for start in ("Digits: 1,000 candidates, 100 validation rows", "targets: 3 epochs each (21 steps)"):
        assert any(line.startswith(start) for line in lines)
    assert reference_lines(rows) == [f"† {note}"]
    assert lines[-2:] == [f"† {note}", f"rows, selections and proxy runs are in {tmp_path}"]


def test_words():
    assert percent(0.005) == "0.5%"
    assert percent(None) == "own size"
    assert difference(None) == ""
    assert accuracy_table([]).render("csv") == ""
