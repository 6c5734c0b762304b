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
    *("--epochs", "25", "--output", "csv", "--save_path", "runs"),
]
RUN_TO_RUN = {"measured", "provenance", "costs"}  # times, memory, machine
WITH_TIMES = {"report", "costs"}  # the page, and a table


def command(folder: str) -> None:
    """The command in a process of its own; its table goes to a file."""
    import sys

    import torch

    import main

    torch.set_num_threads(1)
    os.chdir(folder)
    with open("errors.txt", "a") as sys.stderr, open("table.csv", "w") as sys.stdout:
        status = main.main(COMMAND)
    os._exit(status)


def contents(folder: Path) -> dict[str, object]:
    """Every file under the run folder and the table, apart from what differs from run to run."""
    found = {"table": (folder / "table.csv").read_text()}
    for path in sorted((folder / "runs").rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_dir() or path.name == ".lock":
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
    folder = tmp_path_factory.mktemp("undisturbed")
    run(server, folder)  # the first child also waits for the server's imports
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
            status = run(server, folder, rng.uniform(0.05, 0.7) * seconds)
            assert status in (0, -signal.SIGKILL), (folder / "errors.txt").read_text()
            killed += status == -signal.SIGKILL
        assert run(server, folder) == 0, (folder / "errors.txt").read_text()
        found = contents(folder)
        assert found.keys() == expected.keys()
        different = [name for name in expected if found[name] != expected[name]]
        assert not different
        rounds += 1


def test_a_killed_command_ends_like_an_undisturbed_one(server, undisturbed, tmp_path):
    kill_and_compare(server, undisturbed, tmp_path, kills=4, seed=0)


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
    assert "waiting for process" in (tmp_path / "errors.txt").read_text()
    assert contents(tmp_path) == contents(undisturbed[0])


def test_half_written_files_of_a_killed_process_are_removed(server, undisturbed, tmp_path):
    leftover = tmp_path / "runs" / "rows" / ".a.json.123.tmp"
    leftover.parent.mkdir(parents=True)
    leftover.write_text("{")
    assert run(server, tmp_path) == 0
    assert not leftover.exists()
    assert contents(tmp_path) == contents(undisturbed[0])
