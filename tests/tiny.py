"""Small data and short recipes for tests."""

from __future__ import annotations

import dataclasses

import numpy as np

from deepcore.data.memory import Augmentation, from_arrays
from deepcore.data.record import LabeledData
from deepcore.training.spec import TrainSpec

SHORT = TrainSpec(epochs=4, batch=16, lr=0.05, milestones=(0.5,))


def images(
    rows: int = 90, classes: int = 3, side: int = 8, *, seed: int = 0, augment: bool = False
) -> LabeledData:
    """Noisy images of `classes` classes that a small net can tell apart; a third as many test rows."""
    rng = np.random.default_rng(seed)
    patterns = rng.integers(0, 256, (classes, side, side))

    def part(n: int) -> tuple[np.ndarray, np.ndarray]:
        labels = np.arange(n) % classes
        noisy = patterns[labels] + rng.normal(0, 60, (n, side, side))
        return np.clip(noisy, 0, 255).astype(np.uint8), labels

    x, y = part(rows)
    x_test, y_test = part(rows // 3)
    return from_arrays(
        "tiny",
        x,
        y,
        x_test,
        y_test,
        augmentation=Augmentation(1, True) if augment else None,
        default_net="MLP",
    )


def short(**changes: object) -> TrainSpec:
    """SHORT with changes."""
    return dataclasses.replace(SHORT, **changes)
