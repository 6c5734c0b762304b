"""docs/audit.md says what the committed rows say."""

from __future__ import annotations

import pytest

from benchmarks import audit_quality, audit_tables

ROWS = audit_tables.read(audit_tables.RESULTS)
SCORES = {*audit_tables.AUDITS, "AUM", "loss", *audit_quality.VARIANTS, audit_tables.CLEANLAB}


def test_the_page_is_that_of_the_rows(monkeypatch, capsys):
    assert audit_tables.main(["--check"]) == 0, capsys.readouterr().out
    worse = [{**row, "auroc": "0.5"} if row["score"] == "AUM" and row["auroc"] else row for row in ROWS]
    monkeypatch.setattr(audit_tables, "read", lambda path: worse)
    assert audit_tables.main(["--check"]) == 1
    assert "audit.md is out of date" in capsys.readouterr().out


@pytest.mark.parametrize("data", sorted({row["data"] for row in ROWS}))
def test_every_setting_has_every_score(data):
    seeds = {row["seed"] for row in ROWS if row["data"] == data}
    found = {
        (row["seed"], row["kind"], float(row["rate"]), row["score"]) for row in ROWS if row["data"] == data
    }
    wanted = {
        (seed, kind, rate, s) for seed in seeds for rate, kind in audit_quality.SETTINGS for s in SCORES
    }
    assert found == wanted


def test_tables_by_hand():
    def row(seed: str, rate: str, **more: str) -> dict[str, str]:
        kind = "uniform" if rate != "0" else "none"
        fixed = {"data": "D", "rows": "90", "net": "MLP", "epochs": "7", "trainings": "1"}
        empty = dict.fromkeys(("auroc", "precision", "estimate", "low", "high"), "")
        return {**fixed, **empty, "seed": seed, "kind": kind, "rate": rate, **more}

    audit = {"score": "audit of batches", "estimate": "0.1", "low": "0.05", "high": "0.2"}
    rows = [
        row("0", "0.1", wrong="0.12", auroc="0.8", precision="0.5", **audit),
        row("1", "0.1", wrong="0.3", auroc="1", precision="0.7", **audit),
        row("0", "0", wrong="0", **{**audit, "low": "0"}),
    ]
    parts = audit_tables.tables(rows)
    assert parts["settings"] == "- D: 90 candidates, MLP, 7 epochs, 2 seeds"
    (line,) = [text for text in parts["quality"].splitlines() if text.startswith("| audit of batches")]
    assert [cell.strip() for cell in line.split("|")[2:-1]] == ["1", "0.900 / 0.60", "0.900 / 0.60"]
    lines = [
        [c.strip() for c in text.split("|")[1:-1]] for text in parts["shares"].splitlines() if "%" in text
    ]
    assert lines[0][:4] == ["none", "0.0%", "10.0% (0.0% to 20.0%)", "1 of 1"]
    assert lines[1][:4] == ["10% uniform", "21.0%", "10.0% (5.0% to 20.0%)", "1 of 2"]
