"""The meter: peaks are of one phase, seconds of a phase add up."""

from __future__ import annotations

import mmap
from pathlib import Path

import pytest
import torch

from deepcore.common.meter import Meter, peak_memory, reset_peak

CPU = torch.device("cpu")
MB = 1 << 20


def resets() -> bool:
    """Whether this system lets a process start a new peak."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def fresh(size: int) -> None:
    """Use so many bytes of new memory, and give them back: an array may get what earlier tests left free."""
    with mmap.mmap(-1, size) as memory:
        for start in range(0, size, mmap.PAGESIZE):
            memory[start] = 1


@pytest.mark.skipif(not resets(), reason="the peak of this system cannot be reset")
def test_a_peak_is_that_of_its_own_phase():
    peaks = []
    for size in (400 * MB, 100 * MB, 1):
        meter = Meter(CPU)
        with meter.peak():
            fresh(size)
        peaks.append(meter.peak_bytes)
    assert peaks[0] - peaks[1] == pytest.approx(300 * MB, abs=40 * MB)
    assert peaks[1] - peaks[2] == pytest.approx(100 * MB, abs=40 * MB)


@pytest.mark.skipif(not resets(), reason="the peak of this system cannot be reset")
def test_a_checkpoint_within_a_phase_knows_its_peak():
    first = Meter(CPU)
    with first.peak():
        fresh(300 * MB)
        state = first.state()
    resumed = Meter(CPU)
    resumed.load(state)
    with resumed.peak():
        pass
    assert resumed.peak_bytes == first.peak_bytes > peak_memory(CPU)
    reset_peak(CPU)
    assert resumed.state()["peak_bytes"] == first.peak_bytes
    assert Meter(CPU).state()["peak_bytes"] == 0


def test_seconds_of_a_phase_add_up(monkeypatch):
    clock = iter([10.0, 12.5, 20.0, 21.0, 30.0, 30.25])
    monkeypatch.setattr("deepcore.common.meter.time.perf_counter", lambda: next(clock))
    meter = Meter(CPU)
    for phase in ("train", "record", "train"):
        with meter.timed(phase):
            pass
    assert meter.seconds == {"train": 2.75, "record": 1.0}
