"""Budgets, quotas and top-k against slow, obvious forms."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from helpers import full_run, labels_of
from hypothesis import given, settings
from hypothesis import strategies as st

import methods
from deepcore.common.checks import DeepcoreError, UsageError
from deepcore.selection.budget import Budget, class_quotas
from deepcore.selection.ranking import merit, order_by_score, rank, top_k
from deepcore.selection.selection import Selection


@pytest.mark.parametrize(
    ("fraction", "n", "k"),
    [
        (0.1, 1437, 144),
        (0.1, 15, 2),  # 1.5: half up, though 0.1 * 15 is 1.5 only in decimal
        (0.1, 5, 1),
        (0.15, 10, 2),
        (0.35, 10, 4),  # 3.5 in decimal; binary 0.35 is a little less
        (0.285, 1000, 285),  # 0.285 * 1000 is 284.99999999999994 in binary
        (0.29, 100, 29),
        (1.005e-3, 1_000_000, 1005),
        (0.001, 100, 1),
        (0.014, 100, 1),
        (1.0, 7, 7),
        (1, 7, 7),
        (1e-9, 3, 1),
    ],
)
def test_budget(fraction, n, k):
    assert Budget.of(fraction, n) == Budget(float(fraction), k)


@given(thousandths=st.integers(1, 1000), n=st.integers(1, 2_000_000))
def test_budget_is_half_up_in_decimal(thousandths, n):
    exact = (Fraction(thousandths, 1000) * n + Fraction(1, 2)).__floor__()
    assert Budget.of(thousandths / 1000, n).k == max(exact, 1)


@pytest.mark.parametrize("fraction", [0, -0.1, 1.1, float("nan"), float("inf"), "0.1", None])
def test_fractions_refused(fraction):
    with pytest.raises(UsageError, match="fraction kept, above 0 and at most 1"):
        Budget.of(fraction, 10)


def test_no_pool():
    with pytest.raises(UsageError, match="the train pool is empty"):
        Budget.of(0.5, 0)


def slow_quotas(sizes: list[int], k: int) -> list[int]:
    """The rule as a text would give it, one unit at a time and in exact fractions."""
    shares = [Fraction(size * k, sum(sizes)) for size in sizes]
    quotas = [share.__floor__() for share in shares]
    while sum(quotas) < k:
        # the largest remainder not yet served; the first of equals
        c = max(range(len(sizes)), key=lambda c: (shares[c] - quotas[c], -c))
        quotas[c] += 1
    present = [c for c, size in enumerate(sizes) if size]
    if k >= len(present):
        for c in present:
            if quotas[c] == 0:
                largest = max(present, key=lambda c: (quotas[c], c))
                quotas[largest] -= 1
                quotas[c] += 1
    return quotas


@settings(max_examples=400)
@given(sizes=st.lists(st.integers(0, 30), min_size=1, max_size=12).filter(any), data=st.data())
def test_quotas(sizes, data):
    k = data.draw(st.integers(1, sum(sizes)))
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(len(sizes)), sizes))
    quotas = class_quotas(labels, k, len(sizes))
    assert quotas.tolist() == slow_quotas(sizes, k)
    assert quotas.sum() == k
    assert np.all(quotas <= sizes)
    assert np.all(quotas[np.array(sizes) == 0] == 0)
    if k >= np.count_nonzero(sizes):
        assert np.all(quotas[np.array(sizes) > 0] >= 1)


def test_quotas_by_hand():
    labels = np.repeat([0, 1, 2, 3], [90, 5, 4, 1])
    assert class_quotas(labels, 10, 4).tolist() == [7, 1, 1, 1]  # 9, 0.5, 0.4, 0.1
    assert class_quotas(labels, 3, 4).tolist() == [3, 0, 0, 0]
    assert class_quotas(np.array([0, 0, 1, 1]), 3, 2).tolist() == [2, 1]  # equal remainders: the lower id
    assert class_quotas(np.repeat([0, 1, 2], [4, 4, 1]), 5, 3).tolist() == [2, 2, 1]
    assert class_quotas(np.repeat([0, 1, 2], [5, 5, 1]), 4, 3).tolist() == [2, 1, 1]  # from the higher id
    for k in (0, 5):
        with pytest.raises(UsageError, match=f"a budget of {k} from 4 rows"):
            class_quotas(np.array([0, 0, 1, 1]), k, 2)


def slow_top_k(scores, ids, labels, k, keep, balanced):
    """Sets of ids, by Python's sort."""
    worth = {"highest": lambda s: -s, "lowest": lambda s: s, "zero": abs}[keep]
    best = sorted(range(len(ids)), key=lambda i: (worth(scores[i]), ids[i]))
    if not balanced:
        return [int(ids[i]) for i in best[:k]]
    left = class_quotas(labels, k, labels.max() + 1)
    chosen = []
    for i in best:
        if left[labels[i]]:
            left[labels[i]] -= 1
            chosen.append(int(ids[i]))
    return chosen


