"""What this machine has left: memory of the process, memory of a device, disk."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import NamedTuple

import torch

CGROUP = Path("/sys/fs/cgroup")
LIMITS = (  # of versions 2 and 1: limit, use, and what of the use is given back on demand
    ("memory.max", "memory.current", "memory.stat", "inactive_file"),
    (
        *("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat"),
        "total_inactive_file",
    ),
)


class Memory(NamedTuple):
    """Bytes at a step's peak, beyond what is held before it: an estimate from above.

    Attributes:
        host: of the process.
        device: where the run computes; of the process too, where that is the CPU.
        smaller: what would need less, as "graph=class"; "" for nothing.
    """

    host: int
    device: int = 0
    smaller: str = ""


def available_memory(device: torch.device) -> int:
    """Bytes that the process could still take: of the GPU's memory, or of the machine's within the limit of
    its control group."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return min(_of_machine(), *(_of_group(*names) for names in LIMITS))


def free_disk(folder: Path) -> int:
    """Bytes free where `folder` is, or is to be made."""
    above = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    return shutil.disk_usage(above).free


def _of_machine() -> int:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _of_group(limit: str, use: str, stat: str, given_back: str) -> int | float:
    """Infinite where there is no such limit."""
    try:
        values = dict(line.split() for line in (CGROUP / stat).read_text().splitlines())
        return int((CGROUP / limit).read_text()) - int((CGROUP / use).read_text()) + int(values[given_back])
    except (OSError, ValueError, KeyError):  # no control group, or "max"
        return float("inf")
