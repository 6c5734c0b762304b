"""Facility location by lazy greedy: picks such that every row is similar to one (FacilityLocation, CRAIG)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from deepcore.scoring.gradient_kernel import GradientKernel
from deepcore.scoring.last_layer import EQUAL
from deepcore.scoring.lazy_greedy import lazy_greedy


class Facilities(NamedTuple):
    """Positions in order of picking (count,), and how many rows each of them is nearest to (count,), which
    sum to n. A row equally near to several counts for the one picked first."""

    order: np.ndarray
    sizes: np.ndarray


def facility_location(kernel: GradientKernel, count: int, *, floor: float | None = None) -> Facilities:
    """Greedy maximisation of f(A) = sum_i max_{a in A} S_ia, with S_ij = kernel_ij - floor at least 0.

    The gain of j is `sum_i max(0, S_ij - max_{a in A} S_ia)`; ties go to the lower position. f is monotone
    and submodular, so a lazy greedy is exact (Minoux 1978). Gains within 1e-12 of n max|kernel| are ties.

    Args:
        kernel: similarities of n rows.
        count: picks, 1..n.
        floor: None for the smallest entry of the kernel: S = max(D) - D for distances D (CRAIG).
    """
    sums, smallest = kernel.totals()
    floor = smallest if floor is None else floor
    top = max(abs(floor), float((sums / kernel.n).abs().max()))
    served = torch.full_like(sums, floor)
    server = torch.zeros(kernel.n, dtype=torch.int64, device=sums.device)  # S >= 0: the first serves all
    picked = 0

    def gains(rows: torch.Tensor) -> torch.Tensor:
        parts = [near.sub_(served).clamp_(min=0).sum(dim=1) for near in kernel.in_blocks(rows)]
        return torch.cat(parts)

    def take(row: int) -> None:
        nonlocal picked
        near = kernel.rows(torch.tensor([row], device=sums.device))[0]
        closer = near > served + EQUAL * top
        served[closer], server[closer] = near[closer], picked
        picked += 1

    order = lazy_greedy(sums - kernel.n * floor, gains, take, count, slack=EQUAL * kernel.n * top)
    return Facilities(order, np.bincount(server.cpu().numpy(), minlength=count))
