"""Curvature and steps to the boundary of small networks, against float64 loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from deepcore.scoring.input_gradients import curvature, input_gradient, steps_to_flip


def network(seed=0, dim=4, classes=3):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        body = nn.Sequential(nn.Linear(dim, 8), nn.Tanh(), nn.Linear(8, classes))
    return body.double().eval()


def rows(n=9, dim=4, classes=3, seed=1):
    rng = np.random.default_rng(seed)
    x = torch.from_numpy(rng.normal(size=(n, dim)))
    return x, torch.from_numpy(rng.integers(0, classes, n))


def loss(net, x, y):
    z = net(x[None]).detach().numpy()[0]
    return np.log(np.exp(z).sum()) - z[y]


def slow_gradient(net, x, y, eps=1e-5):
    out = np.empty(len(x))
    for i in range(len(x)):
        step = torch.zeros_like(x)
        step[i] = eps
        out[i] = (loss(net, x + step, y) - loss(net, x - step, y)) / (2 * eps)
    return out


def test_gradients_are_those_of_single_rows():
    net, (x, y) = network(), rows()
    gradient, logits = input_gradient(net, x, y)
    for i in range(len(x)):
        np.testing.assert_allclose(gradient[i], slow_gradient(net, x[i], int(y[i])), atol=1e-8)
    np.testing.assert_allclose(logits, net(x).detach())
    assert all(p.grad is None for p in net.parameters())


def test_curvature_is_the_definition():
    net, (x, y) = network(), rows()
    rng = np.random.default_rng(2)
    directions = torch.from_numpy(rng.choice([-1.0, 1.0], size=(5, 4)))
    found = curvature(net, x, y, directions, 0.1)
    for i in range(len(x)):
        here = slow_gradient(net, x[i], int(y[i]))
        moved = [slow_gradient(net, x[i] + 0.1 * v, int(y[i])) - here for v in directions]
        assert float(found[i]) == pytest.approx(np.mean([(d**2).sum() for d in moved]), rel=1e-4)
    alone = torch.cat([curvature(net, x[i : i + 1], y[i : i + 1], directions, 0.1) for i in range(len(x))])
    np.testing.assert_allclose(alone, found, rtol=1e-12)


def test_a_flat_loss_has_no_curvature():
    net = nn.Linear(4, 3).double()
    nn.init.zeros_(net.weight)
    x, y = rows()
    assert curvature(net, x, y, torch.ones(2, 4).double(), 0.1).tolist() == [0.0] * len(x)


def test_steps_by_hand():
    """Logits (x, -x): a step of 1 moves a row of class 0 down by 1; right means x > 0."""
    net = nn.Linear(1, 2, bias=False).double()
    with torch.no_grad():
        net.weight.copy_(torch.tensor([[1.0], [-1.0]]))
    x = torch.tensor([[0.5], [1.5], [-0.5], [0.0], [30.0], [-2.5]]).double()
    y = torch.tensor([0, 0, 0, 0, 0, 1])
    counted = []
    found = steps_to_flip(net, x, y, step=1.0, cap=10, count=counted.append)
    assert found.tolist() == [1, 2, 0, 0, 10, 3]
    assert counted == [6, 4, 3, 2, 1, 1, 1, 1, 1, 1]
    assert steps_to_flip(net, x[4:5], y[4:5], step=1.0, cap=31).tolist() == [30]


def test_steps_are_those_of_single_rows():
    net, (x, y) = network(), rows(40)
    found = steps_to_flip(net, x, y, step=0.05, cap=30)
    assert len(set(found.tolist())) > 4
    for i in range(len(x)):
        point, steps = x[i].clone(), 0
        while steps < 30:
            z = net(point[None]).detach().numpy()[0]
            if z[y[i]] <= max(np.delete(z, int(y[i]))):
                break
            gradient, _ = input_gradient(net, point[None], y[i : i + 1])
            point += 0.05 * gradient[0].sign()
            steps += 1
        assert int(found[i]) == steps
