"""Which of several processes this is, as torchrun tells its children. Imports nothing heavy."""

from __future__ import annotations

import os


def launched() -> tuple[int, int]:
    """(rank, number of processes); (0, 1) without torchrun."""
    return int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))


def local_rank() -> int:
    """The rank among the processes of this machine."""
    return int(os.environ.get("LOCAL_RANK", 0))
