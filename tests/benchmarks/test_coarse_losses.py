"""Losses stored coarsely, kinds of samples, and intervals of the claims' scripts."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.claim_intervals import t_interval
from benchmarks.negative_cld import distances, highest_tenth
from benchmarks.quantised_logs import EPSILON, FORMATS, by_log_steps, by_steps, compare, rounded
from deepcore.analysis.stats import paired_difference
from deepcore.proxy.run import ProxyRun
from methods.cld import CLD


def some_losses(rows=6, n=200, seed=0):
    return (np.random.default_rng(seed).random((rows, n)) ** 4 * 5).astype(np.float32)


def test_steps_err_by_half_a_step_at_most():
    losses = some_losses()
    step = np.ptp(losses, axis=1, keepdims=True) / 255
    assert (np.abs(by_steps(losses) - losses) <= step / 2 * 1.001).all()
    assert np.abs(by_steps(losses) - losses).max() > 0.4 * step.min()
    assert all(len(np.unique(row)) <= 256 for row in by_steps(losses))
    assert (by_steps(np.ones((2, 3), np.float32)) == 1).all()


def test_log_steps_keep_small_losses():
    losses = some_losses()
    logs = np.log(losses + EPSILON)
    step = np.ptp(logs, axis=1, keepdims=True) / 255
    assert (np.abs(np.log(by_log_steps(losses) + EPSILON) - logs) <= step / 2 * 1.05 + 1e-3).all()


def test_float32_is_exact_and_the_others_are_not():
    labels = np.arange(200) % 4
    run = ProxyRun.from_losses(some_losses(), labels, some_losses(seed=1), labels, has_initial=True)
    exact = CLD().score(run)
    kept = np.argsort(-exact)[:20]
    found = {name: compare(rounded(run, restore), exact, kept) for name, (_, restore) in FORMATS.items()}
    assert found["float32"]["largest_error"] == 0.0
    assert 0 < found["float16"]["mean_error"] < found["int8 of the loss"]["mean_error"] < 0.1


def test_highest_tenth_and_distances():
    values, among = np.arange(40.0), np.arange(40) % 2 == 0
    assert np.flatnonzero(highest_tenth(values, among)).tolist() == [36, 38]
    inputs = torch.randn(30, 3, generator=torch.Generator().manual_seed(0))
    labels = np.repeat([0, 1], 15)
    found = distances(inputs, labels)
    own = np.sort(np.linalg.norm(inputs[:15].numpy() - inputs[3].numpy(), axis=1))
    assert found[3] == pytest.approx(own[1:11].mean(), rel=1e-4)


def test_t_interval_is_that_of_paired_differences():
    values = [1.0, 2.5, 3.0, 0.5]
    paired = paired_difference({"a": dict(enumerate(values)), "b": dict.fromkeys(range(4), 0.0)}, "a", "b")
    assert t_interval(values) == pytest.approx((paired.difference, paired.low, paired.high))
