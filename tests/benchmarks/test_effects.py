"""The best test epoch, and ids read as other rows."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from benchmarks import effects, grids, head_to_head
from benchmarks.effects import shifted
from benchmarks.grids import Grid, Part
from benchmarks.score_study import from_csv


def test_shifted_ids_by_hand():
    labels = np.array([1, 0, 9, 1, 0, 0])  # row 2 is a validation row
    pool = np.array([0, 1, 3, 4, 5])
    # by class: rows 1, 4, 5, 0, 3; so row 0 is at position 3, where the pool has row 4
    assert shifted(np.array([0, 1, 5]), pool, labels).tolist() == [4, 0, 3]


def test_of_a_pool_in_class_order_nothing_is_shifted():
    labels = np.repeat([0, 1], 5)
    ids = np.array([7, 2])
    assert shifted(ids, np.arange(10), labels).tolist() == [7, 2]


@pytest.fixture
def tiny(monkeypatch):
    grid = Grid(effects.GRID, "Synthetic", "MLP", (Part(("CLD", "Random"), (0.1,), 1),), epochs=4)
    monkeypatch.setitem(grids.GRIDS, effects.GRID, grid)
    return grid


def test_a_small_grid(tiny, tmp_path, monkeypatch, capsys):
    argv = ["--save_path", str(tmp_path)]
    assert effects.main(argv) == 2
    assert "run head_to_head.py fashion_long_effects" in capsys.readouterr().err
    assert head_to_head.main([effects.GRID, *argv]) == 0
    assert effects.main(argv) == 0
    found = from_csv((tmp_path / "effects.csv").read_text())
    value = {(f.method, f.measure): f.value for f in found}
    assert set(value) == {(m, k) for m in ("CLD", "Random") for k in ("last", "best")} | {
        ("CLD", "shifted"), ("CLD", "in_class"),
    }  # fmt: skip
    assert all(value[m, "best"] >= value[m, "last"] for m in ("CLD", "Random"))
    curve = effects.accuracy_curve
    monkeypatch.setattr(effects, "accuracy_curve", lambda *a, **k: [x - 1 for x in curve(*a, **k)])
    assert effects.main(argv) == 2
    assert "made by another version" in capsys.readouterr().err
    for path in tmp_path.glob("seed0/selections/**/*.npz"):
        path.unlink()  # as where rows alone were taken over
    assert effects.main(argv) == 2
    assert "is missing, as it is for rows taken over with --from_published" in capsys.readouterr().err


def test_the_grid_of_effects_has_every_method_of_the_table():
    from benchmarks.long_tables import PROTOCOL

    spec = next(grids.GRIDS[effects.GRID].experiments(dataclasses.replace(grids_data()), 0))
    labels = {method.label() for method in spec.methods}
    assert {label for _, *pair in PROTOCOL for label in pair} <= labels
    assert set(effects.CURVES) <= labels


def grids_data():
    from deepcore.data import datasets

    return datasets.load("Digits")
