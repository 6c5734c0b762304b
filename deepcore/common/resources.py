"""Free memory of the process, of a device, and free disk space."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import NamedTuple

import torch

CGROUP = Path("/sys/fs/cgroup")
LIMITS = (  # control groups version 2 and 1: files of limit, use, statistics; name of reclaimable memory
    ("memory.max", "memory.current", "memory.stat", "inactive_file"),
    (
        *("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat"),
        "total_inactive_file",
    ),
)


class Memory(NamedTuple):
    """Upper estimate of the bytes that a step needs at its peak, in addition to what is already allocated.

    Attributes:
        host: memory of the process.
        device: memory of the device that computes; it is added to `host` when that is the CPU.
        smaller: a setting that needs less, such as "graph=class"; "" for none.
    """

    host: int
    device: int = 0
    smaller: str = ""


def available_memory(device: torch.device) -> int:
    """Bytes that the process can still allocate: on the GPU, or in main memory within its control group."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return min(_of_machine(), *(_of_group(*names) for names in LIMITS))


def free_disk(folder: Path) -> int:
    """Free bytes on the disk of `folder`, which may not exist yet."""
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
    """Free bytes within the limit of a control group; infinite without a limit."""
    try:
        values = dict(line.split() for line in (CGROUP / stat).read_text().splitlines())
        return int((CGROUP / limit).read_text()) - int((CGROUP / use).read_text()) + int(values[given_back])
    except (OSError, ValueError, KeyError):  # no control group, or "max"
        return float("inf")
