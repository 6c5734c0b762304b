"""`torchrun main.py`: the rows, recordings and selections of one process, said and written once."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from archives import write_cifar
from image_folders import write_folder
from rows import ROWS

from deepcore.experiment.rows_csv import to_csv

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slow  # processes that import torch three times over
SAME = {"measured", "provenance"}  # apart from these, the rows are equal


def torchrun(folder: Path, *argv: object, processes: int = 2, **options: object) -> subprocess.Popen:
    """The command line under torchrun, on CPUs."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}"]
    return subprocess.Popen(
        [*command, str(ROOT / "main.py"), *map(str, argv), "--gpu", "-1", "--report", "false"],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def finished(process: subprocess.Popen) -> tuple[int, str, str]:
    """(status, stdout, stderr)"""
    try:
        out, err = process.communicate(timeout=240)
    finally:
        process.kill()
    return process.returncode, out, err


def compare(alone: Path, shared: Path, tolerance: float = 1e-4) -> None:
    """Two experiment folders hold the same: ids and labels exactly, numbers but for rounding."""
    files = {
        folder: sorted(p.relative_to(folder) for part in ("proxies", "selections", "rows")
                       for p in (folder / part).rglob("*") if p.suffix in (".npy", ".npz", ".json"))
        for folder in (alone, shared)
    }  # fmt: skip
    assert files[alone] == files[shared]
    for name in files[alone]:
        if name.suffix == ".json":
            continue
        held = [np.load(folder / name, allow_pickle=False) for folder in (alone, shared)]
        if name.parts[0] == "selections":  # rounding may swap two neighbours in the order
            chosen = [dict(zip(a["ids"].tolist(), a["labels"].tolist(), strict=True)) for a in held]
            assert chosen[0] == chosen[1], name
            continue
        pairs = [held] if name.suffix == ".npy" else [[a[key] for a in held] for key in held[0].files]
        for a, b in pairs:
            if a.dtype.kind == "f":
                np.testing.assert_allclose(b, a, rtol=0, atol=tolerance, err_msg=str(name))
            else:
                np.testing.assert_array_equal(b, a, err_msg=str(name))
    rows = [[json.loads(p.read_text()) for p in sorted(f.glob("rows/*.json"))] for f in (alone, shared)]
    for a, b in zip(*rows, strict=True):
        assert {key: a[key] for key in a.keys() - SAME} == {key: b[key] for key in b.keys() - SAME}
        assert (a["provenance"]["processes"], b["provenance"]["processes"]) == (1, 2)


FLAGS = ("--num_exp", 1, "--epochs", 3, "--fraction", 0.2, "--selection", "CLD", "TDDS", "Random")


def test_two_processes_give_the_row_of_one(tmp_path, call):
    status, out, err = call(*FLAGS, "--save_path", "alone", "--jobs", 1, "--gpu", -1)
    assert status == 0
    shared = finished(torchrun(tmp_path, *FLAGS, "--save_path", "shared"))
    assert shared[0] == 0, shared[2]
    compare(tmp_path / "alone", tmp_path / "shared")
    tables = [text.split("Measured cost")[0] for text in (out, shared[1])]
    assert tables[0] == tables[1]  # printed once
    lines = [line for line in shared[2].splitlines() if line.startswith(("seed", "rows, selections"))]
    assert [line.replace("shared", "alone") for line in lines] == [
        line for line in err.splitlines() if line.startswith(("seed", "rows, selections"))
    ]
    again = finished(torchrun(tmp_path, *FLAGS, "--save_path", "shared"))
    assert again[:2] == (0, shared[1])
    assert "trains" not in again[2]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["CIFAR10", "CIFAR100"])
def test_cifar_runs_end_to_end(tmp_path, call, name):
    write_cifar(tmp_path / "data", name)
    flags = (
        *("--dataset", name, "--data_path", "data", "--model", "ConvNet", "--epochs", 3, "--num_exp", 1),
        *("--fraction", 0.5, "--selection", "CLD", "AUM", "Random", "--lr", 0.001, "--val_fraction", 0.5),
    )
    assert call(*flags, "--save_path", "alone", "--jobs", 1, "--gpu", -1)[0] == 0
    status, _, err = finished(torchrun(tmp_path, *flags, "--save_path", "shared"))
    assert status == 0, err
    compare(tmp_path / "alone", tmp_path / "shared", 1e-3)


