"""Worker processes that are copies of their parent."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import types
from pathlib import Path

import torch

from deepcore.common import pools
from deepcore.common.pools import LokyPool
from deepcore.experiment import tasks

ROOT = Path(__file__).resolve().parents[2]
CODE = """
import json, os, sys
sys.path.insert(0, sys.argv[1])
import deepcore.common.pools as pools

def seen(value):
    return os.getppid(), getattr(pools, "mark", None), value

pools.mark = "set before the workers were started"
pool = pools.LokyPool(2, forked=True)
handle = pool.share("shared")
print(json.dumps([os.getpid(), *(pool.submit(seen, handle).result() for _ in range(3))]))
pool.close()
"""


def test_forked_workers_are_copies_of_their_parent():
    command = [sys.executable, "-c", CODE, str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    parent, *seen = json.loads(done.stdout)
    assert seen == [[parent, "set before the workers were started", "shared"]] * 3


def test_the_folder_is_there_only_while_workers_are_that_would_remove_it(monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    pool = LokyPool(1)
    assert list(tmp_path.iterdir()) == []
    path = Path(pool.share("value"))
    assert path.parent.parent == tmp_path
    assert path.parent.stat().st_mode & 0o777 == 0o700
    shutdown, there = pool._executor.shutdown, []
    monkeypatch.setattr(
        pool._executor, "shutdown", lambda **how: (there.extend(tmp_path.iterdir()), shutdown(**how))
    )
    pool.close()
    assert there == []


INTERRUPTED = """
import multiprocessing, os, signal, sys, threading, time
sys.path.insert(0, sys.argv[1])
from deepcore.common.pools import LokyPool

# the system may give a signal to any thread, such as one of a library
threading.Thread(target=time.sleep, args=(60,), daemon=True).start()

signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background
parent = os.getpid()
hits = iter([signal.SIGINT])
os.register_at_fork(before=lambda: os.kill(parent, next(hits, 0)))
try:
    LokyPool(2, forked=True)
except KeyboardInterrupt:
    print("stopped", len(multiprocessing.active_children()))
    sys.stdout.flush()
    os._exit(0)
"""


def test_ctrl_c_while_workers_are_forked_is_neither_lost_nor_printed_and_ends_them():
    command = [sys.executable, "-c", INTERRUPTED, str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr, done.returncode) == ("stopped 0\n", "", 0)


def test_a_worker_whose_parent_is_gone_ends_once_it_has_the_lock(monkeypatch):
    done = []
    monkeypatch.setattr("deepcore.common.pools.os._exit", lambda status: done.append(status))
    pools.end_without_parent()  # no worker
    monkeypatch.setattr("deepcore.common.pools._PARENT", [os.getppid()])
    pools.end_without_parent()
    assert done == []
    monkeypatch.setattr("deepcore.common.pools._PARENT", [2**30])
    pools.end_without_parent()
    assert done == [1]


def test_a_task_in_a_worker_begins_with_the_lock_and_then_looks_for_its_parent(monkeypatch, tmp_path):
    order = []
    monkeypatch.setattr(tasks, "share_lock", lambda folder: order.append("lock"))
    monkeypatch.setattr(tasks, "end_without_parent", lambda: order.append("parent"))
    monkeypatch.setattr(tasks, "run_task", lambda *args, **options: order.append("task") or tasks.Done())
    work = types.SimpleNamespace(threads=torch.get_num_threads(),
                                 runtime=types.SimpleNamespace(folder=tmp_path, devices=()))  # fmt: skip
    tasks.run_in_worker(work, None)
    assert order == ["lock", "parent", "task"]
