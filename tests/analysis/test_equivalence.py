"""Two one-sided tests against their definition, and what counts as undecided."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats as scipy_stats

from deepcore.analysis.equivalence import equivalence, noninferiority
from deepcore.analysis.stats import paired_difference
from deepcore.common.checks import UsageError


def paired(*differences):
    seeds = dict(enumerate(differences))
    return paired_difference({"a": seeds, "b": dict.fromkeys(seeds, 0.0)}, "a", "b")


def test_yes_is_when_both_one_sided_tests_reject():
    rng = np.random.default_rng(0)
    answers = []
    for _ in range(200):
        values = rng.normal(rng.uniform(-1.5, 1.5), 0.6, 5)
        below = scipy_stats.ttest_1samp(values, 1.0, alternative="less").pvalue
        above = scipy_stats.ttest_1samp(values, -1.0, alternative="greater").pvalue
        found = equivalence(paired(*values), 1.0)
        assert (found.answer is True) == (max(below, above) < 0.05)
        outside = scipy_stats.ttest_1samp(values, np.sign(values.mean()), alternative="two-sided").pvalue / 2
        assert (found.answer is False) == (abs(values.mean()) > 1 and outside < 0.05)
        answers.append(found.word)
    assert set(answers) == {"yes", "no", "undecided"}


def test_the_interval_is_of_90_percent():
    values = [0.1, 0.4, -0.3, 0.2]
    found = equivalence(paired(*values), 1.0)
    low, high = scipy_stats.t.interval(0.9, 3, np.mean(values), scipy_stats.sem(values))
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))


def test_no_needs_more_among_many_tests():
    values = paired(1.8, 2.3, 2.6)
    assert equivalence(values, 1.0).word == "no"
    assert equivalence(values, 1.0, tests=50).word == "undecided"


def test_what_decides_no_is_the_wider_interval():
    values = [1.8, 2.3, 2.6]
    found = equivalence(paired(*values), 1.0, tests=5)
    low, high = scipy_stats.t.interval(0.98, 2, np.mean(values), scipy_stats.sem(values))
    assert (found.far_low, found.far_high) == (pytest.approx(low), pytest.approx(high))


def test_noninferiority_asks_for_the_lower_side_alone():
    better, wide, worse = paired(3.0, 3.1, 3.2), paired(-3.0, 3.0, 1.0), paired(-3.0, -3.1, -3.2)
    assert [noninferiority(p, 1.0).word for p in (better, wide, worse)] == ["yes", "undecided", "no"]
    assert equivalence(better, 1.0).word == "no"
    assert noninferiority(worse, 1.0, tests=1000).word == "undecided"


def test_few_seeds_and_equal_differences_are_undecided():
    assert equivalence(paired(0.1, 0.2), 1.0).word == "undecided"
    assert equivalence(paired(0.3, 0.3, 0.3), 1.0).word == "undecided"  # no spread to judge by
    assert equivalence(paired(0.0, 0.0, 0.0), 1.0).word == "yes"


def test_the_margin_is_positive():
    with pytest.raises(UsageError, match="margin"):
        equivalence(paired(0.1, 0.2, 0.3), 0.0)
