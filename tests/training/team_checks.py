"""What test_together.py runs in three processes at once; the first makes the comparisons.

One process with a whole batch and three with shares of it must come to the same, but for rounding.
"""

from __future__ import annotations

import dataclasses
import os
import signal
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import images, short
from torch import nn

from deepcore.common.meter import Meter
from deepcore.data.label_noise import Relabelled
from deepcore.nets import networks as nets
from deepcore.training import distributed, together
from deepcore.training.checkpoint import Checkpoint
from deepcore.training.evaluation import class_accuracy, evaluate
from deepcore.training.follower import follow
from deepcore.training.hooks import Hook
from deepcore.training.loop import train
from deepcore.training.shared_norm import SharedBatchNorm

CPU = torch.device("cpu")
DATA = images(rows=1100, augment=True)
NORMS = {nn.BatchNorm1d: (7, 5), nn.BatchNorm2d: (7, 5, 3, 2)}


def check_norms(rank: int) -> None:
    """All processes at once, of a batch whose rows are shared out in three ways, one of them with none."""
    for kind, shape in NORMS.items():
        for cuts in ((0, 2, 4, 7), (0, 0, 6, 7), (0, 7, 7, 7)):
            for options in ({}, {"affine": False}, {"momentum": None}, {"track_running_stats": False}):
                generator = torch.Generator().manual_seed(3)
                plain = kind(5, **options)
                if plain.affine:
                    with torch.no_grad():
                        plain.weight.copy_(torch.rand(5, generator=generator) + 0.5)
                shared = SharedBatchNorm.of(kind(5, **options), torch.distributed.group.WORLD)
                shared.load_state_dict(plain.state_dict())
                for _ in range(2):
                    x = 3 * torch.randn(shape, generator=generator) + 1
                    slope = torch.randn(shape, generator=generator)
                    own = slice(cuts[rank], cuts[rank + 1])
                    whole, part = x.clone().requires_grad_(), x[own].clone().requires_grad_()
                    y, z = plain(whole), shared(part)
                    y.backward(slope)
                    z.backward(slope[own])
                    torch.testing.assert_close(z, y[own])
                    torch.testing.assert_close(part.grad, whole.grad[own])
                for name, value in plain.state_dict().items():
                    torch.testing.assert_close(shared.state_dict()[name], value)
                plain.eval(), shared.eval()
                if plain.running_mean is not None:
                    torch.testing.assert_close(shared(x[own]), plain(x)[own])


class Outputs(Hook):
    """Keeps every batch as it comes, and what the network says of some rows after each epoch."""

    def __init__(self) -> None:
        self.positions, self.logits, self.features, self.post = [], [], [], []

    def epoch_end(self, net, epoch):
        passes = evaluate(net, DATA.train, np.arange(600), device=CPU, meter=Meter(CPU), kind="record")
        self.post += [logits.clone() for _, logits, _ in passes]

    def batch(self, positions, logits, features):
        self.positions.append(positions)
        self.logits.append(logits.clone())
        self.features.append(features.clone())


def fit(name, rows, spec, data=DATA, **options):
    """(weights, what hooks saw, logits of an eval pass, accuracies, passes) of a training."""
    net = nets.build(name, data.train.shape, data.num_classes, seed=1)
    outputs, meter = Outputs(), Meter(CPU)
    train(net, data.train, rows, spec, seed=2, device=CPU, meter=meter, hooks=[outputs], **options)
    passes = evaluate(net, data.train, np.arange(1100), device=CPU, meter=meter, kind="record")
    found = [(cut, logits.clone(), features.clone()) for cut, logits, features in passes]
    return {
        "weights": list(net.state_dict().values()),
        "positions": outputs.positions,
        "online": [*outputs.logits, *outputs.features],
        "post": outputs.post,
        "cuts": [cut for cut, _, _ in found],
        "pass": [part for _, *parts in found for part in parts],
        "accuracy": class_accuracy(net, data.test, 3, device=CPU, meter=meter),
        "counted": meter.passes,
    }


def compare(what: str, alone: dict, shared: dict, tolerance: float = 1e-4) -> None:
    for name in ("cuts", "accuracy", "counted"):
        assert alone[name] == shared[name], (what, name, alone[name], shared[name])
    for a, b in zip(alone["positions"], shared["positions"], strict=True):
        np.testing.assert_array_equal(a, b, what)
    for name in ("weights", "online", "post", "pass"):
        for a, b in zip(alone[name], shared[name], strict=True):
            least = float((a - b).abs().max()) if a.dtype.is_floating_point else 0.0
            assert least <= tolerance, f"{what}: {name} differ by {least}"


