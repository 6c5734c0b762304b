"""Checks and memory that scores from windows of epochs share."""

from __future__ import annotations

import abc
from dataclasses import dataclass

from deepcore.common.resources import Memory
from deepcore.proxy.run import ProxyRun
from deepcore.scoring.epochs import check_epochs, window_memory
from deepcore.selection.method import ScoreMethod


@dataclass(frozen=True)
class SlidingWindow(ScoreMethod):
    """A score that slides a window of `width` epochs over a trajectory."""

    @property
    @abc.abstractmethod
    def width(self) -> int:
        """Epochs of a window while the fraction kept is unknown."""

    def check(self, pool: ProxyRun, epochs: int) -> None:
        """UsageError for fewer than 3 epochs."""
        check_epochs(self, epochs)

    def memory(self, pool: ProxyRun, k: int, features: int, epochs: int) -> Memory:
        """A window of candidates in float64."""
        return window_memory(pool, min(self.width, epochs))
