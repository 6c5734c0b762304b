"""SIGKILL at random times, then the same command: everything ends as if nothing had happened."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import time
from pathlib import Path

import pytest

COMMAND = [
    *("--selection", "CLD", "Forgetting", "Random", "--fraction", "0.05", "0.2", "--num_exp", "2"),
    *("--epochs", "10", "--output", "csv", "--save_path", "runs"),
]
RUN_TO_RUN = {"measured", "provenance", "costs"}  # times, memory, machine
WITH_TIMES = {"report", "costs"}  # the page, and a table


def command(folder: str, jobs: int = 1) -> None:
    """The command in a process of its own; its table goes to a file."""
    import sys

    import torch

    import main

    torch.set_num_threads(1)
    os.chdir(folder)
    with open("errors.txt", "a") as sys.stderr, open("table.csv", "w") as sys.stdout:
        status = main.main([*COMMAND, "--jobs", str(jobs)])
    os._exit(status)


def contents(folder: Path) -> dict[str, object]:
    """Every file under the run folder and the table, apart from what differs from run to run."""
    found = {"table": (folder / "table.csv").read_text()}
    for path in sorted((folder / "runs").rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_dir() or path.name in (".lock", ".workers.lock", ".report.lock"):
            continue
        if path.stem in WITH_TIMES:
            found[name] = None
        elif path.suffix == ".json" and path.parent.name != "tables":
            value = json.loads(path.read_text())
            passes = value.get("costs", {}).get("passes")
            found[name] = {k: v for k, v in value.items() if k not in RUN_TO_RUN} | {"counted": passes}
        else:
            found[name] = path.read_bytes()
    return found


@pytest.fixture(scope="module")
def server():
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        [
            "main",
            "methods",
            "deepcore.experiment.harness",
            "deepcore.report.accuracy_report",
            "deepcore.experiment.dry_run",
            "sklearn.datasets",
            "deepcore.report.run_report",
            "deepcore.report.accuracy_figure",
            "matplotlib.figure",
            "matplotlib.backends.backend_svg",
        ]
    )
    return context


@pytest.fixture(scope="module")
def undisturbed(server, tmp_path_factory):
    """The folder of a run without kills, and how long it took."""
    first = server.Process(target=int)  # waits for the server's imports
    first.start()
    first.join()
    folder = tmp_path_factory.mktemp("undisturbed")
    start = time.monotonic()
    assert run(server, folder) == 0
    return folder, time.monotonic() - start


def run(server, folder: Path, kill_after: float | None = None) -> int:
    """Exit status of one command, -9 when it was killed after that many seconds."""
    process = server.Process(target=command, args=(str(folder),))
    process.start()
    process.join(kill_after)
    if process.is_alive():
        os.kill(process.pid, signal.SIGKILL)
        process.join()
    return process.exitcode


def kill_and_compare(server, undisturbed, tmp_path, kills: int, seed: int) -> None:
    reference, seconds = undisturbed
    expected = contents(reference)
    rng = random.Random(seed)
    killed = rounds = 0
    while killed < kills:
        folder = tmp_path / f"round{rounds}"
        folder.mkdir()
        for _ in range(4):
            status = run(server, folder, rng.uniform(0.05, 0.35) * seconds)
            assert status in (0, -signal.SIGKILL), (folder / "errors.txt").read_text()
            killed += status == -signal.SIGKILL
        (folder / "runs" / "rows").mkdir(parents=True, exist_ok=True)
        (folder / "runs" / "rows" / ".a.json.123.tmp").write_text("{")  # half written by a killed process
        assert run(server, folder) == 0, (folder / "errors.txt").read_text()
        found = contents(folder)
        assert found.keys() == expected.keys()
        different = [name for name in expected if found[name] != expected[name]]
        assert not different
        rounds += 1


def test_a_killed_command_ends_like_an_undisturbed_one(server, undisturbed, tmp_path):
    kill_and_compare(server, undisturbed, tmp_path, kills=4, seed=0)


def children(pid: int) -> list[int]:
    """The processes that `pid` started and that live."""
    try:
        return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def wait_until_gone(pids: list[int]) -> None:
    for _ in range(100):
        alive = [pid for pid in pids if Path(f"/proc/{pid}").exists() and not is_zombie(pid)]
        if not alive:
            return
        time.sleep(0.1)
    raise AssertionError(f"still there: {alive}")


def is_zombie(pid: int) -> bool:
    try:
        return ") Z" in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True


@pytest.mark.slow
def test_kills_of_the_parent_or_of_a_worker(server, undisturbed, tmp_path, monkeypatch):
    """25 of them at random times, with two jobs: the final files equal those of one job without kills, no
    process and no temporary folder stays."""
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    context = multiprocessing.get_context("spawn")  # the forkserver has read TMPDIR already
    rng, killed, rounds = random.Random(2), {"parent": 0, "worker": 0}, 0
    expected = contents(undisturbed[0])
    start = time.monotonic()
    assert run_jobs(context, tmp_path / "whole") == 0
    seconds = time.monotonic() - start
    while sum(killed.values()) < 25:
        folder = tmp_path / f"round{rounds}"
        for _ in range(4):
            victim = rng.choice(list(killed))
            status, hit = run_jobs_and_kill(context, folder, victim, rng.uniform(0.2, 0.95) * seconds)
            assert status in ((0, 2) if victim == "worker" else (0, -signal.SIGKILL)), errors(folder)
            killed[victim] += hit
            assert not list((tmp_path / "temporary").glob("deepcore-*"))
        assert run_jobs(context, folder) == 0, errors(folder)
        found = contents(folder)
        assert found.keys() == expected.keys()
        assert [name for name in expected if found[name] != expected[name]] == []
        rounds += 1
    assert min(killed.values()) >= 5, killed


def errors(folder: Path) -> str:
    return (folder / "errors.txt").read_text()


def run_jobs(context, folder: Path) -> int:
    folder.mkdir(exist_ok=True)
    process = context.Process(target=command, args=(str(folder), 2))
    process.start()
    process.join()
    return process.exitcode


def run_jobs_and_kill(context, folder: Path, victim: str, after: float) -> tuple[int, bool]:
    """The exit status of a command with two jobs, and whether its parent or a worker of it was killed."""
    folder.mkdir(exist_ok=True)
    process = context.Process(target=command, args=(str(folder), 2))
    process.start()
    process.join(after)
    workers = children(process.pid)
    targets = [process.pid] if victim == "parent" else workers
    hit = process.is_alive() and bool(targets)
    if hit:
        os.kill(random.Random(after).choice(targets), signal.SIGKILL)
    process.join(120)
    assert process.exitcode is not None, "it hangs"
    wait_until_gone(workers)
    return process.exitcode, hit


@pytest.mark.slow
def test_twenty_kills(server, undisturbed, tmp_path):
    kill_and_compare(server, undisturbed, tmp_path, kills=20, seed=1)


def test_a_second_process_waits_for_the_first(server, undisturbed, tmp_path):
    processes = [server.Process(target=command, args=(str(tmp_path),)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    assert "is held by process" in (tmp_path / "errors.txt").read_text()
    assert contents(tmp_path) == contents(undisturbed[0])
