"""DRoP's class quotas."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle_scores import drop_quotas

from deepcore.common.checks import UsageError
from deepcore.selection.recall_quotas import recall_counts, recall_quotas


def quotas(sizes, hits, rows, k):
    labels = np.repeat(np.arange(len(sizes)), sizes)
    return recall_quotas(labels, k, np.array(hits), np.array(rows)).tolist()


def test_by_hand():
    # weights 100 * 0.1, 100 * 0.3, 100 * 0.6: shares of 50 are 5, 15, 30
    assert quotas([100, 100, 100], [9, 7, 4], [10, 10, 10], 50) == [5, 15, 30]
    # the third class holds 20 of its 60: the other 40 go 1 to 3
    assert quotas([100, 100, 20], [9, 7, 0], [10, 10, 10], 60) == [10, 30, 20]
    # no error anywhere: by size
    assert quotas([60, 30, 10], [5, 5, 5], [5, 5, 5], 10) == [6, 3, 1]
    # a class without an error keeps one row, from the largest quota
    assert quotas([50, 50], [10, 5], [10, 10], 20) == [1, 19]
    assert quotas([50, 50], [10, 5], [10, 10], 1) == [0, 1]
    # those with errors are full: the rest by size
    assert quotas([10, 90, 30], [0, 10, 10], [10, 10, 10], 50) == [10, 30, 10]


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_it_is_the_paper_s_loop(data):
    classes = data.draw(st.integers(1, 7))
    sizes = data.draw(st.lists(st.integers(0, 40), min_size=classes, max_size=classes).filter(any))
    rows = data.draw(st.lists(st.integers(1, 9), min_size=classes, max_size=classes))
    hits = [data.draw(st.integers(0, r)) for r in rows]
    k = data.draw(st.integers(1, sum(sizes)))
    found = quotas(sizes, hits, rows, k)
    present = {c: n for c, n in enumerate(sizes) if n}
    recalls = {c: Fraction(hits[c], rows[c]) for c in present}
    wanted = drop_quotas(present, recalls, k)
    assert found == [wanted.get(c, 0) for c in range(classes)]
    assert sum(found) == k
    assert all(quota <= size for quota, size in zip(found, sizes, strict=True))


def test_recall_is_counted_on_the_validation_rows():
    logits = np.array([[2.0, 1, 0], [1, 1, 0], [0, 3, 0], [9, 0, 0], [0, 0, 1]])
    hits, rows = recall_counts(logits, np.array([0, 0, 1, 1, 2]), 4)
    assert hits.tolist() == [1, 1, 1, 0]  # the tie of the second row is wrong
    assert rows.tolist() == [2, 2, 1, 0]


def test_a_class_without_validation_rows_is_refused():
    with pytest.raises(UsageError, match=r"class 1 has no validation row \(1 such.*sampler=top"):
        quotas([5, 5], [1, 0], [2, 0], 3)
