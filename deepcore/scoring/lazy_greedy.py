"""Greedy choice by a value that only falls as rows are picked, with few values computed (Minoux 1978)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from deepcore.scoring.last_layer import first_of_largest

BATCH = 4  # values computed first for a pick; twice as many each time the best stays open


def lazy_greedy(
    ceilings: torch.Tensor,
    refresh: Callable[[torch.Tensor], torch.Tensor],
    take: Callable[[int], None],
    count: int,
    *,
    slack: float,
) -> np.ndarray:
    """Pick the row of the largest value, again and again. The rows are those of an argmax over all values.

    A value never rises, so its last computed one is a ceiling: only rows whose ceiling reaches the best value
    are computed anew. Exact for a submodular objective, or for a distance to the nearest pick.

    Args:
        ceilings: (n,) float64, at least the values before the first pick; -inf for rows never to be picked.
        refresh: the values now of the rows at some positions, at least 0.
        take: told the position of each pick.
        count: picks, at most the rows that may be picked.
        slack: values closer than this are ties, which go to the lower position; so are all values up to it.

    Returns:
        (count,) positions in order of picking.
    """
    ceilings = ceilings.clone()
    picks: list[int] = []
    while len(picks) < count and float(ceilings.max()) > slack:
        best = _pick(ceilings, refresh, slack)
        picks.append(best)
        ceilings[best] = -torch.inf
        take(best)
    left = (ceilings > -torch.inf).nonzero().flatten()  # worth nothing, now and after every pick
    for row in left[: count - len(picks)].tolist():
        picks.append(row)
        take(row)
    return np.array(picks, dtype=np.int64)


def _pick(ceilings: torch.Tensor, refresh: Callable[[torch.Tensor], torch.Tensor], slack: float) -> int:
    """The first position of the largest value; ceilings of the rows computed are lowered to their values."""
    values = torch.full_like(ceilings, -torch.inf)
    unseen = ceilings.clone()
    best, batch = -torch.inf, BATCH
    while True:
        highest = unseen.topk(min(batch, len(unseen)))
        open_ = (highest.values >= best - 2 * slack) & (highest.values > -torch.inf)
        rows = highest.indices[open_]
        if len(rows) == 0:
            return int(first_of_largest(values, slack))
        values[rows] = ceilings[rows] = refresh(rows)
        unseen[rows] = -torch.inf
        best = max(best, float(values[rows].max()))
        batch *= 2
