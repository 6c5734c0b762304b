"""What is refused before anything is trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pytest
from small_grids import grid, runner
from tiny import images, short

from deepcore.common.checks import UsageError
from deepcore.proxy.signals import Signal
from deepcore.selection.method import ScoreMethod

TOO_SHORT = {
    "CLD": (["--epochs", "2"], "CLD: 2 loss differences per sample, at least 3 are needed"),
    "LTC": (["--epochs", "2"], "LTC: 2 loss differences"),
    "CLD:first=2": (["--epochs", "9"], "CLD:first=2: 2 loss differences"),
    "CLD:every=2": (["--epochs", "5"], "CLD:every=2: 2 loss differences"),  # 0, 2, 4
    "CLD:initial=false": (["--epochs", "3"], "CLD:initial=False: 2 loss differences"),
    "CLD:record=online": (["--epochs", "3"], "CLD:record=online: 2 loss differences"),
    "TDDS": (["--epochs", "2"], "TDDS looks at windows of epochs and has 2 of them"),
    "DynUnc": (["--epochs", "2"], "DynUnc looks at windows"),
    "DUAL": (["-se", "1"], "DUAL looks at windows of epochs and has 1 of them"),
}


@pytest.mark.parametrize("method", TOO_SHORT)
def test_a_proxy_too_short_is_refused_before_it_is_trained(call, tmp_path, method):
    argv, message = TOO_SHORT[method]
    for extra in ([], ["--dry_run"]):
        status, out, err = call("--selection", "Random", method, "--num_exp", "1", *argv, *extra)
        assert (status, out) == (2, "")
        assert err.startswith("error: ")
        assert len(err.splitlines()) == 1
        assert message in err
    assert not list(tmp_path.rglob("*.json"))


@pytest.mark.parametrize(
    ("method", "epochs"),
    [("CLD", 3), ("CLD:every=2", 6), ("CLD:initial=false", 4), ("CLD:first=3", 9), ("TDDS", 3), ("DUAL", 3)],
)
def test_the_shortest_that_works_runs(tmp_path, method, epochs):
    (row,) = runner(tmp_path, grid(method, proxy=short(epochs=epochs))).run()
    assert (row.status, row.error) == ("ok", "")


def test_the_fields_of_the_fraction_are_those_that_count(tmp_path):
    # at 10% TDDS reads 10 epochs in windows of 5; more than there are is reduced, and said, not refused
    (row,) = runner(tmp_path, grid("TDDS", fractions=(0.1,))).run()
    assert row.status == "ok"
    assert any("is more than the 4 epochs at hand" in note for note in row.notes)


def test_a_subset_that_does_not_fit_the_data_is_refused(tmp_path):
    data = images()
    (tmp_path / "ids.csv").write_text("1\n90\n")
    with pytest.raises(UsageError, match=r"id 90 is no row of the training set .* last row is 89"):
        runner(tmp_path / "a", grid("CLD", f"file:{tmp_path}/ids.csv"), data)
    rows = range(90)
    for seed in (0, 2):
        (tmp_path / f"ids{seed}.csv").write_text("\n".join(map(str, rows)))
    path = f"file:{tmp_path}/ids{{seed}}.csv"
    with pytest.raises(UsageError, match="there is no file for seed 1; seeds with a file: 0, 2"):
        runner(tmp_path / "a", grid("CLD", path, seeds=(0, 1)), data)
    runner(tmp_path / "a", grid("CLD", path, seeds=(0, 2)), data)
    assert not (tmp_path / "a").exists()


def test_the_command_line_refuses_a_subset_of_other_data(call, tmp_path):
    (tmp_path / "ids.csv").write_text("1\n1437\n")
    status, _, err = call("--selection", "CLD", "file:ids.csv", "--num_exp", "1", "--epochs", "3")
    assert status == 2
    assert "id 1437 is no row of the training set" in err
    assert not (tmp_path / "runs").exists()


@dataclass(frozen=True)
class Mistyped(ScoreMethod):
    """A method of the user's that says wrongly which end is kept."""

    name: ClassVar[str] = "Mistyped"

    @property
    def keep(self):
        return "high"

    @property
    def needs(self):
        return super().needs | {Signal.LOSS}

    def score(self, run):
        return run.trajectory(Signal.LOSS, self.mode)[-1]


def test_an_unknown_end_to_keep_is_refused_before_the_proxy_is_trained(tmp_path):
    message = r"unknown keep of Mistyped 'high' \(did you mean highest\?\); valid: highest, lowest, zero"
    with pytest.raises(UsageError, match=message):
        runner(tmp_path / "a", grid(Mistyped()))
    assert not (tmp_path / "a").exists()
