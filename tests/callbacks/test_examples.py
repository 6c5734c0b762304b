"""The examples run as they stand, without a network; each library where it is installed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
NEEDS = {
    "pytorch_loop": (),
    "lightning_digits": ("lightning",),
    "huggingface_text": ("transformers", "accelerate", "datasets"),
    "keras_digits": ("keras",),
    "boosting_digits": ("xgboost", "lightgbm"),
}


def test_every_example_is_listed():
    names = {path.stem for path in EXAMPLES.glob("*.py")}
    assert names == set(NEEDS)
    assert set(re.findall(r"`(\w+)\.py`", (EXAMPLES / "README.md").read_text())) == names


@pytest.mark.parametrize("name", ["lightning_digits", "huggingface_text"])
def test_at_most_five_lines_more_than_a_plain_script(name):
    lines = (EXAMPLES / f"{name}.py").read_text().splitlines()
    assert 1 <= sum(line.endswith("# log") for line in lines) <= 5


def test_a_callback_is_short():
    folder = EXAMPLES.parent / "deepcore" / "callbacks"
    for path in folder.glob("*.py"):
        assert len(path.read_text().splitlines()) <= 100, path


@pytest.mark.slow
@pytest.mark.parametrize("name", NEEDS)
def test_an_example_runs(name, tmp_path):
    os.environ.setdefault("KERAS_BACKEND", "torch")
    for library in NEEDS[name]:
        pytest.importorskip(library)
    offline = {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / f"{name}.py")],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, **offline},
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert re.search(r"\d+ of \d+ (samples|sentences) kept", done.stdout)
