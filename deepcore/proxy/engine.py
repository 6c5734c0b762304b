"""Find, resume or train a proxy run."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from deepcore.common.checks import Diverged, MissingSignal, StoredMismatch
from deepcore.common.identity import fingerprint
from deepcore.common.meter import Meter
from deepcore.common.threads import threads_for
from deepcore.data.record import LabeledData
from deepcore.data.split import Split
from deepcore.nets import networks as nets
from deepcore.nets.flops import flops_per_example
from deepcore.proxy.network import ProxyNetwork
from deepcore.proxy.recorder import Recorder
from deepcore.proxy.recording import Recording
from deepcore.proxy.run import ProxyRun
from deepcore.proxy.signals import Signal
from deepcore.proxy.spec import ProxySpec, identity, weights_seed
from deepcore.proxy.store import ProxyStore
from deepcore.training.checkpoint import Checkpoint
from deepcore.training.compiling import compile_body
from deepcore.training.loop import train


def _fits(stored: dict[str, Any], spec: ProxySpec) -> bool:
    """Whether a stored identity is that of `spec`, or of the same training stopped later."""
    wanted = identity(spec)
    same = {**stored, "stop": None} == {**wanted, "stop": None}
    return same and stored.get("stop", math.inf) >= wanted.get("stop", math.inf)


def obtain_proxy(
    folder: Path,
    data: LabeledData,
    split: Split,
    spec: ProxySpec,
    recording: Recording,
    *,
    device: torch.device,
    say: Callable[[str], None] = lambda line: None,
    progress: Callable[[int], None] = lambda epoch: None,
    compiled: bool = False,
    overlapped: bool = False,
) -> ProxyRun:
    """The proxy run of `spec` with at least `recording`: a stored one in `folder`, else trained there.

    A stored run that holds more, or of a repeat more epochs, is reused; an unfinished one goes on after its
    last whole epoch; one that diverged is not tried again. A new run that keeps final arrays keeps the final
    weights too, asked for or not.

    Args:
        folder: holds one folder per run; made where it is not there.
        data: only its train part is used.
        split: of the same seed.
        say: receives one line about what is done.
        progress: called with the number of epochs done.
        compiled: train through torch.compile; it is the same run.
        overlapped: record an epoch while the next one trains, where that can be done: data in memory, a CPU,
            not compiled. It is the same run.

    Raises:
        Diverged: losses that are not finite, now or when it was trained.
        StoredMismatch: a matching stored run is damaged.
    """
    store = find_stored(folder, spec, recording)
    if store is None:
        if recording.final:
            recording = dataclasses.replace(recording, final=recording.final | {Signal.WEIGHTS})
        recorded = {"identity": identity(spec), "recording": recording.to_dict()}
        which = f"seed{spec.seed}" + (f"-repeat{spec.repeat}" if spec.repeat else "")
        which += f"-{spec.rows}" if spec.rows else ""
        name = f"{spec.dataset}-{spec.net}-{which}-{fingerprint(recorded)}".replace("/", "_")
        folder.mkdir(parents=True, exist_ok=True)
        store = ProxyStore(folder / name)
        _lay_out(store, recorded, data, split, spec)
    which = f"repeat {spec.repeat} of the proxy" if spec.repeat else "proxy"
    which += f" on {spec.rows}" if spec.rows else ""
    if store.is_done or store.has_diverged:
        run = store.load()
        say(f"seed {spec.seed}: {which} found in {store.folder}")
        return run
    stored = store.spec()
    recording = Recording.from_dict(stored["recording"])
    spec = dataclasses.replace(spec, stop=stored["identity"].get("stop"))
    if store.state_path.exists():
        store.check_layout(recording.arrays(len(split.train), len(split.val)), recording.rows(spec.epochs))
    else:  # it begins again, whatever became of its files
        _lay_out(store, stored, data, split, spec)
    verb = "resumes" if store.state_path.exists() else "trains"
    length = f"{spec.epochs} epochs" + (f" of {spec.train.epochs}" if spec.stop else "")
    say(f"seed {spec.seed}: {which} {spec.net} {verb}, {length} on {len(split.train):,} rows")
    overlapped = (
        overlapped and getattr(data.train, "in_memory", False) and device.type == "cpu" and not compiled
    )
    _train_into(store, data, split, spec, recording, device, progress, compiled, overlapped)
    return store.load()


def _lay_out(
    store: ProxyStore, recorded: dict[str, Any], data: LabeledData, split: Split, spec: ProxySpec
) -> None:
    """A new run of specification `recorded`, without a row yet."""
    recording = Recording.from_dict(recorded["recording"])
    arrays = recording.arrays(len(split.train), len(split.val))
    store.create(recorded, split, data.train.labels, arrays, recording.rows(spec.epochs))


def find_stored(folder: Path, spec: ProxySpec, recording: Recording) -> ProxyStore | None:
    """The stored run of `spec`, or of the same training stopped later, that records at least `recording`; a
    finished one before an unfinished."""
    found = []
    for path in sorted(folder.glob("*/spec.json")):
        store = ProxyStore(path.parent)
        stored = store.spec()
        if _fits(stored["identity"], spec) and Recording.from_dict(stored["recording"]).covers(recording):
            found.append(store)
    return min(found, key=lambda store: not (store.is_done or store.has_diverged), default=None)


def load_named(folder: Path, spec: ProxySpec, recording: Recording) -> ProxyRun:
    """The finished run in exactly `folder`.

    Raises:
        StoredMismatch: it is of another specification, records too little, is unfinished or damaged; the
            message gives both specifications and the remedy.
    """
    if not (folder / "spec.json").exists():
        raise StoredMismatch(
            f"{folder} holds no proxy run (no spec.json); leave out --proxy_run to train one"
        )
    store = ProxyStore(folder)
    stored = store.spec()
    wanted = {"identity": identity(spec), "recording": recording.to_dict()}
    held = Recording.from_dict(stored["recording"])
    if stored["identity"] != wanted["identity"] or not held.covers(recording):
        raise StoredMismatch(
            f"the proxy run {folder} does not fit: it is {json.dumps(stored, sort_keys=True)}, this command "
            f"needs {json.dumps(wanted, sort_keys=True)}; change the flags that differ, "
            "or leave out --proxy_run"
        )
    if not (store.is_done or store.has_diverged):
        raise StoredMismatch(f"the proxy run {folder} is unfinished; run its own command again to finish it")
    return store.load()


def check_rows(
    run: ProxyRun,
    split: Split,
    labels: np.ndarray,
    remedy: str = "move the folder away and run the command again",
) -> None:
    """The rows of a stored run are those of `split` with these `labels` (of all rows); StoredMismatch names
    what differs, and the remedy."""
    for what, held, wanted in (
        ("candidates", run.ids, split.train),
        ("labels", run.labels, labels[split.train]),
        ("validation rows", run.val_ids, split.val),
        ("validation labels", run.val_labels, labels[split.val]),
        ("further candidates", run.rest_ids, split.rest),
    ):
        if not np.array_equal(held, wanted):
            raise StoredMismatch(
                f"the proxy run {run.folder} was changed, or comes from elsewhere: its {what} are not those "
                f"of this command's split; {remedy}"
            )


def _train_into(
    store: ProxyStore,
    data: LabeledData,
    split: Split,
    spec: ProxySpec,
    recording: Recording,
    device: torch.device,
    progress: Callable[[int], None],
    compiled: bool,
    overlapped: bool,
) -> None:
    """Train, record and close the run, from wherever its checkpoint left it."""
    net = nets.build(spec.net, data.train.shape, data.num_classes, seed=spec.weights_seed)
    flops = flops_per_example(net, data.train.shape)
    if compiled:
        compile_body(net)
    meter, recording_meter = Meter(device), Meter(device)
    recorder = Recorder(
        store,
        data.train,
        split,
        recording,
        epochs=spec.epochs,
        num_classes=data.num_classes,
        device=device,
        meter=recording_meter,
        precision=spec.train.precision,
        overlapped=overlapped,
    )
    try:
        with meter.peak(), threads_for(flops["forward"]):
            result = train(
                net,
                data.train,
                split.train,
                spec.train,
                seed=spec.weights_seed,
                device=device,
                meter=meter,
                hooks=[recorder],
                stop=spec.stop,
                checkpoint=Checkpoint(store.state_path),
                progress=progress,
                overlapped=overlapped,
            )
    except Diverged as error:
        which = f"repeat {spec.repeat} of the proxy" if spec.repeat else "the proxy"
        message = f"{which} {spec.net} of seed {spec.seed} diverged: {error}"
        meter.add(recording_meter)
        store.set_diverged(message, meter.state())
        raise Diverged(message) from None
    meter.add(recording_meter)
    store.finish({**meter.state(), "steps": result.steps, "flops_per_example": flops})


def restore_network(
    run: ProxyRun, data: LabeledData, *, device: torch.device, meter: Meter, trained: bool = True
) -> ProxyNetwork:
    """The network of a stored run after its last step, or (not `trained`) before its first.

    Args:
        run: found or trained by `obtain_proxy`, with weights unless `trained` is false.
        data: that it was trained on.
        device: where the network is wanted.
        meter: counts what is put through it.

    Raises:
        MissingSignal: the run does not keep its weights.
        StoredMismatch: they are of another network than the run's.
    """
    spec = run.spec["identity"]
    seed = weights_seed(spec["seed"], spec.get("repeat", 0))
    net = nets.build(spec["net"], data.train.shape, data.num_classes, seed=seed)
    if trained:
        if Signal.WEIGHTS.value not in run.spec["recording"]["final"]:
            raise MissingSignal(
                f"the proxy run {run.folder} does not keep the weights of its network: delete the folder, or "
                "give another --save_path, and run the command again to train one that does"
            )
        ProxyStore(run.folder).load_weights(net)
    net.to(device).eval().requires_grad_(False)
    return ProxyNetwork(net, data.train, device, meter)
