"""Number of threads for a network."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

# Below this many FLOPs per example, a step ends before a second thread has started. One thread is then as
# fast on an idle machine and many times faster on a busy one.
SMALL = 1_000_000


@contextlib.contextmanager
def threads_for(forward_flops: int) -> Iterator[int]:
    """Run the block on one thread when a forward pass of one example takes fewer FLOPs than SMALL. Yields the
    number of threads."""
    before = torch.get_num_threads()
    threads = 1 if forward_flops < SMALL else before
    torch.set_num_threads(threads)
    try:
        yield threads
    finally:
        torch.set_num_threads(before)
