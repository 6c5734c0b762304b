"""The fuzzers find what is planted; two minutes of them find nothing here."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.fuzz import commands, mutate, sandbox, values
from tests.fuzz.outcome import Fault, check_command

ROOT = Path(__file__).resolve().parents[2]


def attempt(case: sandbox.Case) -> str:
    """Breaks where "b" and "d" come together, dies of "kill", computes at "hang", waits at "sleep",
    takes memory at "bomb"."""
    if {"b", "d"} <= set(case):
        raise ValueError("planted")
    if "kill" in case:
        import os

        os.kill(os.getpid(), 9)
    while "hang" in case:
        pass
    if "sleep" in case:
        time.sleep(60)
    if "bomb" in case:
        bytearray(1 << 42)
    return "fine"


def fuzzer_of(*cases: sandbox.Case) -> sandbox.Fuzzer:
    class Listed(sandbox.Fuzzer):
        def case(self, seed: int, index: int) -> sandbox.Case:
            return cases[index]

    return Listed("planted", lambda rng: (), attempt, cpu_seconds=0.3)


def tried(*cases: sandbox.Case) -> sandbox.Tally:
    return sandbox.run(
        fuzzer_of(*cases), 0, until=time.monotonic() + 60, most=len(cases), say=lambda line: None
    )


def test_a_fault_is_found_and_made_small():
    tally = tried(("a",), ("a", "b", "c", "d", "e"), ("c",))
    assert tally.counts == {"fine": 2, "fault": 1}
    (fault,) = tally.faults
    assert "planted 1 of seed 0: ('b', 'd')" in fault
    assert "ValueError: planted" in fault


@pytest.mark.parametrize(
    ("piece", "what"), [("kill", "the process died"), ("hang", "Hang"), ("bomb", "MemoryError")]
)
def test_a_death_a_hang_and_a_bomb_are_faults_and_the_next_case_is_tried(piece, what):
    tally = tried(("x", piece), ("y",))
    assert tally.counts == {"fault": 1, "fine": 1}
    assert f"('{piece}',)" in tally.faults[0]
    assert what in tally.faults[0]


@pytest.mark.parametrize("before", [0, 1, 20])
def test_a_case_that_waits_for_ever_is_a_fault(monkeypatch, before):
    """However the lines of the cases before it come together."""
    monkeypatch.setattr(sandbox, "WALL_SECONDS", 0.5)
    tally = tried(*[("y",)] * before, ("sleep",), ("z",))
    assert tally.counts == {"fine": before + 1, "fault": 1}
    assert "it hangs" in tally.faults[0]


def test_cases_are_those_of_the_seed():
    cases = [commands.FUZZER.case(3, i) for i in range(20)]
    assert cases == [commands.FUZZER.case(3, i) for i in range(20)]
    assert len(set(cases)) == 20
    assert cases != [commands.FUZZER.case(4, i) for i in range(20)]


@pytest.mark.parametrize(
    ("status", "out", "err"),
    [
        (1, "", "Traceback (most recent call last)"),
        (1, "", ""),
        (0, "table", "error: but it went on"),
        (2, "", ""),
        (2, "", "error: one\nerror: two"),
        (2, "", "error: set allow_pickle=True"),
        (2, "", "error: " + "x" * 10_000),
        (-9, "", ""),
    ],
)
def test_what_a_command_must_not_do(status, out, err):
    with pytest.raises(Fault):
        check_command(status, out, err)
    assert check_command(2, "", "error: one sentence\n") == "refused"
    assert check_command(1, "table", "failed: CLD of seed 0: it diverged\n") == "failed rows"
    assert check_command(0, "table", "a line\n") == "done"


def test_every_change_of_a_file_can_be_made_and_most_change_it(tmp_path):
    commands.write_data(tmp_path / "data.npz")
    contents = {
        "array": (tmp_path / "data.npz").read_bytes(),
        "line": b"id,loss\n3,0.5\n4,0.25\n",
        "json": b'{"a": [1, 2, {"b": 0.5}], "c": "x"}',
    }
    for form in mutate.FORMS:
        content = contents.get(form, contents["array"])
        found = {mutate.changed(content, ((form, i / 20, i),)) for i in range(20)}
        assert len(found - {content}) > 8, form
        assert mutate.changed(b"", ((form, 0.5, 1),)) is not None


def test_method_strings_reach_every_method_and_field():
    rng = random.Random(0)
    texts = [values.method(rng) for _ in range(1500)]
    assert {text.partition(":")[0] for text in texts} >= {"CLD", "CCS", "D2", "Full@k", "k-Center", "file"}
    assert any("device=" in text for text in texts)
    assert any("strata=" in text for text in texts)


@pytest.mark.slow
def test_two_minutes_of_every_fuzzer():
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", "--minutes", "2", "--seed", "1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    assert done.stdout.count("; 0 faults") == 5
