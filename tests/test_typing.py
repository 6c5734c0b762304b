"""A user's script passes a type checker: the package is marked as typed, its door is understood."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = """
import numpy as np
import deepcore
from methods.cld import CLD

run = deepcore.from_losses(np.zeros((5, 4)), [0, 0, 1, 1], np.zeros((5, 2)), [0, 1])
method: deepcore.CoresetMethod = CLD(first=4)
budget = deepcore.Budget.of(0.5, len(run.ids))
selection: deepcore.Selection = method.select(run, budget, np.random.default_rng(0))
flops: float = deepcore.cost_of(method, deepcore.Scenario.paper()).total_flops
rows: list[int] = selection.rows.tolist()
"""


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("mypy")


def check(cache: Path, script: str) -> subprocess.CompletedProcess:
    path = cache / "user.py"
    path.write_text(script)
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--follow-imports=silent",
        "--cache-dir",
        str(cache),
        str(path),
    ]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT)


@pytest.mark.slow
def test_a_short_script_passes_mypy(cache):
    done = check(cache, SCRIPT)
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_mypy_finds_a_wrong_type(cache):
    done = check(cache, SCRIPT + 'deepcore.Budget.of("a tenth", 4)\n')
    assert done.returncode == 1
    assert 'Argument 1 to "of"' in done.stdout
