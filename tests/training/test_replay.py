"""Replayed steps without a GPU: which trainings have them, and that a stand-in of CUDA's graphs, which runs
the captured step again, gives what the steps one by one give. Real graphs are in test_on_a_gpu.py."""

from __future__ import annotations

import contextlib
import copy

import numpy as np
import pytest
import torch
from tiny import images, short
from torch import nn

from deepcore.common.checks import Diverged
from deepcore.common.meter import Meter
from deepcore.nets import networks as nets
from deepcore.nets.net import Net
from deepcore.training import loop as train_module
from deepcore.training import replay
from deepcore.training.checkpoint import Checkpoint
from deepcore.training.deterministic import deterministic
from deepcore.training.hooks import Hook
from deepcore.training.loop import train

CPU, GPU = torch.device("cpu"), torch.device("cuda")
DATA = images(augment=True)
SPEC = short(lr=0.0625, gamma=0.5)  # rates that a float32 holds exactly, as on the device


def net(name="MLP"):
    return nets.build(name, DATA.train.shape, 3, seed=0)


@pytest.mark.parametrize("name", ["MLP", "LeNet", "ConvNet", "ResNet9", "ResNet18"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_what_a_gpu_replays(name, precision):
    spec = short(precision=precision)
    assert replay.replays(net(name), spec, GPU, compiled=False)
    assert not replay.replays(net(name), spec, CPU, compiled=False)
    assert not replay.replays(net(name), spec, GPU, compiled=True)


@pytest.mark.parametrize("change", [{"optimizer": "AdamW"}, {"optimizer": "Adam"}, {"precision": "fp16"}])
def test_what_a_graph_cannot_hold_is_not_replayed(change):
    assert not replay.replays(net(), short(**change), GPU, compiled=False)


def test_networks_that_say_nothing_or_were_not_tried_are_not_replayed():
    assert not replay.replays(Net(nn.Flatten(), 64, 3), SPEC, GPU, compiled=False)
    assert not replay.replays(net("mobilenet_v2"), SPEC, GPU, compiled=False)


class Stream:
    """Of a device; the order of a CPU is that of the program."""

    def __init__(self, device=None):
        self.device = device

    def wait_stream(self, other):
        assert isinstance(other, Stream)


class Outputs(Hook):
    """What each step gave, with the learning rate's effect in it from the second step on."""

    def __init__(self):
        self.kept = []

    def batch(self, positions, logits, features):
        self.kept.append((positions, logits.clone(), features.clone()))


@pytest.fixture
def graphs(monkeypatch):
    """Stand-ins for CUDA's streams and graphs; gives the replays of each batch size."""
    replays = []

    class Graph:
        def pool(self):
            return id(self)

        def replay(self):
            replays.append(len(self.reads.labels))
            for held, new in zip(self.writes, self.step(self.reads), strict=True):
                held.copy_(new)

    real = replay.Replayed._capture

    def capture(self, batch):
        update = self.update
        before = copy.deepcopy([update.steps.net.state_dict(), update.optimizer.state_dict()])
        captured = real(self, batch)
        update.steps.net.load_state_dict(before[0])  # a capture takes no step
        update.optimizer.load_state_dict(before[1])
        update.set_rate(self._rate)
        captured.graph.reads, captured.graph.writes = captured.reads, captured.writes
        captured.graph.step = update.step
        return captured

    replay._stream_of.cache_clear()
    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "current_stream", Stream)
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: contextlib.nullcontext())
    monkeypatch.setattr(torch.cuda, "graph", lambda graph, **options: contextlib.nullcontext())
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(replay.Replayed, "_capture", capture)
    monkeypatch.setattr(train_module, "replays", lambda *args, **options: True)
    yield replays
    replay._stream_of.cache_clear()


def fit(name, weights, spec=SPEC):
    model, hook = net(name), Outputs()
    train(model, DATA.train, np.arange(90), spec, seed=0, device=CPU, meter=Meter(CPU), hooks=[hook],
          weights=weights)  # fmt: skip
    return model.state_dict(), hook.kept


@pytest.mark.parametrize("name", ["MLP", "ConvNet"])
@pytest.mark.parametrize("weights", [None, np.linspace(1, 2, 90)])
def test_replayed_steps_have_their_own_rows_weights_and_rate(name, weights, graphs, monkeypatch):
    state, kept = fit(name, weights)
    assert graphs.count(16) == 4 * 5 - replay.WARM  # four epochs of five batches of 16 and one of 10
    assert graphs.count(10) == 4 - replay.WARM
    monkeypatch.setattr(train_module, "replays", lambda *args, **options: False)
    plain, plainly = fit(name, weights)
    assert all(torch.equal(state[key], plain[key]) for key in plain)
    assert len(kept) == len(plainly) == 24
    for (rows, *outputs), (same_rows, *same) in zip(kept, plainly, strict=True):
        np.testing.assert_array_equal(rows, same_rows)
        assert all(map(torch.equal, outputs, same))


def test_the_mean_loss_of_an_epoch_is_not_that_of_its_last_batch(graphs, monkeypatch):
    totals, real = [], train_module._run_epoch
    monkeypatch.setattr(train_module, "_run_epoch", lambda *args: totals.append(real(*args)) or totals[-1])
    fit("MLP", None)
    replayed = totals.copy()
    totals.clear()
    monkeypatch.setattr(train_module, "replays", lambda *args, **options: False)
    fit("MLP", None)
    assert replayed == totals


@pytest.mark.parametrize("first", [True, False])
def test_a_plain_training_goes_on_from_a_replayed_one_and_the_other_way_round(
    first, graphs, monkeypatch, tmp_path
):
    def part(*, replayed, **options):
        monkeypatch.setattr(train_module, "replays", lambda *args, **_: replayed)
        model = net()
        train(model, DATA.train, np.arange(90), SPEC, seed=0, device=CPU, meter=Meter(CPU), **options)
        return model.state_dict()

    whole = part(replayed=False)
    checkpoint = Checkpoint(tmp_path / "state.pt")
    part(replayed=first, checkpoint=checkpoint, stop=2)
    done = len(graphs)
    assert (done > 0) is first
    resumed = part(replayed=not first, checkpoint=checkpoint)
    assert (len(graphs) > done) is not first
    assert all(torch.equal(whole[key], resumed[key]) for key in whole)


def test_the_graphs_go_when_the_training_ends(graphs, monkeypatch):
    made, real = [], replay.Replayed.__init__
    monkeypatch.setattr(
        replay.Replayed, "__init__", lambda self, *args: made.append(self) or real(self, *args)
    )
    fit("MLP", None)
    assert len(graphs) > 0
    assert [replayed._captured for replayed in made] == [{}]
    monkeypatch.setattr(train_module, "lr_at", lambda *args: float("inf"))
    with pytest.raises(Diverged):
        fit("MLP", None)
    assert [replayed._captured for replayed in made] == [{}, {}]
    assert made[0]._stream is made[1]._stream


def test_a_cpu_leaves_cudnn_alone():
    before = torch.backends.cudnn.deterministic
    with deterministic(CPU):
        assert torch.backends.cudnn.deterministic is before
    with deterministic(GPU):
        assert torch.backends.cudnn.deterministic is True
    assert torch.backends.cudnn.deterministic is before
