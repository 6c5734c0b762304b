"""Stored rows, selections and proxy runs that were changed by hand, or come from elsewhere, are refused with
what differs."""

from __future__ import annotations

import dataclasses
import json
import shutil

import numpy as np
import pytest
from small_grids import grid, runner
from tiny import images

from deepcore.common.checks import StoredMismatch
from deepcore.common.identity import fingerprint
from deepcore.common.meter import PASSES
from deepcore.common.progress import Progress
from deepcore.experiment.rows import CHECKSUM, read_row
from deepcore.experiment.seed_runs import proxy_run
from deepcore.report.agreement_report import agreement_tables

SELECTION = ("CLD", "Random")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    runner(folder, grid(*SELECTION)).run()
    return folder


@pytest.fixture
def runs(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "runs")
    return tmp_path / "runs"


def again(folder, data=None, **options):
    return runner(folder, grid(*SELECTION), data, **options).run()


def edit(path, change):
    """Apply `change` to the JSON of a file."""
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


def without_checksum(value):
    """As version 0.1.0 wrote it."""
    del value["provenance"][CHECKSUM]
    value["provenance"]["deepcore"] = "0.1.0"


@pytest.mark.parametrize(
    "field",
    ["accuracy", "k", "steps", "notes", "label", "measured", "passes", "class_accuracy", "provenance"],
)
def test_a_row_that_was_edited(runs, field):
    (path,) = runs.glob("rows/*CLD*")
    other = {"accuracy": 0.5, "k": 3, "steps": 1, "notes": ["x"], "label": "y", "class_accuracy": [0.5]}
    more = {"more": {"x": 1}}
    edit(path, lambda row: row.update({field: other[field] if field in other else {**row[field], **more}}))
    with pytest.raises(StoredMismatch, match="was changed after it was written; delete it and run"):
        again(runs)


def test_passes_of_scoring_have_kinds_of_their_own(runs):
    (path,) = runs.glob("rows/*CLD*")
    edit(path, without_checksum)
    edit(path, lambda row: row["passes"].update(score={"gradient": 5}))
    assert read_row(path).passes["score"] == {"gradient": 5}
    edit(path, lambda row: row["passes"].update(score={"gradient": -5}))
    with pytest.raises(StoredMismatch, match="passes is"):
        read_row(path)


def test_a_row_whose_checksum_was_removed(runs):
    (path,) = runs.glob("rows/*CLD*")
    edit(path, lambda row: row["provenance"].pop(CHECKSUM))
    with pytest.raises(StoredMismatch, match="was changed after it was written; delete it and run"):
        again(runs)


WRONG = {
    "accuracy": [0.123456, 2, None, "0.5", True, float("nan")],
    "class_accuracy": [[2.0], None, ["x"], {}],
    "k": [0, 1.5, "3", None],
    "measured": [{}, {"seconds": {}}, None],
    "passes": [{}, {"target": 3}, [], {"target": {"train": 33}}, {"target": dict.fromkeys(PASSES, -1)}],
    "status": ["done", None],
    "notes": ["x", [1]],
    "seed": ["0", 0.5],
}


@pytest.mark.parametrize(("field", "value"), [(f, v) for f, values in WRONG.items() for v in values])
def test_a_row_of_an_older_version_with_a_value_that_cannot_be(runs, field, value):
    (path,) = runs.glob("rows/*CLD*")
    edit(path, without_checksum)
    assert read_row(path).status == "ok"
    edit(path, lambda row: row.update({field: value}))
    with pytest.raises(StoredMismatch, match=r"row .* is damaged"):
        read_row(path)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("dataset", "other"),
        ("seed", 7),
        ("n", 5),
        ("method", "AUM"),
        ("fraction", 0.3),
        ("n_test", 60),
        ("batch", 3),
    ],
)
def test_an_older_row_that_is_not_of_the_command(runs, field, value):
    (path,) = runs.glob("rows/*CLD*")
    edit(path, without_checksum)
    edit(path, lambda row: row.update({field: value}))
    with pytest.raises(StoredMismatch, match=f"its {field} is {value!r} where"):
        again(runs)


def test_a_proxy_run_given_the_name_of_another(runs, tmp_path):
    """Seed 0's run with a specification that says seed 1."""
    (path,) = runs.glob("proxies/*/spec.json")
    edit(path, lambda spec: spec["identity"].update(seed=1))
    shutil.rmtree(runs / "rows")
    with pytest.raises(StoredMismatch, match=r"spec.json was changed.*its fingerprint is"):
        again(runs)
    path.parent.rename(path.parent.with_name("mine"))
    with pytest.raises(StoredMismatch, match="its candidates are not those of this command's split"):
        runner(runs, grid(*SELECTION, seeds=(1,))).run()


