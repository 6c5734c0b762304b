"""Gradients by factors, and what theory_check.py measures, against slow references."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from benchmarks.layer_gradients import Gradients, initial, logits_of, norm, top_curvature
from benchmarks.theory_measures import (
    Moment,
    Part,
    alignment,
    bound_terms,
    descend,
    moment,
    squared_distances,
    summary,
)
from deepcore.nets import networks as nets


def tiny(n=9, width=5, seed=0):
    """Weights (H, D+1), (C, H+1), and a part."""
    generator = torch.Generator().manual_seed(seed)
    draw = lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)  # noqa: E731
    return (draw(width, 4), draw(3, width + 1)), Part(draw(n, 3), torch.arange(n) % 3)


def slow_gradients(weights, part):
    """One flat gradient a sample, by autograd."""
    weights = tuple(w.clone().requires_grad_() for w in weights)
    rows = []
    for i in range(len(part.y)):
        loss = functional.cross_entropy(logits_of(weights, part.x[i : i + 1]), part.y[i : i + 1])
        rows.append(torch.cat([g.flatten() for g in torch.autograd.grad(loss, weights)]))
    return torch.stack(rows)


def flat(matrices):
    return torch.cat([m.flatten() for m in matrices])


def test_gradients_are_autograds():
    weights, part = tiny()
    found, slow = Gradients.of(weights, part.x, part.y), slow_gradients(weights, part)
    assert torch.allclose(flat(found.mean()), slow.mean(0))
    assert torch.allclose(found.norms(), slow.norm(dim=1))
    v = tuple(torch.randn_like(w) for w in weights)
    assert torch.allclose(found.along(v), slow @ flat(v))


def test_it_begins_as_the_projects_mlp():
    x = torch.randn(4, 1, 8, 8)
    expected = nets.build("MLP", (1, 8, 8), 10, seed=3)(x)
    found = logits_of(initial((1, 8, 8), 10, 3), x.flatten(1).double())
    assert torch.allclose(found.float(), expected, atol=1e-5)


def test_descent_is_that_of_torch():
    weights, part = tiny()
    found = descend(weights, part, eta=0.1, steps=4, watch=lambda *seen: None)
    slow = tuple(w.clone().requires_grad_() for w in weights)
    optimizer = torch.optim.SGD(slow, lr=0.1)
    for _ in range(4):
        optimizer.zero_grad()
        functional.cross_entropy(logits_of(slow, part.x), part.y).backward()
        optimizer.step()
    assert torch.allclose(flat(found), flat(slow).detach())


def test_curvature_is_the_largest_eigenvalue_of_the_hessian():
    weights, part = tiny()
    sizes = [w.numel() for w in weights]

    def loss(v):
        first, last = (p.view_as(w) for p, w in zip(v.split(sizes), weights, strict=True))
        return functional.cross_entropy(logits_of((first, last), part.x), part.y)

    hessian = torch.autograd.functional.hessian(loss, flat(weights))
    expected = float(torch.linalg.eigvalsh(hessian).abs().max())
    assert top_curvature(weights, part.x, part.y, iterations=200) == pytest.approx(expected, rel=1e-3)


def test_a_moment_is_what_slow_gradients_say():
    weights, part = tiny()
    _, val = tiny(n=7, seed=1)
    _, test = tiny(n=11, seed=2)
    m = moment(0, weights, Gradients.of(weights, part.x, part.y), val, test)
    g, v, t = (slow_gradients(weights, p) for p in (part, val, test))
    of_val, of_test = v.mean(0), t.mean(0)
    assert m.cosines == pytest.approx(torch.cosine_similarity(g, of_val[None], dim=1).numpy())
    assert m.distance == pytest.approx(float((g.mean(0) - of_val).norm()))
    assert m.error == pytest.approx(float((g.mean(0) - of_test).norm()))
    assert m.delta == pytest.approx(float((of_val - of_test).norm()))
    assert m.largest == pytest.approx(float(torch.cat([g, v]).norm(dim=1).max()))
    assert squared_distances(m) == pytest.approx((g - of_val).square().sum(1).numpy())
    assert m.risk == pytest.approx(norm(Gradients.of(weights, test.x, test.y).mean()))


def test_equation_46_as_printed_fails_for_parallel_gradients_of_unequal_norm():
    # both gradients point along G_V: kappa is 0, and the printed bound says that they equal it
    m = Moment(0, np.array([1.0, 1.0]), np.array([1.0, 3.0]), 1.0, 3.0, 1.0, 1.0, 0.5, 2.0)
    half = Moment(1, np.array([0.5, 0.5]), np.array([1.0, 1.0]), 1.0, 3.0, 0.2, 0.4, 0.1, 1.0)
    found = summary([m, half])
    assert squared_distances(m) == pytest.approx([0.0, 4.0])
    assert found["printed_violated"] == pytest.approx(1 / 4)
    assert found["omitted"] == pytest.approx(2 / 3)  # (0 + 4) / 2, of the means 2 and 1
    assert found["kappa_mean"] == pytest.approx(0.25)
    assert found["kappa_max"] == pytest.approx(0.5)
    assert found["risk2_min"] == 1.0
    assert found["risk2_start"] == 4.0
    assert found["corrected_ratio"] == pytest.approx(1 / np.sqrt(2))  # (0 + 4) / 2 under the root
    terms = bound_terms(found, risk=2.3, curvature=4.0, eta=0.1, steps=10)
    assert terms["term_start"] == pytest.approx(4.6)
    assert terms["term_step"] == pytest.approx(4.0 * 0.1 * 9)
    assert terms["term_alignment"] == pytest.approx((3 * 1.0 + 0.5) ** 2)


def test_alignment_within_classes_ignores_differences_between_them():
    labels = np.repeat([0, 1], 20)
    cosines = np.tile(np.arange(20.0), 2)
    scores = -cosines + 100 * labels
    found = alignment(cosines + 100 * labels, scores, labels)
    assert found["within"] == pytest.approx(-1)
    assert found["overall"] > 0
