"""D2 by hand, and against the definition written with dense matrices and repeated argmax."""

import dataclasses
import warnings

import numpy as np
import pytest
from helpers import full_run, labels_of, online_run, permuted
from hypothesis import given, settings
from hypothesis import strategies as st

from deepcore.common.checks import UsageError
from deepcore.proxy.signals import Signal
from deepcore.selection.budget import Budget, class_quotas
from methods.aum import AUM
from methods.d2 import D2
from methods.el2n import EL2N
from methods.forgetting import Forgetting

RNG = np.random.default_rng(0)


def chosen(run, fraction=0.5, **fields):
    return D2(device="cpu", **fields).select(run, Budget.of(fraction, len(run.ids)), RNG)


def with_features(run, features):
    return dataclasses.replace(run, final={Signal.FEATURES: np.asarray(features, dtype=np.float32)})


def slow(run, k, method):
    """N x N matrices, Python loops, argmax after argmax."""
    order = np.argsort(run.ids)
    labels = run.labels[order]
    h = run.final[Signal.FEATURES][order].astype(np.float64)
    mode = method.mode
    aum = run.trajectory(Signal.MARGIN_P, mode).mean(axis=0, dtype=np.float64)[order]
    if method.difficulty == "aum":
        s = aum.max() - aum
    else:
        scorer = {"forgetting": Forgetting(), "el2n": EL2N()}[method.difficulty]
        s = scorer.score(run)[order]
    group = labels if method.class_balanced else np.zeros_like(labels)
    quotas = class_quotas(group, k, group.max() + 1)
    stay = np.ones(len(s), dtype=bool)
    for g in np.unique(group):
        members = np.flatnonzero(group == g)
        stay[members[np.argsort(aum[members], kind="stable")][: int(method.beta * len(members))]] = False
    d = np.sqrt(((h[:, None] - h[None]) ** 2).sum(axis=-1))
    edge = np.zeros(d.shape, dtype=bool)
    for i in np.flatnonzero(stay):
        others = [
            j for j in np.flatnonzero(stay) if j != i and (method.graph == "global" or labels[i] == labels[j])
        ]
        edge[i, sorted(others, key=lambda j: (d[i, j], j))[: method.neighbors]] = True
    if method.normalize:
        for part in [stay] if method.graph == "global" else [stay & (labels == c) for c in np.unique(labels)]:
            lengths = d[edge & part[:, None]]
            if lengths.size and np.median(lengths) > 0:
                d[np.ix_(part, part)] /= np.median(lengths)
    if method.symmetric:
        edge |= edge.T
        s = np.maximum(s, 1e-7)
    forward = np.exp(-(d**method.power))
    back = np.exp(-method.gamma * d**method.power) if method.reverse == "weighted" else np.ones_like(d)
    x = np.zeros(len(s))
    for i in np.flatnonzero(stay):
        terms = [forward[i, j] * s[j] for j in np.flatnonzero(edge[i])]
        if method.forward == "sum":
            x[i] = sum(sorted([*terms, s[i]]))  # smallest first: the same terms are the same sum
        else:
            x[i] = s[i] * sum(sorted(terms))
    left, free, picks = quotas.copy(), stay.copy(), []
    while (allowed := np.flatnonzero(free & (left[group] > 0))).size:
        i = allowed[np.argmax(x[allowed])]
        picks.append(i)
        free[i] = False
        left[group[i]] -= 1
        x[edge[i]] -= back[i, edge[i]] * x[i]
    for g in np.flatnonzero(left):
        cut = np.flatnonzero(~stay & (group == g))
        picks += cut[np.argsort(-aum[cut], kind="stable")][: left[g]].tolist()
    return run.ids[order][picks].tolist()


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("difficulty", ["forgetting", "el2n", "aum"])
@pytest.mark.parametrize("graph", ["class", "global"])
@pytest.mark.parametrize("class_balanced", [True, False])
@given(
    seed=st.integers(0, 2**32 - 1),
    grid=st.booleans(),
    fraction=st.sampled_from([0.03, 0.3, 0.8, 1.0]),
    options=st.fixed_dictionaries(
        {
            "neighbors": st.sampled_from([1, 3, 30]),
            "gamma": st.sampled_from([0.0, 0.1, 2.0]),
            "beta": st.sampled_from([0.0, 0.3]),
            "forward": st.sampled_from(["sum", "product"]),
            "reverse": st.sampled_from(["weighted", "absolute"]),
            "power": st.sampled_from([1, 2]),
            "symmetric": st.booleans(),
            "normalize": st.booleans(),
        }
    ),
)
@settings(max_examples=8, deadline=None)
def test_equals_the_dense_definition(difficulty, graph, class_balanced, seed, grid, fraction, options):
    """On random features, and on grids where distances, and with forgetting counts also values, tie."""
    run = full_run(labels_of(17, 11, 4), seed=seed % 1000, repeats=0)
    rng = np.random.default_rng(seed)
    if grid:
        run = with_features(run, rng.integers(0, 3, (32, 2)))
    run = permuted(run, rng.permutation(32))
    method = D2(difficulty=difficulty, graph=graph, class_balanced=class_balanced, device="cpu", **options)
    k = Budget.of(fraction, 32).k
    assert method.select(run, Budget(fraction, k), rng).rows.tolist() == slow(run, k, method)


