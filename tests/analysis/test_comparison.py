"""Rows set against each other: who differs from Random and from the best, and what nobody can tell."""

from __future__ import annotations

import dataclasses

import pytest
from rows import BAD, RANDOM, RECIPE, ROWS, RS2, A, B, rows_of
from scipy import stats as scipy_stats

from deepcore.analysis.comparison import compare_rows, rank_table, side
from deepcore.analysis.stats import Paired
from deepcore.common.checks import UsageError


def entry(comparison, label):
    return next(e for e in comparison.entries if e.label == label)


def test_one_fraction_by_hand():
    found, whole = compare_rows(ROWS)
    assert (found.fraction, found.baseline, whole.fraction, whole.baseline) == (0.1, "Random", None, None)
    a = entry(found, "A")
    assert (a.accuracy.mean, a.accuracy.n, a.worst.mean) == (86.625, 4, pytest.approx(36.625))
    assert a.to_random.difference == pytest.approx(5.0)
    # by scipy, and Holm over the three selections: the smallest of three p values counts three times
    p = {name: scipy_stats.ttest_rel(x, RANDOM).pvalue for name, x in (("A", A), ("B", B), ("Bad", BAD))}
    assert a.to_random.p == pytest.approx(p["A"])
    smallest = min(p, key=p.get)
    assert entry(found, smallest).to_random.p_adjusted == pytest.approx(3 * p[smallest])
    largest = max(p, key=p.get)
    assert entry(found, largest).to_random.p_adjusted == pytest.approx(p[largest])
    verdicts = {e.label: e.verdict for e in found.entries}
    assert verdicts == {
        "A": "best, > Random", "B": "≈ best, > Random", "Bad": "< Random", "Random": "", "RS2": "> Random",
    }  # fmt: skip
    assert entry(found, "Random").to_random is None
    assert entry(whole, "Full").verdict == ""
    low = entry(found, "A").worst_to_random
    assert (low.difference, low.p) == (pytest.approx(5.0), pytest.approx(p["A"]))


def test_the_worst_class_is_compared_by_itself():
    found = compare_rows([*rows_of("A", *A, worst=60), *rows_of("Random", *RANDOM)])[0]
    assert entry(found, "A").to_random.difference == pytest.approx(5.0)
    assert entry(found, "A").worst_to_random.difference == pytest.approx(-5.0)
    assert (entry(found, "A").beside_random, side(entry(found, "A").worst_to_random)) == ("above", "below")


def test_reference_rows_are_a_family_of_their_own_and_never_best():
    with_them, without = compare_rows(ROWS)[0], compare_rows([r for r in ROWS if r.label != "RS2"])[0]
    for label in ("A", "B", "Bad", "Random"):
        assert dataclasses.asdict(entry(with_them, label)) == dataclasses.asdict(entry(without, label))
    reference = entry(with_them, "RS2")
    assert reference.to_random.p_adjusted == pytest.approx(scipy_stats.ttest_rel(RS2, RANDOM).pvalue)
    assert reference.accuracy.mean > entry(with_them, "A").accuracy.mean
    assert not reference.is_best
    assert reference.to_best is None


def test_fewer_than_three_seeds_have_no_verdict():
    found = compare_rows([row for row in ROWS if row.seed < 2])[0]
    assert {e.verdict for e in found.entries} == {""}
    assert not any(e.is_best or e.as_good_as_best for e in found.entries)
    assert entry(found, "A").to_random.difference == pytest.approx(5.25)
    assert entry(found, "A").to_random.low is None


def test_the_same_difference_for_all_seeds_is_no_verdict():
    found = compare_rows([*rows_of("A", 85, 86, 87), *rows_of("Random", 80, 81, 82)])[0]
    a = entry(found, "A")
    assert (a.to_random.difference, a.to_random.std) == (pytest.approx(5.0), 0.0)
    assert a.beside_random == ""
    sure = Paired("A", "Random", 3, -1.0, 0.1, -1.2, -0.8, p=0.01, p_adjusted=0.02)
    assert side(sure) == "below"
    assert side(dataclasses.replace(sure, p_adjusted=0.06)) == ""
    assert side(None) == ""


def test_failed_rows_and_missing_seeds():
    failed = [dataclasses.replace(row, status="failed", accuracy=None) for row in rows_of("Random", 1, 2, 3)]
    (found,) = compare_rows([*rows_of("A", 85, 86, 87), *failed])
    assert [e.label for e in found.entries] == ["A"]
    assert (found.baseline, entry(found, "A").to_random) == (None, None)
    short = [row for row in ROWS if row.label != "A" or row.seed != 1]
    pair = entry(compare_rows(short)[0], "A").to_random
    assert (pair.n, pair.difference) == (3, pytest.approx((5 + 4.5 + 5) / 3))
    assert pair.note == "3 of 4 seeds are common to all compared"


