"""Two references for all methods: a random subset, and all candidates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from deepcore.proxy.run import ProxyRun
from deepcore.selection.budget import Budget, class_quotas
from deepcore.selection.method import CoresetMethod
from deepcore.selection.selection import Selection


@dataclass(frozen=True)
class Random(CoresetMethod):
    """A uniform draw without replacement, within each class's quota when class-balanced. Needs no proxy."""

    name: ClassVar[str] = "Random"

    def select(self, run: ProxyRun, budget: Budget, rng: np.random.Generator) -> Selection:
        """k rows of the pool; the order within the selection is the order of the draw, class by class."""
        order = np.argsort(run.ids)
        if not self.class_balanced:
            return Selection(run.ids[rng.choice(order, budget.k, replace=False)])
        labels = run.labels[order]
        quotas = class_quotas(labels, budget.k, run.num_classes)
        picks = [rng.choice(order[labels == c], quotas[c], replace=False) for c in np.flatnonzero(quotas)]
        return Selection(run.ids[np.concatenate(picks)])


@dataclass(frozen=True)
class Full(CoresetMethod):
    """All candidates, whatever the fraction. A reference row, not a selection."""

    name: ClassVar[str] = "Full"
    is_selection: ClassVar[bool] = False
    uses_fraction: ClassVar[bool] = False
    note: ClassVar[str] = "all candidates"

    def select(self, run: ProxyRun, budget: Budget, rng: np.random.Generator) -> Selection:
        """All ids of the pool, sorted."""
        return Selection(np.sort(run.ids), notes=(f"{self.name} is not a selection: {self.note}",))
