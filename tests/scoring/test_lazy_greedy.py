"""Lazy greedy against an argmax over all values."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from deepcore.scoring.lazy_greedy import lazy_greedy


class Coverage:
    """Value of a row: the weight of what it covers and no pick does; submodular. Counts what is computed."""

    def __init__(self, covers, weights):
        self.covers, self.weights = torch.tensor(covers), torch.tensor(weights)
        self.open = torch.ones(len(weights), dtype=torch.bool)
        self.computed = 0

    def values(self, rows):
        self.computed += len(rows)
        return (self.covers[rows] & self.open).double() @ self.weights

    def take(self, row):
        self.open &= ~self.covers[row]


def naive(covers, weights, count, slack):
    picks, open_ = [], np.ones(len(weights), dtype=bool)
    while len(picks) < count:
        values = (covers & open_) @ weights
        left = [i for i in range(len(covers)) if i not in picks]
        top = max(values[i] for i in left)
        picks.append(next(i for i in left if values[i] >= top - slack))
        open_ &= ~covers[picks[-1]]
    return picks


def lazily(covers, weights, count, slack):
    case = Coverage(covers, weights)
    ceilings = case.values(torch.arange(len(covers)))
    case.computed = 0
    return lazy_greedy(ceilings, case.values, case.take, count, slack=slack).tolist(), case.computed


@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 60),
    density=st.sampled_from([0.02, 0.2, 0.7]),
    levels=st.sampled_from([None, 1, 3]),
)
@settings(max_examples=60, deadline=None)
def test_same_picks_as_an_argmax_over_all(seed, n, density, levels):
    """With many ties (weights of a few values) and rows that are worth nothing, too."""
    rng = np.random.default_rng(seed)
    covers = rng.random((n, 30)) < density
    weights = rng.random(30) if levels is None else rng.integers(0, levels + 1, 30).astype(float)
    for count in (1, n // 2, n):
        assert lazily(covers, weights, count, 1e-12)[0] == naive(covers, weights, count, 1e-12)


def test_few_values_are_computed():
    rng = np.random.default_rng(0)
    covers = rng.random((2000, 500)) < 0.01
    picks, computed = lazily(covers, rng.random(500), 100, 1e-12)
    assert len(set(picks)) == 100
    assert computed < 0.15 * 100 * 2000


@pytest.mark.parametrize("values", [[0.8, 1.5], [1.5, 0.8], [0.4, 0.8, 0.2]])
def test_values_about_the_slack_end(values):
    """Values within the slack of the largest, or of 0, are ties."""
    never = lambda rows: torch.tensor(values, dtype=torch.float64)[rows]  # noqa: E731
    picks = lazy_greedy(torch.tensor(values).double(), never, lambda row: None, len(values), slack=1.0)
    assert picks.tolist() == list(range(len(values)))


def test_rows_never_to_be_picked():
    ceilings = torch.tensor([1.0, -torch.inf, 2.0], dtype=torch.float64)
    picks = lazy_greedy(ceilings, lambda rows: ceilings[rows], lambda row: None, 2, slack=1e-12)
    assert picks.tolist() == [2, 0]
