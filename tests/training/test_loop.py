"""The training loop: schedules, lengths, streams, weights, resumption, meters."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from tiny import SHORT, images, short
from torch import nn
from torch.nn import functional

from deepcore.common.checks import Diverged, StoredMismatch, UsageError
from deepcore.common.meter import Meter
from deepcore.nets import networks as nets
from deepcore.training import loop as train_module
from deepcore.training.checkpoint import Checkpoint
from deepcore.training.evaluation import class_accuracy, evaluate
from deepcore.training.hooks import Hook
from deepcore.training.loop import train
from deepcore.training.schedule import Schedule, batch_bounds, examples, lr_at
from deepcore.training.spec import TrainSpec

CPU = torch.device("cpu")
DATA = images()
ROWS = np.arange(50)


def fit(spec=SHORT, rows=ROWS, *, seed=0, net="MLP", data=DATA, **options):
    model = nets.build(net, data.train.shape, data.num_classes, seed=seed)
    meter = options.pop("meter", None) or Meter(CPU)
    train(model, data.train, rows, spec, seed=seed, device=CPU, meter=meter, **options)
    return model


def same(a, b) -> bool:
    return all(
        torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    )


@pytest.mark.parametrize(
    ("n", "batch", "sizes"),
    [(10, 4, [4, 4, 2]), (9, 4, [4, 5]), (8, 4, [4, 4]), (3, 4, [3]), (1, 4, [1]), (5, 4, [5]), (2, 1, [2])],
)
def test_a_last_batch_of_one_joins_the_one_before(n, batch, sizes):
    bounds = batch_bounds(n, batch)
    assert [b - a for a, b in itertools.pairwise(bounds)] == sizes


@pytest.mark.parametrize("steps", [None, 1, 4, 7, 8])
@pytest.mark.parametrize("n", [1, 2, 33, 48, 50])  # 33: the last batch has 17 rows
def test_examples_are_what_the_meter_counts(n, steps):
    spec, meter = short(steps=steps, epochs=2), Meter(CPU)
    fit(spec, np.arange(n), meter=meter)
    assert meter.passes["train"] == examples(n, spec)
    if steps is None:
        assert examples(n, spec) == 2 * max(n, 2)


def test_the_paper_s_schedule_and_its_scaling():
    spec = TrainSpec()
    plan = Schedule.of(1280, spec)  # 10 steps an epoch
    assert (plan.epochs, plan.steps, plan.per_epoch) == (164, 1640, 10)
    rates = [lr_at(step, spec, plan) for step in (0, 809, 810, 1209, 1210, 1639)]
    assert rates == pytest.approx([0.1, 0.1, 0.01, 0.01, 0.001, 0.001])
    ten = TrainSpec(epochs=10)  # 81/164 and 121/164 of ten epochs: 5 and 7
    plan = Schedule.of(1280, ten)
    assert [lr_at(step, ten, plan) for step in (49, 50, 69, 70)] == pytest.approx([0.1, 0.01, 0.01, 0.001])


def test_a_length_in_steps_ends_inside_an_epoch():
    spec = TrainSpec(steps=25)
    plan = Schedule.of(1280, spec)
    assert (plan.epochs, plan.steps) == (3, 25)
    assert lr_at(11, spec, plan) == pytest.approx(0.1)
    assert lr_at(12, spec, plan) == pytest.approx(0.01)  # round(25 * 81 / 164)
    meter = Meter(CPU)
    fit(short(steps=5, batch=16), np.arange(48), meter=meter)
    assert meter.passes["train"] == 5 * 16


def test_cosine_step_and_one_cycle():
    cosine = TrainSpec(scheduler="CosineAnnealingLR", lr=0.2, min_lr=0.1, epochs=10)
    plan = Schedule.of(128, cosine)
    assert lr_at(0, cosine, plan) == pytest.approx(0.2)
    assert lr_at(5, cosine, plan) == pytest.approx(0.15)
    cycle = TrainSpec(scheduler="OneCycleLR", lr=0.5, min_lr=0.0, epochs=10)
    rates = [lr_at(s, cycle, plan) for s in range(10)]
    assert rates[0] == pytest.approx(0.02)
    assert rates[3] == pytest.approx(0.5) == max(rates)
    assert rates[9] == pytest.approx(0.25 * (1 + math.cos(math.pi * 6 / 7)))
    one = TrainSpec(epochs=1)
    assert lr_at(0, one, Schedule.of(128, one)) == 0.1
    steps = TrainSpec(scheduler="StepLR", step_size=3, gamma=0.5, epochs=10)
    assert [lr_at(s, steps, plan) for s in (2, 3, 6)] == pytest.approx([0.1, 0.05, 0.025])


def test_one_step_is_sgd_with_nesterov_and_decay_by_hand():
    spec = short(epochs=1, batch=64)
    model = nets.build("MLP", DATA.train.shape, 3, seed=1)
    expected = [p.detach().clone().requires_grad_() for p in model.parameters()]
    x = next(DATA.train.batches([ROWS], device=CPU))
    w1, b1 = expected[:2]
    h = torch.relu(x.flatten(1) @ w1.T + b1)
    loss = functional.cross_entropy(
        h @ expected[2].T + expected[3], torch.from_numpy(DATA.train.labels[ROWS])
    )
    grads = torch.autograd.grad(loss, expected)
    train(model, DATA.train, ROWS, spec, seed=1, device=CPU, meter=Meter(CPU))
    for p, start, g in zip(model.parameters(), expected, grads, strict=True):
        step = (g + 5e-4 * start) * (1 + 0.9)  # first step: buffer = g, nesterov adds 0.9 * buffer
        assert torch.allclose(p, start - 0.05 * step, atol=1e-6)


def test_same_seed_same_weights_and_another_seed_others():
    assert same(fit(seed=0), fit(seed=0))
    assert not same(fit(seed=0), fit(seed=1))


def test_the_global_random_state_does_not_matter_and_is_left_alone():
    torch.manual_seed(5)
    a = fit()
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    b = fit()
    assert same(a, b)
    assert torch.equal(before[0], torch.get_rng_state())
    assert np.array_equal(before[1], np.random.get_state()[1])  # noqa: NPY002


def test_equal_weights_change_nothing_and_zero_weights_remove_rows():
    ones = np.full(len(ROWS), 3.0)
    plain, weighted = fit(), fit(weights=ones)
    for p, q in zip(plain.parameters(), weighted.parameters(), strict=True):
        assert torch.allclose(p, q, atol=1e-5)
    spec = short(epochs=1, batch=64, weight_decay=0.0)
    half = np.where(ROWS < 25, 1.0, 0.0)
    few, masked = fit(spec, ROWS[:25]), fit(spec, weights=half)
    for p, q in zip(few.parameters(), masked.parameters(), strict=True):
        assert torch.allclose(p, q, atol=1e-5)


class Log(Hook):
    def __init__(self):
        self.calls = []

    def begin(self, net):
        self.calls.append("begin")

    def batch(self, positions, logits, features):
        self.calls.append(np.sort(positions).tolist())
        assert logits.shape == (len(positions), 3)
        assert features.shape[0] == len(positions)

    def epoch_end(self, net, epoch):
        self.calls.append(epoch)


def test_hooks_see_every_row_once_an_epoch():
    log = Log()
    fit(short(epochs=2), hooks=[log])
    assert log.calls[0] == "begin"
    ends = [i for i, c in enumerate(log.calls) if c in (1, 2)]
    assert [log.calls[i] for i in ends] == [1, 2]
    for start, end in ((1, ends[0]), (ends[0] + 1, ends[1])):
        seen = sorted(p for batch in log.calls[start:end] for p in batch)
        assert seen == list(range(len(ROWS)))


def test_every_epoch_has_its_own_order_augmentation_and_dropout(monkeypatch):
    def dropping(shape, num_classes):
        return nets.Net(nn.Sequential(nn.Flatten(), nn.Dropout(0.5)), math.prod(shape), num_classes)

    monkeypatch.setitem(nets.NETS, "dropping", dropping)
    data = images(augment=True)

    class Watch(Hook):
        def __init__(self):
            self.orders, self.features, self.dropped = [], [], []

        def batch(self, positions, logits, features):
            self.orders.append(positions.tolist())
            self.features.append(features[np.argsort(positions)])
            self.dropped.append(features == 0)  # in the order of the batch

    def watched(augment, net, seed=0):
        hook = Watch()
        spec = short(epochs=3, batch=64, lr=0.0, augment=augment)  # one batch an epoch, nothing moves
        fit(spec, net=net, data=data, hooks=[hook], seed=seed)
        return hook

    def all_differ(values):
        return not any(np.array_equal(a, b) for a, b in itertools.combinations(values, 2))

    plain = watched(False, "MLP")
    assert all_differ(plain.orders)
    assert plain.orders == watched(True, "dropping").orders  # the three streams are apart
    assert all_differ([*plain.orders, *watched(False, "MLP", seed=1).orders])
    for a, b in itertools.pairwise(plain.features):
        torch.testing.assert_close(a, b)  # no augmentation, no dropout: the order alone changes
    dropped = watched(False, "dropping").dropped
    assert all_differ(dropped)
    torch.rand(1)  # the global generator plays no part
    assert all(map(torch.equal, dropped, watched(False, "dropping").dropped))
    real, seeds = data.train.batches, []

    def noted(groups, *, device, augment_seed=None):
        seeds.append(augment_seed)
        return real(groups, device=device, augment_seed=augment_seed)

    monkeypatch.setattr(data.train, "batches", noted)
    watched(True, "MLP")
    assert len(set(seeds)) == len(seeds) == 3


@pytest.mark.parametrize("length", [{"epochs": 4}, {"steps": 10}])
def test_every_step_uses_the_learning_rate_of_its_place_in_the_whole(monkeypatch, length):
    used = []
    real = train_module.make_optimizer

    def watched(net, spec):
        optimizer = real(net, spec)
        optimizer.register_step_pre_hook(lambda o, *_: used.append(o.param_groups[0]["lr"]))
        return optimizer

    monkeypatch.setattr(train_module, "make_optimizer", watched)
    spec = short(scheduler="CosineAnnealingLR", min_lr=0.0, **length)  # no two rates are equal
    fit(spec)
    plan = Schedule.of(len(ROWS), spec)
    assert used == [lr_at(step, spec, plan) for step in range(plan.steps)]


@pytest.mark.parametrize("net", ["MLP", "ConvNet"])
def test_a_resumed_training_ends_bit_for_bit_like_an_uninterrupted_one(tmp_path, net):
    data = images(augment=True)
    whole = fit(net=net, data=data)

    class Stop(Hook):
        def epoch_end(self, net, epoch):
            if epoch == 3:
                raise KeyboardInterrupt

    path = tmp_path / "state.pt"
    with pytest.raises(KeyboardInterrupt):
        fit(net=net, data=data, hooks=[Stop()], checkpoint=Checkpoint(path))
    meter = Meter(CPU)
    resumed = fit(net=net, data=data, hooks=[Hook()], checkpoint=Checkpoint(path), meter=meter)
    assert same(whole, resumed)
    assert meter.passes["train"] == 4 * len(ROWS)


def test_a_checkpoint_is_saved_no_more_often_than_asked(tmp_path):
    fit(checkpoint=Checkpoint(tmp_path / "s.pt", every_seconds=3600))
    assert not (tmp_path / "s.pt").exists()


def test_a_damaged_checkpoint_is_refused(tmp_path):
    path = tmp_path / "state.pt"
    fit(checkpoint=Checkpoint(path))
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(StoredMismatch, match=r"state\.pt is damaged"):
        fit(checkpoint=Checkpoint(path))


def test_losses_that_are_not_finite_stop_with_the_epoch():
    with pytest.raises(Diverged, match=r"epoch 1 .*lr"):
        fit(short(lr=1e30))


def test_a_single_row_can_be_trained_on_with_batch_norm():
    meter = Meter(CPU)
    model = fit(rows=np.array([7]), net="ResNet18", meter=meter, spec=short(epochs=1))
    assert meter.passes["train"] == 2
    assert all(torch.isfinite(p).all() for p in model.parameters())


def test_evaluate_restores_the_mode_and_counts():
    model, meter = nets.build("ConvNet", DATA.train.shape, 3, seed=0), Meter(CPU)
    outputs = list(evaluate(model, DATA.train, ROWS, device=CPU, meter=meter, kind="record"))
    assert model.training
    assert meter.passes["record"] == 50
    assert not outputs[0][1].requires_grad


def test_batches_side_by_side_give_the_same_outputs_in_order(monkeypatch):
    monkeypatch.setattr("deepcore.training.evaluation.EVAL_BATCH", 7)
    model, passes = nets.build("ConvNet", DATA.train.shape, 3, seed=0), {}
    for n in (1, 3):
        meter = Meter(CPU)
        found = evaluate(model, DATA.train, ROWS, device=CPU, meter=meter, kind="record", side_by_side=n)
        passes[n] = [(cut, logits.tolist(), features.tolist()) for cut, logits, features in found]
        assert meter.passes["record"] == len(ROWS)
        assert not any(logits.requires_grad for _, logits, _ in found)
    assert len(passes[1]) > 3
    assert passes[3] == passes[1]


def test_class_accuracy_by_hand():
    model, meter = fit(), Meter(CPU)
    accuracy, per_class = class_accuracy(model, DATA.test, 4, device=CPU, meter=meter)
    model.eval()
    x = next(DATA.test.batches([np.arange(30)], device=CPU))
    right = model(x).argmax(1).numpy() == DATA.test.labels
    assert accuracy == pytest.approx(right.mean())
    assert per_class[:3] == pytest.approx([right[DATA.test.labels == c].mean() for c in range(3)])
    assert per_class[3] is None  # a class without a test row
    assert meter.passes["test"] == 30


@pytest.mark.parametrize(
    "changes",
    [
        {"epochs": 0},
        {"epochs": 2.5},
        {"steps": 0},
        {"batch": 0},
        {"lr": -0.1},
        {"lr": float("nan")},
        {"momentum": 1.0},
        {"momentum": 0.0},  # with nesterov
        {"milestones": (0.7, 0.2)},
        {"scheduler": "Cosine"},
        {"optimizer": "sgd"},
        {"scheduler": "CosineAnnealingLR", "lr": 1e-5},
    ],
)
def test_bad_recipes_are_refused(changes):
    with pytest.raises(UsageError):
        short(**changes)


def test_weights_near_the_largest_float_are_weights():
    n = len(ROWS)
    huge = np.where(np.arange(n) % 2, 1.0, 0.5)
    plain, scaled = fit(weights=huge), fit(weights=1e308 * huge)
    for p, q in zip(plain.parameters(), scaled.parameters(), strict=True):
        assert torch.allclose(p, q)


def test_rows_that_change_with_the_epoch(tmp_path):
    log, seen = Log(), []

    def rows_of(epoch):
        seen.append(epoch)
        return ROWS[10 * epoch : 10 * epoch + 10]

    data = images(augment=True)
    whole = fit(rows=rows_of, data=data, hooks=[log])
    assert seen == [0, 0, 1, 2, 3]  # once more for the number of rows
    assert [sorted(call) for call in log.calls if isinstance(call, list)] == [list(range(10))] * 4
    assert same(fit(rows=lambda epoch: ROWS, data=data), fit(data=data))

    class Stop(Hook):
        def epoch_end(self, net, epoch):
            if epoch == 2:
                raise KeyboardInterrupt

    path = tmp_path / "state.pt"
    for hooks in ([Stop()], [Hook()]):
        # the checkpoint is saved after the hooks: two rounds, stopped and resumed after one epoch
        try:
            resumed = fit(rows=rows_of, data=data, hooks=hooks, checkpoint=Checkpoint(path))
        except KeyboardInterrupt:
            continue
    assert same(whole, resumed)


def test_the_images_of_each_epoch_are_those_of_its_rows():
    class Watched:
        labels, shape, groups = DATA.train.labels, DATA.train.shape, []

        def batches(self, groups, **options):
            self.groups.append(np.sort(np.concatenate(groups)).tolist())
            return DATA.train.batches(groups, **options)

    watched = Watched()
    model = nets.build("MLP", DATA.train.shape, 3, seed=0)
    rows = np.random.default_rng(0).permuted(np.tile(np.arange(90), (4, 1)), axis=1)[:, :20]
    train(model, watched, lambda epoch: rows[epoch], SHORT, seed=0, device=CPU, meter=Meter(CPU))
    assert watched.groups == np.sort(rows, axis=1).tolist()


def test_stopping_early_leaves_the_schedule_of_the_whole_length():
    class Snapshot(Hook):
        def epoch_end(self, net, epoch):
            self.kept = {
                **getattr(self, "kept", {}),
                epoch: {k: v.clone() for k, v in net.state_dict().items()},
            }

    snapshot, meter = Snapshot(), Meter(CPU)
    fit(hooks=[snapshot])
    model = nets.build("MLP", DATA.train.shape, 3, seed=0)
    result = train(model, DATA.train, ROWS, SHORT, seed=0, device=CPU, meter=meter, stop=3)
    assert (result.epochs, result.steps) == (3, 12)
    assert meter.passes["train"] == 3 * len(ROWS)
    assert all(torch.equal(v, snapshot.kept[3][k]) for k, v in model.state_dict().items())
    result = train(model, DATA.train, ROWS, SHORT, seed=0, device=CPU, meter=meter, stop=9)
    assert (result.epochs, result.steps) == (4, 16)


def test_a_length_of_other_rows_gives_their_steps_and_learning_rates(monkeypatch):
    import deepcore.training.loop as train_module

    rates, real = [], train_module.lr_at
    monkeypatch.setattr(train_module, "lr_at", lambda *args: rates.append(real(*args)) or rates[-1])
    meter = Meter(CPU)
    model = nets.build("MLP", DATA.train.shape, 3, seed=0)
    length = Schedule.of(20, SHORT)  # two batches an epoch, the milestone after two of four epochs
    result = train(model, DATA.train, ROWS, SHORT, seed=0, device=CPU, meter=meter, length=length)
    assert (result.epochs, result.steps) == (2, 8)  # 50 rows: 16, 16, 16, 2
    assert meter.passes["train"] == 2 * 50
    assert rates == pytest.approx([0.05] * 4 + [0.005] * 4)


def test_a_single_weighted_row():
    assert same(fit(rows=np.array([7])), fit(rows=np.array([7]), weights=np.array([3.0])))
