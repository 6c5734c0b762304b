"""What every room needs: checks of user input, named random streams, files that are never half written,
progress lines, memory and disk, threads, and the meter that counts example passes.
"""

from __future__ import annotations

from deepcore.common.checks import DeepcoreError, Diverged, MissingSignal, StoredMismatch, UsageError
from deepcore.common.progress import Progress

__all__ = ["DeepcoreError", "Diverged", "MissingSignal", "Progress", "StoredMismatch", "UsageError"]
