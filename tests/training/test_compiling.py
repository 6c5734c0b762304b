"""--compile: the same rows, files and checkpoints; one sentence where no compiler is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from small_grids import grid, runner
from tiny import SHORT, images, short
from torch import nn

import main
from deepcore.common.meter import Meter
from deepcore.experiment import harness as harness_module
from deepcore.experiment.provenance import provenance
from deepcore.nets import networks as nets
from deepcore.training.checkpoint import Checkpoint
from deepcore.training.compiling import check_compiler, compile_body
from deepcore.training.hooks import Hook
from deepcore.training.loop import train

CPU = torch.device("cpu")
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def traced(monkeypatch):
    """Compile through a backend that needs no compiler; the sizes of the batches that ran compiled."""
    real, sizes = nn.Module.compile, []

    def backend(graph, inputs):
        def run(*values):
            images = [v for v in values if isinstance(v, torch.Tensor) and v.shape[1:] == (1, 8, 8)]
            sizes.append(len(images[0]))
            return graph(*values)

        return run

    torch.compiler.reset()
    monkeypatch.setattr(nn.Module, "compile", lambda self: real(self, backend=backend))
    monkeypatch.setattr(harness_module, "check_compiler", lambda device: None)
    yield sizes
    torch.compiler.reset()


def test_a_compiled_training_ends_like_another_and_its_checkpoint_is_the_same(tmp_path, traced):
    class Stop(Hook):
        def epoch_end(self, net, epoch):
            if epoch == 3:
                raise KeyboardInterrupt

    data, ended = images(augment=True), []
    for compiled_first, compiled_then in ((False, False), (True, False), (False, True)):
        path = tmp_path / f"{compiled_first}{compiled_then}.pt"
        for compiled, hooks in ((compiled_first, [Stop()]), (compiled_then, [Hook()])):
            net = nets.build("ConvNet", data.train.shape, 3, seed=0)
            if compiled:
                compile_body(net)
            options = {"seed": 0, "device": CPU, "meter": Meter(CPU), "checkpoint": Checkpoint(path)}
            try:
                train(net, data.train, np.arange(50), SHORT, hooks=hooks, **options)
            except KeyboardInterrupt:
                continue
        ended.append(net.state_dict())
    assert set(traced) == {16, 2}  # of 50 rows; it did run compiled
    for state in ended[1:]:
        assert list(state) == list(ended[0])
        for name, value in state.items():
            torch.testing.assert_close(value, ended[0][name], rtol=1e-4, atol=1e-5, msg=name)


def test_rows_do_not_depend_on_it_and_say_it(tmp_path, traced):
    spec = grid("CLD", "Random", nets=("ConvNet",))
    compiled = runner(tmp_path / "a", spec, compiled=True)
    rows = compiled.run()
    assert {16, 8, 72, 18} <= set(traced)  # the proxy: its batches, candidates and validation rows
    assert {14, 30} <= set(traced)  # the target: its one batch and the test rows
    plain = runner(tmp_path / "b", spec).run()
    for row, other in zip(rows, plain, strict=True):
        assert row.status == "ok"
        assert row.fingerprint == other.fingerprint
        assert row.accuracy == pytest.approx(other.accuracy, abs=0.1)
        assert (row.provenance["compiled"], other.provenance["compiled"]) == (True, False)
        assert row.proxy_run == other.proxy_run
        assert row.flops_per_example == other.flops_per_example
    ran = len(traced)
    assert runner(tmp_path / "a", spec).run() == rows  # found, without it
    assert len(traced) == ran


def test_the_flag_reaches_the_harness(tmp_path, monkeypatch, traced):
    monkeypatch.chdir(tmp_path)
    argv = ["--selection", "CLD", "--model", "LeNet", "--epochs", "3", "--num_exp", "1", "--compile"]
    assert main.main([*argv, "--quiet", "--report", "false"]) == 0
    (path,) = (tmp_path / "runs/rows").glob("*.json")
    assert json.loads(path.read_text())["provenance"]["compiled"] is True
    assert max(traced) == 512  # the evaluations too


def test_whatever_fails_in_compiling_is_one_sentence(tmp_path, monkeypatch, capsys):
    def fail(function):
        raise RuntimeError("no compiler\nat all")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(torch, "compile", fail)
    assert main.main(["--compile", "--gpu", "-1", "--selection", "Random"]) == 2
    assert capsys.readouterr() == (
        "",
        "error: --compile does not work here (no compiler): torch.compile needs a C++ compiler (g++) on cpu; "
        "install it, or leave out --compile\n",
    )
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_missing_compiler_is_one_sentence(tmp_path):
    missing = {"CXX": str(tmp_path / "no-compiler"), "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, str(ROOT / "main.py"), "--compile", "--gpu", "-1", "--selection", "Random"],
        cwd=tmp_path,
        env={**os.environ, **missing},
        capture_output=True,
        text=True,
        timeout=100,
    )
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert done.returncode == 2
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert len(errors) == 1
    assert errors[0].startswith("error: --compile does not work here (InvalidCxxCompiler: ")
    assert errors[0].endswith("install it, or leave out --compile")
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_inductor_itself_trains_and_evaluates():
    check_compiler(CPU)
    data, ended = images(augment=True), []
    for compiled in (False, True):
        net = nets.build("LeNet", data.train.shape, 3, seed=0)
        if compiled:
            compile_body(net)
        options = {"seed": 0, "device": CPU, "meter": Meter(CPU)}
        train(net, data.train, np.arange(50), short(epochs=1, lr=0.001), **options)
        ended.append(net.state_dict())
    for name, value in ended[1].items():
        torch.testing.assert_close(value, ended[0][name], rtol=1e-3, atol=1e-3, msg=name)


def test_the_row_says_how_many_threads_the_target_had(tmp_path):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        (small,) = runner(tmp_path, grid("Random")).run()
        (large,) = runner(tmp_path, grid("Random", nets=("ResNet9",), target=short(steps=1))).run()
    finally:
        torch.set_num_threads(before)
    assert small.provenance["threads"] == 1  # an MLP is not worth a second one
    assert large.provenance["threads"] == 2
    assert provenance(CPU)["threads"] == before
