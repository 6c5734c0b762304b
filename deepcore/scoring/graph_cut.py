"""Graph cut: rows similar to all others, not to each other (Iyer et al. 2021)."""

from __future__ import annotations

import numpy as np
import torch

from deepcore.common.threads import threads_for
from deepcore.scoring.gradient_kernel import unit_gradients
from deepcore.scoring.last_layer import Argmax, LastLayer


def graph_cut(layer: LastLayer, count: int, trade_off: float) -> np.ndarray:
    """Greedy by `gain_j = trade_off * sum_i K_ij - 2 sum_{a in A} K_aj`, K = 0.5 + 0.5 cos(g_i, g_j), i over
    all rows (j too), A the picks so far; ties to the lower position.

    K is linear in the unit gradients u, so with w = trade_off / 2 * sum_i u_i - sum_{a in A} u_a the gain is
    <u_j, w> and a number that is the same for all j: no entry of K is computed. A gradient of 0 has cosine 0
    with all. Gains may be negative (large fractions); the largest is taken all the same. Time: at most
    2 n count C (D + 1) FLOPs, mostly far less (`Argmax`). Memory: 16 n (D + 1 + C) bytes.

    Returns:
        (count,) positions in order of picking.
    """
    units = unit_gradients(layer)
    w = trade_off / 2 * (units.errors.T @ units.inputs)
    argmax, picks = Argmax(units), np.empty(count, dtype=np.int64)
    with threads_for(2 * w.numel()):
        for t in range(count):
            picks[t] = argmax.pick(w)
            w = w - torch.outer(units.errors[picks[t]], units.inputs[picks[t]])
    return picks
