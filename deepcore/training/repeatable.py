"""The same bits twice on the same GPU."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch


@contextlib.contextmanager
def repeatable(device: torch.device) -> Iterator[None]:
    """Let cuDNN take deterministic algorithms alone in the block, where `device` is a GPU.

    Its fastest ones for the gradient of a convolution's weights add in the order in which threads arrive.
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
