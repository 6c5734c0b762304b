"""Named grids: run, resumed, collected, published, verified; the paper's numbers beside ours."""

from __future__ import annotations

import csv
import dataclasses
import re
from pathlib import Path

import pytest
import torch
from rows import rows_of

import methods
from benchmarks import grids, head_to_head
from benchmarks.grids import GRIDS, Grid, Part
from benchmarks.paper_numbers import PAPER, paper_table, printed
from deepcore.analysis.comparison import compare_rows
from deepcore.common.checks import UsageError
from deepcore.data import datasets
from deepcore.data.label_noise import LabelNoise
from deepcore.experiment.rows_csv import from_csv, to_csv
from deepcore.training.recipes import RECIPES

TINY = Grid(
    "tiny",
    "Synthetic",
    "MLP",
    (Part(("Random", "EL2N", "Full"), (0.05, 0.1), 3), Part(("CLD", "Full"), (0.1,), 2)),
    epochs=4,
    noise=LabelNoise(0.1),
)
ROWS = 3 * (2 * 2 + 1) + 2 * 1  # Full is in both parts and run once


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder with every row of TINY."""
    folder = tmp_path_factory.mktemp("tiny")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(grids.GRIDS, "tiny", TINY)
        assert head_to_head.main(["tiny", "--save_path", str(folder)]) == 0
    return folder


@pytest.fixture(autouse=True)
def place(monkeypatch, tmp_path):
    """TINY is a grid, and what is published goes elsewhere."""
    monkeypatch.setitem(grids.GRIDS, "tiny", TINY)
    monkeypatch.setattr(head_to_head, "RESULTS", tmp_path / "results")
    (tmp_path / "results").mkdir()


def rows_in(folder):
    return from_csv((folder / "tiny.csv").read_text())


def test_a_grid_is_run_and_printed(finished, capsys):
    rows = rows_in(finished)
    assert len(rows) == ROWS
    assert {(r.label, r.fraction) for r in rows if r.seed == 2} == {
        *(("Random", 0.05), ("Random", 0.1), ("EL2N", 0.05), ("EL2N", 0.1), ("Full", None)),
    }
    assert head_to_head.main(["tiny", "--save_path", str(finished), "--collect"]) == 0
    printed = capsys.readouterr().out
    for title in ("Accuracy in % by fraction", "worst class", "Average rank", "Flipped labels: 10%"):
        assert title in printed
    assert {row.provenance["threads"] for row in rows} == {1}
    assert {row.provenance["device"].rpartition(", ")[2] for row in rows} == {
        torch.backends.cpu.get_cpu_capability()
    }
    assert all(row.label_noise["train"] == 0.1 for row in rows)


def test_a_second_command_trains_nothing(finished):
    before = {path: path.stat().st_mtime_ns for path in finished.glob("seed*/rows/*.json")}
    assert len(before) == ROWS
    assert head_to_head.main(["tiny", "--save_path", str(finished)]) == 0
    assert {path: path.stat().st_mtime_ns for path in finished.glob("seed*/rows/*.json")} == before


def test_some_seeds_alone_and_no_half_grid_published(tmp_path, capsys):
    assert head_to_head.main(["tiny", "--save_path", str(tmp_path), "--seeds", "2"]) == 0
    assert {row.seed for row in rows_in(tmp_path)} == {2}
    assert head_to_head.main(["tiny", "--save_path", str(tmp_path), "--collect", "--publish"]) == 2
    assert "12 rows of tiny are not finished" in capsys.readouterr().err
    assert not list((tmp_path / "results").iterdir())
    assert head_to_head.main(["tiny", "--save_path", str(tmp_path), "--seeds", "3"]) == 2
    assert "seed 3 is not in the grid tiny: 0 to 2" in capsys.readouterr().err


def test_published_rows_verify_and_changed_ones_do_not(finished, tmp_path, capsys):
    assert head_to_head.main(["tiny", "--save_path", str(finished), "--collect", "--publish"]) == 0
    published = tmp_path / "results" / "tiny.csv"
    rows = from_csv(published.read_text())
    number = next(i for i, r in enumerate(rows) if (r.label, r.seed) == ("CLD", 1))
    argv = ["tiny", "--verify", "--row", str(number)]
    assert head_to_head.main(argv) == 0
    assert "every class equal" in capsys.readouterr().out
    assert head_to_head.main(["tiny", "--verify"]) == 0
    rows[number] = dataclasses.replace(rows[number], accuracy=rows[number].accuracy - 0.01)
    published.write_text(to_csv(rows))
    assert head_to_head.main(argv) == 1
    assert "it must be equal" in capsys.readouterr().out
    assert head_to_head.main(["tiny", "--verify", "--row", "99"]) == 2
    published.unlink()
    assert head_to_head.main(argv) == 2
    assert "no rows of tiny are published" in capsys.readouterr().err


def test_a_machine_without_runs_goes_on_from_the_published_rows(finished, tmp_path, monkeypatch, capsys):
    assert head_to_head.main(["tiny", "--save_path", str(finished), "--collect", "--publish"]) == 0
    published = tmp_path / "results" / "tiny.csv"
    before = from_csv(published.read_text())
    more = dataclasses.replace(TINY, parts=(*TINY.parts, Part(("CLD",), (0.1,), 3)))
    monkeypatch.setitem(grids.GRIDS, "tiny", more)
    argv = ["tiny", "--save_path", str(tmp_path / "new"), "--from_published"]
    assert head_to_head.main([*argv, "--collect"]) == 0
    said = capsys.readouterr().err
    assert f"{ROWS} published rows taken over into {tmp_path / 'new'}" in said
    assert f"{ROWS} rows in" in said
    assert "1 to run" in said
    assert head_to_head.main([*argv, "--publish"]) == 0
    said = capsys.readouterr().err
    assert "\n0 published rows taken over" in f"\n{said}"
    assert len(list((tmp_path / "new").glob("seed*/proxies/*"))) == 1  # of the row that was missing
    rows = from_csv(published.read_text())
    kept = [row for row in rows if (row.label, row.seed) != ("CLD", 2)]
    assert sorted(kept, key=str) == sorted(before, key=str)
    assert len(rows) == ROWS + 1
    published.unlink()
    assert head_to_head.main([*argv, "--collect"]) == 2
    assert "no rows of tiny are published" in capsys.readouterr().err


def test_what_holds_on_this_machine_and_on_another(finished):
    rows = [row for row in rows_in(finished) if (row.label, row.fraction) == ("Random", 0.1)]
    row = rows[0]
    elsewhere = {**row.provenance, "device": "another"}

    def holds(**changes):
        return head_to_head.compared(row, dataclasses.replace(row, **changes), rows)[1]

    assert holds()
    assert not holds(label_noise={**row.label_noise, "kept": row.label_noise["kept"] + 1})
    assert holds(label_noise={**row.label_noise, "kept": 0}, provenance=elsewhere)
    assert not holds(label_noise={**row.label_noise, "flipped": 1}, provenance=elsewhere)
    assert holds(provenance=elsewhere)
    assert not holds(accuracy=row.accuracy + 1e-6)
    assert holds(accuracy=row.accuracy + 1e-6, provenance=elsewhere)
    assert not holds(accuracy=row.accuracy - 0.9, provenance=elsewhere)
    alike = [dataclasses.replace(row, seed=seed) for seed in range(3)]
    near = dataclasses.replace(row, accuracy=row.accuracy - 0.009, provenance=elsewhere)
    assert head_to_head.compared(row, near, alike)[1]  # three seeds alike by chance are no yardstick
    far = dataclasses.replace(row, accuracy=row.accuracy - 0.011, provenance=elsewhere)
    assert not head_to_head.compared(row, far, alike)[1]
    assert not holds(steps=row.steps + 1, provenance=elsewhere)
    assert not holds(k=row.k + 1)
    assert not holds(fingerprint="other")
    assert not holds(status="failed", error="diverged")


def test_a_failed_row_is_told_and_the_others_are_kept(tmp_path, monkeypatch, capsys):
    few = dataclasses.replace(TINY, parts=(Part(("Random", "EL2N"), (0.1,), 1),))
    monkeypatch.setitem(grids.GRIDS, "tiny", few)

    def broken(self, run):
        raise UsageError("no score today")

    monkeypatch.setattr(methods.get("EL2N"), "score", broken)
    assert head_to_head.main(["tiny", "--save_path", str(tmp_path)]) == 1
    assert "failed: seed 0: EL2N, 10%: no score today" in capsys.readouterr().err
    assert [row.label for row in rows_in(tmp_path)] == ["Random"]


def test_what_cannot_work_is_refused_before_anything_is_run(tmp_path, monkeypatch, capsys):
    few = dataclasses.replace(TINY, parts=(Part(("Random", "CLD:first=1"), (0.1,), 1),))
    monkeypatch.setitem(grids.GRIDS, "tiny", few)
    assert head_to_head.main(["tiny", "--save_path", str(tmp_path)]) == 2
    assert "CLD:first=1" in capsys.readouterr().err


def test_other_data_are_refused_before_anything_is_run(finished, tmp_path, monkeypatch, capsys):
    assert head_to_head.main(["tiny", "--save_path", str(finished), "--collect", "--publish"]) == 0
    monkeypatch.setitem(grids.GRIDS, "tiny", dataclasses.replace(TINY, epochs=5))
    monkeypatch.setattr(head_to_head.Harness, "run", None)
    assert head_to_head.main(["tiny", "--verify", "--row", "0"]) == 2
    assert "other data files, another recipe or another split" in capsys.readouterr().err


@pytest.mark.parametrize(
    "flags",
    [
        *(["--row", "1"], ["--verify", "--publish"], ["--verify", "--seeds", "0"]),
        *(["--verify", "--from_published"], ["--collect", "--seeds", "0"]),
    ],
)
def test_flags_that_do_not_go_together(flags, capsys):
    assert head_to_head.main(["tiny", *flags]) == 2
    assert "leave out" in capsys.readouterr().err


def test_unknown_grid(capsys):
    assert head_to_head.main(["nowhere"]) == 2
    assert "digits" in capsys.readouterr().err


def test_every_method_is_in_the_grids():
    named = (*grids.SELECTIONS, *grids.PAPER, *grids.FURTHER, *grids.REFERENCES)
    assert {methods.parse(text).name for text in named} == set(methods.METHODS)
    run = {text for part in GRIDS["fashion_all"].parts for text in part.methods}
    assert run == set(named)


def test_the_readme_names_every_grid_and_no_other():
    text = (Path(grids.__file__).parent / "README.md").read_text()
    paragraph = text[text.index("The grids at the paper's length") :].partition("\n\n")[0]
    assert sorted(re.findall(r"`(\w+)`", paragraph)) == sorted(name for name in GRIDS if name != "tiny")


@pytest.mark.parametrize("name", [name for name in GRIDS if name != "tiny"])
def test_grids_are_valid_and_the_paper_s_have_its_fractions(name):
    grid = GRIDS[name]
    recipe = {"CIFAR100": "paper-cifar", "ImageNet": "paper-imagenet", "Digits": "digits"}
    data = dataclasses.replace(
        datasets.load("Digits", data_path="", download=False),
        name=grid.dataset,
        recipe=recipe.get(grid.dataset, "small-images"),
    )
    for seed in grid.seeds:
        for spec in grid.experiments(data, seed):
            assert dataclasses.replace(spec.proxy, epochs=spec.target.epochs) == spec.target
            assert spec.proxy.epochs == (grid.proxy_epochs or spec.target.epochs)
            assert spec.target.epochs == grid.epochs or spec.target == RECIPES[data.recipe]
    if grid.paper:
        paper = {fraction for _, fraction in printed(grid.paper)}
        assert set(grid.parts[0].fractions) == paper
        assert len(grid.seeds) == 5


def test_the_paper_s_numbers_stand_beside_ours():
    grid = GRIDS["cifar100"]
    ours = [row for label in ("Random", "DynUnc") for row in rows_of(label, 40, 42, fraction=0.1)]
    table = paper_table(grid, compare_rows(ours))
    by_key = {(r["method"], r["fraction"]): r for r in table.records}
    with (PAPER / grid.paper).open() as file:
        lines = {(r["method"], r["percent_of_train"]): r for r in csv.DictReader(file)}
    assert len(by_key) == len(lines)  # ours are among the paper's methods and fractions
    random = by_key["Random", 0.1]
    assert (random["mean"], random["paper_mean"]) == (41, float(lines["Random", "10"]["top1_mean"]))
    assert by_key["DynUnc", 0.1]["paper_mean"] == float(lines["Dyn-Unc", "10"]["top1_mean"])
    assert by_key["Herding", 0.2]["mean"] is None
    assert "none of them was measured here" in table.render("table")


def test_paths_of_the_machine_are_not_published():
    (row,) = rows_of("Random", 50)
    row = dataclasses.replace(row, provenance={"command": ["main.py", "--save_path", "/home/me/runs", "0.1",
                                                 "--data_path=/home/me/d", "file:/home/me/ids.csv", "runs/x",
                                                 "CLD:every=2"]})  # fmt: skip
    assert head_to_head.without_places(row).provenance["command"] == [
        *("main.py", "--save_path", "PATH/runs", "0.1", "--data_path=PATH/d", "file:PATH/ids.csv", "runs/x"),
        "CLD:every=2",
    ]
