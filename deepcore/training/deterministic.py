"""Deterministic algorithms of cuDNN."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch


@contextlib.contextmanager
def deterministic(device: torch.device) -> Iterator[None]:
    """Let cuDNN take deterministic algorithms alone in the block, where `device` is a GPU.

    Its fastest ones for the gradient of a convolution's weights add in the order in which threads arrive.
    Operations of torch that do so too, in adaptive pooling for example, are not changed.
    """
    if device.type != "cuda":
        yield
        return
    before = torch.backends.cudnn.deterministic
    torch.backends.cudnn.deterministic = True
    try:
        yield
    finally:
        torch.backends.cudnn.deterministic = before
