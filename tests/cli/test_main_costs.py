"""The bill on the command line: --costs, --show, --figures."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path

import pytest

import main
from deepcore.costs.scenario import Scenario
from deepcore.report.cost_report import costs_report

REFERENCE = Path(__file__).parents[2] / "benchmarks" / "paper" / "paper_appendix_e_costs.csv"
FAST = ("--epochs", "4", "--num_exp", "1", "--selection", "CLD", "Random", "--quiet", "--report", "false")


@pytest.fixture
def call(tmp_path, monkeypatch, capsys):
    """Run the command line in an empty folder; returns (status, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def run(*argv):
        try:
            status = main.main([str(a) for a in argv])
        except SystemExit as stop:
            status = stop.code
        out = capsys.readouterr()
        return status, out.out, out.err

    return run


@pytest.fixture
def nothing_runs(monkeypatch):
    """Fails where anything would be trained."""
    from deepcore.experiment.harness import Harness

    monkeypatch.setattr(Harness, "run", lambda self: pytest.fail("a run was started"))


def records(text, output):
    """What a --costs table says, by method."""
    parsed = json.loads(text) if output == "json" else list(csv.DictReader(io.StringIO(text)))
    return {record["method"]: record for record in parsed}


def test_costs_are_the_paper_s_tables(call, nothing_runs, tmp_path):
    status, out, err = call("--costs")
    assert (status, err) == (0, "")
    assert out == costs_report(Scenario.paper()) + "\n"
    assert "(Table 1)" in out
    assert "(Appendix E)" in out
    status, out, _ = call("--costs", "--output", "csv")
    printed = records(out, "csv")
    reference = list(csv.DictReader(REFERENCE.open()))
    assert out.splitlines()[0] == REFERENCE.read_text().splitlines()[0]
    for row in reference:
        for column in ("selection_pflops", "training_pflops", "total_pflops"):
            got = float(printed[row["method"]][column])
            assert got == pytest.approx(float(row[column]), abs=0.0011), row["method"]
        assert not row["storage_bytes"] or row["storage_bytes"] == printed[row["method"]]["storage_bytes"]
    assert not list(tmp_path.iterdir())


def test_conventions_protocols_and_methods_with_their_fields(call, nothing_runs):
    _, out, _ = call("--costs", "--flops", "consistent", "--output", "json")
    assert records(out, "json")["CLD"]["total_flops"] == pytest.approx(1529.580e15, rel=1e-6)
    argv = ("--costs", "--protocol", "here", "--selection", "CLD:first=30", "Random", "--output", "json")
    _, out, _ = call(*argv)
    here = records(out, "json")
    assert "CLD (authors' code)" not in here
    paper = Scenario.paper()
    stages = {term["stage"]: term["forward"] for term in here["CLD:first=30"]["terms"]}
    assert stages["proxy"] == 30 * paper.N
    assert stages["record"] == 31 * paper.N
    assert stages["validation"] == 31 * paper.Q
    _, out, _ = call(
        "--costs", "--protocol", "here", "--selection", "CLD", "--record", "online", "--output", "json"
    )
    stages = {t["stage"]: t["forward"] for t in records(out, "json")["CLD:record=online"]["terms"]}
    assert stages["record"] == paper.N


def test_costs_of_one_s_own_setting(call, nothing_runs, tmp_path):
    argv = (
        "--dataset",
        "Digits",
        "--model",
        "LeNet",
        "--proxy_model",
        "MLP",
        "--fraction",
        "0.05",
        "-se",
        "40",
    )
    status, out, _ = call("--costs", *argv, "--protocol", "here", "--output", "json")
    assert status == 0
    here = records(out, "json")
    terms = {term["stage"]: term for term in here["CLD"]["terms"]}
    n, q, k, epochs = 1292, 145, 65, 164
    assert terms["proxy"]["forward"] == terms["proxy"]["backward"] == n * 40
    assert terms["record"]["forward"] == n * 41
    assert terms["validation"]["forward"] == q * 41
    assert terms["target"]["forward"] == k * epochs
    assert terms["test"]["forward"] == 360


def test_the_setting_s_flops_are_those_of_its_rows(call, tmp_path):
    nets = ("--model", "LeNet", "--proxy_model", "MLP", "--epochs", "4", "--fraction", "0.05")
    _, out, _ = call("--costs", *nets, "--protocol", "here", "--output", "json")
    cost = records(out, "json")["CLD"]
    status, out, _ = call(
        *nets,
        "--selection",
        "CLD",
        "--num_exp",
        "1",
        "--signals",
        "needed",
        "--show",
        "costs",
        "--output",
        "json",
    )
    assert status == 0
    (bill,) = json.loads(out)
    assert bill["alone"] == bill["shared"] == cost["selection_flops"]
    assert bill["total"] == cost["total_flops"]
    assert bill["storage_bytes"] == cost["storage_bytes"]


@pytest.mark.parametrize(
    "flag",
    [("--fraction", "0.1"), ("--model", "mlp"), ("--dataset", "Digits"), ("--epochs", "5"), ("-sb", "9")],
)
def test_any_flag_of_a_setting_asks_for_one_s_own(call, nothing_runs, flag):
    status, out, _ = call("--costs", *flag)
    assert status == 0
    assert "N = 1,292 candidates, Q = 145 query rows, k = 129 kept" in out
    assert max(map(len, out.splitlines())) <= 120


def test_a_long_tail_is_one_s_own_setting(call, nothing_runs):
    status, out, _ = call("--costs", "--long_tail", "2")
    assert status == 0
    assert "N = 924 candidates, Q = 145 query rows, k = 92 kept" in out


BAD = {
    "fraction": (["--costs", "--fraction", "2"], "fraction is 2"),
    "fractions": (["--costs", "--fraction", "0.1", "0.2"], "give one --fraction, not 0.1, 0.2"),
    "nets": (["--costs", "--cross", "MLP", "LeNet", "--fraction", "0.1"], "leave out --cross"),
    "steps": (["--costs", "--steps", "100"], "--epochs instead of --steps"),
    "data set": (["--costs", "--dataset", "Digit"], "did you mean Digits?"),
    "missing data": (["--costs", "--dataset", "FashionMNIST"], "--download"),
    "net": (["--costs", "--model", "ResNet1"], "unknown network"),
    "method": (["--costs", "--selection", "CLDD"], "did you mean CLD?"),
    "convention": (["--costs", "--flops", "half"], "invalid choice"),
    "record alone": (["--costs", "--record", "online"], "--record changes the methods of --selection"),
    "balance alone": (["--costs", "--balance", "false"], "--balance changes the methods of --selection"),
    "flops alone": (["--flops", "consistent"], "--flops belongs to --costs"),
    "protocol alone": (["--protocol", "here"], "--protocol belongs to --costs"),
    "two tables": (["--output", "csv", "--show", "accuracy", "costs"], "holds one table"),
    "unknown table": (["--show", "cost"], "invalid choice"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_sentence_and_status_2(call, nothing_runs, tmp_path, case):
    argv, message = BAD[case]
    status, out, err = call(*argv)
    assert (status, out) == (2, "")
    assert message in err
    assert len([line for line in err.splitlines() if line.startswith("error: ")]) == 1
    assert "Traceback" not in err
    assert not list(tmp_path.iterdir())


def test_figures_without_matplotlib_are_refused_before_the_run(call, nothing_runs, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    status, _, err = call("--figures")
    assert status == 2
    assert "pip install matplotlib" in err


def test_a_run_shows_its_costs_and_draws_them(call, tmp_path):
    status, out, err = call(*FAST, "--figures")
    assert (status, err) == (0, "")
    accuracy, title, costs, _ = out.split("\n\n")
    assert "accuracy %" in accuracy
    assert title.startswith("Measured cost in MFLOPs")
    assert title.endswith("MLP on Digits")
    assert [line.split()[0] for line in costs.splitlines()[3:]] == ["CLD", "Random"]
    assert max(map(len, out.splitlines())) <= 120
    assert (tmp_path / "runs" / "pareto.png").stat().st_size > 20_000
    assert "CLD" in (tmp_path / "runs" / "pareto.svg").read_text()
    # the same rows in other forms, without another run
    again = {form: call(*FAST, "--output", form)[1] for form in ("csv", "json", "md", "latex")}
    assert again["csv"].splitlines()[1].startswith("Digits,MLP,CLD")
    assert len(json.loads(again["json"])) == 2
    assert "pays after" in again["md"]
    assert again["latex"].count(r"\begin{tabular}") == 2
    _, out, _ = call(*FAST, "--show", "phases", "costs")
    assert out.index("passes") < out.index("Measured cost")
    assert "accuracy" not in out
    _, out, _ = call(*FAST, "--show", "costs", "--output", "csv")
    assert [line["method"] for line in csv.DictReader(io.StringIO(out))] == ["CLD", "Random"]
    _, out, _ = call(*FAST, "--show", "phases", "--output", "json")
    assert all(phase["here"] == phase["counted"] for phase in json.loads(out))
