"""CCS's strata and DUAL's weighted draw, as functions of any score."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import scipy.stats
import torch
from helpers import full_run, labels_of
from hypothesis import given
from hypothesis import strategies as st

import methods
from deepcore.common.checks import DeepcoreError, UsageError
from deepcore.proxy.signals import Signal
from deepcore.selection.budget import Budget
from deepcore.selection.ranking import cut_lowest, groups, merit
from deepcore.selection.strata import sample_strata, strata_budgets, strata_counts, strata_edges, strata_of
from deepcore.selection.weighted import beta_weights, sample_weighted

LINE = np.arange(10.0)
ONE_CLASS = np.zeros(10, dtype=np.int64)


def draw(scores, k, seed=0, ids=None, labels=None, **options):
    n = len(scores)
    ids = np.arange(n) if ids is None else ids
    labels = np.zeros(n, dtype=np.int64) if labels is None else labels
    options.setdefault("class_balanced", False)
    return sample_strata(
        np.asarray(scores), ids, labels, Budget(k / n, k), np.random.default_rng(seed), **options
    )


# ---- strata


def test_strata_by_hand():
    """0..9 in 3 strata: top 9.0009, step 3.0003, so {0, 1, 2, 3}, {4, 5, 6}, {7, 8, 9}.

    Budget 8: the two of 3 rows first, 8 // 3 = 2 and 6 // 2 = 3, then the one of 4 gets the remaining 3.
    """
    edges = strata_edges(LINE, 3)
    np.testing.assert_allclose(edges, [0, 3.0003, 6.0006, 9.0009], rtol=1e-6)
    assert edges.dtype == np.float32
    np.testing.assert_array_equal(strata_counts(LINE, edges), [4, 3, 3])
    np.testing.assert_array_equal(strata_budgets(np.array([4, 3, 3]), 8), [3, 2, 3])
    rows = draw(LINE, 8, strata=3).rows
    np.testing.assert_array_equal(strata_counts(rows, edges), [3, 2, 3])


def test_a_score_on_an_edge_is_in_the_upper_stratum():
    edges = strata_edges(np.array([-4.0, 0.0]), 4)  # the top edge of 0 is 0: exact edges -4, -3, ..., 0
    np.testing.assert_array_equal(strata_of(np.array([-4.0, -3.0, -2.5, -2.0, 0.0]), edges), [0, 1, 1, 2, 3])


def test_strata_budgets_by_hand():
    np.testing.assert_array_equal(strata_budgets(np.array([5, 0, 1, 9]), 8), [3, 0, 1, 4])
    np.testing.assert_array_equal(strata_budgets(np.array([0, 0, 7]), 3), [0, 0, 3])
    np.testing.assert_array_equal(
        strata_budgets(np.array([2, 2, 2]), 4), [1, 1, 2]
    )  # stable: first comes first
    np.testing.assert_array_equal(strata_budgets(np.array([2, 3]), 9), [2, 3])


@given(st.lists(st.integers(0, 40), min_size=1, max_size=60), st.data())
def test_strata_budgets_sum_to_k_for_every_size(counts, data):
    counts = np.array(counts)
    k = data.draw(st.integers(0, int(counts.sum())))
    budgets = strata_budgets(counts, k)
    assert budgets.sum() == k
    assert np.all((budgets >= 0) & (budgets <= counts))
    # no stratum gets two more than another that still had rows to give
    open_ones = budgets[budgets < counts]
    if open_ones.size:
        assert budgets.max() - open_ones.min() <= 1


@given(
    st.lists(st.floats(-1e3, 1e3, width=32), min_size=1, max_size=80),
    st.integers(1, 60),
)
def test_every_score_has_the_stratum_of_the_authors_comparisons(scores, strata):
    """Against comparisons made one stratum at a time in torch's float32."""
    scores = np.array(scores, dtype=np.float32)
    edges = strata_edges(scores, strata)
    assert np.all(np.diff(edges) >= 0)
    assert strata_counts(scores, edges).sum() == len(scores)
    s = torch.from_numpy(scores)
    low, high = s.min(), s.max()
    if low == high:
        assert len(edges) == 2
        return
    step = (high * (1.0001 if high > 0 else 0.9999) - low) / strata
    found = strata_of(scores, edges)
    for i in range(strata):
        inside = (s >= low + i * step) & (s < low + (i + 1) * step)
        # the last one is closed, which takes in what the half-open comparison loses
        np.testing.assert_array_equal(found[inside.numpy()], i)
    lost = (
        torch.stack([(s >= low + i * step) & (s < low + (i + 1) * step) for i in range(strata)]).sum(0) == 0
    )
    assert np.all(found[lost.numpy()] == strata - 1)