def test_a_named_proxy_run_of_other_labels(runs, tmp_path):
    """Everything in it agrees with itself, and not with the data."""
    from deepcore.proxy.store import _checksum

    (folder,) = runs.glob("proxies/*")
    arrays = dict(np.load(folder / "pool.npz"))
    arrays["labels"] = arrays["labels"][::-1].copy()
    np.savez(folder / "pool.npz", **arrays)
    sums = _checksum(folder / "pool.npz")
    edit(folder / "done.json", lambda done: done["checksums"].update({"pool.npz": sums}))
    words = "its labels are not those of this command's split; .* or leave out --proxy_run$"
    with pytest.raises(StoredMismatch, match=words):
        again(tmp_path / "new", proxy_folder=str(folder))


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("spec.json", lambda value: value["recording"].update(online=["nonsense"]), "is not of a proxy run"),
        ("spec.json", lambda value: value.update(identity=3), "is not of a proxy run"),
        ("spec.json", lambda value: value["identity"]["train"].update(lr=1.0), "was changed"),
        ("done.json", lambda value: value["costs"].update(passes=None), "does not list its files and costs"),
        ("done.json", lambda value: value["costs"]["passes"].update(train=-5), "does not list its files and"),
        ("done.json", lambda value: value["costs"]["seconds"].update(train="x"), "does not list its files"),
    ],
)
def test_a_proxy_run_whose_records_were_edited(runs, file, change, message):
    shutil.rmtree(runs / "rows")
    (path,) = runs.glob(f"proxies/*/{file}")
    edit(path, change)
    with pytest.raises(StoredMismatch, match=message):
        again(runs)


def test_a_diverged_run_without_a_message(runs):
    shutil.rmtree(runs / "rows")
    (folder,) = runs.glob("proxies/*")
    (folder / "diverged.json").write_text("[]")
    with pytest.raises(StoredMismatch, match=r"diverged.json does not say what happened"):
        again(runs)


def test_a_row_from_before_a_field_keeps_its_checksum(runs):
    (path,) = runs.glob("rows/*CLD*")
    value = json.loads(path.read_text())
    del value["label_noise"], value["provenance"][CHECKSUM]
    value["provenance"][CHECKSUM] = fingerprint(value)
    path.write_text(json.dumps(value))
    assert read_row(path).label_noise == {}


def test_counts_of_a_proxy_run_that_were_edited(runs):
    shutil.rmtree(runs / "rows")
    (path,) = runs.glob("proxies/*/done.json")
    edit(path, lambda done: done["costs"]["passes"].update(train=done["costs"]["passes"]["train"] + 1))
    with pytest.raises(StoredMismatch, match=r"the counts in done.json are not those that were written"):
        again(runs)
    edit(path, lambda done: done.pop("counted"))  # as in older runs
    assert again(runs)[0].status == "ok"


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        (
            "f0.2",
            lambda a: a.update(ids=a["ids"][:-1], labels=a["labels"][:-1]),
            "it holds 13 rows where 14 belong",
        ),
        ("f0.2", lambda a: a["ids"].__setitem__(0, 10**6), "row 1000000 is no candidate"),
        ("f0.2", lambda a: a["ids"].__setitem__(0, a["ids"][1]), "occurs 2 times"),
        ("f0.2", lambda a: a.pop("ids"), "it holds no ids"),
        ("f0.2", lambda a: a["labels"].__setitem__(0, 1 - a["labels"][0] % 2), "its labels are not those"),
        ("scores", lambda a: a["scores"].__setitem__(3, np.nan), "its scores are not all finite"),
        ("scores", lambda a: a.pop("scores"), "does not hold one score of each"),
        ("scores", lambda a: a.update(scores=a["scores"][:-1]), "does not hold one score of each"),
        ("scores", lambda a: a.update({k: v[:-1] for k, v in a.items()}), "are not the candidates"),
    ],
)
def test_a_selection_that_was_edited(runs, name, change, message):
    plan = runner(runs, grid(*SELECTION)).plan
    assert agreement_tables(plan, runs)
    (path,) = runs.glob(f"selections/*CLD*/{name}.npz")
    arrays = dict(np.load(path))
    change(arrays)
    np.savez(path, **arrays)
    with pytest.raises(StoredMismatch, match=rf"was changed, or comes from elsewhere: .*{message}"):
        agreement_tables(plan, runs)


def test_a_run_of_other_data_is_not_used(runs):
    rows = again(runs, images(seed=1))
    assert [row.status for row in rows] == ["ok", "ok"]
    assert len(list(runs.glob("proxies/*"))) == 2


def test_a_folder_that_is_moved_away_ends_the_command(runs, tmp_path, monkeypatch):
    """Otherwise rows would be finished whose selections are gone."""
    from deepcore.experiment import tasks

    real = tasks.train_target

    def moved(*args, **options):
        if runs.exists():
            runs.rename(tmp_path / "elsewhere")
        return real(*args, **options)

    monkeypatch.setattr(tasks, "train_target", moved)
    with pytest.raises(OSError, match="rows"):
        runner(runs, grid(*SELECTION, seeds=(1,))).run()
    assert not runs.exists()


def test_a_folder_that_is_moved_away_before_the_proxy_run_is_not_made_anew(tmp_path):
    """A call of the library makes it: tests/proxy/test_engine.py."""
    harness = runner(tmp_path / "runs", grid(*SELECTION))
    runtime = dataclasses.replace(harness.runtime, folder=tmp_path / "gone")
    (task,) = harness.plan.proxies.values()
    with pytest.raises(OSError, match="gone"):
        proxy_run(harness.plan, runtime, Progress(quiet=True), task)
    assert not (tmp_path / "gone").exists()
