"""Readable units for bytes and FLOPs."""

from __future__ import annotations

from collections.abc import Sequence

FLOP_UNITS = ("FLOPs", "kFLOPs", "MFLOPs", "GFLOPs", "TFLOPs", "PFLOPs")
SIZES = ("bytes", "kB", "MB", "GB", "TB")


def largest_unit(amount: float, names: Sequence[str] = FLOP_UNITS) -> tuple[str, float]:
    """The largest unit in which `amount` is at least 1, and its size; units grow by factors of 1000."""
    step = max((i for i in range(len(names)) if amount >= 1000**i), default=0)
    return names[step], 1000.0**step


def size(count: float) -> str:
    """Bytes as text, to three digits: "1.28 GB"."""
    unit, scale = largest_unit(count, SIZES)
    return f"{count / scale:.3g} {unit}"
