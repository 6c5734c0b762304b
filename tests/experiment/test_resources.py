"""Memory and disk: what is estimated beforehand, what is measured, and what is refused."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import proxy_of
from noise_runs import a_run
from small_grids import grid, runner
from tiny import images, short

import methods
from deepcore.common import resources
from deepcore.common.checks import UsageError
from deepcore.data.datasets import load
from deepcore.data.split import make_split
from deepcore.experiment import preflight
from deepcore.experiment.dry_run import proxy_passes
from deepcore.experiment.preflight import LIBRARIES, check_resources, needs, proxy_states
from deepcore.selection.budget import Budget

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # 20 epochs: parameters are reduced
CPU, CUDA = torch.device("cpu"), torch.device("cuda")
CODE = """
import ctypes, json, os, sys
sys.path[:0] = sys.argv[1:3]
import numpy as np, torch
from noise_runs import a_run
import methods
from deepcore.common.meter import peak_memory, reset_peak
from deepcore.selection.budget import Budget
n, d, c = map(int, sys.argv[3:6])
torch.set_num_threads(1)
run, device, found = a_run(n, d, c), torch.device("cpu"), {}
ctypes.CDLL(None).malloc_trim(0)
for text in sys.argv[6:]:  # each in a process of its own, which begins with the same memory
    read, write = os.pipe()
    if os.fork() == 0:
        held = next(int(l.split()[1]) * 1024 for l in open("/proc/self/status") if l.startswith("VmRSS"))
        reset_peak(device)
        methods.parse(text).select(run, Budget.of(0.1, n), np.random.default_rng(0))
        os.write(write, str(peak_memory(device) - held).encode())
        os._exit(0)
    os.wait()
    found[text] = int(os.read(read, 100))
