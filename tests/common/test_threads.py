"""Threads of torch in Python threads."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# prints how many threads of the operating system a matrix product started in a new Python thread
CODE = """
import os, torch
from deepcore.common.threads import python_threads
torch.set_num_threads(int(os.environ["HERE"]))
a = torch.randn(1000, 1000)
def started():
    before = len(os.listdir("/proc/self/task"))
    a @ a
    return len(os.listdir("/proc/self/task")) - before
with python_threads(1, "beside") as pool:
    print(pool.submit(started).result())
"""


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="counts threads in /proc")
@pytest.mark.parametrize("here", [1, 3])
def test_a_product_in_another_python_thread_takes_as_many_as_here(here):
    env = {**os.environ, "OMP_NUM_THREADS": "2", "HERE": str(here), "PYTHONPATH": str(ROOT)}
    env.pop("OMP_DYNAMIC", None)
    ended = subprocess.run([sys.executable, "-c", CODE], env=env, capture_output=True, text=True, check=True)
    assert int(ended.stdout) == here - 1
