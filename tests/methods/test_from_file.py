"""file:PATH: what it reads, what it leaves out, what it refuses."""

from __future__ import annotations

import numpy as np
import pytest

from deepcore.common.checks import UsageError
from deepcore.common.files import write_npz
from deepcore.proxy.run import ProxyRun
from deepcore.selection.budget import Budget
from methods import parse
from methods.from_file import FromFile

VAL = np.array([2, 8])
POOL = np.array([0, 1, 3, 4, 5, 6, 7, 9])


def run_of(seed: int = 0) -> ProxyRun:
    return ProxyRun(
        ids=POOL,
        labels=POOL % 2,
        num_classes=2,
        val_ids=VAL,
        val_labels=VAL % 2,
        spec={"identity": {"seed": seed}},
    )


def select(path, seed: int = 0):
    return parse(f"file:{path}").select(run_of(seed), Budget.of(1.0, 8), np.random.default_rng(0))


@pytest.mark.parametrize(
    "text",
    [
        "5\n0\n9\n",
        "id\n5\n0\n9\n",
        "﻿id\r\n5\r\n0\r\n9\r\n",
        "\n5\n\n 0 \n9",
        "score,id,label\n0.5,5,1\n,0,0\nnan,9,1\n",
        '"label","id"\n"a,b",5\nc,0\nd,9\n',
    ],
)
def test_text_forms(tmp_path, text):
    path = tmp_path / "subset.csv"
    path.write_text(text, newline="")
    selection = select(path)
    np.testing.assert_array_equal(selection.rows, [5, 0, 9])
    assert selection.weights is None
    assert selection.notes == ()


def test_weights(tmp_path):
    write_npz(tmp_path / "a.npz", ids=np.array([5, 2, 0], np.uint16), weights=np.array([1, 7, 3], np.float32))
    (tmp_path / "a.csv").write_text("weight,id\n1,5\n7,2\n3,0\n")
    for name in ("a.npz", "a.csv"):
        selection = select(tmp_path / name)
        np.testing.assert_array_equal(selection.rows, [5, 0])
        np.testing.assert_array_equal(selection.weights, [1.0, 3.0])


def test_validation_rows_are_left_out_and_said(tmp_path):
    path = tmp_path / "subset.csv"
    path.write_text("8\n5\n2\n")
    selection = select(path)
    np.testing.assert_array_equal(selection.rows, [5])
    assert selection.notes == (f"2 of 3 ids of {path} left out: validation rows of this seed",)
    path.write_text("8\n2\n")
    with pytest.raises(UsageError, match="all its 2 ids are validation rows"):
        select(path)


def test_a_changed_file_is_another_method(tmp_path):
    path = tmp_path / "subset.csv"
    path.write_text("1\n3\n")
    method = parse(f"file:{path}")
    before = method.spec()
    assert before["path"] == str(path)
    assert parse(f"file:{path}").spec() == before
    path.write_text("1\n4\n")
    assert parse(f"file:{path}").spec() != before
    assert method.spec() == before  # what it read is what it selects
    rows = method.select(run_of(), Budget.of(1.0, 8), np.random.default_rng(0)).rows
    np.testing.assert_array_equal(rows, [1, 3])


def test_one_file_a_seed(tmp_path):
    for seed in (0, 3, 10):
        (tmp_path / f"seed{seed}").mkdir()
        (tmp_path / f"seed{seed}" / f"ids-{seed}.csv").write_text(f"{seed % 8 + 1}\n")
    (tmp_path / "seed0" / "ids-backup.csv").write_text("not a subset\n")
    path = tmp_path / "seed{seed}" / "ids-{seed}.csv"
    for seed, row in ((0, 1), (3, 4), (10, 3)):
        np.testing.assert_array_equal(select(path, seed).rows, [row])
    with pytest.raises(UsageError, match="no file for seed 1; seeds with a file: 0, 3, 10"):
        select(path, 1)
    before = parse(f"file:{path}").spec()
    assert before == parse(f"file:{path}").spec()
    (tmp_path / "seed3" / "ids-3.csv").write_text("5\n")
    assert parse(f"file:{path}").spec() != before
    with pytest.raises(UsageError, match=r"no such file; \{seed\} is a number, as in .*none0.csv"):
        parse(f"file:{tmp_path}/none{{seed}}.csv")


