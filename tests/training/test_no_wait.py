"""No batch makes the host wait for the device: what would is counted, and must not grow with the batches.

On a GPU a value read by the host (item, float, bool, cpu, numpy, boolean indexing, ...) halts the queue, and
so does a copy from ordinary memory to it. A CPU shows the same calls, at no cost.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from tiny import images, short
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from deepcore.common.meter import Meter
from deepcore.nets import networks as nets
from deepcore.proxy.recorder import Recorder
from deepcore.proxy.recording import Recording
from deepcore.proxy.signals import TRAJECTORIES
from deepcore.training.evaluation import evaluate
from deepcore.training.hooks import Hook
from deepcore.training.loop import train

CPU = torch.device("cpu")
READS = (  # of a tensor by the host, as Python calls them
    *("item", "tolist", "cpu", "numpy", "__array__", "__float__", "__int__", "__bool__", "__index__"),
    *("__contains__", "__iter__", "to", "cuda", "nonzero", "masked_select", "unique", "equal", "allclose"),
)
OPERATIONS = (  # and as torch's kernels are called, from Python or from within torch
    *("_local_scalar_dense", "nonzero", "masked_select", "is_nonzero", "equal", "_unique2", "unique_dim"),
)


class Reads(TorchFunctionMode):
    """Counts the calls of READS."""

    def __init__(self, counts: Counter) -> None:
        super().__init__()
        self.counts = counts

    def __torch_function__(self, func, types, args=(), kwargs=None):
        name = getattr(func, "__name__", "")
        if name in READS:
            self.counts[name] += 1
        return func(*args, **(kwargs or {}))


class Operations(TorchDispatchMode):
    """Counts the calls of OPERATIONS, and indexing by a mask."""

    def __init__(self, counts: Counter) -> None:
        super().__init__()
        self.counts = counts

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        masks = name.startswith("index") and any(
            isinstance(i, torch.Tensor) and i.dtype in (torch.bool, torch.uint8)
            for group in args
            if isinstance(group, (list, tuple))
            for i in group
        )
        if name in OPERATIONS or masks:
            self.counts[name] += 1
        return func(*args, **(kwargs or {}))


@pytest.fixture
def counted(monkeypatch):
    """A function that runs a block and gives what of it would halt a GPU."""
    counts: Counter = Counter()
    for name in ("from_numpy", "tensor", "as_tensor"):  # what is made of host memory, and then moved
        real = getattr(torch, name)
        monkeypatch.setattr(
            torch, name, lambda *a, _real=real, _name=name, **k: counts.update([_name]) or _real(*a, **k)
        )

    def count(block) -> dict[str, int]:
        counts.clear()
        with Reads(counts), Operations(counts):
            block()
        return dict(counts)

    return count


def recorder(tmp_path, data, rows) -> Recorder:
    """Every online signal of `rows`."""
    from deepcore.data.split import Split
    from deepcore.proxy.store import ProxyStore

    split = Split(rows, rows[:0], 0)
    recording = Recording(online=frozenset(TRAJECTORIES), val=frozenset())
    store = ProxyStore(tmp_path / "run")
    store.create({}, split, data.train.labels, recording.arrays(len(rows), 0), 3)
    return Recorder(
        store, data.train, split, recording, epochs=9, num_classes=3, device=CPU, meter=Meter(CPU)
    )


def epoch(tmp_path, batches: int, hooks=(), *, net="ConvNet", **recipe):
    """One epoch of as many batches with every online signal recorded."""
    data = images(rows=96, augment=True)
    rows = np.arange(96)
    model = nets.build(net, data.train.shape, 3, seed=0)
    folder = tmp_path / f"{batches}"
    spec = short(epochs=1, batch=96 // batches, **recipe)
    weights = np.arange(96) + 1.0
    all_hooks = [recorder(folder, data, rows), *hooks]
    train(model, data.train, rows, spec, seed=0, device=CPU, meter=Meter(CPU), weights=weights,
          hooks=all_hooks)  # fmt: skip


@pytest.mark.parametrize("recipe", [{}, {"precision": "bf16"}, {"optimizer": "AdamW"}, {"augment": False}])
def test_training_and_recording_never_wait_within_an_epoch(tmp_path, counted, recipe):
    few = counted(lambda: epoch(tmp_path, 2, **recipe))
    many = counted(lambda: epoch(tmp_path, 24, **recipe))
    assert few == many
    assert few["__float__"] + few.get("item", 0) >= 1  # the epoch's loss is read, and seen to be


def test_evaluation_never_waits(counted, monkeypatch):
    data = images(rows=96)
    model = nets.build("ConvNet", data.train.shape, 3, seed=0)

    def passed(batch):
        monkeypatch.setattr("deepcore.training.evaluation.EVAL_BATCH", batch)
        for _ in evaluate(model, data.train, np.arange(96), device=CPU, meter=Meter(CPU), kind="record"):
            pass

    passed(96)  # the data are copied to the device
    assert counted(lambda: passed(48)) == counted(lambda: passed(4))


WAITS = {
    "item": lambda logits: logits.sum().item(),
    "float": lambda logits: float(logits.sum()),
    "cpu": lambda logits: logits.cpu(),
    "numpy": lambda logits: logits.numpy(),
    "a mask": lambda logits: logits[logits > 0],
    "nonzero": lambda logits: (logits > 0).nonzero(),
    "a condition": lambda logits: 1 if logits.sum() > 0 else 0,
    "a copy to the device": lambda logits: logits + torch.from_numpy(np.zeros(3, np.float32)).to(CPU),
}


@pytest.mark.parametrize("what", WAITS)
def test_what_waits_in_a_batch_is_seen(tmp_path, counted, what):
    class Waits(Hook):
        def batch(self, positions, logits, features):
            WAITS[what](logits)

    few = counted(lambda: epoch(tmp_path, 2, [Waits()]))
    many = counted(lambda: epoch(tmp_path, 24, [Waits()]))
    assert few != many


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_on_a_gpu_nothing_waits_within_an_epoch(monkeypatch, precision):
    from deepcore.training import loop as train_module

    real, epochs = train_module._run_epoch, []

    def strict(*args):
        batches = args[3]
        epochs.append(1)
        if len(epochs) == 1:  # what is made at first use waits
            return real(*args)
        first = next(batches)  # the epoch's own copies to the device

        def rest():
            yield first
            torch.cuda.set_sync_debug_mode("error")
            yield from batches
            torch.cuda.set_sync_debug_mode("default")

        return real(*args[:3], rest(), *args[4:])

    monkeypatch.setattr(train_module, "_run_epoch", strict)
    data = images(rows=96, augment=True)
    model = nets.build("ConvNet", data.train.shape, 3, seed=0)
    device = torch.device("cuda")
    train(model, data.train, np.arange(96), short(epochs=2, precision=precision), seed=0, device=device,
          meter=Meter(device))  # fmt: skip