def test_exact_duplicates_tie_to_the_bit():
    """Twins send each other their difficulty, so both are worth s_a + s_b + the rest, and the lower id goes
    first: rounding must not choose."""
    rng = np.random.default_rng(0)
    run = with_features(full_run(labels_of(32, 32), repeats=0), np.tile(rng.normal(size=(32, 4)), (2, 1)))
    method = D2(difficulty="el2n", graph="global", device="cpu")
    graph = method.build_graph(run, np.arange(64))
    values, _ = method.messages(method.difficulties(run), graph)
    assert len(set(values)) == 32
    assert values[:32].tolist() == values[32:].tolist()


def by_hand_run():
    """One class on a line at 0, 1, 3, 7; forgetting counts 2, 3, 1, 1."""
    right = {
        0: [1, 0, 1, 0, 1, 1, 1],
        1: [1, 0, 1, 0, 1, 0, 1],
        2: [1, 1, 1, 0, 1, 1, 1],
        3: [1, 0, 1, 1, 1, 1, 1],
    }
    margins = np.array([right[i] for i in range(4)], dtype=float).T * 2 - 1
    return with_features(online_run([0, 0, 0, 0], margin=margins), [[0.0], [1.0], [3.0], [7.0]])


@pytest.mark.parametrize(
    ("fields", "order"),
    [
        # nearest: 0 <-> 1, 2 -> 1, 3 -> 2, at distances 1, 1, 2, 4
        # x = 2 + 3/e, 3 + 2/e, 1 + 3/e^2, 1 + 1/e^4 = 3.10, 3.74, 1.41, 1.02
        # 1 lowers 0 by 3.74 e^-0.1 to -0.28; 2 and 3 follow (3 lowers nobody left)
        ({}, [1, 2, 3, 0]),
        # gamma 2: 0 keeps 3.10 - 3.74 e^-2 = 2.60
        ({"gamma": 2.0}, [1, 0, 2, 3]),
        # x = 6/e, 6/e, 3/e^2, 1/e^4: 0 and 1 tie, 0 takes all of 1's; then 2, 3, 1
        ({"forward": "product", "reverse": "absolute"}, [0, 2, 3, 1]),
        # edges both ways: 1 also lowers 2 (to -1.94: x_2 = 1 + 3/e^2 + 1/e^4 = 1.42, x_1 = 4.01), 0 to -0.52
        ({"symmetric": True}, [1, 3, 0, 2]),
        # squares: x = 2 + 3/e, 3 + 2/e, 1 + 3/e^4, 1 + 1/e^16
        ({"power": 2}, [1, 2, 3, 0]),
    ],
)
def test_by_hand(fields, order):
    assert chosen(by_hand_run(), 1.0, neighbors=1, beta=0.0, **fields).rows.tolist() == order


def test_values_after_the_forward_step_by_hand():
    run = by_hand_run()
    method = D2(neighbors=1, beta=0.0, device="cpu")
    assert method.difficulties(run).tolist() == [2, 3, 1, 1]
    graph = method.build_graph(run, np.arange(4))
    values, weights = method.messages(method.difficulties(run), graph)
    e = np.e
    np.testing.assert_allclose(values, [2 + 3 / e, 3 + 2 / e, 1 + 3 / e**2, 1 + e**-4], rtol=1e-14)
    np.testing.assert_allclose(weights, np.exp([-0.1, -0.1, -0.2, -0.4]), rtol=1e-14)


def test_aum_is_turned_so_that_hard_is_large():
    run = full_run(labels_of(10, 10))
    aum = AUM(of="probability").score(run)
    np.testing.assert_array_equal(D2(difficulty="aum").difficulties(run), aum.max() - aum)
    np.testing.assert_array_equal(D2(difficulty="el2n").difficulties(run), EL2N().score(run))
    np.testing.assert_array_equal(D2().difficulties(run), Forgetting().score(run))


