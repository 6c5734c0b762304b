"""The rows that a target network is trained on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from deepcore.data.memory import content_fingerprint
from deepcore.selection.selection import Selection
from deepcore.training.loop import RowsOf
from deepcore.training.schedule import Schedule
from deepcore.training.spec import TrainSpec


@dataclass(frozen=True)
class TrainingSet:
    """The rows of a training, their weights and its length. For a method it is the selection; a reference row
    may have others.

    Attributes:
        rows: (size,) sorted original row ids, or a function of the epoch (0, 1, ...) that gives as many.
        size: rows of one epoch.
        weights: (size,) float64 of fixed rows, or None for equal weights.
        length_of: the number of rows that sets the number of steps and the learning rates; None for `size`.
    """

    rows: np.ndarray | RowsOf
    size: int
    weights: np.ndarray | None = None
    length_of: int | None = None

    @classmethod
    def of(cls, selection: Selection) -> TrainingSet:
        """The rows of a selection, sorted, with their weights."""
        order = np.argsort(selection.rows)
        weights = None if selection.weights is None else selection.weights[order]
        return cls(selection.rows[order], len(order), weights)

    def digest(self) -> str:
        """Eight hex digits of the rows (of the first epoch) and weights."""
        rows = self.rows(0) if callable(self.rows) else self.rows
        return content_fingerprint(rows, self.weights)[:8]

    def schedule(self, spec: TrainSpec) -> Schedule:
        """Steps and learning rates with a recipe."""
        return Schedule.of(self.length_of or self.size, spec)
