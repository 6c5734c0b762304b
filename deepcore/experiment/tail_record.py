"""The entry of a result row on a long tail, and the line about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


def tail_record(imbalance: float | None, labels: np.ndarray) -> dict[str, Any]:
    """{"imbalance": as asked, "largest", "smallest": rows of these classes of candidates with `labels` (N,)};
    empty without an imbalance."""
    if imbalance is None:
        return {}
    sizes = np.unique(labels, return_counts=True)[1]
    return {"imbalance": float(imbalance), "largest": int(sizes.max()), "smallest": int(sizes.min())}


def tail_line(record: Mapping[str, Any]) -> str:
    """One line on the long tail of a row."""
    return (
        f"long tail {record['imbalance']:g}: from class to class fewer candidates, {record['largest']:,} to "
        f"{record['smallest']:,}; validation and test rows are as they were"
    )
