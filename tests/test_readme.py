"""The README's code runs, and its transcript is what the command prints."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import main
import methods
from benchmarks import head_to_head
from deepcore.cli import flags
from deepcore.data.datasets import DATASETS
from deepcore.nets.networks import NETS

README = (Path(__file__).resolve().parent.parent / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.fixture(autouse=True)
def tables(monkeypatch):
    for table in (methods.METHODS, DATASETS, NETS):
        for name in ("FinalLoss", "Stripes", "Linear"):
            monkeypatch.setitem(table, name, None)
            monkeypatch.delitem(table, name)


def block(word: str) -> str:
    (found,) = [b for b in BLOCKS if word in b]
    return found


def run_block(word: str) -> dict:
    """The names a block defines, run as a script is: without this file's __future__ imports."""
    scope: dict = {"__name__": "__main__"}
    exec(compile(block(word), "README.md", "exec", dont_inherit=True), scope)
    return scope


def test_own_training_loop():
    scope = run_block("LossRecorder")
    assert len(scope["kept"]) == 20
    assert set(scope["kept"]) <= set(scope["ids"])
    assert scope["scores"].shape == (200,)


def test_new_method_data_set_and_net_work_on_the_command_line(tmp_path, capsys):
    lines = block("class FinalLoss").strip().splitlines()
    method_lines = [line for line in lines if line and not line.startswith(("from", "import"))]
    assert len(method_lines) <= 20
    run_block("class FinalLoss")
    run_block("Stripes")
    argv = ["--dataset", "Stripes", "--model", "Linear", "--selection", "FinalLoss:last=2", "--epochs", "3"]
    assert main.main([*argv, "--num_exp", "1", "--save_path", str(tmp_path)]) == 0
    assert "FinalLoss:last=2" in capsys.readouterr().out


def test_the_transcript_is_what_its_command_prints(tmp_path, capsys):
    transcript = re.search(r"```text\n\$ python main\.py (.*?)\n(.*?)```", README, re.DOTALL)
    argv, printed = transcript[1].split(), transcript[2].splitlines()
    assert main.main([*argv, "--save_path", str(tmp_path)]) == 0
    out = capsys.readouterr()
    table = [line for line in printed if re.search(r"±.*\(\d+\)", line)]
    ours = [line for line in out.out.splitlines() if re.search(r"±.*\(\d+\)", line)]
    assert len(table) == len(ours) > 0
    for line, new in zip(table, ours, strict=True):
        assert line.split()[:3] == new.split()[:3]
        # another CPU rounds otherwise; one test image is 0.28 points
        assert float(new.split()[3]) == pytest.approx(float(line.split()[3]), abs=1.5)
    said = out.err.replace(str(tmp_path), "runs").splitlines()
    head = 3 + len(table)  # what is the same in every run of the command follows it
    fixed = [
        line for line in printed[head:] if line and line[0] not in "[0123456789" and "no spread" not in line
    ]
    assert len(fixed) >= 8
    assert [line for line in said if line in fixed] == fixed
    assert printed[0].split() == out.out.splitlines()[0].split()


def test_commands_and_files_that_the_readme_names_exist():
    root = Path(__file__).resolve().parent.parent
    for name in re.findall(r"`((?:methods|deepcore|tests|benchmarks)/[\w./]+)`", README):
        assert (root / name).exists(), name
    known = {
        option
        for parser in (flags.parser(), head_to_head.make_parser())
        for action in parser._actions
        for option in action.option_strings
    }
    for flag in re.findall(r"(?<![\w-])--[a-z_]+(?![\w*])", README):
        assert flag in known or any(k.startswith(flag) for k in known), flag
