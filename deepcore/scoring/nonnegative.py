"""Non-negative least squares on a Gram matrix, from the unconstrained solution (Lawson and Hanson 1974)."""

from __future__ import annotations

import torch

TOLERANCE = 1e-12  # of the largest |target|: a slope below it is none


def nonnegative_least_squares(gram: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """The x >= 0 that minimises x' M x / 2 - b' x, unique for a positive definite M.

    With M = A'A + lam I and b = A't this is the minimum of ||A x - t||^2 + lam ||x||^2. The search starts
    at the positive part of the unconstrained solution, which is the answer where nothing is negative.

    Args:
        gram: M, (k, k) float64, symmetric and positive definite.
        target: b, (k,).
    """
    x = _solve(gram, target).clamp_(min=0)
    free = x > 0
    tolerance = TOLERANCE * float(target.abs().max())
    for _ in range(3 * len(target) + 1):  # each step lowers the objective: far fewer are needed
        x, free = _to_minimum(gram, target, x, free)
        slopes = (target - gram @ x).masked_fill_(free, -torch.inf)
        if float(slopes.max()) <= tolerance:
            break
        free[slopes.argmax()] = True
    return x


def _to_minimum(
    gram: torch.Tensor, target: torch.Tensor, x: torch.Tensor, free: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The minimum over the `free` entries, others 0; those that would turn negative on the way are set to 0
    and no longer free."""
    free = free.clone()
    while True:
        rows = free.nonzero().flatten()
        goal = torch.zeros_like(x)
        goal[rows] = _solve(gram[rows][:, rows], target[rows])
        blocked = free & (goal <= 0)
        if not blocked.any():
            return goal, free
        shares = torch.where(blocked, x / (x - goal), torch.inf)  # of the way, until the entry is 0
        shares = torch.where(blocked & (x <= 0), 0.0, shares)
        share = shares.min()
        x = (x + share * (goal - x)).masked_fill_(shares <= share, 0.0)
        free &= shares > share


def _solve(gram: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return torch.cholesky_solve(target[:, None], torch.linalg.cholesky(gram))[:, 0]