@pytest.mark.parametrize(
    ("fraction", "beta"), [(0.05, 0.3), (0.15, 0.2), (0.3, 0.1), (0.4, 0.05), (0.9, 0.0)]
)
def test_beta_goes_by_the_fraction_as_in_ccs(fraction, beta):
    assert D2().resolve(fraction).beta == beta
    assert D2(beta=0.2).resolve(fraction).beta == 0.2


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_class_no_larger_than_kappa_keeps_its_quota():
    run = full_run(labels_of(40, 4, 1))
    budget = Budget.of(0.2, 45)
    with pytest.warns(UserWarning, match="neighbors=5 .* of 2 of 3 graphs"):
        rows = D2(beta=0.0).select(run, budget, RNG).rows
    labels = run.labels[np.searchsorted(run.ids, rows)]
    assert np.bincount(labels).tolist() == class_quotas(run.labels, 9, 3).tolist() == [7, 1, 1]


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_what_was_cut_comes_back_when_the_budget_needs_it():
    run = full_run(labels_of(20, 10))
    whole = chosen(run, 1.0, beta=0.3)
    assert sorted(whole.rows) == run.ids.tolist()
    aum = AUM(of="probability").score(run)
    back = np.searchsorted(run.ids, whole.rows[-9:])
    for c, size in ((0, 6), (1, 3)):
        of_class = back[run.labels[back] == c]
        lowest = np.sort(aum[run.labels == c])[:size]
        np.testing.assert_array_equal(aum[of_class], lowest[::-1])
    assert any("9 of 30 picks had been cut (beta=0.3)" in note for note in whole.notes)
    assert chosen(run, 0.5, beta=0.3).notes == ()
    cut = run.ids[np.argsort(aum)[:3]]
    assert not set(cut) & set(chosen(run, 0.5, beta=0.3, class_balanced=False).rows)


def test_ties_are_said():
    """Nothing was ever forgotten: every difficulty is 0, and the lowest ids are taken."""
    run = full_run(labels_of(40))
    right = np.ones_like(run.trajectory(Signal.MARGIN, "online"))
    run = dataclasses.replace(run, trajectories={**run.trajectories, ("online", Signal.MARGIN): right})
    found = chosen(run, 0.5, beta=0.0)
    assert any("20 of 20 picks (100.0%) had an equal" in note for note in found.notes)
    assert sorted(found.rows) == sorted(np.sort(run.ids)[:20])


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_equal_features_and_one_row():
    run = with_features(full_run(labels_of(12, 8)), np.ones((20, 3)))
    for graph in ("class", "global"):
        for normalize in (False, True):
            rows = chosen(run, 1.0, graph=graph, normalize=normalize, beta=0.0).rows
            assert sorted(rows) == run.ids.tolist()
    one = full_run(labels_of(1))
    assert chosen(one, 1.0).rows.tolist() == one.ids.tolist()


def test_a_warning_when_most_edges_are_zero():
    run = full_run(labels_of(20, 20))
    far = with_features(run, run.final[Signal.FEATURES] * 1000)
    with pytest.warns(UserWarning, match="of the edges have a weight of 0 .*normalize=true"):
        chosen(far)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        chosen(run, difficulty="aum")
        chosen(far, normalize=True)


def test_distances_beyond_float32_underflow_still_count():
    """exp(-200) is 0 in float32; here it is 1e-87, and decides between equal difficulties of 0."""
    margins = np.array([[1.0, 1, 1, 1], [1, 1, -1, 1], [1, 1, 1, 1]])
    run = with_features(online_run([0, 0, 0, 0], margin=margins), [[0.0], [600.0], [800.0], [1500.0]])
    with pytest.warns(UserWarning, match="weight of 0"):
        rows = chosen(run, 0.5, neighbors=1, beta=0.0).rows
    assert rows.tolist() == [2, 3]  # 3 -> 2 at 700 (exp: 1e-304); 1 -> 2 at 200 was lowered by 2


@pytest.mark.parametrize(
    "fields",
    [
        {"difficulty": "loss"},
        {"neighbors": 0},
        {"gamma": -0.1},
        {"beta": 1.0},
        {"graph": "local"},
        {"forward": "max"},
        {"reverse": "none"},
        {"power": 3},
    ],
)
def test_bad_fields(fields):
    with pytest.raises(UsageError, match=next(iter(fields))):
        D2(**fields)
