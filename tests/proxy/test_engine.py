"""The proxy run: what is recorded, that it disturbs nothing, reuse, resumption, damage."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from tiny import SHORT, images, short
from training_spies import Spy, Stop, stop_at

from deepcore.common import seeding
from deepcore.common.checks import Diverged, MissingSignal, StoredMismatch
from deepcore.common.meter import Meter
from deepcore.data.split import make_split
from deepcore.nets import networks as nets
from deepcore.proxy.engine import load_named, obtain_proxy
from deepcore.proxy.recorder import Recorder
from deepcore.proxy.recording import Recording
from deepcore.proxy.signals import FINAL, TRAJECTORIES, Signal, signals_from_logits
from deepcore.proxy.spec import ProxySpec
from deepcore.selection.needs import recording_of
from deepcore.training.loop import train

CPU = torch.device("cpu")
ALL = frozenset(TRAJECTORIES)
BOTH = Recording(ALL, ALL, frozenset({Signal.LOSS}), frozenset(FINAL))
ONLINE = Recording(ALL, frozenset(), frozenset({Signal.LOSS}), frozenset(FINAL))


def spec_of(data, train_spec=SHORT, *, net="MLP", seed=0):
    return ProxySpec(data.name, data.fingerprint, net, train_spec, 0.2, seed)


def proxy(folder, data, recording=BOTH, train_spec=SHORT, *, net="MLP", seed=0, **options):
    split = make_split(data.train.labels, val_fraction=0.2, seed=seed)
    spec = spec_of(data, train_spec, net=net, seed=seed)
    return obtain_proxy(folder, data, split, spec, recording, device=CPU, **options)


def test_with_lr_0_all_recordings_are_the_initial_network_s(tmp_path):
    data = images()
    run = proxy(tmp_path, data, train_spec=short(lr=0.0, augment=False))
    for signal in ALL - {Signal.KL_STEP}:
        online = run.trajectory(signal, "online", initial=True)
        post = run.trajectory(signal, "post_epoch", initial=True)
        assert online.shape == post.shape == (5, len(run.ids))
        for rows in (online, post):
            np.testing.assert_allclose(rows, np.broadcast_to(online[0], rows.shape), rtol=2e-5, atol=2e-6)
    for mode in ("online", "post_epoch"):
        steps = run.trajectory(Signal.KL_STEP, mode, initial=True)
        assert np.isnan(steps[0]).all()
        np.testing.assert_allclose(steps[1:], 0, atol=1e-5)


@pytest.mark.parametrize("net", ["MLP", "ConvNet"])
def test_each_row_holds_the_signals_of_its_checkpoint_at_the_sample_s_place(tmp_path, net, monkeypatch):
    monkeypatch.setattr("deepcore.proxy.recorder.BUFFER", 60)  # 20 rows: a batch comes in pieces
    data = images(augment=True)
    run = proxy(tmp_path, data, net=net)
    seed = seeding.key(0, "proxy")
    model = nets.build(net, data.train.shape, 3, seed=seed)
    spy = Spy(data, run.ids)
    train(model, data.train, run.ids, SHORT, seed=seed, device=CPU, meter=Meter(CPU), hooks=[spy])
    labels = torch.from_numpy(run.labels)
    wanted = ALL - {Signal.GRAND}
    for mode, logits in (("online", spy.online), ("post_epoch", spy.post)):
        for t in range(5):
            before = logits[t - 1] if t else None
            expected = signals_from_logits(logits[t], labels, wanted, before=before)
            for signal, value in expected.items():
                got = run.trajectory(signal, mode, initial=True)[t]
                np.testing.assert_allclose(got, value, rtol=1e-4, atol=1e-5, err_msg=f"{mode} {signal} {t}")
    np.testing.assert_allclose(run.final_array(Signal.LOGITS), spy.post[-1], rtol=1e-4, atol=1e-5)
    weight, bias = run.last_layer
    by_hand = run.final_array(Signal.FEATURES) @ weight.T + bias
    np.testing.assert_allclose(by_hand, run.final_array(Signal.LOGITS), rtol=1e-3, atol=1e-4)


def test_validation_rows(tmp_path):
    data = images()
    run = proxy(tmp_path, data, ONLINE)
    assert run.val_trajectory(Signal.LOSS, initial=True).shape == (5, len(run.val_ids))
    final = torch.from_numpy(run.final_array(Signal.LOGITS, val=True).copy())
    loss = torch.nn.functional.cross_entropy(final, torch.from_numpy(run.val_labels), reduction="none")
    np.testing.assert_allclose(run.val_trajectory(Signal.LOSS)[-1], loss, rtol=1e-4, atol=1e-6)
    means = run.val_class_means(initial=True)
    np.testing.assert_allclose(
        means[2, 1], run.val_trajectory(Signal.LOSS, initial=True)[2][run.val_labels == 1].mean(), rtol=1e-6
    )


def weights_after(tmp_path, net, recording):
    """The trained weights, taken by a hook beside the recorder."""
    data = images(augment=True)
    split = make_split(data.train.labels, val_fraction=0.2, seed=0)
    model = nets.build(net, data.train.shape, 3, seed=1)
    hooks = []
    if recording is not None:
        from deepcore.proxy.store import ProxyStore

        store = ProxyStore(tmp_path / str(len(recording.post_epoch)))
        arrays = recording.arrays(len(split.train), len(split.val))
        store.create({}, split, data.train.labels, arrays, SHORT.epochs + 1)
        meter = Meter(CPU)
        hooks = [
            Recorder(store, data.train, split, recording, epochs=4, num_classes=3, device=CPU, meter=meter)
        ]
    train(model, data.train, split.train, SHORT, seed=1, device=CPU, meter=Meter(CPU), hooks=hooks)
    return model.state_dict()


@pytest.mark.parametrize("net", ["MLP", "ConvNet"])
def test_recording_does_not_change_the_trained_weights(tmp_path, net):
    plain = weights_after(tmp_path, net, None)
    for recording in (ONLINE, BOTH):
        recorded = weights_after(tmp_path, net, recording)
        assert all(torch.equal(plain[name], recorded[name]) for name in plain)


def test_passes_are_counted_where_they_run(tmp_path):
    data = images()
    n, q, epochs = 72, 18, 4
    online, both = proxy(tmp_path / "a", data, ONLINE), proxy(tmp_path / "b", data, BOTH)
    expected = {"train": epochs * n, "validation": (epochs + 1) * q, "test": 0}
    assert online.costs["passes"] == {**expected, "record": n, "encode": n}
    assert both.costs["passes"] == {**expected, "record": n + epochs * n, "encode": 0}


def test_a_stored_run_is_reused_when_it_holds_enough(tmp_path):
    data = images()
    said = []
    first = proxy(tmp_path, data, BOTH)
    again = proxy(tmp_path, data, ONLINE, say=said.append)
    assert again.folder == first.folder
    assert "found" in said[0]
    assert len(list(tmp_path.iterdir())) == 1
    other = proxy(tmp_path, data, ONLINE, short(lr=0.01))
    assert other.folder != first.folder
    needed = Recording(frozenset({Signal.LOSS}))
    small = proxy(tmp_path / "small", data, needed)
    assert small.final == {}
    with pytest.raises(
        MissingSignal, match=r"no margin trajectory recorded online; it holds: loss \(online\)"
    ):
        small.trajectory(Signal.MARGIN, "online")
    more = proxy(tmp_path / "small", data, ONLINE)
    assert more.folder != small.folder


@pytest.mark.parametrize("net", ["MLP", "ConvNet"])
def test_a_run_stopped_between_epochs_ends_like_an_undisturbed_one(tmp_path, net):
    data = images(augment=True)
    whole = proxy(tmp_path / "whole", data, net=net)
    for epoch in (1, 3, 4):
        folder = tmp_path / f"stopped{epoch}"
        with pytest.raises(Stop):
            proxy(folder, data, net=net, progress=stop_at(epoch))
        resumed = proxy(folder, data, net=net)
        for path in sorted(whole.folder.iterdir()):
            if path.suffix in (".npy", ".npz"):
                assert path.read_bytes() == (resumed.folder / path.name).read_bytes(), path.name
        assert resumed.costs["passes"] == whole.costs["passes"]


def test_the_folder_of_runs_is_made(tmp_path):
    run = proxy(tmp_path / "new" / "deep", images(), Recording(frozenset({Signal.LOSS})))
    assert run.folder.parent == tmp_path / "new" / "deep"


def test_a_changed_file_is_refused_with_the_remedy(tmp_path):
    data = images()
    run = proxy(tmp_path, data)
    path = run.folder / "online_loss.npy"
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    with pytest.raises(StoredMismatch, match=r"online_loss\.npy differs .*delete the folder"):
        proxy(tmp_path, data)
    path.unlink()
    with pytest.raises(StoredMismatch, match=r"online_loss\.npy is missing"):
        proxy(tmp_path, data)
    (run.folder / "spec.json").write_text("{")
    with pytest.raises(StoredMismatch, match="damaged"):
        proxy(tmp_path, data)


def test_a_named_run_must_fit(tmp_path):
    data = images()
    run = proxy(tmp_path, data, ONLINE)
    assert load_named(run.folder, spec_of(data), ONLINE).folder == run.folder
    with pytest.raises(StoredMismatch, match=r'does not fit: .*"lr": 0.05.*"lr": 0.01.*change the flags'):
        load_named(run.folder, spec_of(data, short(lr=0.01)), ONLINE)
    with pytest.raises(StoredMismatch, match="post_epoch"):
        load_named(run.folder, spec_of(data), BOTH)
    with pytest.raises(StoredMismatch, match="holds no proxy run"):
        load_named(tmp_path, spec_of(data), ONLINE)


def test_a_diverged_run_keeps_its_rows_and_is_not_tried_again(tmp_path):
    data = images()
    wild = short(lr=1e4, epochs=4, scheduler="ConstantLR")
    with pytest.raises(Diverged, match=r"proxy MLP of seed 0 diverged.*epoch"):
        proxy(tmp_path, data, BOTH, wild)
    folder = next(tmp_path.iterdir())
    assert json.loads((folder / "diverged.json").read_text())["message"]
    loss = np.load(folder / "post_epoch_loss.npy")
    assert np.isfinite(loss[0]).all()
    assert (loss[0] > 0).all()
    called = []
    with pytest.raises(Diverged, match="diverged"):
        proxy(tmp_path, data, BOTH, wild, progress=called.append)
    assert not called


def test_losses_that_are_finite_in_training_and_not_after_it_stop_the_run(tmp_path):
    data = images()
    once = short(lr=1e30, batch=128, scheduler="ConstantLR")  # epoch 1 is one step, from sound weights
    with pytest.raises(Diverged, match="the post_epoch losses after epoch 1 are not finite"):
        proxy(tmp_path, data, BOTH, once)
    (path,) = tmp_path.glob("*/post_epoch_loss.npy")
    assert not np.load(path)[1:].any()  # nothing of the row was written


def test_recording_of_methods():
    import methods

    chosen = [methods.parse(text) for text in ("Random", "CLD")]
    needed = recording_of(chosen, everything=False)
    assert needed == Recording(post_epoch=frozenset({Signal.LOSS}))
    everything = recording_of(chosen, everything=True)
    assert everything.online == ALL
    assert everything.post_epoch == {Signal.LOSS}
    assert everything.covers(needed)
    assert not needed.covers(everything)
    assert Recording.from_dict(everything.to_dict()) == everything
    online = [methods.parse("Forgetting")]
    assert recording_of(online, everything=False) == Recording(online=frozenset({Signal.MARGIN}))
    # whatever is asked first, CLD finds its signals later
    assert recording_of(online, everything=True) == everything


@pytest.mark.parametrize("change", ["lost", "another"])
def test_a_finished_run_without_its_specification_is_not_overwritten(tmp_path, change):
    data = images()
    folder = proxy(tmp_path, data).folder
    spec = json.loads((folder / "spec.json").read_text())
    (folder / "spec.json").unlink()
    if change == "another":
        (folder / "spec.json").write_text(json.dumps({**spec, "identity": {}}))
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(StoredMismatch, match="delete the folder"):
        proxy(tmp_path, data)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize("content", ["{}", "[]", '{"checksums": {}, "costs": {}}'])
def test_a_closing_record_that_lists_nothing_is_refused(tmp_path, content):
    data = images()
    (proxy(tmp_path, data).folder / "done.json").write_text(content)
    with pytest.raises(StoredMismatch, match="delete the folder"):
        proxy(tmp_path, data)


def test_an_unfinished_run_that_lost_files(tmp_path):
    data = images()
    whole = proxy(tmp_path / "whole", data)
    folder = proxy(tmp_path / "broken", data).folder
    (folder / "done.json").unlink()
    (folder / "online_loss.npy").unlink()
    (folder / "pool.npz").write_bytes(b"")
    again = proxy(tmp_path / "broken", data)  # no checkpoint: it begins again
    assert np.array_equal(again.trajectory(Signal.LOSS, "online"), whole.trajectory(Signal.LOSS, "online"))
    (folder / "done.json").unlink()
    (folder / "online_loss.npy").unlink()
    (folder / "state.pt").write_bytes(b"")  # it would go on
    with pytest.raises(StoredMismatch, match=r"online_loss.npy is missing or truncated; delete the folder"):
        proxy(tmp_path / "broken", data)


@pytest.mark.parametrize("overlapped", [False, True])
@pytest.mark.parametrize("stem", ["online_margin", "post_epoch_loss", "val_loss"])
def test_rows_that_never_reached_the_disk_are_not_gone_on_from(tmp_path, stem, overlapped):
    data = images()
    for epoch in (1, 2):  # stopped twice: the sums of the first part are kept
        with pytest.raises(Stop):
            proxy(tmp_path, data, progress=stop_at(epoch), overlapped=overlapped)
    (path,) = tmp_path.glob(f"*/{stem}.npy")
    rows = np.load(path, mmap_mode="r+")
    rows[3] = 7  # not written yet: it will be
    rows.flush()
    sound = path.read_bytes()
    rows[1] = 0  # as after a crash of the machine
    rows.flush()
    with pytest.raises(StoredMismatch, match=rf"row 1 of {stem}.npy differs from what was written; delete"):
        proxy(tmp_path, data)
    path.write_bytes(sound)
    assert not (proxy(tmp_path, data).folder / "state.pt").exists()
    assert not (np.load(path)[3] == 7).any()
