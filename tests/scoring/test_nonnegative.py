"""Non-negative least squares against scipy's, and by its optimality conditions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import nnls

from deepcore.scoring.nonnegative import nonnegative_least_squares


@given(
    seed=st.integers(0, 2**32 - 1),
    k=st.integers(1, 30),
    rows=st.integers(1, 40),
    ridge=st.sampled_from([1e-6, 0.1, 10.0]),
    shift=st.sampled_from([0.0, 1.0, -1.0]),
)
@settings(max_examples=80, deadline=None)
def test_against_scipy(seed, k, rows, ridge, shift):
    rng = np.random.default_rng(seed)
    a, t = rng.normal(size=(rows, k)) + shift, rng.normal(size=rows)
    gram = torch.tensor(a.T @ a + ridge * np.eye(k))
    x = nonnegative_least_squares(gram, torch.tensor(a.T @ t)).numpy()
    wanted, _ = nnls(
        np.vstack([a, np.sqrt(ridge) * np.eye(k)]), np.concatenate([t, np.zeros(k)]), maxiter=1000
    )
    np.testing.assert_allclose(x, wanted, rtol=1e-5, atol=1e-7 * max(1.0, np.abs(wanted).max()))


@pytest.mark.parametrize("target", [[0.0, 0.0], [-1.0, -2.0]])
def test_nothing_positive(target):
    x = nonnegative_least_squares(torch.eye(2).double(), torch.tensor(target).double())
    assert x.tolist() == [0.0, 0.0]


def test_what_is_positive_stays_as_it_is():
    gram = torch.tensor([[2.0, 1.0], [1.0, 3.0]]).double()
    x = nonnegative_least_squares(gram, torch.tensor([4.0, 7.0]).double())
    np.testing.assert_allclose(x, [1.0, 2.0], rtol=1e-14)
