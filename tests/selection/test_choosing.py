"""From a log to a selection in one call, and from a selection to other people's data sets."""

from __future__ import annotations

import dataclasses
import sys

import numpy as np
import pytest
import torch
from helpers import full_run, labels_of

import deepcore
import methods
from deepcore.common.checks import UsageError
from deepcore.proxy.run import ProxyRun
from deepcore.selection.budget import Budget
from deepcore.selection.selection import Selection
from methods.aum import AUM
from methods.cld import CLD
from methods.dual import DUAL
from methods.ltc import LTC
from methods.random import Random

N, C = 60, 3
RNG = np.random.default_rng(0)
LABELS = np.arange(N) % C
LOSSES, VAL = RNG.exponential(1, (8, N)), RNG.exponential(1, (8, 9))
NAMES = np.array([f"n{i:02}" for i in RNG.permutation(N)])


def run_of(**fields: object) -> ProxyRun:
    return ProxyRun.from_losses(LOSSES, LABELS, VAL, np.arange(9) % C, **fields)


def test_the_size_in_three_ways():
    run = run_of()
    assert len(deepcore.select(run, CLD(), fraction=0.1).rows) == 6
    assert len(deepcore.select(run, CLD(), size=7).rows) == 7
    chosen = deepcore.select(run, CLD(), per_class=4)
    np.testing.assert_array_equal(np.bincount(LABELS[chosen.rows]), [4, 4, 4])
    scores = CLD().score(run)
    for c in range(C):
        best = np.flatnonzero(c == LABELS)[np.argsort(-scores[c == LABELS], kind="stable")[:4]]
        assert set(best) <= set(chosen.rows)
    np.testing.assert_array_equal(chosen.scores, scores)
    for wrong in ({}, {"fraction": 0.1, "size": 3}):
        with pytest.raises(UsageError, match="as one of fraction, size and per_class"):
            deepcore.select(run, CLD(), **wrong)
    with pytest.raises(UsageError, match="size is 61: there are 60 rows"):
        deepcore.select(run, CLD(), size=61)
    with pytest.raises(UsageError, match="per_class is 0"):
        deepcore.select(run, CLD(), per_class=0)
    free = ProxyRun.from_losses(LOSSES, None, VAL)
    assert len(deepcore.select(free, CLD(), fraction=0.1).rows) == 6
    with pytest.raises(UsageError, match="per_class needs classes"):
        deepcore.select(free, CLD(), per_class=3)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", [n for n, m in methods.METHODS.items() if m.is_selection])
def test_per_class_for_every_method(name):
    run = full_run(labels_of(12, 20, 5), epochs=12)
    chosen = deepcore.select(run, methods.parse(name), per_class=6)
    label_of = dict(zip(run.ids, run.labels, strict=True))
    np.testing.assert_array_equal(np.bincount([label_of[i] for i in chosen.rows]), [6, 6, 5])


