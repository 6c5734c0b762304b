"""The run folder's page, tables and figures."""

from __future__ import annotations

import csv
import dataclasses
import fcntl
import importlib.util
import json
import re
from html.parser import HTMLParser

import pytest
from rows import LOW, ROWS, rows_of
from small_grids import grid, runner

import main
from deepcore.analysis.comparison import compare_rows
from deepcore.report import run_report
from deepcore.report.accuracy_tables import accuracy_table
from deepcore.report.description import description, failures, recipe
from deepcore.report.page import Section, page
from deepcore.report.run_report import write_report

VOID = {"meta", "br"}


class Reader(HTMLParser):
    """Checks that tags nest; collects what a reader sees, what a page would load, and the rows of tables."""

    def __init__(self):
        super().__init__()
        self.open, self.text, self.loads, self.cells = [], [], [], []

    def handle_starttag(self, tag, attributes):
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.cells.append([])
        elif tag in ("td", "th"):
            self.cells[-1].append("")
        self.loads += [value for key, value in attributes if key in ("src", "href", "xlink:href", "action")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)
        if self.open and self.open[-1] in ("td", "th"):
            self.cells[-1][-1] += data


def read(text):
    reader = Reader()
    reader.feed(text)
    assert reader.open == []
    return reader


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A harness, its rows, what was said, and the page."""
    spec = grid("CLD", "AUM", "Random", "Full", "RS2", seeds=(0, 1, 2), fractions=(0.2, 0.5))
    harness = runner(tmp_path_factory.mktemp("run"), spec)
    rows, said = harness.run(), []
    path = write_report(harness.plan, harness.runtime.folder, rows, said.append)
    assert said == []
    return harness, rows, path


def test_the_page_stands_alone(run):
    harness, rows, path = run
    assert path == harness.runtime.folder / "report.html"
    text = path.read_text()
    page = read(text)
    assert all(load.startswith("#") for load in page.loads)
    assert "<script" not in text
    assert "<link" not in text
    assert "@import" not in text
    assert not re.search(r"https?://(?!www\.w3\.org)", text)
    assert 'name="viewport"' in text
    assert "@media print" in text
    assert text.count("<svg") == 2  # one figure, wide and narrow
    seen = " ".join(page.text)
    for words in (
        "tiny: 3 selection methods", "3 seeds", "Findings", "Rank correlation of scores", "Costs",
        "72 in each seed", "4 epochs, batch 16, SGD, lr 0.05", "reads post_epoch recordings",
        "RS2 is not a selection", rows[0].provenance["torch"], rows[0].measured["finished"][:10],
    ):  # fmt: skip
        assert words in seen, words
    assert "nan" not in seen.lower().split()


def test_the_page_s_numbers_are_those_of_the_rows(run):
    _, rows, path = run
    accuracies = [100 * row.accuracy for row in rows if (row.label, row.fraction) == ("AUM", 0.5)]
    mean = f"{sum(accuracies) / 3:.2f}"
    of_aum = [cells for cells in read(path.read_text()).cells if cells and cells[0] == "AUM"]
    assert any(cells[1:3] == ["50%", "36"] and cells[3].startswith(mean) for cells in of_aum)


def test_every_table_is_there_in_four_forms(run):
    folder = run[0].runtime.folder
    names = {
        "accuracy", "overview", "worst_class", "ranks", "overlap_f0.2", "overlap_f0.5", "score_correlation",
        "between_seeds", "costs",
    }  # fmt: skip
    files = {path.name for path in (folder / "tables").iterdir()}
    assert files == {f"{name}.{suffix}" for name in names for suffix in ("md", "tex", "csv", "json")}
    for name in names:
        text = {
            suffix: (folder / "tables" / f"{name}.{suffix}").read_text() for suffix in ("md", "tex", "csv")
        }
        records = json.loads((folder / "tables" / f"{name}.json").read_text())
        lines = list(csv.DictReader(text["csv"].splitlines()))
        assert len(lines) == len(records) > 0
        assert set(lines[0]) == set(records[0])
        assert "|---" in text["md"]
        assert text["tex"].count(r"\begin{tabular}") == text["tex"].count(r"\end{tabular}") == 1
        assert "nan" not in text["csv"].lower()
    assert {path.name for path in (folder / "figures").iterdir()} == {"accuracy.png", "accuracy.svg"}


def test_the_caption_speaks_of_what_is_drawn(run, tmp_path):
    def caption(path):
        return re.search("<figcaption>(.*?)</figcaption>", path.read_text())[1]

    for words in ("one sample standard deviation", "Minus Random: ", "Dashed, dotted or hollow"):
        assert words in caption(run[2])
    few = runner(tmp_path, grid("AUM", "Random"))  # one seed: no intervals; no reference
    assert caption(write_report(few.plan, few.runtime.folder, few.run())) == (
        "Test accuracy after the last step: mean and one sample standard deviation over seeds."
    )


def test_several_nets_have_tables_and_figures_each(tmp_path):
    harness = runner(tmp_path, grid("Random", "RS2", nets=("MLP", "LeNet")))
    path = write_report(harness.plan, harness.runtime.folder, harness.run())
    assert {"overview-MLP.md", "overview-LeNet.md", "costs-LeNet.md"} <= {
        p.name for p in (tmp_path / "tables").iterdir()
    }
    assert (tmp_path / "figures" / "accuracy-LeNet.svg").exists()
    text = path.read_text()
    assert text.count("<svg") == 4
    ids = re.findall(r' id="([^"]*)"', text)
    assert len(ids) == len(set(ids))


def test_without_matplotlib_there_is_a_page_without_a_figure(tmp_path, monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "matplotlib" else real(name, *a)
    )
    harness, said = runner(tmp_path, grid("Random")), []
    path = write_report(harness.plan, harness.runtime.folder, harness.run(), said.append)
    assert said == ["no figures: matplotlib is not installed"]
    assert "<svg" not in path.read_text()
    assert not (tmp_path / "figures").exists()


def test_what_has_no_finished_row_has_no_report(tmp_path):
    harness = runner(tmp_path, grid("Random"))
    failed = [dataclasses.replace(row, status="failed", error="a\nb") for row in rows_of("A", 1)]
    assert write_report(harness.plan, harness.runtime.folder, failed) is None
    assert failures(failed) == ["A, 10%, MLP, seed 0: b"]


def test_names_are_escaped():
    table = accuracy_table(compare_rows(rows_of("<c>", 85)))
    section = Section("<h>", lines=["<l>"], points=["<p>"], facts=[("<f>", "<v>")], tables=[table])
    text = page("<t>", "a & b", [section])
    seen = " ".join(read(text).text)
    for word in ("<t>", "a & b", "<h>", "<l>", "<p>", "<f>", "<v>", "<c>"):
        assert word in seen
    assert "<h2>empty</h2>" not in page("t", "l", [Section("empty", lines=["only a line"])])


def test_the_recipe_and_the_methods_in_words():
    rows = [*ROWS, *LOW]
    first = dataclasses.replace(rows[0], method_spec={"name": "A", "beta": 0.3, "first": None})
    other = dataclasses.replace(LOW[0], method_spec={"name": "A", "beta": 0.5, "first": None}, notes=["said"])
    sections = {section.heading: section for section in description([first, other])}
    assert dict(sections["Methods"].facts)["A"] == "beta=0.5 / 0.3"  # 1%, then 10%
    assert sections["Notes of the selections"].points == ["A, 1%, seed 0: said"]
    assert recipe(first.target_recipe) == (
        "3 epochs, batch 16, SGD, lr 0.05, momentum 0.9 (Nesterov), weight decay 0.0005, MultiStepLR "
        "(milestones 0.5, 0.75 of the length; gamma 0.1), no augmentation, fp32"
    )
    adam = {**first.target_recipe, "optimizer": "Adam", "scheduler": "CosineAnnealingLR", "steps": 9}
    assert recipe(adam).startswith(
        "9 steps, batch 16, Adam, lr 0.05, weight decay 0.0005, CosineAnnealingLR (min_lr"
    )
    facts = dict(sections["Provenance"].facts)
    assert (facts["torch"], facts["commit"], facts["command"]) == ("2.6", "abc", "main.py --fraction 0.1")


def test_the_command_line_writes_it_unless_told_not_to(tmp_path, capsys):
    argv = ["--selection", "Random", "--epochs", "1", "--num_exp", "1", "--save_path", str(tmp_path)]
    assert main.main([*argv, "--report", "false"]) == 0
    assert not (tmp_path / "report.html").exists()
    assert "report:" not in capsys.readouterr().err
    assert main.main(argv) == 0
    assert (tmp_path / "report.html").exists()
    assert f"report: {tmp_path / 'report.html'}" in capsys.readouterr().err


def test_a_report_is_written_by_one_command_at_a_time(tmp_path, monkeypatch):
    harness = runner(tmp_path, grid("Random"))
    rows = harness.run()
    real, held = run_report.page, []

    def page(*args):
        with open(tmp_path / ".report.lock") as handle, pytest.raises(BlockingIOError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        held.append(True)
        return real(*args)

    monkeypatch.setattr(run_report, "page", page)
    assert run_report.write_report(harness.plan, tmp_path, rows) == tmp_path / "report.html"
    assert held == [True]
    assert not list(tmp_path.rglob(".*.tmp"))
