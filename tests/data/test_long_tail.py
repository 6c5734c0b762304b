"""A long tail of the candidates: class sizes, which rows, what stays, what is said."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from test_label_noise import blobs

import main
from benchmarks.grids import GRIDS
from deepcore.common.checks import UsageError
from deepcore.data.long_tail import check_imbalance, cut_tail, tail_sizes
from deepcore.data.split import make_split
from deepcore.experiment.plan import pool_of
from deepcore.experiment.tail_record import tail_line, tail_record
from methods import parse


def tailed(imbalance, seed=0, n=4000):
    data = blobs(4, n)
    split = make_split(data.train.labels, val_fraction=0.1, seed=seed)
    return data, split, *cut_tail(data, split, imbalance)


def test_sizes_by_hand():
    """Four classes and 27 : 1: a third from class to class."""
    assert tail_sizes(np.array([270, 270, 270, 270]), 27).tolist() == [270, 90, 30, 10]
    assert tail_sizes(np.array([5400] * 10), 100)[[0, 9]].tolist() == [5400, 54]
    assert tail_sizes(np.array([50, 80, 60]), 1).tolist() == [50, 50, 50]


def test_a_class_without_rows_is_not_counted():
    assert tail_sizes(np.array([0, 270, 0, 270, 270]), 9).tolist() == [0, 270, 0, 90, 30]
    with pytest.raises(UsageError, match="two classes or more, and there is 1"):
        tail_sizes(np.array([0, 5, 0]), 2)


def test_a_small_class_lowers_the_whole_profile():
    assert tail_sizes(np.array([270, 45, 270, 270]), 27).tolist() == [135, 45, 15, 5]


def test_candidates_have_these_sizes_and_all_else_stays():
    data, split, cut, tail = tailed(9)
    assert np.bincount(data.train.labels[tail.train]).tolist() == [900, 432, 208, 100]  # 900 / 9^(c/3)
    assert set(tail.train) < set(split.train)
    assert (np.diff(tail.train) > 0).all()
    np.testing.assert_array_equal(tail.val, split.val)
    assert cut.train is data.train
    assert cut.test is data.test


def test_rows_depend_on_the_seed_and_a_steeper_tail_keeps_a_part_of_them():
    _, _, _, gentle = tailed(4)
    _, _, _, steep = tailed(40)
    _, _, _, other = tailed(4, seed=1)
    assert set(steep.train) < set(gentle.train)
    common = set(gentle.train) & set(other.train)
    assert len(common) < 0.9 * len(gentle.train)


def test_no_tail_is_the_data_set_itself_and_a_tail_has_a_fingerprint_of_its_own():
    data, split, cut, tail = tailed(None)
    assert cut is data
    assert tail is split
    prints = {tailed(i, seed=s)[2].fingerprint for i, s in [(None, 0), (4, 0), (5, 0), (4, 1)]}
    assert len(prints) == 4


def test_a_tail_that_leaves_a_class_empty_is_refused():
    with pytest.raises(UsageError, match="leaves class 3 without a candidate"):
        tail_sizes(np.array([50, 50, 50, 50]), 100)


@pytest.mark.parametrize("imbalance", ["5", True, float("inf"), float("nan"), 0.5])
def test_what_is_no_imbalance_is_refused(imbalance):
    with pytest.raises(UsageError, match=f"^long_tail is {imbalance!r}: "):
        check_imbalance(imbalance)
    check_imbalance(None)


def test_one_class_has_no_tail():
    with pytest.raises(UsageError, match="needs two classes or more, and there is 1: leave it out"):
        tail_sizes(np.array([10]), 5.0)


def test_the_record_and_its_line():
    record = tail_record(4, np.array([0, 0, 0, 0, 1, 1, 2]))
    assert record == {"imbalance": 4.0, "largest": 4, "smallest": 1}
    assert tail_line(record).startswith("long tail 4: from class to class fewer candidates, 4 to 1")
    assert tail_record(4, np.array([0, 0, 2]))["smallest"] == 1  # a class without rows has no size
    assert tail_record(None, np.array([0, 1])) == {}


def run(folder, *argv):
    common = ["--dataset", "Synthetic", "--epochs", "4", "--num_exp", "1", "--fraction", "0.1"]
    return main.main([*common, "--save_path", str(folder), "--report", "false", *argv])


def test_a_run_with_a_tail_says_so_and_is_another_row_and_proxy(tmp_path, capsys):
    assert run(tmp_path, "--selection", "CLD") == 0
    assert "long tail" not in capsys.readouterr().err
    assert run(tmp_path, "--selection", "CLD", "--long_tail", "5", "--label_noise", "0.1") == 0
    assert "long tail 5" in capsys.readouterr().err
    rows = [json.loads(path.read_text()) for path in (tmp_path / "rows").glob("*.json")]
    whole, cut = sorted(rows, key=lambda row: -row["n"])
    assert whole["long_tail"] == {}
    assert cut["long_tail"] == {"imbalance": 5.0, "largest": 180, "smallest": 36}  # whatever was flipped
    assert cut["k"] == int(0.1 * cut["n"] + 0.5)
    assert cut["label_noise"]["flipped"] == int(0.1 * cut["n"] + 0.5)
    assert cut["q"] == whole["q"]
    assert len(list((tmp_path / "proxies").glob("*/spec.json"))) == 2


def test_the_dry_run_says_it_and_a_wrong_number_is_one_sentence(tmp_path, capsys):
    assert run(tmp_path, "--selection", "CLD", "--long_tail", "5", "--dry_run") == 0
    assert "long tail 5: from class to class fewer candidates" in capsys.readouterr().out
    assert run(tmp_path, "--long_tail", "0.5") == 2
    assert "long_tail is 0.5: the largest class over the smallest, at least 1" in capsys.readouterr().err


def test_a_subset_with_rows_that_the_tail_left_out_is_refused(tmp_path, capsys):
    ids = tmp_path / "ids.csv"
    ids.write_text("id\n" + "\n".join(map(str, range(500))) + "\n")
    assert run(tmp_path / "runs", "--selection", f"file:{ids}", "--long_tail", "5") == 2
    assert "--long_tail left it out" in capsys.readouterr().err


def test_a_row_beyond_the_last_that_the_tail_kept_is_a_row_of_the_training_set(tmp_path):
    data, _, cut, tail = tailed(9)
    last = len(data.train) - 1
    kept = dataclasses.replace(
        tail, train=tail.train[tail.train < last - 5], val=tail.val[tail.val < last - 5]
    )
    pool = pool_of(cut, kept, 0.1)
    for row, words in [(last, "--long_tail left it out"), (last + 1, f"its last row is {last}$")]:
        (tmp_path / "ids.csv").write_text(f"id\n{row}\n")
        with pytest.raises(UsageError, match=words):
            parse(f"file:{tmp_path / 'ids.csv'}").check(pool, 1)


def test_the_grid_has_the_tail():
    (spec,) = GRIDS["fashion_tail"].experiments(blobs(10, 400), 0)
    assert spec.long_tail == 100
