"""Trainings on a GPU: the same bits twice, replayed or not, resumed or not, and several on one device."""

from __future__ import annotations

import copy
import itertools

import numpy as np
import pytest
import torch
from small_grids import QUIET, grid
from tiny import images, short
from torch import nn

from deepcore.common.meter import Meter
from deepcore.experiment.harness import Harness
from deepcore.nets import networks as nets
from deepcore.nets.net import Net
from deepcore.training import loop as train_module
from deepcore.training import replay
from deepcore.training.checkpoint import Checkpoint
from deepcore.training.hooks import Hook
from deepcore.training.loop import train

pytestmark = pytest.mark.gpu
GPU = torch.device("cuda")
ROWS = np.arange(90)  # five batches of 16 and one of 10
WEIGHTS = np.linspace(1, 2, 90)


class Kept(Hook):
    """All outputs of the steps, on the CPU."""

    def __init__(self):
        self.outputs = []

    def batch(self, positions, logits, features):
        self.outputs.append(torch.cat([logits, features], dim=1).cpu())


def fit(name="ConvNet", *, net=None, hooks=(), weights=None, **options):
    """A trained network's weights and buffers, on the CPU."""
    data = images(augment=True)
    model = net or nets.build(name, data.train.shape, 3, seed=0)
    recipe = {key: options.pop(key) for key in ("precision", "optimizer", "epochs") if key in options}
    train(model, data.train, ROWS, short(**recipe), seed=0, device=GPU, meter=Meter(GPU), hooks=hooks,
          weights=weights, **options)  # fmt: skip
    return {key: value.cpu() for key, value in model.state_dict().items()}


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


@pytest.fixture
def replays(monkeypatch):
    """The batch sizes of which a graph was made."""
    counted = []
    real = replay.Replayed._capture

    def capture(self, batch):
        counted.append(len(batch.labels))
        return real(self, batch)

    monkeypatch.setattr(replay.Replayed, "_capture", capture)
    return counted


def one_by_one(monkeypatch):
    """Steps as a graph would take them, its learning rate on the device too, but started from Python."""
    monkeypatch.setattr(replay, "WARM", 1 << 30)


NETS = ["MLP", "LeNet", "ConvNet", "ResNet9", "ResNet18"]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("name", NETS)
def test_replayed_steps_are_those_started_one_by_one(name, precision, replays, monkeypatch):
    seen, plain = Kept(), Kept()
    graphs = fit(name, precision=precision, hooks=[seen], weights=WEIGHTS, epochs=6)  # both sizes in turn
    assert replays == [16, 10]
    one_by_one(monkeypatch)
    stepped = fit(name, precision=precision, hooks=[plain], weights=WEIGHTS, epochs=6)
    assert same(graphs, stepped)
    assert len(seen.outputs) == 36
    assert all(map(torch.equal, seen.outputs, plain.outputs))
    assert not torch.equal(seen.outputs[-1], seen.outputs[-7])


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("name", ["LeNet", "ConvNet", "ResNet18"])
def test_two_trainings_have_the_same_bits(name, precision):
    assert same(fit(name, precision=precision), fit(name, precision=precision))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_training_that_goes_on_has_the_same_bits(tmp_path, precision):
    whole = fit("ResNet18", precision=precision)
    checkpoint = Checkpoint(tmp_path / "state.pt")
    fit("ResNet18", precision=precision, checkpoint=checkpoint, hooks=[Kept()], stop=2)
    assert checkpoint.path.exists()
    seen = Kept()
    assert same(fit("ResNet18", precision=precision, checkpoint=checkpoint, hooks=[seen]), whole)
    assert len(seen.outputs) == 12


class Dropping(nn.Module):
    def forward(self, x):
        return nn.functional.dropout(x.flatten(1), 0.5, self.training)


def test_each_replayed_step_has_a_dropout_of_its_own(replays, monkeypatch):
    def dropped():
        net = Net(Dropping(), 64, 3, replayable=True)
        hook = Kept()
        state = fit(net=net, hooks=[hook], epochs=6)
        return state, [rows[:, 3:] == 0 for rows in hook.outputs]

    state, masks = dropped()
    assert replays == [16, 10]
    again, masks_again = dropped()
    assert same(state, again)
    assert all(map(torch.equal, masks, masks_again))
    full = [mask for mask in masks if len(mask) == 16]
    assert 0.45 < float(torch.stack(full).float().mean()) < 0.55
    assert all(not torch.equal(one, other) for one, other in itertools.pairwise(full))
    one_by_one(monkeypatch)
    stepped, masks_stepped = dropped()
    assert same(state, stepped)
    assert all(map(torch.equal, masks, masks_stepped))


class Counting(nn.Module):
    """Does something else at every step, as the host counts it."""

    def __init__(self):
        super().__init__()
        self.steps = 0

    def forward(self, x):
        self.steps += self.training
        return x.flatten(1) * self.steps


@pytest.mark.parametrize("change", [{"optimizer": "AdamW"}, {"precision": "fp16"}, {"net": True}])
def test_what_a_graph_would_freeze_is_started_step_by_step(change, replays):
    net = Net(Counting(), 64, 3) if change.pop("net", None) else None
    state = fit(net=net, **change)
    assert replays == []
    assert all(torch.isfinite(value.float()).all() for value in state.values())
    if net is not None:
        assert net.body.steps == 24


def test_a_gpu_gives_the_outputs_of_a_cpu_but_for_rounding(monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    data, losses = images(augment=True), {}
    for device in (torch.device("cpu"), GPU):
        hook, model = Kept(), nets.build("ConvNet", data.train.shape, 3, seed=0)
        train(model, data.train, ROWS, short(epochs=1), seed=0, device=device, meter=Meter(device),
              hooks=[hook])  # fmt: skip
        losses[device.type] = torch.cat(hook.outputs)
    torch.testing.assert_close(losses["cuda"], losses["cpu"], rtol=0.02, atol=0.02)


def test_the_setting_of_cudnn_is_as_before():
    for before in (False, True):
        torch.backends.cudnn.deterministic = before
        seen = []

        class Looks(Hook):
            def batch(self, positions, logits, features, seen=seen):
                seen.append(torch.backends.cudnn.deterministic)

        fit("MLP", hooks=[Looks()])
        assert set(seen) == {True}
        assert torch.backends.cudnn.deterministic is before
    torch.backends.cudnn.deterministic = False


def test_rows_do_not_depend_on_the_jobs_of_a_gpu(tmp_path):
    spec = grid("CLD", "Random", "Forgetting", seeds=(0, 1), fractions=(0.3,))
    data = images()
    rows = {}
    for jobs in (1, 3):
        harness = Harness(
            copy.deepcopy(spec), data, tmp_path / f"{jobs}", device=GPU, progress=QUIET, jobs=jobs
        )
        rows[jobs] = sorted(harness.run(), key=lambda row: (row.label, row.seed))
        assert {row.status for row in rows[jobs]} == {"ok"}, [row.error for row in rows[jobs]]
    assert [row.content() for row in rows[1]] == [row.content() for row in rows[3]]


def test_trainings_leave_no_memory_behind():
    held = []
    for _ in range(4):
        fit("ResNet18")
        held.append(torch.cuda.memory_allocated())
    assert held[-1] == held[1]


def test_a_diverged_training_says_so(monkeypatch):
    from deepcore.common.checks import Diverged

    real = train_module.lr_at
    monkeypatch.setattr(train_module, "lr_at", lambda *args: 1e30 * real(*args))
    with pytest.raises(Diverged, match="not finite"):
        fit("ConvNet")
