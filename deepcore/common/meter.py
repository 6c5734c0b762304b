"""Counters of cost: example passes, seconds, peak memory."""

from __future__ import annotations

import contextlib
import resource
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch

PASSES = ("train", "record", "validation", "encode", "test")
BACKWARD = ("train", "gradient")  # forward and backward; all others are forward only


@dataclass
class Meter:
    """Counters of one training, proxy or target.

    Attributes:
        passes: number of examples that went through the network. `train` counts forward and backward passes.
            The others are forward only: `record` (candidates: untrained network and post_epoch),
            `validation`, `encode` (final features and logits), `test`.
            Scoring may add `gradient`: forward, and backward to the inputs.
        seconds: wall time by phase, device work included.
        peak_bytes: highest memory within `peak`. On a CPU it is the resident memory of the process; Linux
            can reset this counter, elsewhere it counts from the start of the process. On a GPU it is the
            memory of the device's allocator.
    """

    device: torch.device
    passes: dict[str, int] = field(default_factory=lambda: dict.fromkeys(PASSES, 0))
    seconds: dict[str, float] = field(default_factory=dict)
    peak_bytes: int = 0
    _in_peak: bool = field(default=False, init=False, repr=False)

    def count(self, kind: str, examples: int) -> None:
        """Add `examples` passes of one of PASSES, or of "gradient"."""
        self.passes[kind] = self.passes.get(kind, 0) + examples

    @contextlib.contextmanager
    def timed(self, phase: str) -> Iterator[None]:
        """Add the block's wall time, with the device's queue emptied before and after, to `phase`."""
        self._synchronise()
        start = time.perf_counter()
        try:
            yield
        finally:
            self._synchronise()
            self.seconds[phase] = self.seconds.get(phase, 0.0) + time.perf_counter() - start

    @contextlib.contextmanager
    def peak(self) -> Iterator[None]:
        """Take the peak memory of the block into `peak_bytes`."""
        reset_peak(self.device)
        self._in_peak = True
        try:
            yield
        finally:
            self._in_peak = False
            self.peak_bytes = max(self.peak_bytes, peak_memory(self.device))

    def state(self) -> dict[str, object]:
        """Everything counted so far, as plain values, for a checkpoint."""
        so_far = peak_memory(self.device) if self._in_peak else 0
        return {
            "passes": dict(self.passes),
            "seconds": dict(self.seconds),
            "peak_bytes": max(self.peak_bytes, so_far),
        }

    def load(self, state: dict) -> None:
        """Continue from a `state`."""
        self.passes.update(state["passes"])
        self.seconds.update(state["seconds"])
        self.peak_bytes = state["peak_bytes"]

    def add(self, other: Meter) -> None:
        """Take over what another meter counted."""
        for kind, count in other.passes.items():
            self.passes[kind] += count
        for phase, seconds in other.seconds.items():
            self.seconds[phase] = self.seconds.get(phase, 0.0) + seconds
        self.peak_bytes = max(self.peak_bytes, other.peak_bytes)

    def _synchronise(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def reset_peak(device: torch.device) -> None:
    """Start a new peak: CUDA's counter, or Linux's VmHWM where the process may reset it."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory(device: torch.device) -> int:
    """Bytes: the peak since the last reset, or since the start of the process where it cannot be reset."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