def lead(team: distributed.Team, folder: Path) -> None:
    """Of process 0: the same trainings with and without the others."""
    rng = np.random.default_rng(0)
    labels = DATA.train.labels.copy()
    labels[:40] = (labels[:40] + 1) % 3
    noisy = dataclasses.replace(DATA, train=Relabelled(DATA.train, labels))
    redrawn = [np.sort(rng.choice(1100, 40, replace=False)) for _ in range(9)]
    cases = {
        "batches of 16 and one of 17": ("ConvNet", np.arange(97), short(epochs=3, lr=0.01), {}),
        "fewer rows than processes": ("ConvNet", np.array([5, 9]), short(epochs=3, lr=0.001), {}),
        "one row": ("MLP", np.array([5]), short(epochs=2), {}),
        "weights": ("LeNet", np.arange(50), short(epochs=2), {"weights": rng.random(50) ** 2}),
        "steps": ("MLP", np.arange(50), short(steps=6), {}),
        "rows of each epoch": ("MLP", redrawn.__getitem__, short(epochs=3), {}),
        "Adam, plain": ("MLP", np.arange(50), short(optimizer="Adam", lr=1e-3, augment=False), {}),
        "other labels": ("MLP", np.arange(50), short(), {"data": noisy}),
    }  # fmt: skip
    kept = together.KEPT
    for what, (name, rows, spec, options) in cases.items():
        team.parts, parts = {}, team.parts
        alone = fit(name, rows, spec, **options)
        team.parts = parts
        together.KEPT = 1000 if what == "weights" else kept  # in pieces, and at the end of the epoch
        shared = fit(name, rows, spec, **options)
        # two rows: batch normalisation divides by differences that are little but rounding
        compare(what, alone, shared, 1e-2 if what.startswith("fewer") else 1e-4)
        moved = [torch.equal(a, b) for a, b in zip(alone["weights"], shared["weights"], strict=True)]
        assert not all(moved), f"{what}: bit for bit the same: nothing was shared"
    check_resuming(team, folder)
    check_an_error_between_orders(team)


def check_resuming(team: distributed.Team, folder: Path) -> None:
    """A checkpoint of one process goes on over three, and the other way round."""
    spec = short(epochs=4, lr=0.01, momentum=0.9)
    whole = fit("ConvNet", np.arange(97), spec)
    for first, then in (({}, team.parts), (team.parts, {})):
        saved, parts = Checkpoint(folder / "state.pt"), team.parts
        team.parts = first
        fit("ConvNet", np.arange(97), spec, stop=2, checkpoint=saved)
        team.parts = then
        resumed = fit("ConvNet", np.arange(97), spec, checkpoint=saved)
        team.parts = parts
        for a, b in zip(whole["weights"], resumed["weights"], strict=True):
            torch.testing.assert_close(b, a, rtol=1e-4, atol=1e-4)
        saved.remove()


class Full(Hook):
    """A disk that is full when an epoch ends."""

    def epoch_end(self, net, epoch):
        raise OSError("the disk is full")


def check_an_error_between_orders(team: distributed.Team) -> None:
    """It does not concern the others: the next training goes well. One in the middle of a pass does."""
    with pytest.raises(OSError, match="disk is full"):
        fit_with(Full())
    team.parts, parts = {}, team.parts
    alone = fit("MLP", np.arange(50), short())
    team.parts = parts
    compare("after an error", alone, fit("MLP", np.arange(50), short()))
    assert team.in_step
    net = nets.build("MLP", DATA.train.shape, 3, seed=0)
    assert team.net is not net
    half = evaluate(team.net, DATA.train, np.arange(1100), device=CPU, meter=Meter(CPU), kind="record")
    next(half)
    assert not team.in_step
    for _ in half:
        pass
    assert team.in_step


def fit_with(hook: Hook) -> None:
    net = nets.build("MLP", DATA.train.shape, 3, seed=0)
    train(net, DATA.train, np.arange(50), short(), seed=0, device=CPU, meter=Meter(CPU), hooks=[hook])


def member(rank: int, folder: Path) -> None:
    """One of the three, as torchrun would start it."""
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank)}
    warnings.simplefilter("error")
    torch.set_num_threads(1)
    with distributed.joined(CPU) as team:
        check_norms(team.rank)
        if team.rank == 0:
            team.parts = {"train": DATA.train, "test": DATA.test}
            team.tell("load")
            lead(team, folder)
        else:
            follow(team, lambda: DATA)
    os.write(1, b"all agree\n")  # in one piece: print would let the lines of three processes mix


def main() -> int:
    """Start the three, which then have everything imported; 0 when all of them ended well. When one has not,
    the others, which would wait for it, are ended."""
    members, failed = [], False
    for rank in range(3):
        members.append(os.fork())
        if members[-1] == 0:
            member(rank, Path(sys.argv[1]))
            return 0
    while members:
        pid, status = os.wait()
        members.remove(pid)
        if status != 0:
            failed = True
            for other in members:
                os.kill(other, signal.SIGKILL)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
