"""Overlap of selections and correlation of scores: by hand, against scipy, by simulation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from deepcore.analysis.overlap import Correlation, Overlap, Scores, correlations, jaccard, overlaps, spearman
from deepcore.common.checks import UsageError


def test_jaccard_by_hand():
    assert jaccard(np.array([1, 2, 3]), np.array([3, 4])) == 0.25
    assert jaccard(np.array([5]), np.array([5])) == 1.0
    assert jaccard(np.array([5]), np.array([6])) == 0.0
    assert jaccard(np.zeros(0, int), np.zeros(0, int)) == 1.0


@given(st.sets(st.integers(0, 20)), st.sets(st.integers(0, 20)))
def test_jaccard_is_that_of_python_sets(a, b):
    expected = len(a & b) / len(a | b) if a | b else 1.0
    assert jaccard(np.array(sorted(a), int), np.array(sorted(b), int)) == expected


def test_overlaps_by_hand():
    found = overlaps({"A": np.array([0, 1]), "B": np.array([1, 2]), "C": np.array([9, 0, 1, 5])}, pool=10)
    assert found == [
        Overlap("A", "B", 1, 1 / 3, 0.4 / 3.6),
        Overlap("A", "C", 2, 0.5, 0.8 / 5.2),
        Overlap("B", "C", 1, 0.2, 0.8 / 5.2),
    ]


def test_chance_is_what_random_subsets_share():
    rng = np.random.default_rng(0)
    draws = [
        overlaps({"A": rng.choice(2000, 200, False), "B": rng.choice(2000, 400, False)}, 2000)[0]
        for _ in range(200)
    ]
    assert np.mean([draw.jaccard for draw in draws]) == pytest.approx(draws[0].chance, abs=0.002)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=3, max_size=30))
def test_spearman_against_scipy_with_ties(pairs):
    a, b = np.array(pairs).T
    rho = spearman(a, b)
    if len(set(a)) == 1 or len(set(b)) == 1:
        assert rho is None
    else:
        assert rho == pytest.approx(scipy_stats.spearmanr(a, b).statistic, abs=1e-12)


def test_spearman_of_too_little():
    assert spearman(np.array([1.0, 2.0]), np.array([1.0, 2.0])) is None
    with pytest.raises(UsageError, match="3 scores against 2"):
        spearman(np.zeros(3), np.zeros(2))


def test_correlations_pair_by_id_on_shared_rows():
    """Pools of two seeds: rows 2, 4, 6, 8 are in both, stored in different orders, with equal ranks."""
    first = Scores(np.array([8, 2, 4, 6, 1]), np.array([0.8, 0.2, 0.4, 0.6, 99.0]))
    second = Scores(np.array([2, 4, 5, 6, 8]), np.array([10.0, 20.0, -5.0, 30.0, 40.0]))
    reverse = Scores(np.array([2, 4, 6, 8]), np.array([4.0, 3.0, 2.0, 1.0]))
    flat = Scores(np.array([2, 4, 6]), np.ones(3))
    found = correlations({"0": first, "1": second, "2": reverse, "3": flat})
    assert found == [
        Correlation("0", "1", 4, 1.0),
        Correlation("0", "2", 4, -1.0),
        Correlation("0", "3", 3, None),
        Correlation("1", "2", 4, -1.0),
        Correlation("1", "3", 3, None),
        Correlation("2", "3", 3, None),
    ]


def test_infinite_scores_have_ranks():
    scores = np.array([np.inf, 1.0, -np.inf, 2.0])
    assert spearman(scores, np.array([4.0, 2.0, 1.0, 3.0])) == pytest.approx(1.0)


def test_bad_input_is_named():
    with pytest.raises(UsageError, match="unique"):
        Scores(np.array([1, 1]), np.zeros(2))
    with pytest.raises(UsageError, match="one score for each id"):
        Scores(np.array([1, 2]), np.zeros(3))
    with pytest.raises(UsageError, match="score of row 7 is NaN"):
        Scores(np.array([1, 7]), np.array([0.0, np.nan]))
    with pytest.raises(UsageError, match="A selects 3 rows from a pool of 2"):
        overlaps({"A": np.arange(3)}, pool=2)
