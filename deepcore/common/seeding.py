"""Named random streams. Nothing else in the project seeds anything.

`stream(seed, "split")` is a generator that depends on the seed and the names alone: adding a stream, or
drawing more from one, never moves another. Streams that are used over epochs are keyed by the epoch, so that
a resumed run draws what the uninterrupted one would have drawn.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator

import numpy as np
import torch


def key(seed: int, *names: str | int) -> int:
    """A 63-bit integer that identifies the stream `names` of `seed`."""
    text = "/".join([str(int(seed)), *(str(name) for name in names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def stream(seed: int, *names: str | int) -> np.random.Generator:
    """A numpy generator for the stream `names` of `seed`."""
    return np.random.default_rng(key(seed, *names))


def torch_stream(seed: int, *names: str | int, device: torch.device | str = "cpu") -> torch.Generator:
    """A torch generator on `device` for the stream `names` of `seed`."""
    return torch.Generator(device=device).manual_seed(key(seed, *names))


@contextlib.contextmanager
def global_stream(seed: int, *names: str | int) -> Iterator[None]:
    """Let torch's global generators follow the stream inside the block, and restore them afterwards.

    For code that can draw from nowhere else: the initialisation of layers, dropout, stochastic depth.
    """
    devices = (
        [torch.cuda.current_device()] if torch.cuda.is_available() and torch.cuda.is_initialized() else []
    )
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(key(seed, *names))
        yield
