"""The page that helps to choose."""

from __future__ import annotations

import re

import pytest

import methods
from deepcore.common.checks import UsageError
from deepcore.selection.facts import Facts
from methods import choosing


def test_the_file_says_what_the_classes_say():
    assert choosing.main(["--check"]) == 0, "run python -m methods.choosing"


def test_check_fails_on_an_old_file(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(choosing, "PAGE", tmp_path / "CHOOSING.md")
    assert choosing.main(["--check"]) == 1
    assert choosing.main([]) == 0
    assert choosing.main(["--check"]) == 0
    choosing.PAGE.write_text(choosing.PAGE.read_text() + "x")
    assert choosing.main(["--check"]) == 1
    assert "python -m methods.choosing" in capsys.readouterr().err


def test_every_method_is_there_once():
    names = re.findall(r"^\| ([^|]+) \|", choosing.page(), re.MULTILINE)
    listed = [name for name in names if name != "method"]
    assert sorted(listed) == sorted(name for name, cls in methods.METHODS.items() if cls.is_selection)


def test_what_scoring_passes_through_a_network_is_said():
    for name, cls in methods.METHODS.items():
        reads_weights = "weights" in {signal.value for signal in cls().needs}
        own = cls().own_run is not None
        assert bool(cls.facts and cls.facts.passes) == (reads_weights or own), name


def test_rows_by_hand():
    page = choosing.page()
    assert "| CLD | the highest | loss, loss of Q | 30 | 31 N + 31 Q | - | 14 MB |" in page
    assert "| TAP | the highest | loss | 10, a run of its own on Q | - | 2 N forward |" in page
    assert "| Moderate | its middle | features | 30 | 1 N + 31 Q | - |" in page


def test_families_are_checked():
    with pytest.raises(UsageError, match=r"unknown family 'scores' .did you mean score"):
        Facts("", "", "", "", family="scores")
