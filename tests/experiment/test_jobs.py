"""Trainings side by side: the same bits for any number of jobs, and what becomes of what goes wrong."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from small_grids import CPU, QUIET, grid, runner
from tiny import images, short

import methods
from deepcore.common.files import locked
from deepcore.common.pools import LokyPool, SerialPool, WorkerLost
from deepcore.experiment import tasks
from deepcore.experiment.harness import PRELOAD, Harness
from deepcore.experiment.jobs import jobs_that_pay
from deepcore.experiment.preflight import proxy_states
from deepcore.experiment.waiting import Waiting
from deepcore.nets.networks import NETS, Net
from deepcore.proxy.signals import Signal

ROOT = Path(__file__).resolve().parents[2]
SELECTION = (
    *("CLD", "Random", "TDDS", "D2", "EL2N:repeats=2,epochs=2", "Full", "CCS", "CCS:beta=0.3"),
    *("TAP", "AUM:extrapolate=0.5", "SloCurv", "CRAIG"),
)


def contents(folder: Path) -> dict[str, object]:
    """Every file of an experiment but its lock: bytes, without what differs between two runs."""
    found: dict[str, object] = {}
    for path in sorted(p for part in ("rows", "selections", "proxies") for p in (folder / part).rglob("*")):
        if path.is_dir():
            continue
        name = str(path.relative_to(folder))
        found[name] = path.read_bytes()
        if path.suffix == ".json":
            value = json.loads(found[name])
            for part in ("measured", "provenance"):
                value.pop(part, None)
            for part in ("seconds", "peak_bytes"):
                value.get("costs", {}).pop(part, None)
            found[name] = value
    return found


class Kept:
    """A pool that several tests use one after the other: `close` leaves its workers alive."""

    is_here = is_far = False

    def __init__(self, pool):
        self.slots, self.share, self.submit = pool.slots, pool.share, pool.submit

    def close(self):
        pass


@pytest.fixture(scope="module")
def kept():
    """Two workers, started once; `jobs=2` alone starts its own."""
    pool = LokyPool(2, PRELOAD)
    yield Kept(pool)
    pool.close()


def test_rows_and_files_are_the_same_bits_for_any_number_of_jobs(tmp_path):
    spec = grid(*SELECTION, seeds=(0, 1), fractions=(0.1, 0.3))
    data = images(augment=True)
    one = runner(tmp_path / "one", spec, data, jobs=1).run()
    two = runner(tmp_path / "two", spec, data, jobs=2).run()
    assert [row.content() for row in two] == [row.content() for row in one]
    assert len(one) == 2 * (11 * 2 + 1)
    first, second = contents(tmp_path / "one"), contents(tmp_path / "two")
    assert first.keys() == second.keys()
    assert first == second
    assert {path.name for path in (tmp_path / "two").iterdir()} == {
        *("proxies", "selections", "rows", ".lock", ".workers.lock", ".report.lock"),
    }


@pytest.mark.parametrize("net", ["MLP", "ResNet9"])
def test_a_proxy_run_recorded_beside_the_next_epoch_is_the_same_run(tmp_path, net):
    """Every signal in both modes, KL_STEP's logits of the checkpoint before among them."""
    from deepcore.data.split import make_split
    from deepcore.proxy.engine import obtain_proxy
    from deepcore.proxy.recording import Recording
    from deepcore.proxy.signals import FINAL, TRAJECTORIES
    from deepcore.proxy.spec import ProxySpec

    data = images(rows=45, augment=True)
    split = make_split(data.train.labels, val_fraction=0.2, seed=0)
    every = frozenset(TRAJECTORIES)
    recording = Recording(every, every, every, frozenset(FINAL))
    spec = ProxySpec(data.name, data.fingerprint, net, short(epochs=3), 0.2, 0)
    runs = [
        obtain_proxy(tmp_path / name, data, split, spec, recording, device=CPU, overlapped=overlapped)
        for name, overlapped in (("now", False), ("beside", True))
    ]
    now, beside = (contents_of_run(run.folder) for run in runs)
    assert now == beside
    assert Signal.KL_STEP in {signal for _, signal in runs[1].trajectories}
    assert runs[0].costs["passes"] == runs[1].costs["passes"]


def test_the_first_epoch_is_compared_with_row_0_however_late_it_comes(tmp_path, monkeypatch):
    """Row 0 is recorded beside the first epoch, whose KL_STEP starts from its logits."""
    from deepcore.proxy import recorder

    alone = tiny_proxy(tmp_path / "now", overlapped=False)
    monkeypatch.setattr(recorder, "BUFFER", 60)  # logits of twenty rows: signals several times an epoch
    record = recorder.Recorder._record_initial
    monkeypatch.setattr(
        recorder.Recorder, "_record_initial", lambda *given: (time.sleep(0.5), record(*given))
    )
    late = tiny_proxy(tmp_path / "late", overlapped=True)
    np.testing.assert_array_equal(
        late.trajectory(Signal.KL_STEP, "online"), alone.trajectory(Signal.KL_STEP, "online")
    )