@settings(max_examples=150)
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(1, 40),
    classes=st.integers(1, 5),
    fraction=st.sampled_from([0.01, 0.1, 0.33, 0.5, 1.0]),
    keep=st.sampled_from(["highest", "lowest", "zero"]),
    balanced=st.booleans(),
)
def test_top_k(seed, n, classes, fraction, keep, balanced):
    rng = np.random.default_rng(seed)
    ids, labels = rng.permutation(100)[:n], rng.integers(0, classes, n)
    scores = rng.integers(-3, 4, n) / 2  # many ties
    budget = Budget.of(fraction, n)
    expected = slow_top_k(scores, ids, labels, budget.k, keep, balanced)
    selection = top_k(scores, ids, labels, budget, keep=keep, class_balanced=balanced)
    assert selection.rows.tolist() == expected
    np.testing.assert_array_equal(selection.scores, scores)
    order = rng.permutation(n)
    again = top_k(scores[order], ids[order], labels[order], budget, keep=keep, class_balanced=balanced)
    assert again.rows.tolist() == expected


def test_ties_at_the_cut_are_noted():
    ids, labels = np.arange(6), np.zeros(6, np.int64)
    budget = Budget(0.5, 3)

    def notes(*scores: float, keep: str = "highest") -> tuple[str, ...]:
        return top_k(np.array(scores), ids, labels, budget, keep=keep, class_balanced=True).notes

    assert notes(6, 5, 4, 3, 2, 1) == ()
    assert notes(6, 6, 6, 3, 2, 1) == ()  # equal, but all of them are in
    assert notes(6, 5, 5, 5, 2, 1) == ("2 of 3 picks (66.7%) were decided by the tie rule (lower row id)",)
    assert notes(1, 2, -2, 2, 5, 5, keep="zero")[0].startswith("2 of 3 picks")
    per_class = top_k(
        np.array([1.0, 1, 1, 1, 2, 3]),
        ids,
        np.array([0, 0, 0, 0, 1, 1]),
        budget,
        keep="highest",
        class_balanced=True,
    )
    assert per_class.notes == ("2 of 3 picks (66.7%) were decided by the tie rule (lower row id)",)


def test_order_and_rank():
    scores, ids = np.array([2.0, -0.0, 0.0, -3.0, 2.0]), np.array([9, 8, 7, 6, 5])
    assert ids[order_by_score(scores, ids, "highest")].tolist() == [5, 9, 7, 8, 6]
    assert ids[order_by_score(scores, ids, "lowest")].tolist() == [6, 7, 8, 5, 9]
    assert ids[order_by_score(scores, ids, "zero")].tolist() == [7, 8, 5, 9, 6]
    assert rank(scores, ids, "highest").tolist() == [2, 4, 3, 5, 1]


def test_selection_is_checked():
    for rows in ([], [[1]], [1.5]):
        with pytest.raises(DeepcoreError, match="non-empty vector of row ids"):
            Selection(np.array(rows))
    with pytest.raises(DeepcoreError, match="repeats some"):
        Selection(np.array([1, 1]))
    with pytest.raises(DeepcoreError, match=r"\(3,\) weights for \(2,\) rows"):
        Selection(np.array([1, 2]), weights=np.ones(3))
    for weights in ([1, -1], [np.nan, 1], [np.inf, 1], [0, 0]):
        with pytest.raises(DeepcoreError, match="none below 0, and not all 0"):
            Selection(np.array([1, 2]), weights=np.array(weights))
    selection = Selection(np.array([4, 1], np.uint8))
    assert selection.rows.dtype == np.int64
    selection.check_within(np.arange(5), 2)
    with pytest.raises(DeepcoreError, match="1 selected rows are not in the train pool, the first is 4"):
        selection.check_within(np.arange(4))
    with pytest.raises(DeepcoreError, match="2 rows were selected for a budget of 3"):
        selection.check_within(np.arange(5), 3)


def test_numpy_s_numbers_are_fractions_and_text_is_none():
    assert Budget.of(np.float32(0.1), 1000).k == 100
    assert Budget.of(np.int64(1), 7).k == 7
    for bad in ("0.1", True):
        with pytest.raises(UsageError, match=repr(bad)):
            Budget.of(bad, 10)


@pytest.mark.parametrize("method", ["AUM", "CCS", "D2", "DUAL:window=3", "Glister"])
@pytest.mark.parametrize("class_balanced", [True, False])
@pytest.mark.parametrize("k", [0, 25])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_no_method_returns_less_than_an_impossible_budget(method, class_balanced, k):
    run = full_run(labels_of(12, 12), repeats=0)
    method = methods.parse(method, class_balanced=class_balanced)
    with pytest.raises(UsageError, match=f"a budget of {k} from 24 rows"):
        method.select(run, Budget(1.0, k), np.random.default_rng(0))


def test_an_unknown_end_of_the_score_is_a_sentence():
    scores, ids = np.array([1.0, -2.0]), np.arange(2)
    for call in (lambda: rank(scores, ids, "high"), lambda: merit(scores, "high")):
        with pytest.raises(UsageError, match=r"unknown keep 'high' .did you mean highest.*lowest, zero"):
            call()
