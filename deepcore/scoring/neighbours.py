"""Exact nearest neighbours, blocked: matrix products propose, float64 distances decide.

For centred points, `||a - b||^2 = ||a||^2 + ||b||^2 - 2 a.b` costs one matrix product but cancels: its
error is up to about `g (||a||^2 + ||b||^2)` with `g = (D + 16) eps`. So the product only proposes: lowering
it by that error gives a bound from below, the rows with the lowest bounds get their exact distances in
float64, and the answer stands when the next bound lies above the last neighbour. Rows for which it does not
are done again in float64, and those that still have ties (duplicates) by the distances to all points.

Time O(N^2 D). Memory: 2 * 4 N D (twice that when float64 is needed) + two blocks of `block_bytes`
+ 16 N kappa bytes; never N x N.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np
import torch

from deepcore.common.checks import UsageError, check_positive

SPARE = 10  # proposals beyond kappa: enough that nearly every row is settled in float32
BLOCK_BYTES = 1 << 27
PAIR_BYTES = 1 << 22  # stays in cache


def nearest_neighbours(
    features: np.ndarray,
    neighbors: int,
    *,
    device: torch.device | str = "cpu",
    block_bytes: int = BLOCK_BYTES,
) -> tuple[np.ndarray, np.ndarray]:
    """The nearest other rows of each row by Euclidean distance; ties by lower position.

    Args:
        features: (N, D), finite, any floating type.
        neighbors: kappa; N - 1 is taken when it is larger.
        device: where the products are computed.
        block_bytes: size of one block of the distance matrix.

    Returns:
        Positions (N, kappa) int64, nearest first, and distances (N, kappa) float64 computed from differences
        in float64. Duplicates of a row are its neighbours at distance 0; the row itself never is.

    Raises:
        UsageError: features that are not a finite matrix, or neighbors < 1.
    """
    check_positive("neighbors", neighbors, whole=True)
    if features.ndim != 2 or features.shape[0] == 0:
        raise UsageError(f"features have shape {features.shape}; expected (N, D) with at least one row")
    points = torch.tensor(features, device=device)
    if not points.isfinite().all():
        bad = (~points.isfinite().all(dim=1)).nonzero().flatten().tolist()
        raise UsageError(f"features of {len(bad)} rows are not finite (the first at position {bad[0]})")
    n = len(points)
    count = min(int(neighbors), n - 1)
    indices = torch.zeros(n, count, dtype=torch.int64, device=device)
    distances = torch.zeros(n, count, dtype=torch.float64, device=device)
    open_rows = torch.arange(n if count else 0, device=device)
    for dtype in (torch.float32, torch.float64):
        if len(open_rows):
            open_rows = _from_products(points, open_rows, indices, distances, dtype, block_bytes)
    if len(open_rows):
        _from_all_distances(points.double(), open_rows, indices, distances, block_bytes)
    return indices.cpu().numpy(), distances.cpu().numpy()


def _from_products(
    points: torch.Tensor,
    rows: torch.Tensor,
    indices: torch.Tensor,
    distances: torch.Tensor,
    dtype: torch.dtype,
    block_bytes: int,
) -> torch.Tensor:
    """Fill `indices` and `distances` of `rows` from products in `dtype`; returns the rows left undecided."""
    n, dim = points.shape
    count = indices.shape[1]
    proposals = min(count + SPARE, n - 1)
    slack = (dim + 16) * torch.finfo(dtype).eps
    centred = points.to(dtype) - points.mean(dim=0, dtype=dtype)
    scale = float(centred.abs().max()) or 1.0  # no overflow of the squares
    centred /= scale
    # (1 - slack) (||a||^2 + ||b||^2) - 2 a.b bounds the true squared distance from below; the last term is
    # what products that underflow may have lost
    norms = (1 - slack) * centred.square().sum(dim=1) - 4 * dim * torch.finfo(dtype).tiny
    undecided = []
    for block in rows.split(max(1, block_bytes // (n * centred.element_size()))):
        with full_precision():
            bounds = torch.addmm(norms, centred[block], centred.T, alpha=-2)
        bounds.scatter_(1, block.view(-1, 1), float("inf"))  # a row is not its own neighbour
        lowest, near = bounds.topk(proposals, largest=False)
        near = near.sort(dim=1).values
        exact = _exact_pairs(points, block, near)
        exact, order = exact.sort(dim=1, stable=True)
        indices[block] = near.gather(1, order)[:, :count]
        distances[block] = exact[:, :count]
        if proposals < n - 1:
            others = lowest[:, -1].double() + norms[block].double()
            decided = others > (1 + slack) * (exact[:, count - 1] / scale).square()
            undecided.append(block[~decided])
    return torch.cat(undecided) if undecided else rows[:0]


def _from_all_distances(
    points: torch.Tensor,
    rows: torch.Tensor,
    indices: torch.Tensor,
    distances: torch.Tensor,
    block_bytes: int,
) -> None:
    """Fill `indices` and `distances` of `rows` from their exact distances to all points (float64)."""
    n, count = len(points), indices.shape[1]
    for block in rows.split(max(1, block_bytes // (4 * 8 * n))):
        exact = _exact(points[block], points)
        exact.scatter_(1, block.view(-1, 1), float("inf"))
        last = exact.topk(count, largest=False).values[:, -1:]
        nearer, tied = exact < last, exact == last
        room = count - nearer.sum(dim=1, keepdim=True)
        chosen = nearer | (tied & (tied.cumsum(dim=1) <= room))  # of the tied ones the lowest positions
        near = chosen.nonzero()[:, 1].view(-1, count)
        distances[block], order = exact.gather(1, near).sort(dim=1, stable=True)
        indices[block] = near.gather(1, order)


def _exact_pairs(points: torch.Tensor, rows: torch.Tensor, near: torch.Tensor) -> torch.Tensor:
    """Distances (B, M) float64 from `rows` (B,) to `near` (B, M); the pairs are gathered few at a time."""
    step = max(1, PAIR_BYTES // (8 * near.shape[1] * points.shape[1]))
    exact = [
        _exact(points[r].double().unsqueeze(1), points[c].double()).squeeze(1)
        for r, c in zip(rows.split(step), near.split(step), strict=True)
    ]
    return torch.cat(exact)


def _exact(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Distances from differences; the same bits for a pair however it is asked for."""
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")


@contextlib.contextmanager
def full_precision() -> Iterator[None]:
    """No TF32 or bfloat16 inside float32 products, whatever training has chosen: the bounds rest on it."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