def test_which_random_is_the_baseline():
    free = rows_of("Random:class_balanced=False", 70, 71, 73)
    rows = [*rows_of("A", 85, 86, 88), *free]
    found = compare_rows(rows)[0]
    assert found.baseline == "Random:class_balanced=False"
    assert entry(found, "A").to_random.difference == pytest.approx(15.0)
    assert compare_rows([*rows, *rows_of("Random", 80, 81, 83)])[0].baseline == "Random"


def test_nets_and_fractions_are_kept_apart_and_in_order():
    rows = [
        *rows_of("A", 1.0, fraction=0.5),
        *rows_of("Full", 5.0, fraction=None),
        *rows_of("A", 2.0, fraction=0.05),
        *rows_of("A", 3.0, fraction=0.05, target_net="LeNet"),
    ]
    found = compare_rows(rows)
    assert [(c.net, c.fraction) for c in found] == [
        ("MLP", 0.05),
        ("MLP", 0.5),
        ("MLP", None),
        ("LeNet", 0.05),
    ]
    assert found[3].entries[0].accuracy.mean == pytest.approx(3.0)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"target_recipe": {**RECIPE, "epochs": 164}}, r"target_recipe\.epochs \(3 and 164\)"),
        ({"n": 900}, r"n \(1000 and 900\)"),
        ({"long_tail": {"imbalance": 100.0}}, r"long_tail\.imbalance \(None and 100\.0\)"),
        ({"label_noise": {"train": 0.4, "val": 0.0}}, r"label_noise\.train \(0\.0 and 0\.4\)"),
    ],
)
def test_rows_of_two_experiments_are_not_paired(changes, words):
    rows = [*rows_of("Random", *RANDOM), *rows_of("A", *A, **changes)]
    with pytest.raises(UsageError, match=f"Random and A at 0.1 differ in {words}: compare rows of one exp"):
        compare_rows(rows)


def test_one_proxy_for_all_that_read_the_shared_one():
    """Random reads none; a run of a method's own may be shorter."""
    shared = {"proxy_net": "MLP", "proxy_recipe": RECIPE}
    shorter = {"proxy_net": "MLP", "proxy_recipe": {**RECIPE, "epochs": 2}}
    rows = [*rows_of("Random", *RANDOM), *rows_of("A", *A, **shared)]
    assert len(compare_rows([*rows, *rows_of("Own", *B, **shorter, reads={"own": "validation"})])) == 1
    with pytest.raises(UsageError, match=r"A and B at 0.1 differ in proxy_recipe\.epochs \(3 and 2\)"):
        compare_rows([*rows, *rows_of("B", *B, **shorter)])


def test_rows_of_their_own_size_are_compared_with_nothing():
    of_files = [rows_of("file:a", 80, 82, 83, fraction=None), rows_of("file:b", 70, 71, 73, fraction=None)]
    (found,) = compare_rows([*of_files[0], *of_files[1], *rows_of("Random", 60, 61, 63, fraction=None)])
    assert {e.verdict for e in found.entries} == {""}
    assert {(e.to_random, e.to_best) for e in found.entries} == {(None, None)}


def test_rows_of_two_recipes_are_refused():
    with pytest.raises(UsageError, match=r"A at 0.1 has two rows of seed 0"):
        compare_rows([*rows_of("A", 85), *rows_of("A", 86)])


def test_ranks_by_hand():
    more = [
        *rows_of("A", 70, 71, 72, 73, fraction=0.01),
        *rows_of("Bad", 60, 61, 62, 63, fraction=0.01),
        *rows_of("Random", 75, 75.5, 76, 77, fraction=0.01),
        *rows_of("RS2", 99, 99, 99, 99, fraction=0.01),
    ]
    ranks = rank_table([*ROWS, *more], "MLP")
    assert ranks.methods == ("A", "Bad", "Random")
    assert ranks.left_out == ("B",)
    assert list(ranks.by_fraction) == [0.01, 0.1]
    assert ranks.by_fraction[0.01].ranks == {"A": 2.0, "Bad": 3.0, "Random": 1.0}
    assert ranks.by_fraction[0.1].ranks == {"A": 1.0, "Bad": 3.0, "Random": 2.0}
    assert ranks.overall.ranks == {"A": 1.5, "Bad": 3.0, "Random": 1.5}
    by_scipy = scipy_stats.friedmanchisquare([1.5] * 4, [3.0] * 4, [1.5] * 4)
    assert (ranks.overall.n, ranks.overall.p) == (4, pytest.approx(by_scipy.pvalue))
    assert rank_table(rows_of("A", 1, 2, 3), "MLP") is None


def test_ranks_within_a_seed_are_of_one_data_set():
    two = [*rows_of("A", 1, 2, 3), *rows_of("A", 4, 5, 6, dataset="letter.npz")]
    with pytest.raises(UsageError, match=r"of one data set, not of Digits and letter\.npz"):
        rank_table(two, "MLP")
    assert rank_table(ROWS, "LeNet") is None
