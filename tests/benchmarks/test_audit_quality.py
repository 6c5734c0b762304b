"""The benchmark of the audit, on a few digits."""

from __future__ import annotations

import sys

import pytest

from benchmarks import audit_quality, audit_tables


@pytest.fixture
def results(tmp_path, monkeypatch):
    monkeypatch.setattr(audit_quality, "RESULTS", tmp_path / "audit_quality.csv")
    monkeypatch.setattr(audit_quality, "SETTINGS", [(0.0, "none"), (0.1, "uniform"), (0.2, "neighbour")])

    def run(*argv):
        monkeypatch.setattr(sys, "argv", ["audit_quality.py", *argv])
        audit_quality.main()
        return audit_quality.read(audit_quality.RESULTS)

    return run


def test_flips_are_found_and_runs_are_kept(results):
    few = ("digits", "--rows", "400", "--epochs", "20", "--folds", "0", "--seeds")
    rows = results(*few, "0")
    assert len(rows) == 3 * 11
    by_score = {row["score"]: row for row in rows if row["kind"] == "uniform"}
    assert float(by_score["loss"]["wrong"]) == pytest.approx(0.1, abs=0.03)
    assert float(by_score["loss"]["auroc"]) > 0.9
    assert float(by_score["loss"]["precision"]) > 0.6
    for name in audit_tables.AUDITS:
        audit = by_score[name]
        assert float(audit["auroc"]) > 0.9
        assert float(audit["low"]) <= float(audit["estimate"]) <= float(audit["high"])
    assert not any(row["auroc"] for row in rows if row["kind"] == "none")
    assert results(*few, "0") == rows  # the same rows again, not twice
    assert len(results(*few, "1")) == 2 * len(rows)
    parts = audit_tables.tables(audit_quality.read(audit_quality.RESULTS))
    assert "2 seeds" in parts["settings"]
    assert parts["quality"].count("| audit of batches") == 1
    assert parts["shares"].count(" of 2 ") == 3 * 2


def test_flips_are_as_many_as_asked_and_to_the_next_class():
    data = audit_quality.loaded("digits", "data", 200)
    noisy, wrong = audit_quality.flipped(data, 0.2, "neighbour", 0)
    assert wrong.sum() == 40
    assert ((noisy.train.labels - data.train.labels)[wrong] % 10 == 1).all()


@pytest.mark.slow
def test_cleanlab_beside_it(results):
    pytest.importorskip("cleanlab")
    rows = results("digits", "--rows", "400", "--epochs", "20", "--folds", "3")
    (row,) = [r for r in rows if r["score"].startswith("cleanlab") and r["kind"] == "uniform"]
    assert row["trainings"] == "3"
    assert float(row["auroc"]) > 0.85
