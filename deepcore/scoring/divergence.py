"""Divergence of a row's prediction from those of its neighbours (Cal)."""

from __future__ import annotations

import numpy as np
import torch

from deepcore.scoring.uncertainty import log_probabilities, row_blocks


def neighbour_divergence(logits: np.ndarray, neighbours: np.ndarray) -> np.ndarray:
    """Mean over a row's neighbours j of the symmetric Kullback-Leibler divergence of their predictions.

        J_ij = (KL(p_i || p_j) + KL(p_j || p_i)) / 2 = sum_c (p_ic - p_jc) (log p_ic - log p_jc) / 2

    Args:
        logits: (n, C), finite.
        neighbours: (n, kappa) positions of each row's neighbours.

    Returns:
        (n,) float64, at least 0; 0 for all rows when kappa is 0.

    Memory: 16 n C bytes and a block of work; never n x n.
    """
    rows, kappa = neighbours.shape
    out = np.zeros(rows)
    if kappa == 0:
        return out
    log_p = log_probabilities(logits)
    p = log_p.exp()
    for part in row_blocks(rows, kappa * logits.shape[1]):
        near = torch.from_numpy(np.ascontiguousarray(neighbours[part]))
        terms = (p[part, None] - p[near]) * (log_p[part, None] - log_p[near])
        out[part] = terms.sum(dim=2).mean(dim=1).numpy() / 2
    return out