def test_an_error_of_row_0_ends_the_training(tmp_path, monkeypatch):
    from deepcore.common.checks import Diverged
    from deepcore.proxy.recorder import Recorder

    def diverged(*given):
        raise Diverged("row 0")

    monkeypatch.setattr(Recorder, "_record_initial", diverged)
    with pytest.raises(Diverged, match="row 0"):
        tiny_proxy(tmp_path, overlapped=True)


def tiny_proxy(folder: Path, *, overlapped: bool):
    """Two epochs with KL_STEP."""
    from deepcore.data.split import make_split
    from deepcore.proxy.engine import obtain_proxy
    from deepcore.proxy.recording import Recording
    from deepcore.proxy.spec import ProxySpec

    data = images(rows=45, augment=True)
    split = make_split(data.train.labels, val_fraction=0.2, seed=0)
    recording = Recording(frozenset({Signal.KL_STEP}), frozenset({Signal.LOSS}), frozenset(), frozenset())
    spec = ProxySpec(data.name, data.fingerprint, "MLP", short(epochs=2), 0.2, 0)
    return obtain_proxy(folder, data, split, spec, recording, device=CPU, overlapped=overlapped)


def contents_of_run(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.np[yz]")}


@pytest.mark.parametrize("stopped_at", [1, 3])
def test_a_stopped_overlapped_run_goes_on_to_the_same_bits(tmp_path, stopped_at):
    from deepcore.data.split import make_split
    from deepcore.proxy.engine import obtain_proxy
    from deepcore.proxy.recording import Recording
    from deepcore.proxy.signals import TRAJECTORIES
    from deepcore.proxy.spec import ProxySpec

    class Stop(Exception):
        pass

    def stop(epoch: int) -> None:
        if epoch == stopped_at:
            raise Stop

    data = images()
    split = make_split(data.train.labels, val_fraction=0.2, seed=0)
    every = frozenset(TRAJECTORIES)
    spec = ProxySpec(data.name, data.fingerprint, "MLP", short(epochs=5), 0.2, 0)
    arguments = (data, split, spec, Recording(every, every))
    whole = obtain_proxy(tmp_path / "whole", *arguments, device=CPU)
    with pytest.raises(Stop):
        obtain_proxy(tmp_path / "stopped", *arguments, device=CPU, overlapped=True, progress=stop)
    resumed = obtain_proxy(tmp_path / "stopped", *arguments, device=CPU, overlapped=True)
    assert contents_of_run(resumed.folder) == contents_of_run(whole.folder)
    assert resumed.costs["passes"] == whole.costs["passes"]


def test_a_proxy_that_diverges_fails_its_rows_and_the_others_go_on(tmp_path, kept):
    spec = grid("CLD", "Random", seeds=(0, 1), proxy=short(lr=1e30, momentum=0.0, nesterov=False))
    pools = {1: None, 2: kept}
    rows = {n: runner(tmp_path / str(n), spec, jobs=n, pool=pool).run() for n, pool in pools.items()}
    for of_jobs in rows.values():
        assert [(row.method, row.status) for row in of_jobs] == [("CLD", "failed"), ("Random", "ok")] * 2
        assert "diverged" in of_jobs[0].error
    assert [row.content() for row in rows[1]] == [row.content() for row in rows[2]]


def test_a_damaged_proxy_ends_the_experiment_and_finished_rows_stay(tmp_path, kept):
    from deepcore.common.checks import StoredMismatch

    spec = grid("CLD", "Random", "Forgetting")
    runner(tmp_path, spec).run()
    (path,) = tmp_path.glob("proxies/*/online_margin.npy")
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    for row in tmp_path.glob("rows/*Forgetting*"):
        row.unlink()
    with pytest.raises(StoredMismatch, match=r"online_margin.npy differs.*delete the folder"):
        runner(tmp_path, grid("CLD", "Random", "Forgetting", "AUM"), jobs=2, pool=kept).run()
    assert len(list(tmp_path.glob("rows/*.json"))) == 2


class TestWaiting:
    """The order of the tasks."""

    def setup(self, tmp_path, *selection, **options):
        harness = runner(tmp_path, grid(*selection, seeds=(0, 1), fractions=(0.1, 0.5), **options))
        states = proxy_states(harness.plan, harness.runtime, harness.plan.cells)
        return harness.plan, [state.task for state in states]

    def test_alone_seed_by_seed_in_the_order_of_the_plan(self, tmp_path):
        plan, proxies = self.setup(tmp_path, "Random", "CLD")
        cells = plan.cells
        waiting = Waiting(cells, proxies, longest_first=False)
        order = []
        while waiting:
            task = waiting.next(seed_by_seed=True)
            order.append(task)
            if task in proxies:
                assert waiting.release(task, failed=False) == []
        assert order == [proxies[0], *cells[:4], proxies[1], *cells[4:]]

    def test_of_one_size_methods_that_select_by_more_than_a_score_come_first(self, tmp_path):
        plan, _ = self.setup(tmp_path, "CLD", "AUM", "D2")
        waiting = Waiting([c for c in plan.cells if c.seed == 0], [], longest_first=True)
        order = [(cell.fraction, cell.method.name) for cell in iter(waiting.next, None)]
        assert order == [(f, name) for f in (0.5, 0.1) for name in ("D2", "CLD", "AUM")]

    def test_side_by_side_proxies_first_then_large_cells_and_none_before_its_proxy(self, tmp_path):
        plan, proxies = self.setup(tmp_path, "CLD", "Full", "EL2N:repeats=2")
        waiting = Waiting(plan.cells, proxies, longest_first=True)
        assert [waiting.next() for _ in proxies] == proxies
        assert waiting.next().method.name == "Full"
        assert waiting.next().method.name == "Full"
        assert waiting.next() is None  # all others wait
        waiting.release(proxies[0], failed=False)
        ready = [waiting.next(), waiting.next()]
        assert [(cell.method.name, cell.fraction, cell.seed) for cell in ready] == [
            ("CLD", 0.5, 0),
            ("CLD", 0.1, 0),
        ]
        assert waiting.next() is None  # EL2N waits for the repeat
        lost = waiting.release(proxies[1], failed=True)
        assert [(cell.method.name, cell.seed) for cell in lost] == [("EL2N", 0)] * 2
        assert bool(waiting)

    def test_runs_that_nobody_reads_any_more_do_not_wait(self, tmp_path):
        plan, proxies = self.setup(tmp_path, "EL2N:repeats=2")
        waiting = Waiting(plan.cells, proxies, longest_first=False)
        assert [(proxy.seed, proxy.which) for proxy in proxies][:2] == [(0, 0), (0, 1)]
        assert waiting.next(seed_by_seed=True) == proxies[0]
        lost = waiting.release(proxies[0], failed=True)
        assert [cell.seed for cell in lost] == [0, 0]
        assert waiting.next(seed_by_seed=True) == next(proxy for proxy in proxies if proxy.seed == 1)

    def test_a_run_is_recorded_beside_its_training_where_workers_would_wait_for_it(self, tmp_path):
        plan, proxies = self.setup(tmp_path, "CLD", "AUM")

        def room(cells, others, slots):
            waiting = Waiting(cells, proxies[:1], longest_first=True)
            assert waiting.next() == proxies[0]
            return waiting.leaves_room(proxies[0], others, slots)

        first = [cell for cell in plan.cells if cell.seed == 0]
        assert room(first, others=0, slots=2)
        assert not room(first, others=1, slots=2)  # another run takes the second worker
        assert room(first, others=1, slots=3)
        waiting = Waiting(plan.cells, proxies, longest_first=True)
        waiting.next()
        assert not waiting.leaves_room(proxies[0], 0, 2)  # the other seed's will
        ready = [dataclasses.replace(cell, method=methods.parse("Random")) for cell in plan.cells]
        assert not room([*first, *ready], others=0, slots=2)  # there is enough to do


def test_how_many_jobs_pay(tmp_path, monkeypatch):
    monkeypatch.setattr("deepcore.experiment.jobs.cores", lambda: 2)
    long = short(epochs=2000)

    def of(*selection, net="MLP", target=long, side=8, **options):
        spec = grid(*selection, nets=(net,), target=target, proxy=target, **options)
        plan = runner(tmp_path, spec, images(side=side)).plan
        return jobs_that_pay(plan, plan.cells, plan.proxies_of(plan.cells))

    assert of("CLD", "Random") == 2
    assert of("CLD", "Random", target=short()) == 1  # over before a worker has started
    assert of("Random") == 1  # nothing beside it
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert of("CLD", "Random", net="ResNet9", side=32) == 1  # takes both cores by itself
    finally:
        torch.set_num_threads(threads)
    torch.set_num_threads(1)
    try:
        assert of("CLD", "Random", net="ResNet9", side=32) == 2
    finally:
        torch.set_num_threads(threads)


def test_memory_is_asked_for_as_many_as_run_at_once(tmp_path, monkeypatch):
    from deepcore.common.checks import UsageError
    from deepcore.experiment import preflight

    harness = runner(tmp_path, grid("Random"), jobs=2, pool=FakePool(2))
    needed = max(
        need.needed for need in preflight.needs(harness.plan, harness.runtime, harness.plan.cells, [])
    )
    monkeypatch.setattr(preflight, "available_memory", lambda device: int(1.5 * needed))
    with pytest.raises(UsageError, match=r"2 at once: Random needs about .* give fewer --jobs"):
        harness.run()
    assert runner(tmp_path, grid("Random")).run()[0].status == "ok"


class FakePool(SerialPool):
    """This process, pretending to be several workers."""

    is_here = False

    def __init__(self, slots):
        self.slots, self.closed = slots, False

    def close(self):
        self.closed = True


def test_a_pool_that_was_given_is_closed_whatever_happens(tmp_path):
    pool = FakePool(2)
    runner(tmp_path / "a", grid("Random", seeds=(0, 1)), jobs=2, pool=pool).run()
    assert pool.closed
    pool = FakePool(2)
    (tmp_path / "b").write_text("a file")
    with pytest.raises(ValueError, match="folder"):
        runner(tmp_path / "b", grid("Random"), jobs=2, pool=pool).run()
    assert pool.closed


def test_each_worker_claims_a_device_until_it_ends(tmp_path, monkeypatch):
    held: list = []
    monkeypatch.setattr(tasks, "_HELD", held)
    devices = (torch.device("cuda:0"), torch.device("cuda:1"))

    def worker() -> str:  # a lock is of an open file: another worker of this process does for one
        return str(tasks.claimed_device.__wrapped__(tmp_path, devices, "key"))

    assert [worker(), worker(), worker()] == ["cuda:0", "cuda:1", "cuda:0"]
    held[1].close()  # the second worker ends
    assert worker() == "cuda:1"
    for handle in held:
        handle.close()


def die(value, folder):
    Path(folder, "begun").touch()
    os.kill(os.getpid(), signal.SIGKILL)


def double(value, factor):
    return value * factor


def test_a_killed_worker_is_told_and_nothing_is_left_behind(tmp_path):
    pool = LokyPool(1)
    handle = pool.share(21)
    assert pool.submit(double, handle, 2).result() == 42
    with pytest.raises(WorkerLost, match=r"a worker process was killed.*the same command goes on"):
        pool.submit(die, handle, str(tmp_path)).result()
    with pytest.raises(WorkerLost):
        pool.submit(double, handle, 2).result()
    pool.close()
    assert not Path(handle).exists()
    assert not Path(handle).parent.exists()


def test_the_second_command_says_who_holds_the_folder(tmp_path):
    code = (
        "import sys, pathlib; sys.path.insert(0, sys.argv[1])\n"
        "from deepcore.common.files import locked\n"
        "with locked(pathlib.Path(sys.argv[2])): print('held', flush=True)\n"
    )
    with locked(tmp_path):
        since = json.loads((tmp_path / ".lock").read_text())["since"]
        command = [sys.executable, "-c", code, str(ROOT), str(tmp_path)]
        second = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        line = second.stderr.readline()
    out, _ = second.communicate(timeout=60)
    assert out == "held\n"
    assert line.startswith(f"waiting: {tmp_path} is held by process {os.getpid()} on ")
    assert f"since {since} (" in line


def test_a_user_s_own_method_reaches_the_workers(tmp_path, kept):
    from small_grids import Breaks

    rows = runner(tmp_path, grid(Breaks(), "Random"), jobs=2, pool=kept).run()
    assert [row.status for row in rows] == ["failed", "ok"]
    assert "RuntimeError" in rows[0].error
    np.testing.assert_equal(dataclasses.asdict(rows[1])["k"], 14)


def test_a_pool_is_not_needed_for_what_is_finished(tmp_path, monkeypatch):
    spec = grid("Random", "CLD")
    first = runner(tmp_path, spec).run()
    monkeypatch.setattr("deepcore.experiment.harness.LokyPool", None)
    harness = Harness(spec, images(), tmp_path, device=CPU, progress=QUIET, jobs=8)
    assert [row.content() for row in harness.run()] == [row.content() for row in first]


def test_workers_know_the_networks_that_a_script_entered(tmp_path, monkeypatch):
    def linear(shape, num_classes):
        return Net(torch.nn.Flatten(), math.prod(shape), num_classes)

    monkeypatch.setitem(NETS, "Linear", linear)
    spec = grid("Random", seeds=(0, 1), nets=("Linear",))
    with contextlib.closing(LokyPool(2)) as pool:
        rows = runner(tmp_path, spec, jobs=2, pool=pool).run()
    assert [row.status for row in rows] == ["ok", "ok"]
