"""The measured bill in print."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import re

import pytest
import torch
from tiny import images, short

import methods
from deepcore.analysis.measured_costs import measured_costs
from deepcore.analysis.phases import phases
from deepcore.common.progress import Progress
from deepcore.experiment.harness import Harness
from deepcore.experiment.spec import ExperimentSpec
from deepcore.report.cost_figure_files import pareto_files
from deepcore.report.measured_cost_report import cost_of_record, cost_record, digits, measured_report, seconds
from deepcore.report.phase_report import phase_report

TEXTS = ("Random", "CLD", "EL2N", "CLD:class_balanced=False,first=7,every=2,correlation=spearman", "Full")


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    chosen = tuple(methods.parse(text) for text in TEXTS)
    folder = tmp_path_factory.mktemp("runs")
    spec = ExperimentSpec((0, 1), chosen, (0.2, 0.5), ("MLP", "LeNet"), "MLP", short(epochs=11), short(), 0.2)
    return Harness(spec, images(), folder, device=torch.device("cpu"), progress=Progress(quiet=True)).run()


def of_net(rows, net="MLP"):
    return [row for row in rows if row.target_net == net]


def huge(rows):
    """The rows as of a run of ImageNet's size."""
    out = []
    for row in rows:
        passes = {
            part: {kind: 114_151_950 // 4 if count else 0 for kind, count in counted.items()}
            for part, counted in row.passes.items()
        }
        measured = {
            "seconds": dict.fromkeys(row.measured["seconds"], 123_456.7),
            "peak_bytes": dict.fromkeys(row.measured["peak_bytes"], 78e9),
        }
        target = {**row.flops_per_example, "target": {"forward": 8_178_000_000, "backward": 16_000_000_000}}
        changes = {"k": 126_836, "n": 1_268_355, "signal_bytes": 987_654_321_098, "target_net": "ResNet50"}
        out.append(
            dataclasses.replace(row, passes=passes, measured=measured, flops_per_example=target, **changes)
        )
    return out


@pytest.mark.parametrize("report", [measured_report, phase_report])
def test_tables_fit_into_120_columns(rows, report):
    for those in (rows, huge(of_net(rows))):
        text = report(those)
        assert max(map(len, text.splitlines())) <= 120, max(text.splitlines(), key=len)
        assert "\xa0" not in text


def test_a_line_per_method_and_fraction_and_a_table_per_net(rows):
    text = measured_report(rows)
    assert text.count("Measured cost in MFLOPs") == 2
    lines = measured_report(of_net(rows)).splitlines()
    assert "MLP on tiny" in lines[0]
    start = next(i for i, line in enumerate(lines) if line.startswith("---"))
    body = [line.split() for line in lines[start + 1 :] if re.match(r"(Random|CLD|EL2N|Full) ", line)]
    assert [line[:2] for line in body] == [
        *(["Random", "20%"], ["Random", "50%"], ["CLD", "20%"], ["CLD", "50%"], ["EL2N", "20%"]),
        *(["EL2N", "50%"], ["Full", "100%"]),
    ]
    bill = next(b for b in measured_costs(of_net(rows)) if (b.method, b.fraction) == ("CLD", 0.2))
    values = [bill.alone, bill.shared, bill.marginal, bill.target, bill.total]
    unit = {"k": 1e3, "M": 1e6, "G": 1e9}[re.search(r" (.)FLOPs", lines[0])[1]]
    assert [float(x) for x in body[2][2:7]] == pytest.approx([v / unit for v in values], rel=1e-3)
    assert float(body[2][7]) == pytest.approx(100 * bill.total / bill.full, abs=0.06)
    assert body[2][-1] == str(bill.pays_after)
    assert body[-1][-1] == "-"  # training on everything is no coreset


def test_never(rows):
    (row,) = [r for r in of_net(rows) if (r.label, r.fraction, r.seed) == ("CLD", 0.5, 0)]
    dear = {**row.passes, "target": {**row.passes["target"], "train": 10**9}}
    text = measured_report([dataclasses.replace(row, passes=dear)])
    assert re.search(r"^CLD .* never$", text, re.MULTILINE)


def test_records_are_unrounded_and_parse(rows):
    bills = measured_costs(rows)
    records = json.loads(measured_report(rows, "json"))
    assert records == json.loads(json.dumps([cost_record(bill) for bill in bills]))
    assert [cost_of_record(record) for record in records] == bills
    table = list(csv.DictReader(io.StringIO(measured_report(rows, "csv"))))
    assert len(table) == len(bills) == 2 * (4 * 2 + 1)
    for line, bill in zip(table, bills, strict=True):
        assert line["method"] == bill.method
        assert float(line["alone"]) == bill.alone
        assert float(line["share_of_full"]) == bill.total / bill.full
        assert line["pays_after"] == ("" if bill.pays_after is None else str(bill.pays_after))
        assert float(line["peak_bytes_target"]) > 1e6
        assert line["peak_bytes_score_device"] == ""
    found = phases(rows)
    assert [p["name"] for p in json.loads(phase_report(rows, "json"))] == [p.name for p in found]
    assert [p["counted"] for p in csv.DictReader(io.StringIO(phase_report(rows, "csv")))] == [
        str(p.counted) for p in found
    ]


@pytest.mark.parametrize(("output", "mark"), [("md", "| "), ("latex", r"\begin{tabular}")])
def test_markdown_and_latex(rows, output, mark):
    for report in (measured_report, phase_report):
        text = report(of_net(rows), output)
        assert mark in text
        assert "spearman" in text
        assert "\n\n" in text
    if output == "latex":
        assert re.search(r"\$N \+ N T\$", phase_report(rows, output))
        assert r"\% of full" in measured_report(rows, output)


def test_nothing_finished():
    assert measured_report([]) == phase_report([]) == "no row finished: there is no cost to show"
    assert json.loads(measured_report([], "json")) == []
    assert measured_report([], "csv") == ""


def test_numbers():
    values = (0, 0.00012345, 0.0123456, 0.5, 1.5, 12.3456, 999.94, 1000, 1234567.8)
    assert [digits(v) for v in values] == [
        *("-", "0.0001234", "0.01235", "0.5000", "1.500", "12.35", "999.9", "1,000", "1,234,568"),
    ]  # fmt: skip
    assert digits(1e-7) == "1e-07"
    assert [seconds(v) for v in (0, 0.0001, 0.0124, 0.5, 12.345, 1234.5)] == [
        *("-", "<0.001", "0.012", "0.50", "12.35", "1,234"),
    ]  # fmt: skip


def test_figures_of_a_run(rows, tmp_path):
    written = pareto_files(rows, tmp_path)
    stems = [f"pareto-{net}-f{f}" for net in ("MLP", "LeNet") for f in ("0.2", "0.5")]
    assert [path.name for path in written] == [s + suffix for s in stems for suffix in (".png", ".svg")]
    drawn = (tmp_path / "pareto-MLP-f0.5.svg").read_text()
    for text in ("Random", "EL2N", "training on all data: ", "50% coreset", "over 2 seeds"):
        assert text in drawn
    assert written[0].stat().st_size > 20_000
    one = pareto_files([r for r in of_net(rows) if r.fraction == 0.5 and r.seed == 0], tmp_path / "one")
    assert [path.name for path in one] == ["pareto.png", "pareto.svg"]
    text = (tmp_path / "one" / "pareto.svg").read_text()
    assert "over 1 seed." in text
    assert "training on all data: " not in text
    assert pareto_files([r for r in rows if r.method == "Full"], tmp_path / "none") == []
