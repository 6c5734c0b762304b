"""Mixed precision: what runs in which format, the scaling of fp16, and resuming under it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from helpers import proxy_of
from small_grids import grid, runner
from tiny import SHORT, images, short

import main
from deepcore.common.checks import UsageError
from deepcore.common.identity import fingerprint, to_dict
from deepcore.common.meter import Meter
from deepcore.nets import networks as nets
from deepcore.proxy.run import ProxyRun
from deepcore.proxy.signals import Signal
from deepcore.training import evaluation, together
from deepcore.training import loop as train_module
from deepcore.training import precision as precision_module
from deepcore.training.checkpoint import Checkpoint
from deepcore.training.hooks import Hook
from deepcore.training.loop import train
from deepcore.training.precision import check_precision, forward, make_scaler
from deepcore.training.recipes import RECIPES
from deepcore.training.spec import TrainSpec

CPU = torch.device("cpu")
DATA = images(augment=True)
ROWS = np.arange(50)
BF16 = short(precision="bf16")


def representable(values: torch.Tensor, dtype: torch.dtype = torch.bfloat16) -> bool:
    """Whether every value has an exact place in `dtype`."""
    return bool(torch.equal(values, values.to(dtype).float()))


def fit(spec, *, net="ConvNet", **options):
    model = nets.build(net, DATA.train.shape, 3, seed=0)
    train(model, DATA.train, ROWS, spec, seed=0, device=CPU, meter=Meter(CPU), **options)
    return model


@pytest.mark.parametrize("net", ["MLP", "LeNet", "ConvNet", "ResNet18"])
@pytest.mark.parametrize("training", [True, False])
def test_the_body_runs_in_bf16_and_the_last_layer_in_float32(net, training):
    model = nets.build(net, DATA.train.shape, 3, seed=0).train(training)
    x = next(DATA.train.batches([ROWS], device=CPU))
    features, logits = forward(model, x, "bf16")
    assert features.dtype == logits.dtype == torch.float32
    assert representable(features)
    assert not representable(logits)
    torch.testing.assert_close(logits, model.head(features), rtol=0, atol=0)
    exact, plain = forward(model, x, "fp32")
    assert not representable(exact)
    torch.testing.assert_close(exact, model.features(x))
    torch.testing.assert_close(logits, plain, rtol=0.1, atol=0.1)  # 8 bits of mantissa


LIKE_RESNET18 = ("ResNet34", "ResNet50", "VGG19bn")  # of the same layers, and slow in bf16 on a CPU


@pytest.mark.parametrize(
    "net", [pytest.param(n, marks=pytest.mark.slow if n in LIKE_RESNET18 else ()) for n in nets.NETS]
)
def test_every_net_trains_in_bf16(net):
    model = fit(short(precision="bf16", steps=1, batch=2, lr=0.001), net=net)
    assert all(torch.isfinite(p).all() and torch.isfinite(p.grad).all() for p in model.parameters())


def test_hooks_see_float32_of_the_body_in_bf16_and_weights_stay_float32():
    class Seen(Hook):
        logits, features = [], []

        def batch(self, positions, logits, features):
            self.logits.append(logits.clone())
            self.features.append(features.clone())

    model = fit(BF16, hooks=[Seen()])
    assert all(p.dtype == p.grad.dtype == torch.float32 for p in model.parameters())
    features = torch.cat(Seen.features)
    assert features.dtype == Seen.logits[0].dtype == torch.float32
    assert representable(features)
    assert not representable(torch.cat(Seen.logits))


def departure(spec) -> float:
    """How far one epoch of `spec` ends from fp32's, as a share of the way that fp32 went."""
    start, mixed, full = (
        torch.nn.utils.parameters_to_vector(model.parameters()).detach()
        for model in (
            nets.build("MLP", DATA.train.shape, 3, seed=0),
            fit(dataclasses.replace(spec, epochs=1), net="MLP"),
            fit(short(epochs=1), net="MLP"),
        )
    )
    return float((mixed - full).norm() / (full - start).norm())


def test_bf16_goes_where_fp32_goes_and_not_exactly():
    assert 0 < departure(BF16) < 0.1


def test_every_pass_of_a_grid_runs_in_the_recipe_s_precision(tmp_path, monkeypatch):
    used = {"train": set(), "evaluate": set()}
    for name, module in (("train", together), ("evaluate", evaluation)):
        monkeypatch.setattr(module, "forward", lambda n, x, p, s=used[name]: s.add(p) or forward(n, x, p))
    (row,) = runner(tmp_path, grid("CLD", target=BF16, proxy=BF16)).run()
    assert row.status == "ok"
    assert used == {"train": {"bf16"}, "evaluate": {"bf16"}}
    assert row.target_recipe["precision"] == row.proxy_recipe["precision"] == "bf16"
    (other,) = runner(tmp_path, grid("CLD")).run()
    assert other.fingerprint != row.fingerprint
    assert other.proxy_run != row.proxy_run


