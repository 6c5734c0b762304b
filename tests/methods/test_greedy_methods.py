"""The greedy methods by hand, and against `oracle_greedy.py` on plain data, on duplicates and grids, and on
data without gradients."""

from __future__ import annotations

import dataclasses

import numpy as np
import oracle
import oracle_greedy
import pytest

import methods
from deepcore.common.checks import MissingSignal, UsageError
from deepcore.proxy.run import ProxyRun
from deepcore.proxy.signals import Signal
from deepcore.selection.budget import Budget

GREEDY = ("Herding", "KCenter", "GraphCut", "FacilityLocation", "CRAIG", "GradMatch")
BUDGETS = (0.001, 0.1, 0.35, 0.8, 1.0)


def make(h, z, labels, ids=None):
    """A run that holds final logits and features only."""
    h, z, labels = np.asarray(h, np.float64), np.asarray(z, np.float64), np.asarray(labels)
    return ProxyRun(
        ids=np.arange(len(labels)) if ids is None else np.asarray(ids),
        labels=labels,
        num_classes=z.shape[1],
        val_ids=np.array([10**6]),
        val_labels=np.array([0]),
        final={Signal.LOGITS: z, Signal.FEATURES: h},
        has_initial=False,
    )


def drawn(kind, seed=0, n=42, classes=3, dim=5):
    """Ids in no order; "tied": features on a grid and half the rows copies; "sharp": most gradients nearly 0,
    some exactly."""
    rng = np.random.default_rng(seed)
    h = np.maximum(rng.normal(size=(n, dim)), 0)
    labels = rng.integers(0, classes, n)
    if kind == "tied":
        h = np.round(h)
        labels[: n // 2] = labels[(copied := rng.integers(n // 2, n, n // 2))]
        h[: n // 2] = h[copied]
    z = h @ rng.normal(size=(dim, classes))
    if kind == "sharp":
        z[:, :] *= 30.0
        z[np.arange(n), labels] += 40
        z[: n // 4] = np.where(np.eye(classes)[labels[: n // 4]] > 0, 3000.0, 0.0)
    return make(h, z, labels, rng.choice(10 * n, n, replace=False))


RUNS = {
    "plain": drawn("plain"),
    "tied": drawn("tied", seed=1, classes=2),
    "sharp": drawn("sharp", seed=2),
    "wide": drawn("plain", seed=3, n=30, classes=6, dim=40),
}


def select(run, name, fraction=0.5, *, seed=0, **fields):
    method = methods.get(name)(device="cpu", **fields)
    return method.select(run, Budget.of(fraction, len(run.ids)), np.random.default_rng(seed))


def parts_of(run, fraction, class_balanced):
    """[(positions by id, quota)]."""
    for part, quota in oracle.parts(run.labels, oracle.budget(fraction, len(run.ids)), class_balanced):
        yield np.array(part)[np.argsort(run.ids[part])], quota


def arrays(run, part):
    """Features and explicit gradients."""
    h = run.final[Signal.FEATURES][part]
    return h, oracle_greedy.gradients(run.final[Signal.LOGITS][part], run.labels[part], h)


def of_part(run, part, chosen):
    """Positions within `part`, and weights, in the order they were picked."""
    where = {row: i for i, row in enumerate(run.ids[part].tolist())}
    mine = [t for t, row in enumerate(chosen.rows.tolist()) if row in where]
    weights = None if chosen.weights is None else chosen.weights[mine]
    return [where[chosen.rows[t]] for t in mine], weights


# --- by hand ---------------------------------------------------------------------------------------

FLAT = np.zeros((4, 2))  # equal logits: r = (-1/2, 1/2) for class 0


def test_herding_by_hand():
    """mu = 4: 3 and 5 are equally near, 3 is first. Then w = 8 - 3 = 5: 5. w = 12 - 8 = 4: of 0 and 8, both 4
    away, the lower id."""
    run = make([[0.0], [3.0], [5.0], [8.0]], FLAT, [0, 0, 0, 0], ids=[7, 5, 9, 6])
    assert select(run, "Herding", 1.0).rows.tolist() == [5, 9, 6, 7]


def test_k_center_by_hand():
    """From 0: 10 is farthest, then 4 (4 from 0; 9 is 1 from 10), then 9."""
    run = make([[0.0], [4.0], [9.0], [10.0]], FLAT, [0, 0, 0, 0])
    seeds = [s for s in range(20) if np.random.default_rng(s).integers(4) == 0]
    assert select(run, "KCenter", 1.0, seed=seeds[0]).rows.tolist() == [0, 3, 1, 2]
    starts = {int(select(run, "KCenter", 0.25, seed=s).rows[0]) for s in range(40)}
    assert starts == {0, 1, 2, 3}


def test_graph_cut_by_hand():
    """g = (-1/2, 1/2) outer [1, h]: directions of [1, h]. h = 1, 1, -1: cosines 1 between the first two, 0
    with the third, so K sums are 2.5, 2.5, 2 and gains 5, 5, 4: the first. Then 5 - 2 = 3 and 4 - 1 = 3: a
    tie. With lam 1: 2.5, 2.5, 2, then 0.5 and 1: the third."""
    run = make([[1.0], [1.0], [-1.0]], FLAT[:3], [0, 0, 0])
    assert select(run, "GraphCut", 1.0).rows.tolist() == [0, 1, 2]
    assert select(run, "GraphCut", 1.0, lam=1.0).rows.tolist() == [0, 2, 1]
    moved = make([[-1.0], [1.0], [1.0]], FLAT[:3], [0, 0, 0])
    assert select(moved, "GraphCut", 1.0).rows.tolist() == [1, 0, 2]


def test_facility_location_by_hand():
    """h = 1, 1, -1 as above: K sums 2.5, 2.5, 2: the first. It serves 1, 1, 0.5: the second adds 0, the third
    0.5."""
    run = make([[1.0], [1.0], [-1.0]], FLAT[:3], [0, 0, 0])
    chosen = select(run, "FacilityLocation", 1.0)
    assert chosen.rows.tolist() == [0, 2, 1]
    assert chosen.weights is None


def test_craig_by_hand():
    """||g_i - g_j|| = |h_i - h_j| / sqrt(2). h = 0, 1, 2, 10: distance sums 13, 11, 11, 27 (times 1/sqrt 2):
    the second. It leaves 1, 0, 1, 9: the fourth adds 9, and serves itself alone."""
    run = make([[0.0], [1.0], [2.0], [10.0]], FLAT, [0, 0, 0, 0], ids=[3, 4, 6, 8])
    chosen = select(run, "CRAIG", 0.5)
    assert chosen.rows.tolist() == [4, 8]
    assert chosen.weights.tolist() == [3, 1]
    assert select(run, "CRAIG", 1.0).weights.tolist() == [1, 1, 1, 1]
    assert chosen.notes == ("weighted: each row stands for 1 to 3 rows",)
    assert select(run, "CRAIG", 0.5, weighted=False).weights is None
    assert select(run, "CRAIG", 0.5, weighted=False).rows.tolist() == [4, 8]


def test_gradmatch_by_hand():
    """g = (-1/2, 1/2) outer [1, h], so <g_i, g_j> = (1 + h_i h_j) / 2. h = 1, -1, 3: t is that of h = 1, and
    <g, t> = 1, 0, 2: the third, of square 5. x = 2 / (5 + lam) = 1/3. Then <g, t - x g_3> = 1 - 2/3, 0 + 1/3:
    a tie, the first. x solves [[6, 2], [2, 2]] x = [2, 1]: (1/4, 1/4)."""
    run = make([[1.0], [-1.0], [3.0]], FLAT[:3], [0, 0, 0], ids=[1, 2, 3])
    chosen = select(run, "GradMatch", 0.67)
    assert chosen.rows.tolist() == [3, 1]
    np.testing.assert_allclose(chosen.weights, [0.25, 0.25], rtol=1e-12)
    np.testing.assert_allclose(select(run, "GradMatch", 0.33).weights, [1 / 3], rtol=1e-12)
    np.testing.assert_allclose(select(run, "GradMatch", 0.33, lam=5.0).weights, [1 / 5], rtol=1e-12)
    assert select(run, "GradMatch", 0.67, weighted=False).weights is None


# --- against the oracle ----------------------------------------------------------------------------


@pytest.mark.parametrize("class_balanced", [True, False])
@pytest.mark.parametrize("fraction", BUDGETS)
@pytest.mark.parametrize("kind", RUNS)
def test_orders_and_weights(kind, fraction, class_balanced):
    run = RUNS[kind]
    chosen = {
        name: select(run, name, fraction, class_balanced=class_balanced)
        for name in ("Herding", "GraphCut", "FacilityLocation", "CRAIG")
    }
    total = 0
    for part, quota in parts_of(run, fraction, class_balanced):
        h, g = arrays(run, part)
        kernel = oracle_greedy.cosine_kernel(g)
        order, weights = oracle_greedy.craig(g, quota)
        assert of_part(run, part, chosen["Herding"])[0] == oracle_greedy.herding(h, quota)
        assert of_part(run, part, chosen["GraphCut"])[0] == oracle_greedy.graph_cut(kernel, quota, 2)
        found = of_part(run, part, chosen["FacilityLocation"])[0]
        assert found == oracle_greedy.facility_location(kernel, quota)
        found, sizes = of_part(run, part, chosen["CRAIG"])
        assert found == order
        assert sizes.tolist() == weights
        assert sizes.sum() == len(part)
        total += quota
    assert {len(selection.rows) for selection in chosen.values()} == {total}


@pytest.mark.parametrize("class_balanced", [True, False])
@pytest.mark.parametrize("fraction", BUDGETS)
@pytest.mark.parametrize("kind", RUNS)
def test_k_center_from_each_start(kind, fraction, class_balanced):
    run = RUNS[kind]
    chosen = select(run, "KCenter", fraction, class_balanced=class_balanced)
    for part, quota in parts_of(run, fraction, class_balanced):
        found = of_part(run, part, chosen)[0]
        assert found == oracle_greedy.k_center(arrays(run, part)[0], quota, found[0])


@pytest.mark.parametrize("class_balanced", [True, False])
@pytest.mark.parametrize("lam", [1.0, 0.05, 20.0])
@pytest.mark.parametrize("fraction", [0.001, 0.1, 0.35, 0.8])
@pytest.mark.parametrize("kind", RUNS)
def test_gradmatch(kind, fraction, lam, class_balanced):
    """Where no weight is 0, order and weights are the pursuit's; otherwise its picks with a weight come
    first, and the weights are the best non-negative ones for the rows there are."""
    run = RUNS[kind]
    chosen = select(run, "GradMatch", fraction, lam=lam, class_balanced=class_balanced)
    for part, quota in parts_of(run, fraction, class_balanced):
        _, g = arrays(run, part)
        found, weights = of_part(run, part, chosen)
        picked, x = oracle_greedy.pursuit(g, quota, lam)
        assert len(found) == len(set(found)) == quota
        if (x > 1e-12).all():
            assert found == picked
            np.testing.assert_allclose(weights, x, rtol=1e-7, atol=1e-12)
        best = oracle_greedy.nonnegative(g, found, lam)
        np.testing.assert_allclose(weights, best, rtol=1e-6, atol=1e-9)
        if (weights == 0).any():  # no row that could have a weight was left out
            residual = g.mean(axis=0) - g[found].T @ weights
            left = [i for i in range(len(g)) if i not in found]
            scale = np.linalg.norm(g, axis=1).max() * np.linalg.norm(residual)
            assert all(g[i] @ residual <= 1e-9 * scale for i in left)


def replacing():
    """A run in which the pursuit's fourth pick has a negative weight, and another row can take its place."""
    for seed in range(500):
        run = drawn("plain", seed=seed, n=24, classes=2, dim=3)
        part, quota = next(iter(parts_of(run, 0.3, False)))
        _, g = arrays(run, part)
        picked, _ = oracle_greedy.pursuit(g, quota, 0.05)
        best = oracle_greedy.nonnegative(g, picked, 0.05)
        chosen = select(run, "GradMatch", 0.3, lam=0.05, class_balanced=False)
        if (best < 1e-12).any() and chosen.weights.all():
            return run, part, picked, best
    raise AssertionError


def test_gradmatch_replaces_rows_of_weight_0():
    run, part, picked, best = replacing()
    chosen = select(run, "GradMatch", 0.3, lam=0.05, class_balanced=False)
    found, weights = of_part(run, part, chosen)
    kept = [i for i, x in zip(picked, best, strict=True) if x > 1e-12]
    assert [i for i in found if i in kept] == [i for i in kept if i in found]
    assert len(found) == len(picked)
    assert weights.min() > 0
    dropped = len(picked) - len(kept)
    assert chosen.notes[0] == (
        f"{dropped} of {len(picked)} picks of the pursuit had a non-negative weight of 0 and gave way to "
        "rows chosen by residual"
    )
    _, g = arrays(run, part)

    def objective(rows, x):
        return np.sum((g[rows].T @ x - g.mean(axis=0)) ** 2) + 0.05 * np.sum(x**2)

    assert objective(found, weights) < objective(picked, best)


# --- bad input -------------------------------------------------------------------------------------


def same(n=12):
    """Every row the same, in two classes."""
    return make(np.ones((n, 3)), np.zeros((n, 2)), np.arange(n) % 2)


def no_gradient(n=12, *, but=()):
    """Classes so sure of themselves that every gradient is exactly 0, but for the rows `but`."""
    labels = np.arange(n) % 2
    z = np.where(np.eye(2)[labels] > 0, 4000.0, 0.0)
    z[list(but)] = 0.0
    return make(np.random.default_rng(0).normal(size=(n, 3)), z, labels)


@pytest.mark.parametrize("class_balanced", [True, False])
@pytest.mark.parametrize("name", GREEDY)
def test_rows_that_are_all_equal_are_picked_by_id(name, class_balanced):
    rows = select(same(), name, 0.5, class_balanced=class_balanced).rows.tolist()
    if name == "KCenter":  # its first is drawn
        n = 2 if class_balanced else 1
        assert rows[n:] == [row for row in range(12) if row not in rows[:n]][: 6 - n]
    elif class_balanced or name in ("Herding",):
        assert rows == [0, 1, 2, 3, 4, 5]
    assert len(rows) == 6


@pytest.mark.parametrize("name", ["GraphCut", "FacilityLocation", "CRAIG", "GradMatch"])
def test_without_any_gradient_the_order_is_by_id(name):
    chosen = select(no_gradient(), name, 0.5)
    assert chosen.rows.tolist() == [0, 1, 2, 3, 4, 5]
    if name == "GradMatch":
        assert chosen.weights is None
        assert "the mean gradient is 0, so all weights are: rows are weighted equally" in chosen.notes
    if name == "CRAIG":
        assert chosen.weights.tolist() == [6, 6, 0, 0, 0, 0]
        assert "4 of 6 rows have weight 0: their gradients equal those of earlier picks" in chosen.notes


def test_a_class_without_gradients_beside_one_with():
    chosen = select(no_gradient(but=[1, 5]), "GradMatch", 0.5)
    label = chosen.rows % 2
    assert (chosen.weights[label == 0] == 0).all()
    assert set(chosen.rows[chosen.weights > 0]) == {1, 5}
    assert len(chosen.rows) == 6
    assert any("have weight 0: no row left improves the match" in note for note in chosen.notes)


@pytest.mark.parametrize("name", GREEDY)
def test_duplicates_go_by_id_wherever_they_are_stored(name):
    """Copies of three rows, many of each: products of matrices may round them differently."""
    rng = np.random.default_rng(4)
    n = 303
    which = rng.integers(0, 3, n)
    h = rng.normal(size=(3, 65))[which]
    z = rng.normal(size=(3, 2))[which]
    ids = rng.permutation(n)
    chosen = select(make(h, z, np.zeros(n, int), ids), name, 0.5)
    for copy in range(3):
        mine = [row for row in chosen.rows.tolist() if which[ids.tolist().index(row)] == copy]
        first = 1 if name == "KCenter" else 0  # KCenter's first pick is drawn
        expected = [row for row in sorted(ids[which == copy].tolist()) if row not in mine[:first]]
        assert mine[first:] == expected[: len(mine) - first]


@pytest.mark.parametrize("name", GREEDY)
def test_features_far_apart_and_huge_ones(name):
    run = RUNS["plain"]
    usual = select(run, name, 0.4)
    for scale in (1e-30, 1e30):
        final = {Signal.LOGITS: run.final[Signal.LOGITS], Signal.FEATURES: scale * run.final[Signal.FEATURES]}
        chosen = select(dataclasses.replace(run, final=final), name, 0.4)
        assert len(set(chosen.rows.tolist())) == len(chosen.rows) == len(usual.rows)
        assert chosen.weights is None or np.isfinite(chosen.weights).all()
        if name in ("Herding", "KCenter"):
            assert chosen.rows.tolist() == usual.rows.tolist()


@pytest.mark.parametrize("name", GREEDY)
def test_what_is_missing_or_not_finite_is_named(name):
    run = RUNS["plain"]
    with pytest.raises(MissingSignal, match=r"features|logits"):
        select(dataclasses.replace(run, final={}), name)
    broken = {**run.final, Signal.FEATURES: np.full_like(run.final[Signal.FEATURES], np.inf)}
    with pytest.raises(UsageError, match="features of some candidates are not finite"):
        select(dataclasses.replace(run, final=broken), name)


@pytest.mark.parametrize(("name", "value"), [("GraphCut", 0), ("GradMatch", -1), ("GradMatch", float("nan"))])
def test_bad_lam(name, value):
    with pytest.raises(UsageError, match="lam"):
        methods.get(name)(lam=value)


def test_a_ridge_of_nearly_nothing_is_raised():
    chosen = select(RUNS["tied"], "GradMatch", 0.9, lam=1e-300)
    assert np.isfinite(chosen.weights).all()
    assert len(chosen.rows) == round(0.9 * len(RUNS["tied"].ids))
