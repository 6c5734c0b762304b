"""The paper's grids run from archives in the real formats to the table beside the paper's numbers."""

from __future__ import annotations

import dataclasses

import pytest
from archives import cifar_batch, python2_pickle
from image_folders import write_folder

import methods
from benchmarks import grids, head_to_head
from benchmarks.grids import GRIDS, Part
from deepcore.experiment.rows_csv import from_csv


def cifar100(folder):
    """Python 2 pickles of six train images and two test images a class."""
    place = folder / "cifar-100-python"
    place.mkdir()
    for seed, (file, n) in enumerate({"train": 600, "test": 200}.items()):
        (place / file).write_bytes(python2_pickle(cifar_batch(n, 100, "fine_labels", seed)))


def imagenet(folder):
    """JPEG files in folders named by the class, as the archives are unpacked."""
    classes = ("n01440764", "n02129604", "n04515003")
    write_folder(folder / "ILSVRC2012", classes=classes, per_class=16, suffix=".JPEG")


@pytest.mark.slow
@pytest.mark.parametrize("write", [cifar100, imagenet], ids=lambda write: write.__name__)
def test_every_method_of_the_grid_from_files_to_the_table(write, tmp_path, monkeypatch, capsys):
    """All methods, at one of the paper's fractions and one seed; a small network for a short time."""
    write(tmp_path)
    grid = GRIDS[write.__name__]
    part = Part(grid.parts[0].methods, (0.5,), 1)
    small = dataclasses.replace(grid, model="LeNet", parts=(part,), epochs=10)
    monkeypatch.setitem(grids.GRIDS, grid.name, small)
    argv = [grid.name, "--data_path", str(tmp_path), "--save_path", str(tmp_path / "runs"), "--jobs", "1"]
    assert head_to_head.main([*argv, "--workers", "0"]) == 0
    out = capsys.readouterr().out
    assert "printed in the CLD paper" in out
    rows = from_csv((tmp_path / "runs" / f"{grid.name}.csv").read_text())
    assert {row.status for row in rows} == {"ok"}
    assert {row.label for row in rows} == {methods.parse(text).label() for text in part.methods}
