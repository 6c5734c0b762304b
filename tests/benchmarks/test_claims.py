"""The paper's claims: every script runs, and page and figures are made from the committed records."""

from __future__ import annotations

import pytest

from benchmarks import claims, claims_page
from benchmarks.claims import FAILS, HOLDS, UNTOLD

SCRIPTS = claims_page.SCRIPTS


def claim_of(name):
    return next(claim for claim in claims_page.claims() if claim.name == name)


@pytest.mark.slow
@pytest.mark.parametrize("name", SCRIPTS)
def test_quick_runs_is_resumed_and_gives_a_verdict(name, tmp_path, capsys):
    claim = claim_of(name)
    argv = ["--quick", "--save_path", str(tmp_path)]
    assert claims.main(claim, argv) == 0
    first = (tmp_path / f"{name}.csv").read_bytes()
    out = capsys.readouterr().out
    assert any(line.startswith((HOLDS, FAILS, UNTOLD)) for line in out.splitlines())
    assert (tmp_path / f"{name}.png").exists()
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.json")}
    assert claims.main(claim, argv) == 0
    assert (tmp_path / f"{name}.csv").read_bytes() == first
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.json")} == before


@pytest.mark.parametrize("name", SCRIPTS)
def test_full_size_prints_its_command_and_gpu_hours(name, capsys):
    assert claims.main(claim_of(name), ["--full", "--dry_run"]) == 0
    out = capsys.readouterr().out
    assert f"benchmarks/{name}.py --full" in out
    assert "GPU hours" in out


def test_page_and_figures_are_made_from_the_committed_records():
    assert claims_page.main(["--check"]) == 0
