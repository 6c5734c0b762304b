"""Attributions by closed forms, the linear datamodeling score, and the harness of Figure 8."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch.nn import functional

from benchmarks import trak
from benchmarks.attributors import (
    RANDOM,
    attribute,
    bootstrap_lds,
    influence_function,
    last_layer_dots,
    lds,
    margins,
    spearman_rows,
)
from benchmarks.claim_intervals import interval
from deepcore.data import datasets
from deepcore.scoring.last_layer import errors_of
from deepcore.training.spec import TrainSpec

CPU = torch.device("cpu")


def fit(x, y, damping, start=None):
    """The weights (C, D+1) that minimise the mean cross-entropy plus damping / 2 ||w||^2: Newton's method."""
    inputs, classes = functional.pad(x, (1, 0), value=1.0), 3

    def loss(w):
        w = w.view(classes, -1)
        return functional.cross_entropy(inputs @ w.T, y) + damping / 2 * w.square().sum()

    w = torch.zeros(classes * inputs.shape[1], dtype=x.dtype) if start is None else start.flatten()
    for _ in range(8 if start is None else 3):
        w = w - torch.linalg.solve(torch.func.hessian(loss)(w), torch.func.grad(loss)(w))
    assert torch.func.grad(loss)(w).norm() < 1e-8
    return w.view(classes, -1)


def test_leave_one_out_on_a_linear_model_is_found_by_the_influence_function():
    generator = torch.Generator().manual_seed(0)
    n, damping = 80, 0.05
    x = torch.randn(n + 12, 4, generator=generator, dtype=torch.float64)
    y = (x[:, :3] + torch.randn(n + 12, 3, generator=generator, dtype=torch.float64)).argmax(1)
    x, y, xq, yq = x[:n], y[:n], x[n:], y[n:]

    def losses(w):
        logits = functional.pad(xq, (1, 0), value=1.0) @ w.T
        return functional.cross_entropy(logits, yq, reduction="none")

    whole = fit(x, y, damping)
    logits, of_queries = (functional.pad(v, (1, 0), value=1.0) @ whole.T for v in (x, xq))
    p, r, rq = torch.softmax(logits, 1), errors_of(logits, y), errors_of(of_queries, yq)
    found = influence_function(x, p, r, xq, rq, damping) / n
    rises = []
    for i in range(n):
        rest = torch.arange(n) != i
        # the objective keeps its n: leaving a sample out takes its loss / n away
        w = fit(x[rest], y[rest], damping * n / (n - 1), whole)
        rises.append(losses(w) - losses(whole))
    actual = torch.stack(rises).T
    for of_query, rise in zip(found, actual, strict=True):
        assert np.corrcoef(of_query, rise)[0, 1] > 0.95
    assert np.corrcoef(found.flatten(), actual.flatten())[0, 1] > 0.98
    slope = (found * actual).sum() / found.square().sum()
    assert 0.9 < slope < 1.2


def test_dots_are_those_of_the_gradients():
    generator = torch.Generator().manual_seed(0)
    layer = torch.nn.Linear(5, 3).double()
    h, y = torch.randn(6, 5, generator=generator, dtype=torch.float64), torch.arange(6) % 3

    def gradient(i):
        grads = torch.autograd.grad(
            functional.cross_entropy(layer(h[i : i + 1]), y[i : i + 1]), list(layer.parameters())
        )
        return torch.cat([g.flatten() for g in grads])

    g = torch.stack([gradient(i) for i in range(6)])
    r = errors_of(layer(h).detach(), y)
    assert torch.allclose(last_layer_dots(r[:4], h[:4], r[4:], h[4:]), g[4:] @ g[:4].T)


def test_margins_are_log_odds():
    logits = torch.randn(2, 7, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    labels = torch.arange(7) % 4
    p = torch.softmax(logits, -1)[:, torch.arange(7), labels]
    assert torch.allclose(margins(logits, labels), torch.log(p / (1 - p)))


def test_spearman_is_scipys_and_undefined_without_variation():
    rng = np.random.default_rng(0)
    a, b = rng.integers(5, size=(2, 6, 20)).astype(float)
    b[3] = 1.0
    found = spearman_rows(a, b)
    assert np.isnan(found[3])
    for i in (0, 1, 2, 4, 5):
        assert found[i] == pytest.approx(spearmanr(a[i], b[i])[0])


def linear_outcomes(rng, queries=60, samples=200, subsets=40, noise=0.0):
    """Outcomes that are sums of known effects of the samples."""
    effects = rng.standard_normal((queries, samples))
    inside = rng.random((subsets, samples)) < 0.5
    outcomes = inside @ effects.T
    return effects, inside, outcomes + noise * rng.standard_normal(outcomes.shape)


def test_lds_of_the_true_effects_is_1_and_of_random_ones_0_within_its_interval():
    rng = np.random.default_rng(0)
    effects, inside, outcomes = linear_outcomes(rng)
    assert lds(effects, inside, outcomes) == pytest.approx(np.ones(60))
    assert lds(-effects, inside, outcomes) == pytest.approx(-np.ones(60))
    covered = 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        _, inside, outcomes = linear_outcomes(rng, noise=1.0)
        random = rng.standard_normal((60, 200))
        low, high = interval(
            bootstrap_lds({RANDOM: random @ inside.T.astype(float)}, outcomes, rng, 40)[RANDOM]
        )
        covered += low <= 0 <= high
        assert -0.15 < low < high < 0.15
    assert covered >= 9  # 11 are expected


def test_attributions_favour_samples_of_the_query_s_class():
    data = datasets.load("Digits", data_path="data")
    samples, queries = np.arange(200), np.arange(20)
    spec = TrainSpec(epochs=5, lr=0.05, augment=False)
    found = attribute("MLP", data, samples, queries, spec, [0], device=CPU, rng=np.random.default_rng(0))
    same = data.train.labels[samples][None] == data.test.labels[queries][:, None]
    for name, values in found.items():
        assert values.shape == (20, 200), name
        assert np.isfinite(values).all(), name
        gain = values[same].mean() - values[~same].mean()
        assert (abs(gain) < 0.2) if name == RANDOM else (gain > 0.2 * values.std()), name


@pytest.mark.skipif(not trak.installed(), reason="dattri is not installed")
def test_trak_favours_samples_of_the_query_s_class():
    from benchmarks.many_nets import Member, train_many

    data = datasets.load("Digits", data_path="data")
    samples, queries, trained = np.arange(300), np.arange(20), []
    spec = TrainSpec(epochs=5, lr=0.05, augment=False)
    members = [Member(samples, seed) for seed in range(2)]
    for _, networks in train_many("MLP", data.train, 10, members, spec, device=CPU):
        trained += networks.nets()
    values = trak.scores(trained, data, samples, queries, projection=64)
    same = data.train.labels[samples][None] == data.test.labels[queries][:, None]
    assert values.shape == (20, 300)
    assert values[same].mean() - values[~same].mean() > 0.2 * values.std()
