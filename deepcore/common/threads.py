"""Number of threads for a network, also in Python threads beside the main one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

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


def python_threads(number: int, name: str) -> ThreadPoolExecutor:
    """Python threads in which an operation of torch takes as many threads as in the caller's.

    `torch.set_num_threads` holds for the thread that calls it. A new one takes over its number when torch is
    asked there; until then its matrix products take all cores, and their last digits differ.

    Args:
        number: of Python threads.
        name: their names begin with it.
    """
    return ThreadPoolExecutor(number, name, initializer=torch.get_num_threads)
