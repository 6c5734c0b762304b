"""Statistics against scipy, by hand, and where they tend to return NaN."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from deepcore.analysis import stats
from deepcore.common.checks import UsageError


def seeds(*values, first=0):
    return {first + i: value for i, value in enumerate(values)}


RANDOM = seeds(70.0, 72.0, 71.0, 73.0)


def test_summary_by_hand():
    summary = stats.summarise(seeds(1.0, 2.0, 6.0))
    assert (summary.mean, summary.n) == (3.0, 3)
    assert summary.std == pytest.approx(math.sqrt((4 + 1 + 9) / 2))
    assert stats.summarise({5: 0.25}) == stats.Summary(0.25, None, 1)


def test_paired_difference_by_hand():
    """d = 1, 2, 3: mean 2, std 1, t = 2 sqrt(3); t_{0.975, 2} = 4.302653."""
    pair = stats.paired_difference({"A": seeds(11, 22, 33), "B": seeds(10, 20, 30)}, "A", "B")
    assert (pair.n, pair.difference, pair.std, pair.note) == (3, 2.0, 1.0, "")
    assert pair.low == pytest.approx(2 - 4.302653 / math.sqrt(3), abs=1e-6)
    assert pair.high == pytest.approx(2 + 4.302653 / math.sqrt(3), abs=1e-6)
    # with two degrees of freedom P(|T| > t) = 1 - t / sqrt(2 + t^2)
    assert pair.p == pytest.approx(1 - math.sqrt(12 / 14))
    assert pair.distinguishable is False


@given(st.integers(3, 12), st.integers(0, 2**32 - 1), st.sampled_from([0.5, 0.95, 0.99]))
def test_paired_difference_against_scipy(n, seed, level):
    rng = np.random.default_rng(seed)
    ours, theirs = rng.normal(70, 2, n), rng.normal(71, 2, n)
    pair = stats.paired_difference({"A": seeds(*ours), "B": seeds(*theirs)}, "A", "B", level=level)
    expected = scipy_stats.ttest_rel(ours, theirs)
    interval = expected.confidence_interval(level)
    assert pair.p == pytest.approx(expected.pvalue, rel=1e-6)
    assert pair.low == pytest.approx(interval.low, rel=1e-6, abs=1e-9)
    assert pair.high == pytest.approx(interval.high, rel=1e-6, abs=1e-9)
    assert pair.distinguishable == (expected.pvalue < 1 - level)


def test_pairs_are_by_seed_and_only_common_ones():
    table = {"A": {0: 1.0, 3: 9.0, 1: 3.0, 2: 4.0}, "B": {1: 2.0, 2: 2.0, 0: 1.5, 7: 50.0}}
    pair = stats.paired_difference(table, "A", "B")
    assert pair.n == 3
    assert pair.difference == pytest.approx((-0.5 + 1 + 2) / 3)
    assert pair.note == "3 of 5 seeds are common to all compared"


@pytest.mark.parametrize("n", [0, 1, 2])
def test_below_three_seeds_there_is_no_interval_and_it_says_so(n):
    table = {"A": {i: 2.0 + i for i in range(n)}, "B": {0: 1.0, 1: 1.0, 2: 1.0}}
    pair = stats.compare(table, "B")["A"]
    assert (pair.low, pair.high, pair.p, pair.p_adjusted) == (None, None, None, None)
    assert (pair.distinguishable, pair.verdict) == (None, None)
    assert pair.n == n
    assert pair.difference == [None, 1.0, 1.5][n]
    assert pair.std == [None, None, pytest.approx(math.sqrt(0.5))][n]
    assert pair.note.startswith(f"{n} common seeds: no interval below 3; {n} of 3 seeds")


@pytest.mark.parametrize("shift", [0.0, 0.1, -0.1])
def test_differences_that_do_not_vary(shift):
    """0.1 is added to numbers of several sizes: the differences differ by rounding only."""
    base = seeds(0.3, 0.7, 0.9)
    shifted = {seed: value + shift for seed, value in base.items()}
    pair = stats.compare({"A": shifted, "B": base}, "B")["A"]
    assert pair.std == 0.0
    assert pair.difference == pytest.approx(shift)
    expected = (None, None, None, None, None) if shift else (0.0, 0.0, 1.0, 1.0, "same")
    assert (pair.low, pair.high, pair.p, pair.p_adjusted, pair.verdict) == expected
    assert pair.distinguishable is (None if shift else False)
    assert "the same difference for all 3 seeds" in pair.note


def test_differences_of_rounding_only_are_none():
    pair = stats.paired_difference({"A": seeds(0.1 + 0.2, 0.5, 0.7), "B": seeds(0.3, 0.5, 0.7)}, "A", "B")
    assert (pair.difference, pair.std, pair.low, pair.high, pair.p) == (0.0, 0.0, 0.0, 0.0, 1.0)


def test_holm_by_hand():
    adjusted = stats.holm({"a": 0.04, "b": 0.01, "c": 0.03, "d": 0.9})
    assert adjusted == pytest.approx({"a": 0.09, "b": 0.04, "c": 0.09, "d": 0.9})
    assert list(adjusted) == ["a", "b", "c", "d"]
    assert stats.holm({}) == {}
    assert stats.holm({"a": 0.6, "b": 0.7}) == {"a": 1.0, "b": 1.0}


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.floats(0.001, 0.5))
def test_holm_rejects_what_the_step_down_rule_rejects(p_values, alpha):
    names = {str(i): p for i, p in enumerate(p_values)}
    rejected = set()
    for step, name in enumerate(sorted(names, key=names.get)):
        if not names[name] * (len(names) - step) <= alpha:
            break
        rejected.add(name)
    assert {name for name, p in stats.holm(names).items() if p <= alpha} == rejected


def test_compare_adjusts_over_the_methods_that_have_a_p():
    table = {
        "Random": RANDOM,
        "A": seeds(71.0, 73.1, 72.0, 74.0),
        "B": seeds(68.0, 71.0, 70.5, 71.0),
        "C": seeds(80.0, 81.0),
    }
    result = stats.compare(table, "Random")
    assert list(result) == ["A", "B", "C"]
    p_a, p_b = result["A"].p, result["B"].p
    assert p_a < p_b < 0.1
    assert result["A"].p_adjusted == pytest.approx(2 * p_a)
    assert result["B"].p_adjusted == pytest.approx(max(p_b, 2 * p_a))
    assert result["C"].p_adjusted is None
    assert [result[name].verdict for name in result] == ["above", "same" if p_b > 0.05 else "below", None]


def test_verdict_goes_by_the_adjusted_p():
    """Alone B would be below Random; among many it may not be called so."""
    table = {"Random": RANDOM, "B": seeds(69.0, 71.5, 70.0, 72.2)}
    assert stats.compare(table, "Random")["B"].verdict == "below"
    p = stats.compare(table, "Random")["B"].p
    others = {f"M{i}": seeds(70.1, 71.8, 71.2, 72.9) for i in range(math.ceil(0.05 / p))}
    crowd = stats.compare({**table, **others}, "Random")["B"]
    assert crowd.verdict == "same"
    assert crowd.distinguishable


def test_best_and_what_is_not_distinguishable_from_it():
    table = {
        "Random": RANDOM,
        "A": seeds(75.0, 77.1, 76.0, 78.0),
        "B": seeds(76.0, 76.0, 76.5, 77.0),
        "C": seeds(74.0, 79.0),
        "D": {},
    }
    best = stats.best(table)
    assert best.name == "A"
    assert best.indistinguishable() == {"Random": False, "B": True, "C": None, "D": None}
    assert best.to_best["Random"].difference == pytest.approx(-5.025)
    assert stats.best({"X": seeds(1, 2), "Y": seeds(1, 2)}).name == "X"


def test_the_best_is_chosen_over_the_seeds_that_all_have():
    """B is better on every common seed; its further seeds are hard ones."""
    table = {"A": seeds(90.0, 91.0, 92.0), "B": seeds(93.0, 94.1, 95.0, 70.0, 70.0, 70.0)}
    assert stats.best(table).name == "B"
    apart = {"A": {0: 90.0}, "B": {1: 93.0}}
    assert stats.best(apart).name == "B"  # no common seed: each by its own


def test_ranks_by_hand():
    table = {"A": seeds(3, 3, 1), "B": seeds(2, 3, 2), "C": seeds(1, 0, 3)}
    result = stats.average_ranks(table)
    assert result.ranks == pytest.approx(
        {"A": (1 + 1.5 + 3) / 3, "B": (2 + 1.5 + 2) / 3, "C": (3 + 3 + 1) / 3}
    )
    assert result.n == 3
    expected = scipy_stats.friedmanchisquare([3, 3, 1], [2, 3, 2], [1, 0, 3])
    assert (result.statistic, result.p) == pytest.approx((expected.statistic, expected.pvalue))


def test_friedman_by_the_textbook_formula():
    """12 n / (m (m + 1)) * sum_j (mean rank_j - (m + 1) / 2)^2 without ties."""
    rng = np.random.default_rng(0)
    table = {f"M{j}": dict(enumerate(rng.normal(j / 2, 1, 6).tolist())) for j in range(5)}
    result = stats.average_ranks(table)
    spread = sum((rank - 3) ** 2 for rank in result.ranks.values())
    assert result.statistic == pytest.approx(12 * 6 / (5 * 6) * spread)
    assert result.p == pytest.approx(scipy_stats.chi2.sf(result.statistic, 4))


def test_ranks_averaged_over_fractions():
    rng = np.random.default_rng(1)
    names = ["A", "B", "C"]
    fractions = {
        f: {name: dict(enumerate(rng.normal(size=4).tolist())) for name in names} for f in (0.01, 0.1)
    }
    # one method lacks a seed at one fraction: that seed is left out everywhere
    del fractions[0.1]["B"][2]
    result = stats.average_ranks_over(fractions)
    per_seed = {
        seed: [
            np.mean([1 + sum(fr[o][seed] > fr[name][seed] for o in names) for fr in fractions.values()])
            for name in names
        ]
        for seed in (0, 1, 3)
    }
    assert list(result.ranks.values()) == pytest.approx(np.mean(list(per_seed.values()), axis=0).tolist())
    expected = scipy_stats.friedmanchisquare(*np.array(list(per_seed.values())).T)
    assert (result.n, result.note) == (3, "3 of 4 seeds are common to all compared")
    assert (result.statistic, result.p) == pytest.approx((expected.statistic, expected.pvalue))


def test_ranks_of_too_little():
    two = stats.average_ranks({"A": seeds(1, 2, 3), "B": seeds(2, 3, 4)})
    assert (two.ranks, two.p) == ({"A": 2.0, "B": 1.0}, None)
    assert "2 methods" in two.note
    few = stats.average_ranks({"A": seeds(1, 2), "B": seeds(2, 3), "C": seeds(0, 0)})
    assert (few.ranks, few.p) == ({"A": 2.0, "B": 1.0, "C": 3.0}, None)
    assert "2 common seeds: no test below 3" in few.note
    none = stats.average_ranks({"A": seeds(1, 2), "B": seeds(2, 3, first=5)})
    assert (none.ranks, none.n, none.p) == ({}, 0, None)
    assert "no seed" in none.note
    tied = stats.average_ranks({name: seeds(5, 6, 7) for name in "ABC"})
    assert (tied.ranks, tied.statistic, tied.p) == ({"A": 2.0, "B": 2.0, "C": 2.0}, 0.0, 1.0)


@given(
    st.dictionaries(
        st.sampled_from("ABCD"),
        st.dictionaries(st.integers(0, 4), st.sampled_from([0.0, 0.5, 0.5 + 1e-16, 1.0])),
        min_size=1,
    )
)
def test_nothing_is_nan(table):
    numbers = []
    reference = next(iter(table))
    for pair in stats.compare(table, reference).values():
        numbers += [pair.difference, pair.std, pair.low, pair.high, pair.p, pair.p_adjusted]
    ranks = stats.average_ranks(table)
    numbers += [*ranks.ranks.values(), ranks.statistic, ranks.p]
    assert all(number is None or math.isfinite(number) for number in numbers)


def test_bad_input_is_named():
    with pytest.raises(UsageError, match="unknown method 'Randm'"):
        stats.compare({"Random": RANDOM}, "Randm")
    with pytest.raises(UsageError, match="accuracy of A with seed 1 is nan"):
        stats.compare({"Random": RANDOM, "A": seeds(1.0, math.nan)}, "Random")
    with pytest.raises(UsageError, match="same methods at every fraction, not B"):
        stats.average_ranks_over({0.1: {"A": RANDOM}, 0.2: {"A": RANDOM, "B": RANDOM}})
    with pytest.raises(UsageError, match="level is 95"):
        stats.paired_difference({"A": RANDOM, "B": RANDOM}, "A", "B", level=95)
    for empty in (lambda: stats.summarise({}), lambda: stats.best({}), lambda: stats.average_ranks_over({})):
        with pytest.raises(UsageError, match="no accuracy"):
            empty()
