"""What the greedy methods share: one class after the other, picks class by class in turn, weights beside."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from deepcore.common.checks import check_device
from deepcore.common.resources import Memory
from deepcore.proxy.run import ProxyRun
from deepcore.proxy.signals import Signal
from deepcore.selection.budget import Budget, class_quotas
from deepcore.selection.method import CoresetMethod
from deepcore.selection.ranking import groups, interleave
from deepcore.selection.selection import Selection


class Picks(NamedTuple):
    """What was picked of one class (or of the whole pool).

    Attributes:
        order: (k,) indices into the rows of the class, in order of picking.
        weights: (k,) at least 0, or None for a method without weights.
        replaced: picks that gave way to other rows (GradMatch).
    """

    order: np.ndarray
    weights: np.ndarray | None = None
    replaced: int = 0


@dataclass(frozen=True)
class GreedyMethod(CoresetMethod):
    """Base of the methods that pick row after row by what the proxy's last checkpoint says of them; none
    reads validation rows.

    Class-balanced: each class for itself, with its quota; otherwise all candidates at once. The picks come
    class by class in turn, first picks first.

    Attributes:
        device: where it is computed, as torch names it; None for the run's (`--gpu`).
    """

    device: str | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_device(self.device)

    @property
    def needs(self) -> frozenset[Signal]:
        """Logits and features after the last step: the gradients of the last layer."""
        return frozenset({Signal.LOGITS, Signal.FEATURES})

    @abc.abstractmethod
    def pick(self, run: ProxyRun, rows: np.ndarray, k: int, rng: np.random.Generator) -> Picks:
        """The first k picks among the positions `rows`, which are in the order of their ids."""

    @abc.abstractmethod
    def bytes_of(self, n: int, k: int, features: int, classes: int) -> int:
        """What picking k of n rows takes at most, on the device."""

    def notes_of(self, parts: Sequence[Picks], weights: np.ndarray | None) -> tuple[str, ...]:
        """What the user should know of the picks of all classes, and of their weights in one vector."""
        return ()

    def memory(self, pool: ProxyRun, k: int, features: int, epochs: int) -> Memory:
        """By the formula in the class's docstring, of the largest class (of all rows without class
        balance)."""
        n, smaller = len(pool.ids), "class_balanced=true"
        if self.class_balanced:
            k = int(class_quotas(pool.labels, k, pool.num_classes).max())
            n, smaller = int(np.bincount(pool.labels).max()), ""
        size = self.bytes_of(n, k, features, pool.num_classes)
        return Memory(super().memory(pool, k, features, epochs).host, size, smaller)

    def select(self, run: ProxyRun, budget: Budget, rng: np.random.Generator) -> Selection:
        """The greedy picks, with their weights where the method has some."""
        parts, rows_of = [], []
        for rows, quota in groups(np.argsort(run.ids), run.labels, budget.k, self.class_balanced):
            parts.append(self.pick(run, rows, quota, rng))
            rows_of.append(rows[parts[-1].order])
        weights = None
        given = [part.weights for part in parts if part.weights is not None]
        if len(given) == len(parts):
            weights = interleave(given)
        notes = self.notes_of(parts, weights)
        if weights is not None and not weights.any():
            weights = None
        return Selection(run.ids[interleave(rows_of)], weights, notes=notes)
