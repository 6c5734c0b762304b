"""Ranks over data sets: Demsar's numbers, groups by hand."""

from __future__ import annotations

import pytest

from deepcore.analysis.critical_difference import _groups, nemenyi, rank_differences
from deepcore.common.checks import UsageError

DEMSAR = {2: 1.960, 3: 2.343, 4: 2.569, 5: 2.728, 10: 3.164}  # his table 5(a), q at 0.05


@pytest.mark.parametrize(("methods", "q"), DEMSAR.items())
def test_the_critical_difference_of_the_paper_s_table(methods, q):
    assert nemenyi(methods, 14) == pytest.approx(q * (methods * (methods + 1) / 84) ** 0.5, abs=1e-3)


def test_the_paper_s_example():
    """Four classifiers on 14 data sets: CD = 1.25 (page 12)."""
    assert nemenyi(4, 14) == pytest.approx(1.25, abs=0.005)


def test_ranks_by_hand():
    found = rank_differences(
        {"a": {"x": 90, "y": 80, "z": 70}, "b": {"x": 80, "y": 80, "z": 60}, "c": {"x": 70, "y": 60, "z": 50}}
    )
    assert found.ranks.ranks == pytest.approx({"a": 3.5 / 3, "b": 5.5 / 3, "c": 3.0})
    assert found.ranks.n == 3
    assert found.critical == nemenyi(3, 3)
    assert found.groups == (("a", "b", "c"),)  # three data sets tell nothing apart here


def test_groups_by_hand():
    ranks = {"a": 1.0, "b": 2.0, "c": 3.5, "d": 3.6, "e": 9.0}
    assert _groups(ranks, 2.0) == (("a", "b"), ("b", "c", "d"), ("e",))
    assert _groups(ranks, 2.6) == (("a", "b", "c"), ("b", "c", "d"), ("e",))
    assert _groups(ranks, 10.0) == (("a", "b", "c", "d", "e"),)


def test_a_data_set_that_one_method_lacks_is_left_out_and_two_are_too_few():
    full = {"a": {"x": 1, "y": 2, "z": 3, "w": 4}, "b": {"x": 2, "y": 1, "z": 0}}
    found = rank_differences(full).ranks
    assert found.n == 3
    assert found.note == "2 methods: Friedman's test needs three; 3 of 4 data sets are common to all compared"
    with pytest.raises(UsageError, match="need two methods and 3 data sets, not 2 and 2"):
        rank_differences({"a": {"x": 1, "y": 2}, "b": {"x": 2, "y": 1}})
    with pytest.raises(UsageError, match="need two methods"):
        rank_differences({"a": {"x": 1, "y": 2, "z": 1}})


def test_an_accuracy_that_is_not_finite_is_named_with_its_data_set():
    with pytest.raises(UsageError, match=r"^the accuracy of b on y is nan: give finished rows only"):
        rank_differences({"a": {"x": 1, "y": 2, "z": 3}, "b": {"x": 2, "y": float("nan"), "z": 0}})
