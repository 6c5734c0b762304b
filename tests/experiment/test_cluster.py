"""Tasks on a Ray cluster of this machine, and on workers that do not see the experiment's folder."""

from __future__ import annotations

import concurrent.futures
import dataclasses

import pytest
from small_grids import grid, runner
from test_jobs import contents
from tiny import images

from deepcore.common.checks import UsageError
from deepcore.common.pools import RayPool, SerialPool
from deepcore.experiment import far
from deepcore.experiment.far import take_back
from deepcore.experiment.tasks import Done

SELECTION = ("CLD", "Random", "EL2N:repeats=2,epochs=2")


class FarPool(SerialPool):
    """One worker after the other in this process, which does not see the experiment's folder."""

    is_here, is_far = False, True

    def share(self, work):
        return dataclasses.replace(work, key=f"far-{work.key}")  # the token of another key


def test_rows_selections_and_proxies_come_back_from_workers_that_do_not_see_the_folder(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    spec, data = grid(*SELECTION, fractions=(0.2, 0.5)), images()
    here = runner(tmp_path / "here", spec, data).run()
    there = runner(tmp_path / "there", spec, data, jobs=2, pool=FarPool()).run()
    assert [row.content() for row in there] == [row.content() for row in here]
    assert contents(tmp_path / "there") == contents(tmp_path / "here")
    again = runner(tmp_path / "there", spec, data).run()  # all of it is stored
    assert [row.content() for row in again] == [row.content() for row in here]


def test_a_cell_asks_for_its_proxy_run_when_another_worker_trained_it(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    spec, data = grid("CLD"), images()
    runner(tmp_path / "run", grid("Forgetting"), data).run()  # trains the proxy here
    asked = []
    real = far.proxy_files
    monkeypatch.setattr(
        "deepcore.experiment.harness.proxy_files", lambda *args: asked.append(1) or real(*args)
    )
    (row,) = runner(tmp_path / "run", spec, data, jobs=2, pool=FarPool()).run()
    assert (row.status, asked) == ("ok", [1])
    assert len(list(tmp_path.glob("run/proxies/*"))) == 1


class StoppedPool(FarPool):
    """Two workers at once; the disk of the first is full."""

    slots = 2

    def __init__(self):
        self.submitted = 0

    def submit(self, work, *args):
        self.submitted += 1
        if self.submitted > 1:
            return super().submit(work, *args)
        future = concurrent.futures.Future()
        future.set_result(Done(stop=OSError("the disk is full")))
        return future


def test_rows_that_were_finished_beside_a_stop_are_kept(tmp_path, monkeypatch):
    def stopped_first(running, **given):  # finished futures are a set, in no fixed order
        return sorted(running, key=lambda future: future.result().stop is None), set()

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("concurrent.futures.wait", stopped_first)
    spec, data = grid("Random", fractions=(0.2, 0.5)), images()
    with pytest.raises(OSError, match="disk is full"):
        runner(tmp_path / "run", spec, data, jobs=2, pool=StoppedPool()).run()
    assert len(list(tmp_path.glob("run/rows/*.json"))) == 1


def test_each_worker_has_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    made = {far._temporary.__wrapped__("key") for _ in range(2)}  # as two processes would
    assert len(made) == 2
    assert all(folder.is_dir() for folder in made)
    assert far._temporary("key") == far._temporary("key")


@pytest.mark.parametrize("name", ["../x", "elsewhere/x", "rows/../../x"])
def test_a_file_outside_the_experiment_is_not_taken(tmp_path, name):
    with pytest.raises(ValueError, match="no file of an experiment"):
        take_back(tmp_path / "run", {name: b"x"})


@pytest.mark.slow
def test_a_local_ray_with_two_workers_gives_the_same_rows(tmp_path):
    pytest.importorskip("ray")
    spec, data = grid(*SELECTION, seeds=(0, 1)), images()
    here = runner(tmp_path / "here", spec, data).run()
    pool = RayPool("ray", 2)
    there = runner(tmp_path / "there", spec, data, jobs=pool.slots, pool=pool).run()
    assert [row.content() for row in there] == [row.content() for row in here]
    assert contents(tmp_path / "there") == contents(tmp_path / "here")
    assert not list((tmp_path / "there").glob(".shared-*"))


def test_without_ray_or_its_address_there_is_one_sentence(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(UsageError, match=r"--cluster needs Ray: pip install ray, or leave out --cluster"):
        RayPool("ray", 2)
