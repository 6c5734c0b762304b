"""Kernels of last-layer gradients against gradients that are formed; facility location whether its kernel is
kept or not."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from deepcore.scoring import gradient_kernel
from deepcore.scoring.facility_location import facility_location
from deepcore.scoring.gradient_kernel import GradientKernel, unit_gradients
from deepcore.scoring.last_layer import LastLayer, errors_of


def layer(n=60, classes=4, dim=9, *, seed=0, copies=0):
    rng = np.random.default_rng(seed)
    h, z = torch.tensor(rng.normal(size=(n, dim))), torch.tensor(2 * rng.normal(size=(n, classes)))
    labels = torch.tensor(rng.integers(0, classes, n))
    h[:copies], z[:copies], labels[:copies] = h[-1], z[-1], labels[-1]
    inputs = torch.cat([torch.ones(n, 1, dtype=torch.float64), h], dim=1)
    return LastLayer(inputs, z, labels, errors_of(z, labels))


def formed(rows):
    return (rows.errors[:, :, None] * rows.inputs[:, None, :]).flatten(1)


def expected(rows, of):
    g = formed(rows)
    if of == "distance":
        return -torch.cdist(g, g, compute_mode="donot_use_mm_for_euclid_dist")
    units = g / g.norm(dim=1, keepdim=True)
    return 0.5 + 0.5 * units @ units.T


@pytest.mark.parametrize("of", ["cosine", "distance"])
@pytest.mark.parametrize("keep", [0, 1 << 20])
@pytest.mark.parametrize("block", [1, 8 * 60 * 7, 1 << 20])
def test_rows_and_totals(of, keep, block, monkeypatch):
    monkeypatch.setattr(gradient_kernel, "KEEP_BYTES", keep)
    monkeypatch.setattr(gradient_kernel, "BLOCK_BYTES", block)
    rows = layer()
    kernel, wanted = GradientKernel(rows, of), expected(rows, of)
    sums, smallest = kernel.totals()
    torch.testing.assert_close(sums, wanted.sum(dim=1), rtol=1e-12, atol=1e-11)
    assert smallest == pytest.approx(float(wanted.min()), rel=1e-12)
    assert (kernel.kept is not None) == (keep > 0)
    some = torch.tensor([5, 3, 59, 0])
    torch.testing.assert_close(kernel.rows(some), wanted[some], rtol=1e-12, atol=1e-11)
    torch.testing.assert_close(torch.cat(list(kernel.in_blocks(some))), wanted[some], rtol=1e-12, atol=1e-11)


def test_what_is_given_out_is_a_copy():
    kernel = GradientKernel(layer(), "cosine")
    kernel.totals()
    before = kernel.rows(torch.tensor([2])).clone()
    kernel.rows(torch.tensor([2])).zero_()
    torch.testing.assert_close(kernel.rows(torch.tensor([2])), before)


def test_equal_gradients_are_at_distance_0():
    rows = layer(copies=30, dim=64)
    far = GradientKernel(rows, "distance").rows(torch.arange(60))
    assert (far[:30, :30] == 0).all()
    assert (far.diagonal() == 0).all()
    assert (far[:30, 30:-1] < -0.1).all()


@pytest.mark.parametrize("scale", [1e-200, 1.0])
def test_unit_gradients(scale):
    rows = layer()
    errors = scale * rows.errors
    errors[3] = 0.0
    units = formed(unit_gradients(LastLayer(rows.inputs, rows.logits, rows.labels, errors)))
    wanted = formed(rows) / formed(rows).norm(dim=1, keepdim=True)
    wanted[3] = 0.0
    torch.testing.assert_close(units, wanted, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(("of", "floor"), [("cosine", 0.0), ("distance", None)])
def test_facility_location_does_not_depend_on_what_is_kept(of, floor, monkeypatch):
    rows = layer(n=300, copies=40, seed=3)
    kept = facility_location(GradientKernel(rows, of), 200, floor=floor)
    monkeypatch.setattr(gradient_kernel, "KEEP_BYTES", 0)
    monkeypatch.setattr(gradient_kernel, "BLOCK_BYTES", 8 * 300 * 11)
    computed = facility_location(GradientKernel(rows, of), 200, floor=floor)
    assert kept.order.tolist() == computed.order.tolist()
    assert kept.sizes.tolist() == computed.sizes.tolist()
    assert kept.sizes.sum() == 300
