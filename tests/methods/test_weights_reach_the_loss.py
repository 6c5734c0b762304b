"""From a method's weights to the files, to the result rows, and to the target's loss."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import torch
from small_grids import grid, runner
from tiny import images, short
from torch.nn import functional

from deepcore.common.meter import Meter
from deepcore.experiment import target as target_module
from deepcore.nets import networks
from deepcore.training.loop import train

CPU = torch.device("cpu")


@pytest.mark.parametrize("name", ["CRAIG", "GradMatch"])
def test_files_rows_and_target_hold_the_weights(name, tmp_path, monkeypatch):
    got = []
    real = target_module.train

    def watch(net, data, rows, *args, **options):
        got.append((rows.tolist(), options["weights"]))
        return real(net, data, rows, *args, **options)

    monkeypatch.setattr(target_module, "train", watch)
    spec = grid(name, f"{name}:weighted=false", fractions=(0.3,), target=short(epochs=1))
    with_weights, without = runner(tmp_path, spec).run()
    (rows, weights), (same_rows, none) = got
    assert rows == same_rows
    assert none is None
    assert len(set(weights.tolist())) > 2
    tables = {}
    for path in (tmp_path / "selections").glob("*/f0.3.csv"):
        tables["weighted=False" in path.parent.name] = list(csv.DictReader(path.open()))
    held = {int(line["id"]): float(line["weight"]) for line in tables[False]}
    assert [held[row] for row in rows] == weights.tolist()
    assert "weight" not in tables[True][0]
    assert any(note.startswith("weighted: ") for note in with_weights.notes)
    assert not any(note.startswith("weighted: ") for note in without.notes)


def test_a_step_is_one_of_the_weighted_mean_loss():
    """One step of plain SGD on one batch: the gradient is that of sum w_i loss_i / sum w_i."""
    data = images()
    rows, weights = np.arange(20), np.arange(20) + 1.0
    spec = short(epochs=1, batch=20, lr=0.1, momentum=0.0, nesterov=False, weight_decay=0.0)

    def net():
        return networks.build("MLP", data.train.shape, data.num_classes, seed=0)

    trained, expected = net(), net()
    train(trained, data.train, rows, spec, seed=0, device=CPU, meter=Meter(CPU), weights=weights)
    x = next(data.train.batches([rows], device=CPU))
    losses = functional.cross_entropy(expected(x), torch.tensor(data.train.labels[rows]), reduction="none")
    w = torch.tensor(weights, dtype=torch.float32)
    ((losses * w).sum() / w.sum()).backward()
    for p, q in zip(trained.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(p, q - 0.1 * q.grad, rtol=1e-4, atol=1e-6)
