"""Class quotas that favour the classes a proxy gets wrong (DRoP)."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from deepcore.common.checks import UsageError
from deepcore.selection.budget import check_budget


def recall_counts(logits: np.ndarray, labels: np.ndarray, num_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Of the validation rows of each class those predicted right, and all of them, (C,) int64 each.

    A row whose label ties with another class is not right.

    Args:
        logits: (Q, C).
        labels: (Q,) int64.
        num_classes: C.
    """
    rows = np.arange(len(labels))
    others = np.array(logits, dtype=np.float64)
    own = others[rows, labels].copy()
    others[rows, labels] = -np.inf
    right = own > others.max(axis=1)
    return tuple(np.bincount(part, minlength=num_classes) for part in (labels[right], labels))


def recall_quotas(labels: np.ndarray, k: int, hits: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Each class's share of a budget, proportional to n_c (1 - r_c) and at most n_c (Algorithm 1 of DRoP).

    r_c = hits_c / rows_c is the recall of class c on the validation rows. What a class cannot hold goes to
    the classes that are not full, by the same weights; when only classes without an error are left, by their
    sizes. The shares become whole rows by largest remainder (ties to the lower class id). As for all quotas
    of this benchmark, a class that comes out empty then takes one row from the largest quota (ties: the
    higher class id), when k is at least the number of classes: a recall of 1 does not remove a class.

    Args:
        labels: (N,) of the train pool.
        k: the budget, 1..N.
        hits, rows: (C,) validation rows predicted right, and all.

    Returns:
        (C,) int64 quotas; they sum to k, none exceeds its class.

    Raises:
        UsageError: a class of the pool without a validation row.
    """
    sizes = np.bincount(labels, minlength=len(rows))
    check_budget(k, int(sizes.sum()))
    present = np.flatnonzero(sizes).tolist()
    unknown = [c for c in present if rows[c] == 0]
    if unknown:
        raise UsageError(
            f"DRoP's quotas need the recall of every class, and class {unknown[0]} has no validation row "
            f"({len(unknown)} such classes): give each class one, or use sampler=top"
        )
    weights = {c: int(sizes[c]) * (1 - Fraction(int(hits[c]), int(rows[c]))) for c in present}
    shares = _capped_shares(weights, {c: int(sizes[c]) for c in present}, k)
    quotas = np.zeros(len(rows), dtype=np.int64)
    for c, share in shares.items():
        quotas[c] = int(share)
    by_remainder = sorted(present, key=lambda c: (int(quotas[c]) - shares[c], c))
    quotas[by_remainder[: k - int(quotas.sum())]] += 1
    if k >= len(present):
        for c in present:
            if quotas[c] == 0:
                quotas[np.flatnonzero(quotas == quotas.max())[-1]] -= 1
                quotas[c] = 1
    return quotas


def _capped_shares(weights: dict[int, Fraction], caps: dict[int, int], k: int) -> dict[int, Fraction]:
    """min(cap_c, t * weight_c) with the t at which they sum to k; exact.

    Classes fill up in the order of cap / weight, so that they are taken in that order: as long as the next
    one would overflow, it gets its cap.
    """
    shares = dict.fromkeys(weights, Fraction(0))
    left = Fraction(k)
    for of_class in (weights, caps):  # those with an error first; what they cannot hold by size
        open_ = sorted(
            (c for c in weights if of_class[c] > 0 and shares[c] == 0),
            key=lambda c: (caps[c] / Fraction(of_class[c]), c),
        )
        total = sum((Fraction(of_class[c]) for c in open_), Fraction(0))
        for c in open_:
            shares[c] = min(Fraction(caps[c]), left * of_class[c] / total)
            left, total = left - shares[c], total - of_class[c]
        if left == 0:
            break
    return shares