@pytest.mark.slow
def test_image_folders_through_a_cache_and_worker_processes(tmp_path, call):
    write_folder(tmp_path / "pets", per_class=20)
    flags = (
        *("--dataset", "ImageFolder", "--data_path", "pets", "--image_size", 16, "--resize", 20),
        *("--cache", "cache", "--workers", 1, "--model", "LeNet", "--epochs", 3, "--num_exp", 1),
        *("--fraction", 0.5, "--selection", "CLD", "Random", "--batch", 16, "--lr", 0.01),
    )
    assert call(*flags, "--save_path", "alone", "--jobs", 1, "--gpu", -1)[0] == 0
    status, _, err = finished(torchrun(tmp_path, *flags, "--save_path", "shared"))
    assert status == 0, err
    compare(tmp_path / "alone", tmp_path / "shared")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--epochs", "three"), "error: argument --epochs: invalid int value: 'three'"),
        (("--dataset", "Cats"), "error: unknown data set 'Cats'"),
        (
            ("--jobs", 2),
            "error: --jobs runs trainings side by side, and torchrun trains one network",
        ),
        (("--epochs", 2, "--selection", "CLD"), "at least 3 are needed"),
    ],
)
def test_what_is_wrong_is_said_once(tmp_path, flags, message):
    status, out, err = finished(torchrun(tmp_path, *flags))
    assert status != 0
    assert out == ""
    assert err.count(message) == 1, err
    assert 'main.py", line' not in err  # a traceback of ours; torchrun always prints its own


@pytest.mark.slow
@pytest.mark.parametrize("flag", ["--list", "--costs", "--dry_run", "--power=rows.csv", "--help"])
def test_what_trains_nothing_is_printed_once(tmp_path, flag):
    (tmp_path / "rows.csv").write_text(to_csv([dataclasses.replace(row, n_test=1000) for row in ROWS]))
    status, out, err = finished(torchrun(tmp_path, flag, "--num_exp", 1))
    assert status == 0, err
    alone = subprocess.run(
        [sys.executable, str(ROOT / "main.py"), flag, "--num_exp", "1", "--gpu", "-1"],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert len(out.splitlines()) == len(alone.splitlines())


LONG = ("--num_exp", 1, "--epochs", 400, "--selection", "CLD", "Random", "--save_path", "long")


@pytest.mark.slow
@pytest.mark.parametrize("end", ["ctrl-c", "kill follower", "kill leader", "interrupt leader"])
def test_the_end_of_one_is_the_end_of_all_and_the_same_command_goes_on(tmp_path, end):
    process = torchrun(tmp_path, *LONG, start_new_session=True)
    patience = time.monotonic() + 120
    while not list(tmp_path.glob("long/proxies/*/state.pt")) and time.monotonic() < patience:
        time.sleep(0.05)
    children = children_of(process.pid)
    ranks = {rank_of(pid): pid for pid in children}
    assert set(ranks) == {"0", "1"}
    if end == "ctrl-c":
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    elif end == "interrupt leader":
        os.kill(ranks["0"], signal.SIGINT)
    else:
        os.kill(ranks["1" if end == "kill follower" else "0"], signal.SIGKILL)
    status, out, err = finished(process)
    assert status != 0
    assert out == ""
    assert not any(alive(pid) for pid in children)
    if "interrupt" in end:
        assert "stopped; the same command goes on from long" in err
    assert not list((tmp_path / "long" / "rows").glob("*.json")), "a lost process is no failed row"
    status, _, err = finished(torchrun(tmp_path, *LONG))
    assert status == 0, err
    assert "proxy MLP resumes" in err


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def rank_of(pid: int) -> str:
    variables = dict(
        v.split("=", 1) for v in Path(f"/proc/{pid}/environ").read_text().split("\0") if "=" in v
    )
    return variables.get("RANK", "")


def alive(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rsplit(")", 1)[1].split()[0] != "Z"
