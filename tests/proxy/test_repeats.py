"""Short further proxies: trained once for who asks, on streams of their own, counted, stored and resumed."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from helpers import seed_runs
from small_grids import grid, runner
from tiny import SHORT, images, short
from training_spies import Spy, Stop, stop_at

import methods
from deepcore.common import seeding
from deepcore.common.checks import Diverged
from deepcore.common.meter import Meter
from deepcore.data.split import make_split
from deepcore.experiment import seed_runs as seed_runs_module
from deepcore.nets import networks as nets
from deepcore.proxy.engine import obtain_proxy
from deepcore.proxy.recording import Recording
from deepcore.proxy.signals import Signal, signals_from_logits
from deepcore.proxy.spec import ProxySpec
from deepcore.training.loop import train

CPU = torch.device("cpu")
N, EPOCHS = 72, 4  # of tiny.images and tiny.SHORT
ONLINE = Recording(frozenset({Signal.EL2N}), frozenset(), frozenset(), initial=False)


def repeat_of(folder, data, number, *, stop=2, recording=ONLINE, train_spec=SHORT, **options):
    split = make_split(data.train.labels, val_fraction=0.2, seed=0)
    spec = ProxySpec(data.name, data.fingerprint, "MLP", train_spec, 0.2, 0, repeat=number, stop=stop)
    return obtain_proxy(folder, data, split, spec, recording, device=CPU, **options)


def test_passes_by_hand_and_who_pays(tmp_path):
    rows = runner(tmp_path, grid("EL2N:repeats=3,epochs=2", "GraNd:epochs=2", "CLD")).run()
    assert [row.status for row in rows] == ["ok"] * 3
    el2n, grand, cld = rows
    # two further runs of two epochs over 72 rows; no row 0, no validation rows, nothing at the end
    assert el2n.passes["repeats"] == {
        "train": 2 * 2 * N, "record": 0, "validation": 0, "encode": 0, "test": 0,
    }  # fmt: skip
    assert el2n.passes["proxy"] == cld.passes["proxy"] == grand.passes["proxy"]
    assert el2n.measured["seconds"]["repeats"] > 0
    assert el2n.measured["peak_bytes"]["repeats"] > 1e6
    for row in (grand, cld):
        assert "repeats" not in row.passes
        assert "repeats" not in row.measured["seconds"]
    names = sorted(path.name.rsplit("-", 1)[0] for path in (tmp_path / "proxies").iterdir())
    assert names == ["tiny-MLP-seed0", "tiny-MLP-seed0-repeat1", "tiny-MLP-seed0-repeat2"]


def test_what_is_read_is_billed_also_of_runs_that_another_made_longer(tmp_path):
    spec = grid(
        "EL2N:repeats=2,at=1", "EL2N:repeats=3,epochs=3", "GraNd:repeats=2,record=post_epoch,epochs=2"
    )
    rows = runner(tmp_path, spec).run()
    assert [row.status for row in rows] == ["ok"] * 3
    trained = [row.passes["repeats"]["train"] for row in rows]
    assert trained == [1 * N, 2 * 3 * N, 2 * N]
    # repeat 1 has a post_epoch pass an epoch, for GraNd; repeat 2 has none
    assert [row.passes["repeats"]["record"] for row in rows] == [1 * N, 3 * N, 2 * N]
    assert len(list((tmp_path / "proxies").iterdir())) == 3


@pytest.mark.parametrize("mode", ["online", "post_epoch"])
def test_a_repeat_is_the_start_of_a_training_of_the_whole_length_on_its_own_streams(tmp_path, mode):
    data = images(augment=True)
    recording = Recording(**{mode: frozenset({Signal.EL2N})}, val=frozenset(), initial=False)
    runs = [repeat_of(tmp_path, data, r, recording=recording, stop=3) for r in (1, 2)]
    for number, run in enumerate(runs, start=1):
        key = seeding.key(0, "proxy", number)
        net = nets.build("MLP", data.train.shape, 3, seed=key)
        spy = Spy(data, run.ids)
        train(net, data.train, run.ids, SHORT, seed=key, device=CPU, meter=Meter(CPU), hooks=[spy])
        logits = {"online": spy.online, "post_epoch": spy.post}[mode]
        got = run.trajectory(Signal.EL2N, mode)
        assert got.shape == (3, N)
        for t in range(3):
            labels = torch.from_numpy(run.labels)
            expected = signals_from_logits(logits[t + 1], labels, frozenset({Signal.EL2N}))[Signal.EL2N]
            np.testing.assert_allclose(got[t], expected, rtol=1e-4, atol=1e-5)
    assert not np.allclose(*(run.trajectory(Signal.EL2N, mode) for run in runs))


def test_a_repeat_is_reused_when_it_is_as_long_and_retrained_when_shorter(tmp_path):
    data = images()
    three = repeat_of(tmp_path, data, 1, stop=3)
    called = []
    two = repeat_of(tmp_path, data, 1, stop=2, progress=called.append)
    assert not called
    assert two.folder == three.folder
    four = repeat_of(tmp_path, data, 1, stop=9)  # the recipe has four epochs
    assert four.epochs == 4
    np.testing.assert_array_equal(
        four.trajectory(Signal.EL2N, "online")[:3], three.trajectory(Signal.EL2N, "online")
    )
    repeat_of(tmp_path, data, 1, stop=3, train_spec=short(lr=0.01), progress=called.append)
    assert called == [1, 2, 3]
    repeat_of(tmp_path, data, 2, stop=3, progress=called.append)
    assert called == [1, 2, 3] * 2
    shared = repeat_of(tmp_path, data, 0, stop=None, progress=called.append)
    assert shared.epochs == 4
    assert called == [1, 2, 3] * 2 + [1, 2, 3, 4]


@pytest.mark.parametrize("epoch", [1, 2, 3])
def test_a_stopped_repeat_goes_on_to_its_own_end(tmp_path, epoch):
    data = images(augment=True)
    whole = repeat_of(tmp_path / "whole", data, 1, stop=3)
    with pytest.raises(Stop):
        repeat_of(tmp_path / "stopped", data, 1, stop=3, progress=stop_at(epoch))
    resumed = repeat_of(tmp_path / "stopped", data, 1, stop=2)
    for path in whole.folder.glob("*.np[yz]"):
        assert path.read_bytes() == (resumed.folder / path.name).read_bytes(), path.name
    assert resumed.costs["passes"] == whole.costs["passes"]
    assert resumed.costs["steps"] == 3 * 5  # 72 rows in batches of 16


def test_the_score_averages_the_shared_run_and_the_repeats(tmp_path):
    method = methods.parse("EL2N:repeats=3,epochs=2")
    harness = runner(tmp_path, grid(method))
    run = seed_runs(harness).of(method)
    by_hand = np.mean([r.trajectory(Signal.EL2N, "online")[:2].mean(axis=0) for r in (run, *run.repeats)], 0)
    np.testing.assert_allclose(method.score(run), by_hand, rtol=1e-5)
    assert len(run.repeats) == 2
    assert set(run.repeats[0].trajectories) == {("online", Signal.EL2N)}
    assert seed_runs(harness).of(methods.parse("CLD")).repeats == ()


def test_a_diverged_repeat_fails_those_who_read_it(tmp_path, monkeypatch):
    real, asked = seed_runs_module.obtain_proxy, []

    def obtain(folder, data, split, spec, *args, **options):
        asked.append(spec.repeat)
        if spec.repeat == 2:
            raise Diverged("repeat 2 diverged")
        return real(folder, data, split, spec, *args, **options)

    monkeypatch.setattr(seed_runs_module, "obtain_proxy", obtain)
    spec = grid("EL2N:repeats=3", "EL2N:repeats=2", "CLD", fractions=(0.2, 0.5))
    rows = runner(tmp_path, spec).run()
    assert [row.status for row in rows] == ["failed"] * 2 + ["ok"] * 4
    assert sorted(asked) == [0, 1, 2]


def test_the_shared_run_is_identified_as_before_there_were_repeats():
    from deepcore.proxy.spec import identity

    data = images()
    spec = ProxySpec(data.name, data.fingerprint, "MLP", SHORT, 0.2, 0)
    assert not {"repeat", "stop"} & identity(spec).keys()
    assert {"repeat", "stop"} <= identity(dataclasses.replace(spec, repeat=1, stop=2)).keys()
