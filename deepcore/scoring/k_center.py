"""Farthest-first traversal: k-Center greedy (Gonzalez 1985; Sener and Savarese 2018)."""

from __future__ import annotations

import numpy as np
import torch

from deepcore.common.threads import threads_for
from deepcore.scoring.last_layer import EQUAL, largest
from deepcore.scoring.lazy_greedy import lazy_greedy

BLOCK_BYTES = 1 << 23


def k_center(points: torch.Tensor, first: int, count: int) -> np.ndarray:
    """Start at `first`, then always take the point farthest from its nearest pick; ties to the lower
    position.

    Distances are Euclidean and computed from differences in float64, so that duplicates are at distance 0 and
    tie to the bit; distances closer than 1e-12 of the largest one from `first` are ties. A distance to the
    nearest pick only falls, so it is computed anew for few points a pick. Time: O(n count D) at most. Memory:
    8 n D bytes.

    Args:
        points: (n, D), finite.
        first: position of the first pick.
        count: picks, 1..n.

    Returns:
        (count,) positions in order of picking.
    """
    points = points.to(torch.float64, copy=True).div_(largest(points) or 1.0)  # no overflow of the squares
    nearest = _distances(points, points[first : first + 1])[:, 0]  # as far as known: at least the true one
    known_to = torch.ones(len(points), dtype=torch.int64, device=points.device)  # picks that it knows of
    picks = [first]

    def refresh(rows: torch.Tensor) -> torch.Tensor:
        missed = picks[int(known_to[rows].min()) :]
        if missed:
            centres = points[missed]
            for some in rows.split(max(1, BLOCK_BYTES // (8 * max(centres.shape)))):
                since = _distances(points[some], centres).amin(dim=1)
                nearest[some] = torch.minimum(nearest[some], since)
            known_to[rows] = len(picks)
        return nearest[rows]

    ceilings = nearest.clone()
    ceilings[first] = -torch.inf
    slack = EQUAL * float(nearest.max())
    with threads_for(3 * points.shape[1] * count):  # of one row's distances to the picks
        rest = lazy_greedy(ceilings, refresh, picks.append, count - 1, slack=slack)
    return np.concatenate([np.array([first], dtype=np.int64), rest])


def _distances(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """From differences; the same bits for a pair however it is asked for."""
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")
