"""Herding: picks whose running mean stays close to the mean of all (Welling 2009; Chen et al. 2010)."""

from __future__ import annotations

import numpy as np
import torch

from deepcore.common.threads import threads_for
from deepcore.scoring.last_layer import EQUAL, first_of_largest, largest
from deepcore.scoring.neighbours import full_precision


def herding(points: torch.Tensor, count: int) -> np.ndarray:
    """At step t = 0, 1, ... take the unpicked x that minimises ||w_t - x||, with
    w_t = (t + 1) mu - sum of the picks so far; ties to the lower position.

    With y = x - mu, `||w_t - x|| = ||y + sum of the picked y||`. A float32 product proposes the points that
    can be the nearest, within its rounding; their distances, from sums in float64, decide. Distances closer
    than 1e-12 of the largest distance from mu are ties. Time: 2 n count D FLOPs, in float32. Memory: 12 n D
    bytes, 20 n D where all points are equal.

    Args:
        points: (n, D), finite.
        count: picks, 1..n.

    Returns:
        (count,) positions in order of picking.
    """
    centred = points - points.mean(dim=0, dtype=torch.float64)
    centred /= largest(centred) or 1.0  # no overflow of the squares
    single = centred.float()
    lengths = centred.norm(dim=1)
    half = (lengths.square() / 2).float()  # ||y + Y||^2 / 2 = half + <y, Y> + ||Y||^2 / 2
    rounding = (centred.shape[1] + 16) * torch.finfo(torch.float32).eps
    slack = EQUAL * float(lengths.max())
    total = torch.zeros_like(centred[0])
    left = torch.ones(len(centred), dtype=torch.bool, device=centred.device)
    picks = np.empty(count, dtype=np.int64)
    with threads_for(2 * centred.shape[1]), full_precision():
        for t in range(count):
            halves = torch.addmv(half, single, total.float()).masked_fill_(~left, torch.inf)
            error = rounding * lengths * (lengths + total.norm())
            near = (halves - error <= (halves + error).min()).nonzero().flatten()
            distances = centred[near].add_(total).norm(dim=1)
            picks[t] = near[first_of_largest(-distances, slack)]
            total += centred[picks[t]]
            left[picks[t]] = False
    return picks
