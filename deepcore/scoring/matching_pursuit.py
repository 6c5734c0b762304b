"""Orthogonal matching pursuit of the mean gradient, with ridge and non-negative weights (GradMatch)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from deepcore.common.threads import threads_for
from deepcore.scoring.last_layer import EQUAL, Argmax, LastLayer, first_of_largest
from deepcore.scoring.nonnegative import nonnegative_least_squares

ROUNDS = 50  # of replacing rows of weight 0: a few are enough
LEAST = 1e-9  # ridge, of the largest ||g_i||^2: below that A'A + ridge I is singular to working precision


class Pursuit(NamedTuple):
    """The rows that stand for the mean gradient.

    Attributes:
        order: (count,) positions: the picks of the pursuit with a weight above 0, in order of picking, then
            those that took the place of the others.
        weights: (count,) at least 0.
        replaced: picks of the pursuit whose non-negative weight was 0.
    """

    order: np.ndarray
    weights: np.ndarray
    replaced: int


def matching_pursuit(layer: LastLayer, count: int, ridge: float) -> Pursuit:
    """Greedy least squares for the mean gradient t: take the row of the largest `<g_i, t - A x>` (signed;
    ties to the lower position), A the picked gradients as columns, x = solve(A'A + ridge I, A't), and repeat;
    then x is the minimum of ||A x - t||^2 + ridge ||x||^2 over x >= 0.

    Rows whose x is then 0 give way to the others of the largest `<g_i, t - A x>` above 0, and x is computed
    anew, until all have a positive x. Where `<g_i, t - A x>` is above 0 for none, no further row lowers the
    objective: the places left go by `<g_i, t - A x>`, with weight 0.

    Products go through `<g_i, V> = r_i . (V x_i)`, V = t - A x being C x (D+1), and only for rows that can be
    the best (`Argmax`). Time: at most 2 n count C (D + 1) + count^3 FLOPs. Memory: 16 count (D + 1 + C) +
    24 count^2 bytes.

    Args:
        layer: the n rows.
        count: 1..n.
        ridge: above 0; raised to 1e-9 of the largest ||g_i||^2.
    """
    target = layer.errors.T @ layer.inputs / len(layer.errors)
    ridge = max(ridge, LEAST * float(layer.norms().max()) ** 2)
    with threads_for(2 * len(layer.errors) * target.numel()):
        rows = _pursue(layer, target, count, ridge)
        weights = nonnegative_least_squares(*_normal_equations(layer, rows, target, ridge))
        kept = weights > 0
        rows, weights = rows[kept], weights[kept]
        replaced = count - len(rows)
        if replaced:
            rows, weights = _improve(layer, rows, weights, target, count, ridge)
            rows, weights = _pad(layer, rows, weights, target, count)
    return Pursuit(rows.cpu().numpy(), weights.cpu().numpy(), replaced)


def _pursue(layer: LastLayer, target: torch.Tensor, count: int, ridge: float) -> torch.Tensor:
    """The picks of the unconstrained pursuit, (count,); the Cholesky factor grows with them."""
    argmax, residual = Argmax(layer), target
    factor, aims = target.new_zeros(count, count), target.new_zeros(count, 1)
    errors, inputs = target.new_zeros(count, target.shape[0]), target.new_zeros(count, target.shape[1])
    rows = []
    for t in range(count):
        rows.append(argmax.pick(residual))
        errors[t], inputs[t] = layer.errors[rows[t]], layer.inputs[rows[t]]
        newest = (errors[: t + 1] @ errors[t]).mul_(inputs[: t + 1] @ inputs[t])  # A'g
        aims[t] = errors[t] @ target @ inputs[t]
        row = torch.linalg.solve_triangular(factor[:t, :t], newest[:t, None], upper=False)[:, 0]
        factor[t, :t] = row
        factor[t, t] = (newest[t] + ridge - row @ row).clamp(min=ridge).sqrt()  # a distance^2, and ridge
        weights = torch.cholesky_solve(aims[: t + 1], factor[: t + 1, : t + 1])
        residual = target - (errors[: t + 1] * weights).T @ inputs[: t + 1]
    return torch.tensor(rows, device=target.device)


def _improve(
    layer: LastLayer,
    rows: torch.Tensor,
    weights: torch.Tensor,
    target: torch.Tensor,
    count: int,
    ridge: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """`rows`, their weights all positive, joined by others that lower the objective; at most `count` rows. A
    row whose weight turns 0 on the way leaves again."""
    for _ in range(ROUNDS):
        products, slack = _products_left(layer, rows, weights, target)
        more = _highest(products, count - len(rows), slack, above=float(slack))
        if len(more) == 0:
            break
        rows = torch.cat([rows, more])
        weights = nonnegative_least_squares(*_normal_equations(layer, rows, target, ridge))
        rows, weights = rows[weights > 0], weights[weights > 0]
    return rows, weights


def _pad(
    layer: LastLayer, rows: torch.Tensor, weights: torch.Tensor, target: torch.Tensor, count: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """`count` rows: those given, and others by `<g_i, t - A x>`, with weight 0."""
    products, slack = _products_left(layer, rows, weights, target)
    more = _highest(products, count - len(rows), slack)
    return torch.cat([rows, more]), torch.cat([weights, weights.new_zeros(len(more))])


def _highest(
    values: torch.Tensor, count: int, slack: torch.Tensor, *, above: float = -torch.inf
) -> torch.Tensor:
    """The positions of the `count` highest of the values above `above`, ties to the lower; fewer if there are
    not so many."""
    values, found = values.clone(), []
    while len(found) < count and values.max() > above:
        found.append(int(first_of_largest(values, slack)))
        values[found[-1]] = -torch.inf
    return torch.tensor(found, dtype=torch.int64, device=values.device)


def _products_left(
    layer: LastLayer, rows: torch.Tensor, weights: torch.Tensor, target: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """`<g_i, t - A x>`, (n,), -inf for `rows`; and how close two of them are a tie."""
    residual = _residual(_of(layer, rows), weights, target)
    products = layer.products(residual)
    products[rows] = -torch.inf
    return products, EQUAL * layer.norms().max() * residual.norm()


def _of(layer: LastLayer, rows: torch.Tensor) -> LastLayer:
    return LastLayer(layer.inputs[rows], layer.logits[rows], layer.labels[rows], layer.errors[rows])


def _residual(picked: LastLayer, weights: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """t - A x, (C, D+1)."""
    return target - (picked.errors * weights[:, None]).T @ picked.inputs


def _normal_equations(
    layer: LastLayer, rows: torch.Tensor, target: torch.Tensor, ridge: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """A'A + ridge I, (k, k), and A't, (k,)."""
    picked = _of(layer, rows)
    gram = (picked.errors @ picked.errors.T).mul_(picked.inputs @ picked.inputs.T)
    gram.diagonal().add_(ridge)
    return gram, picked.products(target)
