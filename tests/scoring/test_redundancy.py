"""Projection and ascent of the quadratic objective."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from oracle_scores import best_subset, information, similar

from deepcore.scoring.redundancy import Redundancy, ascend, exchanged, project, rounded

RNG = np.random.default_rng(0)


def objective_of(scores, edges, weight):
    sources, targets = (np.array(ends, dtype=np.int64) for ends in zip(*edges, strict=True))
    return Redundancy(scores, sources, targets, np.array(list(edges.values())), weight)


def case(n=12, neighbors=3, weight=0.5, seed=0):
    rng = np.random.default_rng(seed)
    scores, h = rng.random(n), np.abs(rng.normal(size=(n, 4)))
    edges = similar(h, np.arange(n), neighbors)
    return scores, edges, objective_of(scores, edges, weight)


@pytest.mark.parametrize("k", [0, 1, 3, 7.5, 11, 12])
@pytest.mark.parametrize("scale", [1e-6, 1.0, 50.0])
def test_projection_is_the_nearest_point(k, scale):
    y = RNG.normal(size=12) * scale
    x = project(y, k)
    assert x.sum() == pytest.approx(k, abs=1e-9)
    assert x.min() >= 0
    assert x.max() <= 1
    inside = x + 1e-9 < 1
    taus = (y - x)[(x > 1e-9) & inside]  # one multiplier for all that are strictly inside
    assert np.ptp(taus) <= 1e-9 * max(scale, 1) if len(taus) else True
    for _ in range(200):  # no feasible point is nearer
        other = project(RNG.normal(size=12), k)
        assert np.sum((x - y) ** 2) <= np.sum((other - y) ** 2) + 1e-9


def test_value_and_gradient_are_the_definition():
    scores, edges, objective = case()
    x = RNG.random(12)
    assert objective.value(x) == pytest.approx(information(x, scores, edges, 0.5), rel=1e-12)
    gradient = objective.gradient(x)
    for i in range(12):
        step = np.eye(12)[i] * 1e-4
        slope = (information(x + step, scores, edges, 0.5) - information(x - step, scores, edges, 0.5)) / 2e-4
        assert gradient[i] == pytest.approx(slope, abs=1e-7)


@pytest.mark.parametrize("k", [1, 4, 8])
@pytest.mark.parametrize("weight", [0.1, 0.5, 2.0])
def test_ascent_reaches_a_maximum(k, weight):
    """No feasible direction leads up, and the value is at least that of the start and of the best scores."""
    for seed in range(4):
        scores, edges, objective = case(weight=weight, seed=seed)
        x = ascend(objective, k, iterations=2000)
        assert x.sum() == pytest.approx(k, abs=1e-9)
        value = information(x, scores, edges, weight)
        again = project(x + 1e-3 * objective.gradient(x), k)
        assert information(again, scores, edges, weight) <= value + 1e-4
        assert value >= information(np.full(12, k / 12), scores, edges, weight)


def test_without_redundancy_the_best_scores_win():
    scores, edges, _ = case()
    top = np.zeros(12)
    top[np.argsort(-scores)[:5]] = 1
    np.testing.assert_array_equal(ascend(objective_of(scores, edges, 0.0), 5), top)


@pytest.mark.parametrize("weight", [0.0, 0.3, 2.0])
@pytest.mark.parametrize("k", [1, 5, 11, 12])
def test_rounding_loses_nothing(k, weight):
    for seed in range(6):
        scores, edges, objective = case(weight=weight, seed=seed)
        for x in (ascend(objective, k), np.full(12, k / 12), project(RNG.normal(size=12), k)):
            chosen = rounded(objective, x, RNG.permutation(12))
            assert chosen.sum() == k
            value = information(chosen.astype(float), scores, edges, weight)
            assert value >= information(x, scores, edges, weight) - 1e-7


@pytest.mark.parametrize("weight", [0.3, 2.0])
def test_exchanges_end_where_none_of_them_helps(weight):
    """No exchange of two rows raises F, and F is no lower than before."""
    for seed in range(10):
        scores, edges, objective = case(weight=weight, seed=seed)
        start = np.isin(np.arange(12), RNG.choice(12, 5, replace=False))
        chosen = exchanged(objective, start)
        value = information(chosen.astype(float), scores, edges, weight)
        assert chosen.sum() == 5
        assert value >= information(start.astype(float), scores, edges, weight) - 1e-12
        for out, into in itertools.product(np.flatnonzero(chosen), np.flatnonzero(~chosen)):
            other = chosen.astype(float)
            other[[out, into]] = 0.0, 1.0
            assert information(other, scores, edges, weight) <= value + 1e-9


def test_the_whole_way_comes_near_the_best_subset():
    for seed in range(10):
        scores, edges, objective = case(weight=0.3, seed=seed)
        chosen = exchanged(objective, rounded(objective, ascend(objective, 5), np.argsort(-scores)))
        best = best_subset(scores, edges, 0.3, 5)
        assert information(chosen.astype(float), scores, edges, 0.3) >= best - 0.05 * abs(best)


def test_a_subset_stays_as_it_is():
    _, _, objective = case()
    x = np.zeros(12)
    x[[1, 4, 7]] = 1.0
    assert np.flatnonzero(rounded(objective, x, np.arange(12))).tolist() == [1, 4, 7]


def test_of_two_copies_one_is_taken():
    """Three pairs of equal rows and a budget of three: one of each pair, the best subset."""
    h = np.repeat(np.eye(3), 2, axis=0)
    scores = np.repeat([1.0, 0.9, 0.8], 2)
    edges = similar(h, np.arange(6), 1)
    objective = objective_of(scores, edges, 0.3)
    chosen = rounded(objective, ascend(objective, 3), np.arange(6))
    assert chosen.reshape(3, 2).sum(axis=1).tolist() == [1, 1, 1]
    value = information(chosen.astype(float), scores, edges, 0.3)
    assert value == pytest.approx(best_subset(scores, edges, 0.3, 3)) == pytest.approx(2.7)