def test_what_is_recorded_is_float32_of_passes_in_bf16(tmp_path):
    harness = runner(tmp_path, grid("CLD", "D2", target=BF16, proxy=BF16))
    run: ProxyRun = proxy_of(harness, 0)
    features = torch.from_numpy(np.array(run.final_array(Signal.FEATURES)))
    logits = torch.from_numpy(np.array(run.final_array(Signal.LOGITS)))
    assert representable(features)
    assert not representable(logits)
    loss = torch.nn.functional.cross_entropy(logits, torch.from_numpy(run.labels), reduction="none")
    recorded = torch.from_numpy(np.array(run.trajectory(Signal.LOSS, "post_epoch")[-1]))
    torch.testing.assert_close(recorded, loss, rtol=1e-5, atol=1e-6)


# --- fp16 ------------------------------------------------------------------------------------------------


def test_fp16_without_cuda_is_refused_before_anything_is_trained(tmp_path, monkeypatch, capsys):
    half = short(precision="fp16")
    with pytest.raises(UsageError, match="fp16 needs a CUDA device and this is cpu: bf16"):
        fit(half)
    with pytest.raises(UsageError, match="fp16"):
        runner(tmp_path, grid("Random", target=half, proxy=half))
    monkeypatch.chdir(tmp_path)
    for more in ([], ["--dry_run"]):
        assert main.main(["--precision", "fp16", "--gpu", "-1", "--selection", "Random", *more]) == 2
        out = capsys.readouterr()
        assert out.out == ""
        assert [line[:7] for line in out.err.splitlines()] == ["error: "]
    assert not list(tmp_path.iterdir())
    check_precision("fp16", torch.device("cuda"))


@pytest.fixture
def half_on_cpu(monkeypatch):
    """fp16 on the CPU, with a scale that grows every three steps from 2^4."""
    monkeypatch.setattr(train_module, "check_precision", lambda precision, device: None)
    monkeypatch.setattr(
        train_module,
        "make_scaler",
        lambda precision, device: torch.amp.GradScaler("cpu", init_scale=2.0**4, growth_interval=3),
    )
    return short(precision="fp16")


def test_scaling_is_undone_before_the_step(half_on_cpu):
    assert 0 < departure(half_on_cpu) < 0.02


def test_the_scale_goes_on_from_a_checkpoint(tmp_path, half_on_cpu):
    class Stop(Hook):
        def epoch_end(self, net, epoch):
            if epoch == 3:
                raise KeyboardInterrupt

    def scaler_of(path):
        return torch.load(path, weights_only=True)["scaler"]

    whole, cut = tmp_path / "whole.pt", tmp_path / "cut.pt"
    uninterrupted = fit(half_on_cpu, checkpoint=Checkpoint(whole))
    with pytest.raises(KeyboardInterrupt):
        fit(half_on_cpu, hooks=[Stop()], checkpoint=Checkpoint(cut))
    assert scaler_of(cut)["scale"] == 2.0**6  # 8 steps: twice three
    resumed = fit(half_on_cpu, hooks=[Hook()], checkpoint=Checkpoint(cut))
    assert scaler_of(cut) == scaler_of(whole)
    assert scaler_of(whole)["scale"] == 2.0**9  # 16 steps
    for a, b in zip(resumed.parameters(), uninterrupted.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-3)


def test_without_fp16_nothing_is_scaled_and_old_checkpoints_are_read(tmp_path):
    for precision in ("fp32", "bf16"):
        assert make_scaler(precision, CPU).state_dict() == {}
    path = tmp_path / "state.pt"
    fit(SHORT, checkpoint=Checkpoint(path))
    state = torch.load(path, weights_only=True)
    del state["scaler"]
    torch.save(state, path)
    fit(SHORT, checkpoint=Checkpoint(path))


# --- the specification -----------------------------------------------------------------------------------


def test_the_identity_of_the_recipes_did_not_move():
    """Rows are found by this: fields come and go only with a reason to train everything again."""
    assert [f.name for f in dataclasses.fields(TrainSpec)] == [
        *("epochs", "steps", "batch", "optimizer", "lr", "min_lr", "momentum", "nesterov", "weight_decay"),
        *("scheduler", "milestones", "gamma", "step_size", "augment", "precision"),
    ]
    assert fingerprint(to_dict(RECIPES["small-images"])) == "35948ce5b9a17cb7"
    with pytest.raises(UsageError, match=r"unknown precision 'fp8'; valid: fp32, bf16, fp16"):
        short(precision="fp8")


def test_fp32_leaves_the_caller_s_autocast_alone():
    with precision_module.autocast("fp32", CPU):
        assert not torch.is_autocast_enabled("cpu")
    with precision_module.autocast("bf16", CPU):
        assert torch.get_autocast_dtype("cpu") == torch.bfloat16
        assert torch.is_autocast_enabled("cpu")
