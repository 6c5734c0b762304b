"""The worker processes of image folders: started once, the same tensors, and none left behind."""

import gc
import itertools
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from image_folders import all_rows, load, write_folder

CPU = torch.device("cpu")
ROOT = Path(__file__).resolve().parents[2]


def children() -> set[int]:
    """The worker processes of this one."""
    return {process.pid for process in multiprocessing.active_children()}


def test_workers_live_across_epochs_and_parts_and_end_with_the_data(tmp_path):
    root, before = write_folder(tmp_path), children()
    alone, helped = load(root), load(root, workers=2)
    assert children() == before  # not before they are needed
    ids, seen = np.array([5, 1, 10, 2, 2, 7, 0, 3]), set()
    for epoch in range(3):
        for part in ("train", "test"):
            rows = ids % len(getattr(alone, part))
            seed = epoch if part == "train" else None
            expected = all_rows(getattr(alone, part), rows, 3, seed)
            torch.testing.assert_close(
                all_rows(getattr(helped, part), rows, 3, seed), expected, rtol=0, atol=0
            )
            seen |= children() - before
    assert len(seen) == 2
    assert seen <= children()
    del helped
    gc.collect()
    assert children() == before


def test_a_reading_left_half_way_and_two_at_once_give_what_they_give_alone(tmp_path):
    root = write_folder(tmp_path)
    alone, helped = load(root).train, load(root, workers=2).train
    groups = [np.array([i, (5 * i) % 12]) for i in range(12)]
    expected = list(alone.batches(groups, device=CPU, augment_seed=1))
    for k in (1, 5):
        for _, x in zip(range(k), helped.batches(groups, device=CPU, augment_seed=9), strict=False):
            assert not torch.equal(x, expected[0])
    first = helped.batches(groups, device=CPU, augment_seed=1)
    second = helped.batches(groups[::-1], device=CPU)
    plain = list(alone.batches(groups[::-1], device=CPU))
    for x, y, expected_x, expected_y in zip(first, second, expected, plain, strict=True):
        torch.testing.assert_close(x, expected_x, rtol=0, atol=0)
        torch.testing.assert_close(y, expected_y, rtol=0, atol=0)


def test_workers_that_were_killed_are_an_error_and_then_replaced(tmp_path):
    rows, before = load(write_folder(tmp_path), workers=2).train, children()
    expected = all_rows(rows, np.arange(12), seed=1)
    for pid in children() - before:
        os.kill(pid, signal.SIGKILL)
    with pytest.raises(RuntimeError, match="worker"):
        all_rows(rows, np.arange(12), seed=1)
    torch.testing.assert_close(all_rows(rows, np.arange(12), seed=1), expected, rtol=0, atol=0)


ENDS = """
import contextlib, io, json, multiprocessing, os, signal, sys, time
import main
from deepcore.training import loop

folder, *argv = sys.argv[1:]
endings, ended = ("raise", "ctrl-c", "kill"), {}
with contextlib.redirect_stdout(io.StringIO()):
    main.main([*argv, "--save_path", folder + "/none", "--dry_run"])  # whatever it imports is imported once
for ending in endings:
    if os.fork() == 0:  # each a process of its own from here to its end: torch is imported once
        break
else:
    for _ in endings:
        pid, status = os.wait()
        ended[pid] = os.waitstatus_to_exitcode(status)
    print(json.dumps(ended), flush=True)
    sys.exit()

os.setsid()
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background
os.dup2(os.open(f"{folder}/{ending}.err", os.O_WRONLY | os.O_CREAT), 2)
real = loop._run_epoch

def watched(*args):
    loss = real(*args)
    workers = [p.pid for p in multiprocessing.active_children()]
    os.write(1, (json.dumps([ending, os.getpid(), workers]) + "\\n").encode())
    if ending == "raise":
        raise OSError("the disk is gone")
    time.sleep(60)

loop._run_epoch = watched
sys.exit(main.main([*argv, "--save_path", f"{folder}/{ending}"]))
"""


def test_no_process_stays_behind_whatever_ends_the_run(tmp_path):
    write_folder(tmp_path / "data", per_class=10)
    argv = [
        *("--dataset", "ImageFolder", "--data_path", str(tmp_path / "data"), "--image_size", "16"),
        *("--workers", "2", "--model", "MLP", "--selection", "Random", "--num_exp", "1", "--gpu", "-1"),
    ]
    command = [sys.executable, "-c", ENDS, str(tmp_path), *argv]
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}  # a process with one can be forked
    running = subprocess.Popen(command, cwd=ROOT, env=one_thread, stdout=subprocess.PIPE, text=True)
    pids, workers = {}, {}
    for _ in range(3):
        ending, pids[ending], workers[ending] = json.loads(running.stdout.readline())
        assert len(workers[ending]) == 2
        if ending == "ctrl-c":
            os.killpg(pids[ending], signal.SIGINT)  # a terminal sends it to all of them
        elif ending == "kill":
            os.kill(pids[ending], signal.SIGKILL)
    ended = json.loads(running.communicate(timeout=60)[0])
    said = {ending: (tmp_path / f"{ending}.err").read_text() for ending in pids}
    assert not any("Traceback" in text for text in said.values())
    assert {ending: ended[str(pid)] for ending, pid in pids.items()} == {
        "raise": 2, "ctrl-c": 130, "kill": -signal.SIGKILL,
    }  # fmt: skip
    assert "error: the disk is gone" in said["raise"]
    assert said["ctrl-c"].splitlines()[-1].startswith("stopped; the same command goes on")
    patience = time.monotonic() + 30  # after a kill, workers look for their parent every 5 s
    while any(map(alive, itertools.chain(*workers.values()))) and time.monotonic() < patience:
        time.sleep(0.1)
    for ending, of_run in workers.items():
        assert not any(map(alive, of_run)), ending


def alive(pid: int) -> bool:
    """Whether a process still runs; one that ended and was adopted by an init that never asks does not."""
    try:
        os.kill(pid, 0)
        stat = Path(f"/proc/{pid}/stat")
        return not (stat.exists() and stat.read_text().rsplit(")", 1)[1].split()[0] == "Z")
    except (ProcessLookupError, FileNotFoundError):
        return False