@pytest.mark.parametrize(
    "scores", [[-3.0, -2.0, -1.0], [-2.0, -1.0, 0.0], [-1.0, -1.0, -1.0], [0.0, 0.0, 0.0]]
)
def test_scores_that_never_exceed_zero_lose_nothing(scores):
    edges = strata_edges(np.array(scores))
    assert strata_counts(np.array(scores), edges).sum() == 3
    assert sorted(draw(scores, 3).rows) == [0, 1, 2]


def test_all_scores_equal_is_one_stratum_drawn_uniformly():
    edges = strata_edges(np.full(10, 0.7))
    assert len(edges) == 2
    picks = np.concatenate([draw(np.full(10, 0.7), 3, seed).rows for seed in range(2000)])
    assert scipy.stats.chisquare(np.bincount(picks, minlength=10)).pvalue > 1e-4


def test_draws_are_uniform_within_a_stratum():
    picks = np.concatenate([draw(LINE, 5, seed, strata=2).rows for seed in range(2000)])
    counts = np.bincount(picks, minlength=10)
    assert scipy.stats.chisquare(counts[:5]).pvalue > 1e-4
    assert scipy.stats.chisquare(counts[5:]).pvalue > 1e-4


def test_cut_takes_the_lowest_and_gives_back_the_highest_of_them():
    """beta = 0.65 cuts int(6.5) = 6 rows, 4 stay; of a budget of 6, two come back: the best of those cut."""
    stay, cut = cut_lowest(np.array([3.0, 1, 1, 2, 9, 8, 7, 3, 6, 4]), np.arange(10), 0.65)
    assert stay.tolist() == [4, 5, 6, 8]
    assert cut.tolist() == [9, 0, 7, 3, 1, 2]
    chosen = draw(LINE, 6, beta=0.65, aum=LINE)
    assert sorted(chosen.rows) == [4, 5, 6, 7, 8, 9]
    assert chosen.rows[-2:].tolist() == [5, 4]
    assert chosen.notes == ("2 of 6 picks had been cut (beta=0.65) and came back to fill the budget",)
    assert draw(LINE, 4, beta=0.65, aum=LINE).notes == ()


def test_strata_class_by_class_and_over_the_pool():
    scores = np.concatenate([np.zeros(12), np.arange(4.0)])
    labels = np.repeat([0, 1], [12, 4])
    balanced = draw(scores, 8, labels=labels, class_balanced=True).rows
    assert np.bincount(labels[balanced]).tolist() == [6, 2]
    # over the pool: rows 12 (score 0) and 0..11 share a stratum of 13, and 1, 2, 3 have one each
    pooled = draw(scores, 8, labels=labels).rows
    assert {13, 14, 15} <= set(pooled.tolist())


def test_strata_rows_do_not_depend_on_the_storage():
    rng = np.random.default_rng(4)
    scores, ids, labels = rng.normal(size=60), rng.permutation(500)[:60], rng.integers(0, 3, 60)
    first = draw(scores, 20, 9, ids, labels, beta=0.2, aum=scores, class_balanced=True).rows
    assert not np.array_equal(
        first, draw(scores, 20, 8, ids, labels, beta=0.2, aum=scores, class_balanced=True).rows
    )
    for seed in range(5):
        p = np.random.default_rng(seed).permutation(60)
        moved = draw(scores[p], 20, 9, ids[p], labels[p], beta=0.2, aum=scores[p], class_balanced=True).rows
        np.testing.assert_array_equal(first, moved)


# ---- DUAL's weights


