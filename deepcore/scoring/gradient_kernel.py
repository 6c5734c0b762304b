"""Similarities between the last-layer gradients of rows, in blocks; gradients are never formed.

`<g_i, g_j> = (r_i . r_j)(x_i . x_j)`, so a block of any kernel of them is two matrix products.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import torch

from deepcore.scoring.last_layer import LastLayer

KEEP_BYTES = 1 << 29  # of kernel rows kept: all of them up to 8,192 rows
BLOCK_BYTES = 1 << 23  # stays in cache


def unit_gradients(layer: LastLayer) -> LastLayer:
    """The rows with their gradients scaled to length 1; a gradient of 0 stays 0."""
    largest = layer.errors.abs().amax(dim=1, keepdim=True)
    errors = layer.errors / largest.where(largest > 0, 1.0)  # no underflow of the squares
    lengths = errors.norm(dim=1, keepdim=True)
    inputs = layer.inputs / layer.inputs.norm(dim=1, keepdim=True)  # at least 1: x = [1, h]
    return dataclasses.replace(layer, errors=errors / lengths.where(lengths > 0, 1.0), inputs=inputs)


class GradientKernel:
    """A symmetric matrix of similarities between n rows, of which only some rows are ever held.

    Memory: 16 n (D + 1 + C) bytes, `KEEP_BYTES` (or 8 n^2, if that is less), and a few blocks.

    Args:
        layer: the rows.
        of: "cosine" for K = 0.5 + 0.5 cos(g_i, g_j), where a gradient of 0 has cosine 0 with all, or
            "distance" for -||g_i - g_j||.
    """

    def __init__(self, layer: LastLayer, of: str) -> None:
        layer = unit_gradients(layer) if of == "cosine" else layer
        self.errors, self.inputs, self.of = layer.errors, layer.inputs, of
        self.n = len(self.errors)
        # distances are lowered by what rounding may add, so that equal gradients are at distance 0
        rounding = (sum(self.inputs.shape) - self.n + self.errors.shape[1] + 16) * torch.finfo(
            torch.float64
        ).eps
        self.squares = (1 - rounding) * layer.norms().square()
        self.kept: torch.Tensor | None = None

    def rows(self, positions: torch.Tensor) -> torch.Tensor:
        """The rows at `positions`, (len(positions), n) float64, a copy."""
        return self._block(positions, slice(None)) if self.kept is None else self.kept[positions]

    def in_blocks(self, positions: torch.Tensor) -> Iterator[torch.Tensor]:
        """The same, some rows at a time."""
        for some in positions.split(max(1, BLOCK_BYTES // (8 * self.n))):
            yield self.rows(some)

    def totals(self) -> tuple[torch.Tensor, float]:
        """Sum of each row, (n,), and the smallest entry. The rows are kept from now on, if they fit."""
        errors = self.errors
        if 8 * self.n**2 <= KEEP_BYTES:
            self.kept = torch.empty(self.n, self.n, dtype=errors.dtype, device=errors.device)
        sums, smallest = torch.zeros_like(self.squares), torch.inf
        step = max(1, BLOCK_BYTES // (8 * self.n))
        kept, self.kept = self.kept, None
        for start in range(0, self.n, step):
            mine, later = slice(start, start + step), slice(start + step, None)
            block = self._block(mine, slice(start, None))  # the rest by symmetry
            sums[mine] += block.sum(dim=1)
            sums[later] += block[:, step:].sum(dim=0)
            smallest = min(smallest, float(block.min()))
            if kept is not None:
                kept[mine, start:] = block
                kept[later, mine] = block[:, step:].T
        self.kept = kept
        return sums, smallest

    def _block(self, a: torch.Tensor | slice, b: torch.Tensor | slice) -> torch.Tensor:
        products = (self.inputs[a] @ self.inputs[b].T).mul_(self.errors[a] @ self.errors[b].T)
        if self.of == "cosine":
            return products.mul_(0.5).add_(0.5)
        squared = products.mul_(-2).add_(self.squares[b]).add_(self.squares[a][:, None])
        return squared.clamp_(min=0).sqrt_().neg_()
