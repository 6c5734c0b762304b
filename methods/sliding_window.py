"""What scores from windows of epochs have in common before anything is run."""

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
        """Epochs of a window, as long as nothing is known of the fraction kept."""

    def check(self, pool: ProxyRun, epochs: int) -> None:
        """UsageError for fewer than 3 epochs."""
        check_epochs(self, epochs)

    def memory(self, pool: ProxyRun, k: int, features: int, epochs: int) -> Memory:
        """A window of candidates in float64."""
        return window_memory(pool, min(self.width, epochs))
