"""Fixtures that several rooms use."""

from __future__ import annotations

import pytest

import main


@pytest.fixture
def call(tmp_path, monkeypatch, capsys):
    """Run the command line in an empty folder, without a report; returns (status, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def run(*argv):
        try:
            status = main.main([*(str(a) for a in argv), "--report", "false"])
        except SystemExit as stop:
            status = stop.code
        out = capsys.readouterr()
        return status, out.out, out.err

    return run


@pytest.fixture(autouse=True)
def one_job(monkeypatch):
    """A command in a test trains in the test's own process unless it says how many --jobs."""
    import main
    from deepcore.experiment import jobs

    monkeypatch.setattr(main, "early_pool", lambda args: None)
    monkeypatch.setattr(jobs, "cores", lambda: 1)
