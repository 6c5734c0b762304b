"""The number of rows to keep, in all and per class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from deepcore.common.checks import UsageError, check_fraction
from deepcore.common.shares import rows_of_share


@dataclass(frozen=True)
class Budget:
    """How much to keep: a fraction of the candidates, and its number of rows.

    Attributes:
        fraction: share kept, in (0, 1].
        k: number of rows kept.
        quotas: rows of each class, where something else than its size decides (DRoP); None otherwise.
    """

    fraction: float
    k: int
    quotas: tuple[int, ...] | None = None

    @classmethod
    def of(cls, fraction: float, n: int) -> Budget:
        """k = floor(fraction * n + 1/2) in decimal arithmetic, at least 1.

        Args:
            fraction: kept, in (0, 1].
            n: size of the train pool.
        """
        check_fraction(fraction)
        if n < 1:
            raise UsageError("the train pool is empty: nothing to select from")
        k = rows_of_share(fraction, n)
        return cls(float(fraction), min(max(k, 1), n))


def class_quotas(labels: np.ndarray, k: int, num_classes: int) -> np.ndarray:
    """Each class's share of a budget, by largest remainder; then, if k allows, at least one for each class
    present.

    Args:
        labels: (N,) labels of the train pool, before any cut.
        k: the budget, 1..N.
        num_classes: C.

    Returns:
        (C,) int64 quotas; they sum to k, none exceeds its class, absent classes get 0. Ties of remainders go
        to the lower class id; an empty class takes one from the largest quota (ties: the higher class id).
    """
    sizes = np.bincount(labels, minlength=num_classes).astype(np.int64)
    total = int(sizes.sum())
    check_budget(k, total)
    quotas, remainders = np.divmod(sizes * k, total)  # exact: integers throughout
    left = k - int(quotas.sum())
    order = np.lexsort((np.arange(num_classes), -remainders))
    quotas[order[:left]] += 1
    present = sizes > 0
    if k >= int(present.sum()):
        for empty in np.flatnonzero(present & (quotas == 0)):
            largest = np.flatnonzero(quotas == quotas.max())[-1]
            quotas[largest] -= 1
            quotas[empty] += 1
    return quotas


def check_budget(k: int, rows: int) -> None:
    """Raise UsageError unless 1 <= k <= the number of rows."""
    if not 1 <= k <= rows:
        raise UsageError(f"a budget of {k} from {rows} rows")
