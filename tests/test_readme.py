"""The pages' code runs, the README's transcript is what its command prints, and what pages name exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from rows import rows_of

import main
import methods
from benchmarks import head_to_head
from deepcore.cli import flags, verbs
from deepcore.data.datasets import DATASETS
from deepcore.nets.networks import NETS

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
EXTENDING = (ROOT / "docs" / "extending.md").read_text()
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "benchmarks" / "README.md"]
PAGES += sorted((ROOT / "docs").glob("*.md"))
BEFORE_THE_FIRST_TABLE = 75  # lines of the README: about two screens


@pytest.fixture(autouse=True)
def tables(monkeypatch):
    for table in (methods.METHODS, DATASETS, NETS):
        for name in ("FinalLoss", "Stripes", "Linear"):
            monkeypatch.setitem(table, name, None)
            monkeypatch.delitem(table, name)


def run_block(word: str) -> dict:
    """The names that the block of docs/extending.md with `word` defines, run as a script is."""
    blocks = re.findall(r"```python\n(.*?)```", EXTENDING, re.DOTALL)
    (block,) = [b for b in blocks if word in b]
    scope: dict = {"__name__": "__main__"}
    exec(compile(block, "extending.md", "exec", dont_inherit=True), scope)
    return scope


def test_new_method_data_set_and_net_work_on_the_command_line(tmp_path, capsys):
    for word in ("class FinalLoss", "def stripes", "def linear"):
        run_block(word)
    argv = ["--dataset", "Stripes", "--model", "Linear", "--selection", "FinalLoss:last=2", "--epochs", "3"]
    assert main.main([*argv, "--num_exp", "1", "--save_path", str(tmp_path)]) == 0
    assert "FinalLoss:last=2" in capsys.readouterr().out


def test_the_new_method_is_short():
    (block,) = re.findall(r"```python\n([^`]*?class FinalLoss.*?)```", EXTENDING, re.DOTALL)
    lines = [line for line in block.splitlines() if line and not line.startswith(("from", "import"))]
    assert len(lines) <= 20


def test_a_new_table_renders():
    steps_table = run_block("def steps_table")["steps_table"]
    rows = [*rows_of("CLD", 50, 60, steps=7), *rows_of("Random", 40, steps=1200)]
    assert "| CLD      |      14 |" in steps_table(rows).render("md")
    assert "Random,1200" in steps_table(rows).render("csv")


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
    fixed = [line for line in printed[head:] if line and line[0] not in "[0123456789"]
    assert len(fixed) >= 3
    assert [line for line in said if line in fixed] == fixed
    assert printed[0].split() == out.out.splitlines()[0].split()


def test_the_readme_is_two_screens_before_its_first_table():
    first = next(i for i, line in enumerate(README.splitlines()) if line.startswith("|"))
    assert first <= BEFORE_THE_FIRST_TABLE


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_a_page_names_exist(page):
    text = page.read_text()
    for name in re.findall(r"`((?:methods|deepcore|tests|benchmarks)/[\w./]+)`", text):
        assert (ROOT / name).exists() or name.endswith("NAME.py"), name
    links = re.findall(r"\]\(([^)#:]+)(?:#[\w-]+)?\)", text) + re.findall(r'<img src="([^"]+)"', text)
    for link in links:
        assert (page.parent / link).exists(), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_places_that_a_page_links_to_exist(page):
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    places = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    for place in re.findall(r"\]\(#([\w-]+)\)", page.read_text()):
        assert place in places, place


def verb_parsers():
    """Those of python -m deepcore select, audit, inspect."""
    (verbs_of,) = [action for action in verbs.parser()._actions if action.dest == "verb"]
    return verbs_of.choices.values()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_flags_that_a_page_names_exist(page):
    known = {
        option
        for parser in (flags.parser(), head_to_head.make_parser(), *verb_parsers())
        for action in parser._actions
        for option in action.option_strings
    } | {
        *(
            "--check",
            "--device",
            "--images",
            "--processor_time",
            "--repeats",
            "--resnet",
            "--all",
            "--methods",
            "--quick",
            "--full",
            "--net",
            "--rows",
            "--seeds",
            "--minutes",
            "--only",
            "--cases",
        ),  # other scripts
        *("--standalone", "--nproc_per_node"),  # of torchrun
    }
    for flag in re.findall(r"(?<![\w-])--[a-z_]+(?![\w*-])", page.read_text()):
        assert flag in known or any(k.startswith(flag) for k in known), flag


def test_the_page_on_own_loops_runs_as_printed():
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "own_loop.md").read_text(), re.DOTALL)
    names: dict = {}
    exec("\n".join(blocks[:2]), names)  # tests/logs/test_own_loop_page.py runs the third
    assert len(names["kept"]) == 20
    assert set(names["kept"]) <= set(names["ids"])
    assert names["scores"].shape == (200,)
    assert len(names["half"].rows) == 4
