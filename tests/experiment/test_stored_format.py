"""Folders of earlier versions stay readable. `stored_0.1` was written by version 0.1.0, before the rooms:

images(rows=60) and short() of `tiny`, seed 0, fraction 0.2, MLP; CLD, Forgetting, D2:beta=0,
EL2N:repeats=2,epochs=2 and Random.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from small_grids import CPU, QUIET
from tiny import images, short

import methods
from deepcore.experiment import target as target_module
from deepcore.experiment.harness import Harness
from deepcore.experiment.spec import ExperimentSpec
from deepcore.proxy import engine

STORED = Path(__file__).parent / "stored_0.1"
SELECTION = ("CLD", "Forgetting", "D2:beta=0", "EL2N:repeats=2,epochs=2", "Random")


@pytest.fixture
def harness(tmp_path):
    shutil.copytree(STORED, tmp_path / "runs")
    chosen = tuple(map(methods.parse, SELECTION))
    spec = ExperimentSpec((0,), chosen, (0.2,), ("MLP",), "MLP", short(), short())
    return Harness(spec, images(rows=60), tmp_path / "runs", device=CPU, progress=QUIET)


def test_a_finished_folder_is_read_and_nothing_is_trained(harness, monkeypatch):
    monkeypatch.setattr(engine, "train", None)
    monkeypatch.setattr(target_module, "train", None)
    assert harness.pending() == []
    rows = harness.run()
    assert [row.method for row in rows] == ["CLD", "Forgetting", "D2", "EL2N", "Random"]
    assert all(row.status == "ok" for row in rows)
    assert rows[0].recorded == {"epochs": 4, "post_epochs": 4, "trajectories": True, "final": True}


def test_a_missing_row_comes_from_the_stored_proxy_with_the_same_selection(harness, monkeypatch):
    monkeypatch.setattr(engine, "train", None)
    folder = harness.runtime.folder
    for path in folder.glob("rows/*"):
        path.unlink()
    before = {path: np.load(path)["ids"] for path in folder.glob("selections/*/f0.2.npz")}
    shutil.rmtree(folder / "selections")
    rows = harness.run()
    assert [row.status for row in rows] == ["ok"] * len(SELECTION)
    stored = {path.name for path in (STORED / "rows").glob("*.json")}
    assert {path.name for path in (folder / "rows").glob("*.json")} == stored  # the same fingerprints
    assert len(before) == len(SELECTION)
    for path, ids in before.items():
        np.testing.assert_array_equal(np.load(path)["ids"], ids)
