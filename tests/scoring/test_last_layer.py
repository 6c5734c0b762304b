"""The argmax of <g_i, v> whose float32 products only propose."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from deepcore.scoring.last_layer import EQUAL, Argmax, LastLayer, errors_of


def layer(n, *, spread, seed=0, classes=3, dim=20):
    """Errors of sizes over `spread` orders of magnitude."""
    rng = np.random.default_rng(seed)
    z, h = torch.tensor(rng.normal(size=(n, classes))), torch.tensor(rng.normal(size=(n, dim)))
    labels = torch.tensor(rng.integers(0, classes, n))
    sizes = torch.tensor(10.0 ** -rng.uniform(0, spread, (n, 1)))
    inputs = torch.cat([torch.ones(n, 1, dtype=torch.float64), h], dim=1)
    return LastLayer(inputs, z, labels, sizes * errors_of(z, labels))


@pytest.mark.parametrize("spread", [0, 3, 60])
@pytest.mark.parametrize("scale", [1.0, 1e-50, 1e50])
def test_float64_decides(spread, scale):
    """Candidates whose products agree to nine digits, and v of any size."""
    rows = layer(150, spread=spread)
    rows.inputs[75:] = rows.inputs[:75] * (1 + 1e-9 * torch.arange(75).double()[:, None])
    rows.errors[75:] = rows.errors[:75]
    v = scale * torch.tensor(np.random.default_rng(1).normal(size=(3, 21)))
    gains = rows.products(v).tolist()
    slack = EQUAL * float(rows.norms().max() * v.norm())
    argmax, left = Argmax(rows), list(range(150))
    for _ in range(150):
        largest = max(gains[j] for j in left)
        best = next(i for i in left if gains[i] >= largest - slack)
        assert argmax.pick(v) == best
        left.remove(best)
