"""Data sets that need no files: scikit-learn's digits, and synthetic vectors of known difficulty."""

from __future__ import annotations

import numpy as np

from deepcore.common import seeding
from deepcore.data.memory import from_arrays
from deepcore.data.record import LabeledData, Source


def digits(source: Source) -> LabeledData:
    """scikit-learn's digits: 1,797 images 8x8 of 10 classes, a fixed 20% of each class for test."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    bunch = load_digits()
    images = bunch.images.astype(np.uint8)  # whole numbers 0..16
    train, test = train_test_split(
        np.arange(len(images)), test_size=0.2, stratify=bunch.target, random_state=0
    )
    train, test = np.sort(train), np.sort(test)
    return from_arrays(
        "Digits", images[train], bunch.target[train], images[test], bunch.target[test], num_classes=10
    )


def synthetic(source: Source) -> LabeledData:
    """Gaussian classes in 32 dimensions; it is known which train rows are easy, hard and mislabelled.

    10 classes of 200 train and 50 test rows. Of each class's train rows 70% are easy (near the class's
    centre), 20% hard (two fifths of the way to another class's centre), 10% mislabelled (easy rows of
    another class). Test rows are easy and hard, 7 to 2, with their true labels.
    """
    rng = seeding.stream(0, "synthetic")
    classes, dimensions = 10, 32
    centres = rng.standard_normal((classes, dimensions))
    shares = {"easy": 0.7, "hard": 0.2, "mislabelled": 0.1}
    x_train, y_train, kinds = _rows(rng, centres, 200, shares)
    x_test, y_test, _ = _rows(rng, centres, 50, {"easy": 7 / 9, "hard": 2 / 9})
    return from_arrays("Synthetic", x_train, y_train, x_test, y_test, num_classes=classes, kinds=kinds)


def _rows(
    rng: np.random.Generator, centres: np.ndarray, per_class: int, shares: dict[str, float]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Shuffled vectors, labels and kinds; each class has `per_class` rows in these shares."""
    classes, dimensions = centres.shape
    labels = np.repeat(np.arange(classes), per_class)
    others = (labels + rng.integers(1, classes, size=labels.size)) % classes
    edges = np.round(np.cumsum(list(shares.values())) * per_class).astype(int)
    kinds = np.array(list(shares))[np.searchsorted(edges, np.arange(per_class), side="right")]
    kinds = np.tile(kinds, classes)
    towards = np.select([kinds == "hard", kinds == "mislabelled"], [0.4, 1.0], 0.0)[:, None]
    means = (1 - towards) * centres[labels] + towards * centres[others]
    x = means + rng.standard_normal((labels.size, dimensions))
    order = rng.permutation(labels.size)
    return x[order].astype(np.float32), labels[order], kinds[order]
