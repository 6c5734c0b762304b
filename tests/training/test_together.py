"""A training over several processes equals that of one: shares, batch normalisation, outputs, resumption."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from image_folders import all_rows, load, write_folder
from tiny import images

from deepcore.training.distributed import share

CPU = torch.device("cpu")
ROOT = Path(__file__).resolve().parents[2]


def test_three_processes_come_to_what_one_comes_to(tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    env = {
        **os.environ,
        **{"WORLD_SIZE": "3", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)},
        **{"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}", "OMP_NUM_THREADS": "1"},
    }
    command = [sys.executable, str(Path(__file__).with_name("team_checks.py")), str(tmp_path)]
    piped = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command, env=env, start_new_session=True, **piped)
    try:
        out, err = process.communicate(timeout=240)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert (process.returncode, err) == (0, "")
    assert out == "all agree\n" * 3


@pytest.mark.parametrize("size", [1, 2, 3, 7])
@pytest.mark.parametrize("n", [0, 1, 2, 6, 7, 100, 101])
def test_shares_are_even_and_miss_or_repeat_nothing(n, size):
    parts = [share(n, rank, size) for rank in range(size)]
    assert [row for part in parts for row in range(n)[part]] == list(range(n))
    counts = [part.stop - part.start for part in parts]
    assert max(counts) - min(counts) <= 1


@pytest.mark.parametrize("kind", ["memory", "folder", "cache"])
def test_a_share_of_the_rows_has_the_augmentation_of_the_whole(kind, tmp_path):
    if kind == "memory":
        rows = images(rows=12, augment=True).train
    else:
        write_folder(tmp_path / "files")
        rows = load(tmp_path / "files", cache=tmp_path / "cache" if kind == "cache" else None).train
    ids = np.array([7, 0, 11, 7, 3, 5, 2])
    whole = all_rows(rows, ids, seed=4)
    at = [np.array([1, 2]), np.array([], np.int64), np.array([6])]
    parts = list(rows.batches([ids[p] for p in at], device=CPU, augment_seed=4, positions=at))
    assert [len(part) for part in parts] == [2, 0, 1]
    for part, positions in zip(parts, at, strict=True):
        torch.testing.assert_close(part, whole[positions], rtol=0, atol=0)
        assert part.shape[1:] == rows.shape
    assert not torch.equal(next(rows.batches([ids[at[0]]], device=CPU, augment_seed=4)), whole[at[0]])
