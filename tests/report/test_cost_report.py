"""The bill in print."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import re
from pathlib import Path

import pytest

from benchmarks.cost_table import PAGE, costs_page, tables
from deepcore.common.checks import UsageError
from deepcore.common.units import largest_unit
from deepcore.costs.formulas import FORMULAS
from deepcore.costs.scenario import Scenario
from deepcore.report.cost_report import OUTPUTS, costs_report
from deepcore.report.flop_conventions import convention_lines, convention_table, rank
from deepcore.report.text_table import TextTable, latex, number
from methods.random import Random

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
PAPER = Scenario.paper()
FLOPS = {"proxy": {"forward": 2e6, "backward": 3.5e6}, "large": {"forward": 5e6, "backward": 9e6}}
SIZES = {"N": 1294, "Q": 143, "k": 129, "d": 64, "num_classes": 10, "F": 128, "n_test": 360}
DIGITS = Scenario.measured(**SIZES, **FLOPS, T=164, T_proxy=164)


def test_csv_has_the_reference_s_columns_and_figures():
    reference = list(csv.DictReader((BENCHMARKS / "paper" / "paper_appendix_e_costs.csv").open()))
    printed = csv.DictReader(io.StringIO(costs_report(PAPER, output="csv")))
    assert printed.fieldnames == list(reference[0])
    rows = {row["method"]: row for row in printed}
    assert len(rows) == len(FORMULAS)
    for row in reference:
        for column in ("selection_pflops", "training_pflops", "total_pflops"):
            assert float(rows[row["method"]][column]) == pytest.approx(float(row[column]), abs=0.0011)
        if row["storage_bytes"]:
            assert rows[row["method"]]["storage_bytes"] == row["storage_bytes"]


@pytest.mark.parametrize("protocol", ["paper", "here"])
@pytest.mark.parametrize("flops", ["paper", "consistent"])
@pytest.mark.parametrize("scenario", [PAPER, DIGITS], ids=["paper", "digits"])
def test_tables_fit_into_120_columns(scenario, flops, protocol):
    text = costs_report(scenario, protocol=protocol, flops=flops)
    assert max(map(len, text.splitlines())) <= 120
    assert "\xa0" not in text
    rule, *rows = text.split("\n\n")[1].splitlines()[1:]
    starts = [match.start() for match in re.finditer("-+", rule)]
    continued = [row for row in rows if not row[: starts[1]].strip()]
    assert continued
    for row in continued:  # a formula is broken between its terms
        assert row[starts[1] : starts[2]].strip()[:2] in ("", "+ ")
        assert row[starts[2] :].strip()[:1] in ("", "+", "[")


def test_table_of_the_paper():
    text = costs_report(PAPER)
    line = next(line for line in text.splitlines() if line.startswith("CLD   ") and "622.663" in line)
    assert line.split() == ["CLD", "622.663", "2.097", "-", "-", "280.061", "904.821", "32.3", "0.461"]
    assert "the paper prints 763.739 GB" in text
    assert "f counts a multiply-add as 1, f_large as 2" in " ".join(text.split())
    consistent = costs_report(PAPER, flops="consistent")
    assert "1,529.580" in consistent
    assert "2 operations per multiply-add in both networks" in " ".join(consistent.split())
    assert "763.739" in consistent


def test_a_setting_of_one_s_own():
    text = costs_report(DIGITS, protocol="here", methods=[Random(class_balanced=False)])
    assert "Random:class_balanced=False" in text
    assert "GFLOPs" in text  # the least total, 129 * 164 * 14e6 = 296e9
    assert "Backward passes are measured" in text
    assert "763.739" not in text  # a footnote of the paper's own scenario
    assert "CLD (authors' code)" not in text
    assert text.count("(this harness, each method alone)") == 2
    assert "(Table 1)" not in text
    assert "CLD (first 82 epochs)" in text


def test_json_is_unrounded_and_complete():
    bills = {bill["method"]: bill for bill in json.loads(costs_report(PAPER, output="json"))}
    cld = bills["CLD"]
    assert cld["total_flops"] == sum(term["flops"] for term in cld["terms"])
    assert cld["terms"][0]["forward"] == PAPER.N * 90
    assert cld["storage_bytes"] == 461_220_120


def test_markdown_and_latex_hold_every_method():
    md, tex = costs_report(PAPER, output="md"), costs_report(PAPER, output="latex")
    for bill in json.loads(costs_report(PAPER, output="json")):
        name = re.escape(bill["method"])
        assert len(re.findall(rf"\n\| {name} +\|", md)) == 2
        assert len(re.findall(rf"\n {name} +&", tex)) == 2
    assert tex.count(r"\begin{tabular}") == tex.count(r"\end{tabular}") == 2
    assert r"$3 N T_{\text{proxy}} f + Q T_{\text{proxy}} f + 3 k T f_{\text{large}}$" in tex


def test_latex_of_formulas():
    assert latex("3 N T_proxy_early f") == r"$3 N T_{\text{proxy,early}} f$"
    assert latex("O(N log(1/epsilon)) [a_b] + O(k^2)") == (
        r"$\mathcal{O}(N \log (1/\epsilon ))$ [a\_b] $+ \mathcal{O}(k^2)$"
    )


def test_unknown_choices():
    with pytest.raises(UsageError, match=f"valid: {', '.join(OUTPUTS)}"):
        costs_report(PAPER, output="html")
    with pytest.raises(UsageError, match="unknown FLOP convention"):
        costs_report(PAPER, flops="half")


def test_units_and_numbers():
    assert largest_unit(280e15) == ("PFLOPs", 1e15)
    assert largest_unit(999) == ("FLOPs", 1.0)
    assert largest_unit(1000) == ("kFLOPs", 1e3)
    assert largest_unit(5e30)[0] == "PFLOPs"
    assert [number(x) for x in (0, 0.0004, 0.0006, 1234.5678)] == ["-", "0.0004", "0.001", "1,234.568"]


def test_a_sheet_quotes_what_csv_must():
    sheet = TextTable("t", ("a\nb", "c"), (("x, y", "1"),))
    assert sheet.render("csv") == 'a b,c\n"x, y",1'


def test_conventions_are_computed():
    lines = " ".join(convention_lines(PAPER))
    assert "CLD goes from 904.821 to 1,529.580 PFLOPs, that is from 32.3% to 54.6% of Full." in lines
    assert "No two methods swap places." in lines
    fewer = dataclasses.replace(PAPER, R_early=5)  # EL2N is then between both totals of three others
    assert convention_lines(fewer)[-1] == (
        "These swap places: BoundarySet-CCS and EL2N, TDDS and EL2N, CLD (authors' code) and EL2N."
    )
    rows = {row[0]: row[1:] for row in convention_table(fewer).rows}
    assert (rows["TDDS"][2], rows["EL2N"][2]) == ("20", "21")
    assert (rows["TDDS"][5], rows["EL2N"][5]) == ("21", "18")
    assert rank({"a": 1.0, "b": 1.0, "c": 2.0}, "c") == 3
    assert rank({"a": 1.0, "b": 1.0 + 1e-15}, "b") == 1


def test_committed_tables_are_up_to_date():
    assert costs_page() == PAGE.read_text(), "run python benchmarks/cost_table.py"
    for name, text in tables().items():
        assert (BENCHMARKS / "tables" / name).read_text() == text, (
            f"run python benchmarks/cost_table.py: {name}"
        )
