"""A long tail: fewer candidates from class to class."""

from __future__ import annotations

import dataclasses

import numpy as np

from deepcore.common.checks import UsageError, check_positive
from deepcore.common.identity import fingerprint
from deepcore.common.seeding import stream
from deepcore.data.record import LabeledData
from deepcore.data.split import Split


def check_imbalance(imbalance: float | None) -> None:
    """UsageError unless it is None or a finite number of at least 1."""
    if imbalance is None:
        return
    check_positive("long_tail", imbalance)
    if imbalance < 1:
        raise UsageError(f"long_tail is {imbalance}: the largest class over the smallest, at least 1")


def tail_sizes(counts: np.ndarray, imbalance: float) -> np.ndarray:
    """Class sizes m * imbalance^(-c / (C - 1)), rounded down, c = 0..C-1 (Cao et al. 2019, section 4).

    m is the largest for which no class has more rows than there are; with equal classes it is their size.
    Classes without rows are left out: C and c count the others.

    Args:
        counts: (C,) rows of each class, of which two have some.
        imbalance: the first class over the last, at least 1.

    Returns:
        (C,) int64, at most `counts`.

    Raises:
        UsageError: fewer than two classes with rows, or one of them would have none left.
    """
    present = np.flatnonzero(counts)
    if len(present) < 2:
        raise UsageError(f"long_tail needs two classes or more, and there is {len(present)}: leave it out")
    shares = imbalance ** (-np.arange(len(present)) / (len(present) - 1))
    largest = (counts[present] / shares).min()
    sizes = np.zeros(len(counts), dtype=np.int64)
    sizes[present] = np.floor(largest * shares + 1e-9).astype(np.int64)  # 1e-9: rounding of the power
    if not sizes[present[-1]]:
        raise UsageError(
            f"long_tail of {imbalance:g} leaves class {present[-1]} without a candidate: lower it (the "
            f"largest class has {sizes[present[0]]:,})"
        )
    return sizes


def cut_tail(data: LabeledData, split: Split, imbalance: float | None) -> tuple[LabeledData, Split]:
    """The data set and split with a long tail in the candidates; both unchanged without an imbalance.

    Validation and test rows stay. Which rows of a class remain depends on the split's seed alone; a class
    that gets fewer keeps a part of the same rows. The data set gets a fingerprint of its own.
    """
    if imbalance is None:
        return data, split
    labels = data.train.labels[split.train]
    sizes = tail_sizes(np.bincount(labels, minlength=data.num_classes), imbalance)
    order = stream(split.seed, "long_tail").permutation(len(split.train))
    kept = [order[labels[order] == c][:size] for c, size in enumerate(sizes)]
    train = np.sort(split.train[np.concatenate(kept)])
    own = fingerprint(data.fingerprint, "long tail", float(imbalance), split.seed)
    return dataclasses.replace(data, fingerprint=own), dataclasses.replace(split, train=train)