print(json.dumps(found))
"""


SIZES = (4000, 512, 2)  # N, D, C
WHOLE = "Glister:class_balanced=false"
BLOCKED = ("D2", "D2:neighbors=20,symmetric=true", "D2:graph=global", "Glister", WHOLE, "Cal", "InfoMax")


@pytest.fixture(scope="module")
def measured():
    """Peaks of the resident memory in processes that hold nothing else, whose C library gives back at once
    what is freed: what it would keep instead differs from run to run, by up to some 200 MB."""
    tests = Path(__file__).resolve().parents[1]
    argv = [sys.executable, "-c", CODE, str(tests), str(tests.parent), *map(str, SIZES), *BLOCKED]
    env = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(argv, capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="needs a peak that can be reset")
@pytest.mark.parametrize("text", BLOCKED)
def test_graphs_and_gradients_take_what_was_estimated(measured, text):
    n, d, c = SIZES
    host, device, _ = methods.parse(text).memory(a_run(n, d, c), n // 10, d, 20)
    assert measured[text] <= host + device + LIBRARIES <= 4 * measured[text]


VARIANTS = ("CLD:correlation=spearman", "CLD:trajectory=global", "AUM:sampler=beta", "EL2N:sampler=strata")


GREEDY = ("FacilityLocation", "GradMatch", "CRAIG", "KCenter", "InfoMax", "GraphCut", "Glister", "Herding")


@pytest.mark.parametrize("text", [*methods.METHODS, *VARIANTS])
def test_arrays_take_no_more_than_was_estimated(text):
    n, d, c = 8_000 if text in GREEDY else 20_000, 16, 10
    run, method = a_run(n, d, c), methods.parse(text)
    budget, rng = Budget.of(0.1, n), np.random.default_rng(0)
    method.resolve(0.1).select(a_run(100, d, c), Budget.of(0.1, 100), rng)  # what it imports is no array
    tracemalloc.start()
    method.resolve(0.1).select(run, budget, rng)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    estimate = method.resolve(0.1).memory(run, budget.k, d, 20)
    assert peak <= estimate.host + estimate.device


@pytest.mark.parametrize(
    ("text", "whole", "smaller"),
    [
        ("D2", "D2:graph=global", "graph=class"),
        ("Glister", WHOLE, "class_balanced=true"),
    ],
)
def test_estimates_grow_with_what_they_depend_on(text, whole, smaller):
    def estimate(text, features=512, classes=10):
        return methods.parse(text).memory(a_run(1000, 8, classes), 100, features, 20)

    assert estimate(text).device < estimate(text, features=1024).device
    assert estimate(text).device < estimate(text, classes=2).device  # classes of 500 instead of 100
    assert estimate(text).device < estimate(whole).device
    assert (estimate(text).smaller, estimate(whole).smaller) == ("", smaller)


def test_estimates_grow_with_neighbours_windows_and_epochs():
    for text, more in (("D2", "D2:neighbors=50"), ("DUAL", "DUAL:window=20"), ("TDDS", "TDDS:window=20")):
        of, of_more = (methods.parse(t).memory(a_run(1000, 8, 10), 100, 8, 50).host for t in (text, more))
        assert of < of_more, text
    cld = methods.parse("CLD:batch=1")
    assert cld.memory(a_run(1000, 8, 10), 100, 8, 50).host < cld.memory(a_run(1000, 8, 10), 100, 8, 500).host


def memory_is(monkeypatch, host: int, gpu: int = 0) -> None:
    monkeypatch.setattr(preflight, "available_memory", lambda d: gpu if d.type == "cuda" else host)


def test_what_does_not_fit_is_refused_before_the_proxy_is_trained(tmp_path, monkeypatch):
    memory_is(monkeypatch, 33 << 20)  # enough for the others on 72 candidates, not for blocks and features
    monkeypatch.setattr(preflight, "head_width", lambda plan: 10**6)
    runner(tmp_path / "enough", grid("CLD", "Random")).run()
    harness = runner(tmp_path / "runs", grid("CLD", "Random", "D2:graph=global"))
    with pytest.raises(UsageError) as error:
        harness.run()
    # 32 n D and 8 n^2 of 72 candidates, the libraries' 33.6 MB, and small change
    assert str(error.value) == (
        "D2:graph=global needs about 2.34 GB of memory, 34.6 MB are free: graph=class needs less; or leave "
        "D2:graph=global out, or run where there is more"
    )
    assert not list((tmp_path / "runs").glob("*/*"))


def test_what_is_finished_needs_nothing(tmp_path, monkeypatch):
    first = runner(tmp_path, grid("D2", "Random")).run()
    memory_is(monkeypatch, 0)
    assert [row.fingerprint for row in runner(tmp_path, grid("D2", "Random")).run()] == [
        row.fingerprint for row in first
    ]
    with pytest.raises(UsageError, match="D2 needs about"):
        runner(tmp_path, grid("D2", "Random", fractions=(0.2, 0.5))).run()


def test_the_command_line_refuses_with_status_2_and_a_dry_run_says_so(call, tmp_path, monkeypatch):
    memory_is(monkeypatch, 1 << 20)
    argv = ("--selection", "CLD", "Glister", "--num_exp", "1", "--epochs", "3", "--signals", "needed")
    status, out, err = call(*argv)
    assert (status, out) == (2, "")
    assert "CLD needs about " in err
    assert "of memory, 1.05 MB are free: leave CLD out, or run where there is more" in err
    assert not list(tmp_path.glob("runs/*/*"))
    status, out, _ = call(*argv, "--dry_run")
    assert status == 0
    assert [line.split(" needs about")[0] for line in out.splitlines() if "MB are free: " in line] == [
        "this would be refused: CLD",
        "this would be refused: Glister",
    ]
    memory_is(monkeypatch, 1 << 40)
    _, out, _ = call(*argv, "--dry_run")
    (line,) = [line for line in out.splitlines() if line.startswith("memory: ")]
    assert line.endswith("MB of memory, 1.1 TB are free")
    assert "refused" not in out


def test_a_disk_that_is_too_small_is_refused(tmp_path, monkeypatch):
    data = images()
    spec = grid("CLD", seeds=(0, 1))
    n, q, width = 72, 18, preflight.head_width(runner(tmp_path, spec, data).plan)
    # 6 online trajectories and 1 post_epoch of the candidates, 1 of the validation rows; logits and features;
    # the weights of 64 inputs, the hidden layer and 3 classes
    weights = (64 + 1) * width + (width + 1) * 3
    size = 2 * 4 * ((7 * n + q) * 5 + (n + q) * (3 + width) + weights)
    monkeypatch.setattr(preflight, "free_disk", lambda folder: size - 1)
    with pytest.raises(
        UsageError, match=r"recording 2 proxy runs needs about .* of disk, .*--signals needed"
    ):
        runner(tmp_path, spec, data).run()
    monkeypatch.setattr(preflight, "free_disk", lambda folder: size)
    assert {row.status for row in runner(tmp_path, spec, data).run()} == {"ok"}
    files = [*tmp_path.glob("proxies/*/*.npy"), *tmp_path.glob("proxies/*/weights.npz")]
    written = sum(path.stat().st_size for path in files)
    assert size < written < size + 128 * 2 * (8 + 4) + 2 * 4 * 512  # headers of 128 bytes, more in an .npz
    monkeypatch.setattr(preflight, "free_disk", lambda folder: 0)  # what is stored needs none
    assert runner(tmp_path, grid("CLD", "AUM", seeds=(0, 1)), data).run()


@pytest.mark.parametrize(
    ("text", "everything"),
    [
        *(("Herding", False), ("Herding", True), ("CLD", False), ("AUM", False), ("D2", False)),
        *(("EL2N:repeats=2,epochs=2", False), ("AUM:extrapolate=0.5", False), ("TAP", False)),
    ],
)
def test_a_dry_run_counts_the_passes_that_the_proxy_run_makes(tmp_path, text, everything):
    harness = runner(tmp_path, grid(text, everything=everything))
    (row,) = harness.run()
    assert row.status == "ok", row.error
    planned = [proxy_passes(task) for task in harness.plan.proxies_of(harness.plan.cells)]
    counted = [row.passes[part] for part in ("proxy", "repeats") if part in row.passes]
    repeated = [sum(passes) for passes in zip(*planned, strict=True)]
    assert repeated[0] == sum(passes["train"] for passes in counted)
    assert sum(repeated) == sum(sum(passes.values()) for passes in counted)


def test_a_dry_run_of_herding_by_hand(tmp_path):
    """1,292 digits and 145 validation rows: no row 0, three validations, one pass for the features."""
    spec = grid("Herding", proxy=short(epochs=2), everything=False)
    harness = runner(tmp_path, dataclasses.replace(spec, val_fraction=0.1), load("Digits"))
    (task,) = harness.plan.proxies.values()
    assert proxy_passes(task) == (2 * 1292, 1292 + 3 * 145)


def test_what_is_written_of_an_unfinished_run_is_not_counted_again(tmp_path):
    data, spec = images(rows=9000), grid("CLD")
    harness = runner(tmp_path, spec, data)
    (whole,) = proxy_states(harness.plan, harness.runtime, harness.pending())
    proxy_of(harness, 0)
    (folder,) = tmp_path.glob("proxies/*")
    (folder / "done.json").unlink()
    (plan,) = proxy_states(harness.plan, harness.runtime, harness.pending())
    assert (whole.state, plan.state) == ("to train", "to resume")
    assert plan.disk < whole.disk / 10


def test_a_gpu_s_memory_is_counted_apart(tmp_path, monkeypatch):
    harness = runner(tmp_path, grid("D2", "Random"))
    harness.runtime = dataclasses.replace(harness.runtime, device=CUDA)
    memory_is(monkeypatch, 1 << 40, gpu=1000)
    found = list(needs(harness.plan, harness.runtime, harness.pending(), []))
    assert [(need.what, need.place, need.fits) for need in found] == [
        ("D2", "memory", True),
        ("D2", "memory of the GPU", False),
        ("Random", "memory", True),
        ("Random", "memory of the GPU", True),
    ]
    on_gpu = found[1].needed
    harness.runtime = dataclasses.replace(harness.runtime, device=CPU)
    assert (
        next(needs(harness.plan, harness.runtime, harness.pending(), [])).needed == found[0].needed + on_gpu
    )


GPUS = tuple(torch.device(f"cuda:{i}") for i in range(4))


@pytest.fixture
def on_gpus(tmp_path, monkeypatch):
    """`check_resources` of D2, which needs `need` bytes of a GPU, on four GPUs with so much free memory."""
    harness = runner(tmp_path, grid("D2"))
    runtime = dataclasses.replace(harness.runtime, device=GPUS[0], devices=GPUS)
    free = dict.fromkeys(GPUS, 0)
    monkeypatch.setattr(preflight, "available_memory", lambda d: free.get(d, 1 << 40))
    need = next(n for n in needs(harness.plan, runtime, harness.pending(), []) if "GPU" in n.place).needed

    def check(*available, jobs, devices=GPUS):
        free.update(zip(GPUS, available, strict=False))
        of = dataclasses.replace(runtime, devices=devices)
        check_resources(harness.plan, of, harness.pending(), [], jobs=jobs)

    return check, need


def test_jobs_share_the_memory_of_the_gpu_that_they_are_on(on_gpus):
    check, need = on_gpus
    check(*[need] * 4, jobs=4)
    check(*[2 * need] * 4, jobs=8)
    check(4 * need, jobs=4, devices=())
    refused = "at once: D2 needs about .* of memory of the GPU, .* are free: give fewer --jobs"
    with pytest.raises(UsageError, match=f"5 {refused}"):
        check(*[2 * need - 1] * 4, jobs=5)
    with pytest.raises(UsageError, match=f"4 {refused}"):
        check(4 * need - 1, jobs=4, devices=())


def test_the_gpu_with_the_least_free_memory_counts_where_a_job_is_on_it(on_gpus):
    check, need = on_gpus
    with pytest.raises(UsageError, match=r"4 at once: D2 needs about .* of memory of the GPU"):
        check(*[2 * need] * 3, need - 1, jobs=4)
    check(*[2 * need] * 3, need - 1, jobs=3)  # on the first three
    check(need, 0, 0, 0, jobs=1)


def test_memory_within_a_control_group(tmp_path, monkeypatch):
    monkeypatch.setattr(resources, "CGROUP", tmp_path)
    free = resources.available_memory(CPU)
    assert free > 1 << 20
    for name, text in (("max", "max"), ("current", "700"), ("stat", "anon 5\ninactive_file 200")):
        (tmp_path / f"memory.{name}").write_text(f"{text}\n")
    assert resources.available_memory(CPU) > 1 << 20
    (tmp_path / "memory.max").write_text("1000\n")
    assert resources.available_memory(CPU) == 500
    (tmp_path / "memory").mkdir()
    for name, text in (
        ("limit_in_bytes", "900"),
        ("usage_in_bytes", "700"),
        ("stat", "total_inactive_file 1\n"),
    ):
        (tmp_path / "memory" / f"memory.{name}").write_text(text)
    assert resources.available_memory(CPU) == 201


def test_free_disk_of_a_folder_to_be(tmp_path):
    assert resources.free_disk(Path("/tmp/not/there/yet")) == pytest.approx(
        resources.free_disk(Path("/tmp")), rel=0.05
    )


def test_a_split_holds_validation_rows_of_every_class():
    """What Glister and CLD need of each class need not be checked before: the split sees to it."""
    labels = np.repeat(np.arange(5), (2, 3, 10, 50, 2))
    split = make_split(labels, val_fraction=0.1, seed=0)
    assert set(labels[split.val]) == set(labels[split.train]) == set(range(5))
