"""The proxy keeps its final weights, and methods get the network."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import SHORT, images
from training_spies import Stop, stop_at

from deepcore.common.checks import MissingSignal, StoredMismatch
from deepcore.common.meter import Meter
from deepcore.data.split import make_split
from deepcore.nets import networks as nets
from deepcore.proxy.engine import load_named, obtain_proxy, restore_network
from deepcore.proxy.recording import Recording
from deepcore.proxy.signals import FINAL, Signal
from deepcore.proxy.spec import ProxySpec
from deepcore.proxy.store import ProxyStore

CPU = torch.device("cpu")
OLD = Path(__file__).parents[1] / "experiment" / "stored_0.1" / "proxies"
FULL = Recording(post_epoch=frozenset({Signal.LOSS}), final=frozenset(FINAL))


def proxy(folder, data, recording=FULL, net="ConvNet", **options):
    split = make_split(data.train.labels, val_fraction=0.2, seed=0)
    spec = ProxySpec(data.name, data.fingerprint, net, SHORT, 0.2, 0)
    return obtain_proxy(folder, data, split, spec, recording, device=CPU, **options)


def network_of(run, data, **options):
    return restore_network(run, data, device=CPU, meter=Meter(CPU), **options)


@pytest.mark.parametrize("net", ["MLP", "ConvNet"])
def test_the_restored_network_gives_what_the_run_recorded(tmp_path, net):
    data = images()
    run = proxy(tmp_path, data, net=net)
    network = network_of(run, data)
    with torch.no_grad():
        logits = torch.cat([network.net(x) for _, x in network.batches(run.ids)])
    np.testing.assert_allclose(logits, run.final_array(Signal.LOGITS), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        network.features(run.ids), run.final_array(Signal.FEATURES), rtol=1e-5, atol=1e-6
    )
    losses = network.losses(run.ids, run.labels)
    np.testing.assert_allclose(losses, run.trajectory(Signal.LOSS, "post_epoch")[-1], rtol=1e-4, atol=1e-6)
    n = len(run.ids)
    assert (network.meter.passes["encode"], network.meter.passes["record"]) == (n, n)
    assert not network.net.training
    assert not any(p.requires_grad for p in network.net.parameters())


def test_the_untrained_network_is_the_one_that_training_began_with(tmp_path):
    data = images()
    run = proxy(tmp_path, data)
    before = network_of(run, data, trained=False).losses(run.ids, run.labels)
    row = run.trajectory(Signal.LOSS, "post_epoch", initial=True)[0]
    np.testing.assert_allclose(before, row, rtol=1e-5)


def test_weights_are_plain_arrays_and_the_same_after_a_resumed_training(tmp_path):
    data = images()
    whole = proxy(tmp_path / "a", data)
    with pytest.raises(Stop):
        proxy(tmp_path / "b", data, progress=stop_at(2))
    resumed = proxy(tmp_path / "b", data)
    first, second = (np.load(run.folder / "weights.npz", allow_pickle=False) for run in (whole, resumed))
    state = nets.build("ConvNet", data.train.shape, 3, seed=0).state_dict()
    assert set(first.files) == set(state)
    for name in first.files:
        np.testing.assert_array_equal(first[name], second[name])
        assert first[name].shape == tuple(state[name].shape)


def test_a_run_with_final_arrays_keeps_weights_unasked_and_is_found_by_who_asks(tmp_path):
    data = images()
    first = proxy(tmp_path, data)
    asking = dataclasses.replace(FULL, final=FULL.final | {Signal.WEIGHTS})
    assert proxy(tmp_path, data, asking).folder == first.folder
    lean = proxy(tmp_path, data, Recording(online=frozenset({Signal.MARGIN})), net="MLP")
    assert not (lean.folder / "weights.npz").exists()
    alone = proxy(tmp_path, data, Recording(final=frozenset({Signal.WEIGHTS})), net="MLP")
    assert alone.folder != lean.folder
    assert alone.costs["passes"]["encode"] == 0  # no array of rows: no pass


def test_a_run_of_before_has_no_weights_and_says_so(tmp_path):
    shutil.copytree(OLD, tmp_path / "proxies")
    data = images(rows=60)
    folder = next(path for path in (tmp_path / "proxies").iterdir() if "repeat" not in path.name)
    run = ProxyStore(folder).load()
    assert run.trajectory(Signal.LOSS, "online").shape == (4, len(run.ids))
    with pytest.raises(MissingSignal, match="does not keep the weights of its network: delete the folder"):
        network_of(run, data)
    split = make_split(data.train.labels, val_fraction=0.2, seed=0)
    spec = ProxySpec(data.name, data.fingerprint, "MLP", SHORT, 0.2, 0)
    asking = Recording(final=frozenset({Signal.WEIGHTS}))
    with pytest.raises(StoredMismatch, match=r"does not fit.*weights.*leave out --proxy_run"):
        load_named(folder, spec, asking)
    again = obtain_proxy(tmp_path / "proxies", data, split, spec, asking, device=CPU)
    assert again.folder != folder
    assert network_of(again, data).net is not None


def test_damaged_weights_are_found(tmp_path):
    data = images()
    run = proxy(tmp_path, data, net="MLP")
    path = run.folder / "weights.npz"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(StoredMismatch, match=r"weights\.npz differs from what was written"):
        proxy(tmp_path, data, net="MLP")
    path.unlink()
    with pytest.raises(StoredMismatch, match=r"weights\.npz is missing"):
        proxy(tmp_path, data, net="MLP")


def test_weights_of_another_network_are_refused(tmp_path):
    data = images()
    run, other = proxy(tmp_path, data, net="MLP"), proxy(tmp_path, data)
    shutil.copy(other.folder / "weights.npz", run.folder / "weights.npz")
    with pytest.raises(StoredMismatch, match=r"weights\.npz is of another network"):
        network_of(run, data)
    done = json.loads((run.folder / "done.json").read_text())
    assert "weights.npz" in done["checksums"]
