"""Reference rows: what they train on, for how long, and that they are no selections."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch
from small_grids import grid, runner
from tiny import images, short

import methods
from deepcore.experiment import target as target_module
from deepcore.selection.method import CoresetMethod
from deepcore.selection.selection import Selection
from deepcore.selection.training_set import TrainingSet
from deepcore.training.schedule import Schedule
from deepcore.training.spec import TrainSpec

CPU = torch.device("cpu")
N, Q = 72, 18  # of tiny.images at val_fraction 0.2
REFERENCES = ("Full", "Full@k", "RS2", "ValOnly", "Random+Val")


@pytest.fixture
def trained(monkeypatch):
    """What reached the training loop: (rows, options) of each target."""
    calls = []
    real = target_module.train

    def watch(net, data, rows, spec, **options):
        calls.append((rows, options))
        return real(net, data, rows, spec, **options)

    monkeypatch.setattr(target_module, "train", watch)
    return calls


def test_reference_rows_are_marked_and_leave_no_selection(tmp_path):
    rows = runner(tmp_path, grid("Random", *REFERENCES)).run()
    assert [row.status for row in rows] == ["ok"] * 6
    assert [row.is_selection for row in rows] == [True] + [False] * 5
    assert [row.fraction for row in rows] == [0.2, None, 0.2, 0.2, None, 0.2]
    for row in rows[1:]:
        assert any(note.startswith(f"{row.label} is not a selection: ") for note in row.notes)
        assert row.proxy_net is None
    (folder,) = (tmp_path / "selections").iterdir()
    assert "-Random-" in folder.name


def test_full_at_k_takes_the_steps_of_a_coreset_over_all_rows(tmp_path, trained):
    harness = runner(tmp_path, grid("Random", "Full@k", fractions=(0.25, 0.5)))
    rows = {(row.label, row.fraction): row for row in harness.run()}
    # 18 rows: one batch of 16 and one of 2; 36 rows: 16, 16, 4; four epochs
    for fraction, steps in ((0.25, 8), (0.5, 12)):
        full = rows["Full@k", fraction]
        assert rows["Random", fraction].steps == full.steps == steps
        assert full.k == N
        # batches of 16 over 72 rows, five an epoch of which the last has eight
        assert full.passes["target"]["train"] == 16 * steps - 8 * (steps // 5)
        assert full.epochs == -(-steps // 5)
    of_full = [(rows, options["length"]) for rows, options in trained if len(rows) == N]
    for fed, length in of_full:
        np.testing.assert_array_equal(fed, harness.plan.seeds[0].split.train)
        assert length in (Schedule(4, 8, 2), Schedule(4, 12, 3))


def test_full_at_k_steps_through_a_coreset_s_learning_rates(tmp_path, monkeypatch):
    from deepcore.training import loop as train_module

    rates, real = [], train_module.lr_at
    monkeypatch.setattr(train_module, "lr_at", lambda *args: rates.append(real(*args)) or rates[-1])
    spec = TrainSpec(epochs=6, batch=16, lr=0.05, scheduler="StepLR", step_size=2, gamma=0.5)
    runner(tmp_path, grid("Random", "Full@k", fractions=(0.5,), target=spec)).run()
    assert len(rates) == 2 * 18
    assert rates[:18] == rates[18:]
    assert rates[:18] == pytest.approx([0.05] * 6 + [0.025] * 6 + [0.0125] * 6)


def test_rs2_draws_a_balanced_subset_anew_every_epoch(tmp_path, trained):
    harness = runner(tmp_path, grid("RS2", "RS2:class_balanced=false", seeds=(0, 1), fractions=(0.25,)))
    rows = harness.run()
    labels = harness.plan.data.train.labels
    assert all(row.k == 18 and row.steps == 8 and row.epochs == 4 for row in rows)
    assert all(row.passes["target"]["train"] == 4 * 18 for row in rows)
    drawn = [[fed(epoch) for epoch in range(4)] for fed, _ in trained]
    for seed, (balanced, free) in enumerate([drawn[:2], drawn[2:]]):
        for rows_of_epoch in balanced:
            assert np.bincount(labels[rows_of_epoch]).tolist() == [6, 6, 6]
        for rows_of_epoch in balanced + free:
            assert len(set(rows_of_epoch.tolist())) == 18
            assert np.isin(rows_of_epoch, harness.plan.seeds[seed].split.train).all()
            assert (np.diff(rows_of_epoch) > 0).all()
        assert len({tuple(r) for r in balanced}) == 4
        assert any(np.bincount(labels[r], minlength=3).tolist() != [6, 6, 6] for r in free)
    assert not np.array_equal(drawn[0][0], drawn[2][0])
    again = [fed(2) for fed, _ in trained]  # an epoch's rows do not depend on what was drawn before
    assert all(np.array_equal(a, d[2]) for a, d in zip(again, drawn, strict=True))


def test_val_only_and_random_with_val(tmp_path, trained):
    harness = runner(tmp_path, grid("Random", "ValOnly", "Random+Val", fractions=(0.25, 0.5)))
    rows = harness.run()
    assert [(row.label, row.k) for row in rows] == [
        ("Random", 18), ("Random", 36), ("ValOnly", Q), ("Random+Val", 18 + Q), ("Random+Val", 36 + Q),
    ]  # fmt: skip
    random, held_out, both = trained[1][0], trained[2][0], trained[4][0]
    np.testing.assert_array_equal(held_out, harness.plan.seeds[0].split.val)
    np.testing.assert_array_equal(both, np.sort(np.append(random, held_out)))
    (table,) = (tmp_path / "selections").glob("*-Random-*/f0.5.csv")
    assert sorted(int(line["id"]) for line in csv.DictReader(table.open())) == random.tolist()


@dataclass(frozen=True)
class Cheat(CoresetMethod):
    """A selection that wants the validation rows."""

    name: ClassVar[str] = "Cheat"
    trains_on_val: ClassVar[bool] = True

    def select(self, run, budget, rng):
        return Selection(np.append(run.ids[: budget.k - 1], run.val_ids[0]))


@dataclass(frozen=True)
class SlyCheat(Cheat):
    """One that selects properly and then trains on something else."""

    name: ClassVar[str] = "SlyCheat"

    def select(self, run, budget, rng):
        return Selection(run.ids[: budget.k])

    def training_set(self, selection, run, budget, stream):
        return TrainingSet(run.val_ids, len(run.val_ids))


def test_no_selection_trains_on_validation_rows(tmp_path, trained):
    harness = runner(tmp_path, grid(Cheat(), SlyCheat()))
    cheat, sly = harness.run()
    assert cheat.status == "failed"
    assert "not in the train pool" in cheat.error
    assert sly.status == "ok"
    (fed,) = [rows for rows, _ in trained]
    np.testing.assert_array_equal(fed, harness.plan.seeds[0].split.train[:14])
    honest = [cls for cls in methods.METHODS.values() if cls.is_selection]
    assert not any(cls.trains_on_val for cls in honest)


def test_an_interrupted_rs2_ends_like_an_undisturbed_one(tmp_path, monkeypatch):
    monkeypatch.setattr(target_module, "CHECKPOINT_SECONDS", 0.0)
    spec = grid("RS2", "Full@k", target=short(epochs=6))
    whole = runner(tmp_path / "whole", spec, images(augment=True)).run()
    real = target_module.train

    def interrupted(*args, progress, **options):
        def stop(epoch):
            progress(epoch)
            if epoch == 1:
                raise KeyboardInterrupt

        return real(*args, progress=stop, **options)

    monkeypatch.setattr(target_module, "train", interrupted)
    for _ in spec.methods:  # RS2, then Full@k
        with pytest.raises(KeyboardInterrupt):
            runner(tmp_path / "stopped", spec, images(augment=True)).run()
    resumed = runner(tmp_path / "stopped", spec, images(augment=True)).run()
    assert [r.content() for r in resumed] == [r.content() for r in whole]
