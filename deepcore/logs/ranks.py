"""Under torchrun every process logs the rows of its own batches; here they come together."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import distributed


def world() -> int:
    """How many processes train together; 1 without torch.distributed."""
    return distributed.get_world_size() if _is_on() else 1


def rank() -> int:
    """Which of them this is; 0 without torch.distributed."""
    return distributed.get_rank() if _is_on() else 0


def of_each_rank(number: int) -> list[int]:
    """A number of every rank, on every rank."""
    if world() == 1:
        return [number]
    parts = [torch.zeros(1, dtype=torch.int64, device=_device()) for _ in range(world())]
    distributed.all_gather(parts, torch.tensor([number], device=_device()))
    return [int(part) for part in parts]


def gathered(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Each array with those of all ranks behind one another, in the order of the ranks, on every rank.

    The names must be the same on every rank, and the arrays of one rank equally long; their dtypes numbers.
    """
    if world() == 1:
        return dict(arrays)
    sizes = of_each_rank(len(next(iter(arrays.values()))))
    return {name: _gathered(array, sizes) for name, array in arrays.items()}


def _gathered(array: np.ndarray, sizes: list[int]) -> np.ndarray:
    padded = torch.zeros(max(sizes), dtype=torch.from_numpy(array[:0].copy()).dtype, device=_device())
    padded[: len(array)] = torch.from_numpy(np.ascontiguousarray(array)).to(padded.device)
    parts = [torch.zeros_like(padded) for _ in sizes]
    distributed.all_gather(parts, padded)
    return np.concatenate([part[:size].cpu().numpy() for part, size in zip(parts, sizes, strict=True)])


def _device() -> torch.device:
    """Where the backend's tensors must be."""
    on_gpu = distributed.get_backend() == "nccl"
    return torch.device("cuda", torch.cuda.current_device()) if on_gpu else torch.device("cpu")


def _is_on() -> bool:
    return distributed.is_available() and distributed.is_initialized()