def test_paths_with_odd_signs(tmp_path):
    path = tmp_path / "a,b=c:[d] {e}.csv"
    path.write_text("1\n")
    np.testing.assert_array_equal(select(path).rows, [1])
    (tmp_path / "a[x]7.csv").write_text("3\n")
    np.testing.assert_array_equal(select(tmp_path / "a[x]{seed}.csv", 7).rows, [3])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "it holds no ids"),
        ("id\n", "it holds no ids"),
        ("1\n10\n", "id 10 is no row of the training set .*last row is 9"),
        ("1\n1\n", "id 1 occurs 2 times"),
        ("1\n-3\n", "id -3 is negative"),
        ("1\n2.5\n", "line 2: '2.5' is not a row number"),
        ("1\n1_0\n", "line 2: '1_0' is not a row number"),
        ("index\n1\n", "line 1: 'index' is not a row number"),
        ("1\n99999999999999999999\n", "line 2: '9+' is not a row number"),
        ("row,label\n1,0\n", "needs a column id; its first line is row, label"),
        ("1,0\n2,0\n", "needs a column id; its first line is 1, 0"),
        ("id,label\n1,0\n3\n", r"line 3 \(3\) has 1 of 2 columns: truncated\?"),
        ("id,weight\n1,2\n3,x\n", "line 3: the weight 'x' is not a number"),
        ("id,weight\n1,2\n3,-1\n", "the weight of id 3 is -1.0"),
        ("id,weight\n1,nan\n", "the weight of id 1 is nan"),
        ("id,weight\n1,0\n", "the weight of id 1 is 0.0"),
        ('id,label\n1,"a\n', "neither an .npz nor a CSV"),
    ],
)
def test_text_refused(tmp_path, text, message):
    path = tmp_path / "subset.csv"
    path.write_text(text)
    with pytest.raises(UsageError, match=message) as error:
        select(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"rows": np.arange(3)}, "no array ids in it, only: rows"),
        ({"ids": np.array([1.0, 2.5])}, "ids are float64 such as 1.0"),
        (
            {"ids": np.zeros((2, 2), int)},
            r"ids must be a vector of whole numbers, got int64 of shape \(2, 2\)",
        ),
        ({"ids": np.zeros(0)}, "it holds no ids"),
        ({"ids": np.array([1, 3]), "weights": np.ones(3)}, r"weights of shape \(3,\) for 2 ids"),
        ({"ids": np.array([1, 3]), "weights": np.array(["a", "b"])}, "weights are <U1 values"),
        ({"ids": np.array([1, None])}, "no .npz of plain arrays"),
    ],
)
def test_npz_refused(tmp_path, arrays, message):
    path = tmp_path / "subset.npz"
    np.savez(path, **arrays)
    with pytest.raises(UsageError, match=message) as error:
        select(path)
    assert str(path) in str(error.value)


def test_unreadable_files(tmp_path):
    write_npz(tmp_path / "whole.npz", ids=np.arange(8))
    content = (tmp_path / "whole.npz").read_bytes()
    for name, part in (
        ("cut.npz", content[:-30]),
        ("empty.npz", b""),
        ("zip.csv", content),
        ("nul.csv", b"\x001"),
    ):
        (tmp_path / name).write_bytes(part)
        with pytest.raises(UsageError, match=name):
            FromFile(path=str(tmp_path / name))
    for path in (tmp_path / "missing.csv", tmp_path):
        with pytest.raises(UsageError, match=f"{path}: (No such file|Is a directory)"):
            FromFile(path=str(path))
    with pytest.raises(UsageError, match="file: needs a path"):
        parse("file:")


def test_what_the_harness_needs_to_know(tmp_path):
    (tmp_path / "s.csv").write_text("1\n")
    method = parse(f"file:{tmp_path / 's.csv'}")
    assert not method.uses_fraction
    assert not (method.needs | method.needs_val)
    assert parse(method.label()).spec() == method.spec()