@pytest.mark.parametrize("fraction", [0.01, 0.1, 0.3, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("c_d", [4.0, 5.5])
def test_beta_weights_equal_scipy(fraction, c_d):
    rng = np.random.default_rng(0)
    means, scores = rng.uniform(0.01, 0.99, 200), rng.random(200)
    a = means[np.argsort(-scores)[:10]].mean()
    y_b = 15 * (1 - a) * (1 - (1 - fraction) ** c_d)
    expected = scipy.stats.beta.pdf(means, 16 - y_b, y_b) * scores
    np.testing.assert_allclose(beta_weights(means, scores, fraction, c_d=c_d), expected, rtol=1e-10)


def test_beta_weights_by_hand():
    """All kept (r = 0) and a = 14/15: y_b = 1, y_a = 15, the density is 15 m^14."""
    means = np.concatenate([np.full(10, 14 / 15), [0.5]])
    scores = np.concatenate([np.full(10, 2.0), [1.0]])
    expected = [*[30 * (14 / 15) ** 14] * 10, 15 * 0.5**14]
    np.testing.assert_allclose(beta_weights(means, scores, 1.0), expected)


def test_fewer_rows_kept_weigh_the_easy_ones_more():
    means = np.linspace(0.05, 0.95, 19)
    scores = np.where(np.abs(means - 0.5) < 0.26, 1.0, 0.9)
    modes = [means[np.argmax(beta_weights(means, scores, f))] for f in (0.9, 0.3, 0.1, 0.02)]
    assert modes == sorted(modes)
    assert modes[0] < modes[-1]


@pytest.mark.parametrize("fraction", [0.001, 0.3, 1.0])
def test_beta_weights_are_finite_at_probabilities_0_and_1(fraction):
    for means in (np.array([0.0, 1.0, 0.5]), np.ones(3), np.zeros(3)):
        weights = beta_weights(means, np.array([1.0, 2.0, 3.0]), fraction)
        assert np.all(np.isfinite(weights))
        assert np.all(weights > 0)


def test_ties_at_the_tenth_highest_score_go_to_the_lower_id():
    means = np.linspace(0.1, 0.9, 12)
    by_id = beta_weights(means, np.ones(12), 0.5, ids=np.arange(12))
    np.testing.assert_allclose(
        by_id, beta_weights(means[::-1], np.ones(12), 0.5, ids=np.arange(12)[::-1])[::-1]
    )
    assert not np.allclose(by_id, beta_weights(means, np.ones(12), 0.5, ids=np.arange(12)[::-1]))


def test_weighted_draws_follow_the_weights():
    """The first row has probability w_i / sum w; the second, given i first, w_j / (sum w - w_i)."""
    w, n = np.array([1.0, 2.0, 3.0, 4.0]), 6000
    firsts, pairs = np.zeros(4), np.zeros((4, 4))
    for seed in range(n):
        rng = np.random.default_rng(seed)
        rows = sample_weighted(
            w, w, np.arange(4), np.zeros(4, int), Budget(0.5, 2), rng, class_balanced=False
        ).rows
        firsts[rows[0]] += 1
        pairs[rows[0], rows[1]] += 1
    assert scipy.stats.chisquare(firsts, n * w / 10).pvalue > 1e-4
    expected = n * np.outer(w / 10, w) / (10 - w)[:, None]
    off = ~np.eye(4, dtype=bool)
    assert pairs[~off].sum() == 0
    assert scipy.stats.chisquare(pairs[off], expected[off]).pvalue > 1e-4


def test_too_few_positive_weights_are_filled_by_score():
    weights = np.array([0.0, 5.0, 0.0, -1.0, 1e-300, 0.0])
    scores = np.array([1.0, 0.0, 3.0, 2.0, 0.0, 3.0])
    chosen = sample_weighted(
        weights,
        scores,
        np.arange(6),
        np.zeros(6, int),
        Budget(0.5, 5),
        np.random.default_rng(0),
        class_balanced=False,
    )
    assert chosen.rows.tolist() == [1, 4, 2, 5, 3]
    assert chosen.notes == ("3 of 5 picks had no positive weight and were taken by score",)


def test_weighted_draw_keeps_class_quotas_and_ignores_storage():
    rng = np.random.default_rng(4)
    w, ids, labels = rng.random(60), rng.permutation(500)[:60], np.repeat([0, 1, 2], [30, 20, 10])
    budget = Budget(0.2, 12)
    first = sample_weighted(w, w, ids, labels, budget, np.random.default_rng(1), class_balanced=True).rows
    by_id = dict(zip(ids.tolist(), labels.tolist(), strict=True))
    assert np.bincount([by_id[i] for i in first.tolist()]).tolist() == [6, 4, 2]
    p = rng.permutation(60)
    moved = sample_weighted(
        w[p], w[p], ids[p], labels[p], budget, np.random.default_rng(1), class_balanced=True
    ).rows
    np.testing.assert_array_equal(first, moved)


# ---- what they share, and the way in from a method


def test_merit_is_higher_for_better():
    scores = np.array([-3.0, 0.0, 2.0])
    np.testing.assert_array_equal(merit(scores, "highest"), scores)
    np.testing.assert_array_equal(merit(scores, "lowest"), [5.0, 2.0, 0.0])
    np.testing.assert_array_equal(merit(scores, "zero"), [0.0, 3.0, 1.0])


def test_groups_are_the_classes_with_a_quota_in_the_order_given():
    order, labels = np.array([5, 0, 3, 1, 4, 2]), np.array([2, 0, 0, 2, 2, 0])
    parts = [(rows.tolist(), quota) for rows, quota in groups(order, labels, 3, True)]
    assert parts == [([5, 1, 2], 2), ([0, 3, 4], 1)]
    assert [(rows.tolist(), quota) for rows, quota in groups(order, labels, 3, False)] == [
        (order.tolist(), 3)
    ]
    assert [quota for _, quota in groups(order, labels, 1, True)] == [1]


def test_beta_weights_of_a_score_whose_low_end_is_kept():
    run, budget = full_run(labels_of(40, 20)), Budget.of(0.3, 60)
    method = methods.parse("AUM:sampler=beta")
    scores = method.score(run)
    means = np.exp(-run.trajectory(Signal.LOSS, "online").astype(np.float64)).mean(axis=0)
    weights = beta_weights(means, scores.max() - scores, 0.3, ids=run.ids)
    expected = sample_weighted(
        weights,
        scores,
        run.ids,
        run.labels,
        budget,
        np.random.default_rng(3),
        keep="lowest",
        class_balanced=True,
    )
    with pytest.warns(UserWarning, match="epochs=30"):
        chosen = method.select(run, budget, np.random.default_rng(3))
    np.testing.assert_array_equal(chosen.rows, expected.rows)


def test_strata_of_any_score_are_reached_by_the_sampler_field():
    """AUM with strata is CCS without its cut."""
    run, budget = full_run(labels_of(40, 20)), Budget.of(0.3, 60)
    plain = methods.parse("AUM:of=probability,sampler=strata").select(run, budget, np.random.default_rng(3))
    ccs = methods.parse("CCS:beta=0").select(run, budget, np.random.default_rng(3))
    np.testing.assert_array_equal(plain.rows, ccs.rows)
    top = methods.parse("AUM:of=probability").select(run, budget, np.random.default_rng(3))
    assert set(top.rows.tolist()) != set(plain.rows.tolist())
    with pytest.raises(UsageError, match=r"unknown sampler 'stratum'.*top, strata, beta"):
        methods.parse("AUM:sampler=stratum")


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    ("method", "signal"),
    [("CCS:difficulty=el2n,beta=0.4", Signal.MARGIN_P), ("EL2N:sampler=beta", Signal.LOSS)],
)
def test_what_a_sampler_reads_beside_the_score_is_never_sorted_when_it_is_no_number(method, signal):
    run = full_run(labels_of(20, 20), repeats=0)
    broken = run.trajectories["online", signal].copy()
    broken[5, 3] = np.nan
    run = dataclasses.replace(run, trajectories={**run.trajectories, ("online", signal): broken})
    with pytest.raises(DeepcoreError, match=rf"1 scores are not finite numbers \(rows {run.ids[3]},"):
        methods.parse(method).select(run, Budget.of(0.3, 40), np.random.default_rng(0))