def test_the_same_as_the_method_itself_and_as_its_seed():
    run = run_of()
    direct = CLD().select(run, Budget.of(0.2, N), RNG)
    np.testing.assert_array_equal(deepcore.select(run, CLD(), fraction=0.2).rows, direct.rows)
    first, again, other = (deepcore.select(run, Random(), size=9, seed=s).rows for s in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert set(first) != set(other)


def test_what_is_warned_of_is_noted_and_gaps_are_refused():
    chosen = deepcore.select(run_of(), DUAL(), fraction=0.2)
    assert any("epochs=30 is more than the 8 epochs at hand" in note for note in chosen.notes)
    holed = LOSSES.copy()
    holed[2, 5] = np.nan
    run = ProxyRun.from_losses(holed, LABELS, VAL, np.arange(9) % C, missing="nan")
    assert len(deepcore.select(run, CLD(), size=3).rows) == 3
    with pytest.raises(UsageError, match=r"LTC reads complete logs.*CLD, AUM"):
        deepcore.select(run, LTC(), size=3)
    with pytest.raises(UsageError, match="no margin trajectory"):
        deepcore.select(run, AUM(), size=3)


def test_columns_say_id_label_score_and_rank():
    run = run_of(ids=NAMES)
    chosen = deepcore.select(run, CLD(), size=5)
    columns = chosen.columns()
    assert list(columns) == ["id", "label", "score", "rank"]
    scores = CLD().score(run)
    for i, label, score in zip(columns["id"], columns["label"], columns["score"], strict=True):
        place = NAMES.tolist().index(i)
        assert (label, score) == (LABELS[place], scores[place])
    assert list(columns["rank"]) == [1, 2, 3, 4, 5]
    weighted = Selection(np.array([4, 2]), np.array([1.0, 2.0]))
    assert list(weighted.columns()) == ["id", "rank", "weight"]
    named = ProxyRun.from_losses(
        LOSSES, np.array(["a", "b", "c"])[LABELS], VAL, np.array(["a", "b", "c"] * 3)
    )
    assert set(deepcore.select(named, CLD(), per_class=1).columns()["label"]) == {"a", "b", "c"}


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_to_frame(library):
    pytest.importorskip(library)
    chosen = deepcore.select(run_of(), CLD(), size=5)
    frame = chosen.to_frame(library)
    assert frame["id"].to_numpy().tolist() == chosen.rows.tolist()
    with pytest.raises(UsageError, match="unknown library 'spark'"):
        chosen.to_frame("spark")


def test_a_library_that_is_missing_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(UsageError, match="polars is not installed: pip install polars"):
        deepcore.select(run_of(), CLD(), size=5).to_frame("polars")


class Squares(torch.utils.data.Dataset):
    def __len__(self):
        return N

    def __getitem__(self, i):
        return i * i


def test_apply_gives_the_same_kind_of_thing():
    chosen = deepcore.select(run_of(), CLD(), size=5)
    rows = chosen.rows
    subset = chosen.apply(Squares())
    assert isinstance(subset, torch.utils.data.Subset)
    assert [subset[i] for i in range(5)] == (rows**2).tolist()
    x = np.arange(N) * 3
    np.testing.assert_array_equal(chosen.apply(x), rows * 3)
    torch.testing.assert_close(chosen.apply(torch.from_numpy(x)), torch.from_numpy(rows * 3))
    both = chosen.apply((x, {"a": x.tolist()}))
    np.testing.assert_array_equal(both[0], rows * 3)
    assert both[1] == {"a": (rows * 3).tolist()}


@pytest.mark.parametrize("library", ["pandas", "polars", "datasets"])
def test_apply_to_frames_and_hugging_face(library):
    made = pytest.importorskip(library)
    make = made.Dataset.from_dict if library == "datasets" else made.DataFrame
    chosen = deepcore.select(run_of(ids=NAMES), CLD(), size=5)
    order = np.random.default_rng(3).permutation(N)
    frame = make({"name": NAMES[order].tolist(), "value": order.tolist()})
    part = chosen.apply(frame, ids="name")
    assert type(part) is type(frame)
    assert list(part["name"]) == chosen.ids.tolist()
    assert NAMES[np.array(part["value"])].tolist() == chosen.ids.tolist()
    with pytest.raises(UsageError, match="there is no column 'nam' of ids"):
        chosen.apply(frame, ids="nam")
    with pytest.raises(UsageError, match="are text, not row numbers"):
        chosen.apply(frame)
    plain = deepcore.select(run_of(), CLD(), size=5)
    assert list(plain.apply(make({"value": list(range(N))}))["value"]) == plain.rows.tolist()


def test_what_apply_refuses():
    chosen = deepcore.select(run_of(ids=np.arange(N) + 100), CLD(), size=5)
    with pytest.raises(UsageError, match=r"is no row of a data set of 60 .5 such ids.: if ids"):
        chosen.apply(np.arange(N))
    np.testing.assert_array_equal(chosen.apply(np.arange(N), ids=np.arange(N) + 100), chosen.rows - 100)
    with pytest.raises(UsageError, match="59 ids for a data set of 60 rows"):
        chosen.apply(np.arange(N), ids=np.arange(N - 1))
    with pytest.raises(UsageError, match=r"the data set has no row with id \d+ \(5 of 5 chosen ids\)"):
        chosen.apply(np.arange(N), ids=np.arange(N))
    with pytest.raises(UsageError, match="generator has no length"):
        chosen.apply(i for i in range(3))


def test_finished_scores_serve_select():
    run = run_of()
    own = dataclasses.replace(run.log, scores={"CLD": CLD().score(run)})
    finished = dataclasses.replace(run, trajectories={}, val_trajectories={}, log=own)
    np.testing.assert_array_equal(
        deepcore.select(finished, CLD(), per_class=2).rows, deepcore.select(run, CLD(), per_class=2).rows
    )
