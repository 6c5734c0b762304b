"""Mathematics that methods share: correlation of loss differences (CLD), last-layer gradients, nearest
neighbours, message passing, windows of epochs. Arrays in, arrays out.
"""

from __future__ import annotations

from deepcore.scoring.correlation import correlate, standardise
from deepcore.scoring.one_pass import CLDStream

__all__ = ["CLDStream", "correlate", "standardise"]
