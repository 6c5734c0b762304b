"""TAP: what a training on the validation rows does to the candidates' loss."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from small_grids import grid, runner
from tiny import SHORT, images, short
from torch.nn import functional

import methods
from deepcore.common.checks import MissingSignal, UsageError
from deepcore.common.meter import Meter
from deepcore.data.split import make_split
from deepcore.nets import networks as nets
from deepcore.proxy.spec import weights_seed
from deepcore.training.loop import train
from methods.tap import relative_fall

CPU = torch.device("cpu")


def test_by_hand():
    before, after = np.array([2.0, 1.0, 4.0, 0.0]), np.array([0.5, 1.5, 4.0, 0.7])
    assert relative_fall(before, after).tolist() == [0.75, -0.5, 0.0, 0.0]
    assert methods.get("TAP")().keep == "highest"


@pytest.mark.parametrize("epochs", [1, 3])
def test_it_is_a_training_on_the_validation_rows_from_the_common_initialisation(tmp_path, epochs):
    data = images()
    harness = runner(tmp_path, grid(f"TAP:epochs={epochs}", "AUM", fractions=(0.2, 0.5)), data)
    rows = harness.run()
    assert [row.status for row in rows] == ["ok"] * 4, [row.error for row in rows]
    stored = np.load(next((tmp_path / "selections").glob("*TAP*/scores.npz")))
    split = make_split(data.train.labels, val_fraction=0.2, seed=0)
    np.testing.assert_array_equal(stored["ids"], split.train)

    net = nets.build("MLP", data.train.shape, 3, seed=weights_seed(0))
    labels = torch.from_numpy(data.train.labels[split.train])
    (x,) = data.train.batches([split.train], device=CPU)

    def losses():
        with torch.no_grad():
            return functional.cross_entropy(net.eval()(x), labels, reduction="none").numpy()

    before = losses()
    train(
        net,
        data.train,
        split.val,
        dataclasses.replace(SHORT, epochs=epochs),
        seed=weights_seed(0),
        device=CPU,
        meter=Meter(CPU),
    )
    np.testing.assert_allclose(stored["scores"], (before - losses()) / before, rtol=1e-4, atol=1e-6)


def test_its_bill_is_its_own_training_and_two_passes(tmp_path):
    harness = runner(tmp_path, grid("TAP:epochs=3", "AUM"))
    tap, aum = harness.run()
    n, q = tap.n, tap.q
    assert tap.proxy_run != aum.proxy_run
    assert "validation" in tap.proxy_run
    assert tap.passes["proxy"] == {**dict.fromkeys(tap.passes["proxy"], 0), "train": 3 * q}
    assert tap.passes["score"] == {"record": 2 * n}
    assert tap.reads == tap.recorded
    assert tap.reads["own"] == "validation"
    assert tap.proxy_recipe["epochs"] == 3
    assert "own" not in aum.reads


def test_a_command_with_tap_alone_trains_no_shared_proxy(tmp_path):
    harness = runner(tmp_path, grid("TAP"))
    harness.run()
    assert [path.name.split("-")[3] for path in (tmp_path / "proxies").iterdir()] == ["validation"]
    assert runner(tmp_path, grid("TAP")).pending() == []


def test_another_recipe_makes_another_row(tmp_path):
    runner(tmp_path, grid("TAP")).run()
    assert len(runner(tmp_path, grid("TAP", proxy=short(lr=0.01))).pending()) == 1


def test_without_its_training_it_is_said():
    from helpers import full_run, labels_of

    run = dataclasses.replace(full_run(labels_of(9, 8)), own=None)
    with pytest.raises(MissingSignal, match=r"TAP reads a training of its own \(its losses"):
        methods.get("TAP")().score(run)


def test_extrapolation_would_save_nothing():
    with pytest.raises(UsageError, match="save nothing: leave it out"):
        methods.get("TAP")(extrapolate=0.5)
    with pytest.raises(UsageError, match="epochs is 0"):
        methods.get("TAP")(epochs=0)


@pytest.mark.parametrize("sampler", ["beta", "drop"])
def test_a_sampler_that_reads_what_its_training_does_not_record_is_refused(sampler):
    message = f"sampler is '{sampler}': TAP .* validation rows alone.*; valid: top, strata, middle"
    with pytest.raises(UsageError, match=message):
        methods.parse(f"TAP:sampler={sampler}")


@pytest.mark.parametrize("sampler", ["top", "strata", "middle"])
def test_other_samplers_run(tmp_path, sampler):
    (row,) = runner(tmp_path, grid(f"TAP:epochs=2,sampler={sampler}")).run()
    assert row.status == "ok", row.error
