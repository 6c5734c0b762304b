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
    queries: np.ndarray | None = None,
    device: torch.device | str = "cpu",
    block_bytes: int = BLOCK_BYTES,
) -> tuple[np.ndarray, np.ndarray]:
    """The nearest other rows of each row by Euclidean distance, or those of `queries`; ties by lower
    position.

    Args:
        features: (N, D), finite, any floating type.
        neighbors: kappa; N - 1 is taken when it is larger (N with `queries`).
        queries: (M, D), whose neighbours among the rows of `features` are wanted instead.
        device: where the products are computed.
        block_bytes: size of one block of the distance matrix.

    Returns:
        Positions (N, kappa) int64, nearest first, and distances (N, kappa) float64 computed from differences
        in float64; (M, kappa) with `queries`. Duplicates of a row are its neighbours at distance 0; the row
        itself never is.

    Raises:
        UsageError: features that are not a finite matrix, or neighbors < 1.
    """
    check_positive("neighbors", neighbors, whole=True)
    if features.ndim != 2 or features.shape[0] == 0:
        raise UsageError(f"features have shape {features.shape}; expected (N, D) with at least one row")
    points = _finite(features, device)
    asking = points if queries is None else _finite(queries, device)
    count = min(int(neighbors), len(points) - (asking is points))
    indices = torch.zeros(len(asking), count, dtype=torch.int64, device=device)
    distances = torch.zeros(len(asking), count, dtype=torch.float64, device=device)
    open_rows = torch.arange(len(asking) if count else 0, device=device)
    for dtype in (torch.float32, torch.float64):
        if len(open_rows):
            open_rows = _from_products(points, open_rows, indices, distances, dtype, block_bytes, asking)
    if len(open_rows):
        _from_all_distances(points, open_rows, indices, distances, block_bytes, asking)
    return indices.cpu().numpy(), distances.cpu().numpy()


def _finite(features: np.ndarray, device: torch.device | str) -> torch.Tensor:
    """On the device; UsageError where some are not finite."""
    points = torch.tensor(features, device=device)
    if not points.isfinite().all():
        bad = (~points.isfinite().all(dim=1)).nonzero().flatten().tolist()
        raise UsageError(f"features of {len(bad)} rows are not finite (the first at position {bad[0]})")
    return points


def _from_products(
    points: torch.Tensor,
    rows: torch.Tensor,
    indices: torch.Tensor,
    distances: torch.Tensor,
    dtype: torch.dtype,
    block_bytes: int,
    asking: torch.Tensor,
) -> torch.Tensor:
    """Fill `indices` and `distances` of `rows` of `asking` from products in `dtype`; returns the rows left
    undecided."""
    n, dim = points.shape
    own = asking is points  # a row is not its own neighbour
    count = indices.shape[1]
    proposals = min(count + SPARE, n - own)
    slack = (dim + 16) * torch.finfo(dtype).eps
    wide = torch.promote_types(points.dtype, dtype)  # far from the origin rounding comes after centring
    middle = points.mean(dim=0, dtype=wide)
    centred = (points.to(wide) - middle).to(dtype)
    asked = centred if own else (asking.to(wide) - middle).to(dtype)
    scale = float(torch.maximum(centred.abs().max(), asked.abs().max())) or 1.0  # no overflow of the squares
    centred /= scale
    if not own:
        asked /= scale
    # (1 - slack) (||a||^2 + ||b||^2) - 2 a.b bounds the true squared distance from below; the last term is
    # what products that underflow may have lost
    lost = 4 * dim * torch.finfo(dtype).tiny
    norms = (1 - slack) * centred.square().sum(dim=1) - lost
    asked_norms = norms if own else (1 - slack) * asked.square().sum(dim=1) - lost
    undecided = []
    for block in rows.split(max(1, block_bytes // (n * centred.element_size()))):
        with full_precision():
            bounds = torch.addmm(norms, asked[block], centred.T, alpha=-2)
        if own:
            bounds.scatter_(1, block.view(-1, 1), float("inf"))
        lowest, near = bounds.topk(proposals, largest=False)
        near = near.sort(dim=1).values
        exact = _exact_pairs(asking, points, block, near)
        exact, order = exact.sort(dim=1, stable=True)
        indices[block] = near.gather(1, order)[:, :count]
        distances[block] = exact[:, :count]
        if proposals < n - own:
            others = lowest[:, -1].double() + asked_norms[block].double()
            decided = others > (1 + slack) * (exact[:, count - 1] / scale).square()
            undecided.append(block[~decided])
    return torch.cat(undecided) if undecided else rows[:0]


def _from_all_distances(
    points: torch.Tensor,
    rows: torch.Tensor,
    indices: torch.Tensor,
    distances: torch.Tensor,
    block_bytes: int,
    asking: torch.Tensor,
) -> None:
    """Fill `indices` and `distances` of `rows` of `asking` from their exact distances to all points."""
    n, count, own = len(points), indices.shape[1], asking is points
    points = points.double()
    for block in rows.split(max(1, block_bytes // (4 * 8 * n))):
        exact = _exact(asking[block].double(), points)
        if own:
            exact.scatter_(1, block.view(-1, 1), float("inf"))
        last = exact.topk(count, largest=False).values[:, -1:]
        nearer, tied = exact < last, exact == last
        room = count - nearer.sum(dim=1, keepdim=True)
        chosen = nearer | (tied & (tied.cumsum(dim=1) <= room))  # of the tied ones the lowest positions
        near = chosen.nonzero()[:, 1].view(-1, count)
        distances[block], order = exact.gather(1, near).sort(dim=1, stable=True)
        indices[block] = near.gather(1, order)


def _exact_pairs(
    asking: torch.Tensor, points: torch.Tensor, rows: torch.Tensor, near: torch.Tensor
) -> torch.Tensor:
    """Distances (B, M) float64 from `rows` (B,) of `asking` to `near` (B, M) of `points`; the pairs are
    gathered few at a time."""
    step = max(1, PAIR_BYTES // (8 * near.shape[1] * points.shape[1]))
    exact = [
        _exact(asking[r].double().unsqueeze(1), points[c].double()).squeeze(1)
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
