"""The ids of a log: numbers or text, and where each is among the columns."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from deepcore.common.checks import UsageError, check_ids
from deepcore.proxy.logs import to_numpy
from deepcore.proxy.own_log import is_text


def as_ids(ids: Any, where: str) -> np.ndarray:
    """Ids as (n,) int64 or text; UsageError naming `where` for anything else."""
    values = to_numpy(ids)
    if values.ndim == 1 and is_text(values):
        return values.astype(np.str_)
    if values.ndim != 1 or values.dtype.kind not in "iu":
        raise UsageError(
            f"{where}: ids must be a vector of whole numbers or of text, got {values.dtype} of shape "
            f"{values.shape}"
        )
    if values.dtype.kind == "u" and values.size and values.max() > np.iinfo(np.int64).max:
        raise UsageError(f"{where}: id {values.max()} is above 2^63 - 1: give ids as text")
    return values.astype(np.int64)


class Columns:
    """The ids of N columns, in their order.

    Args:
        ids: (N,) unique, int64 or text.
    """

    def __init__(self, ids: np.ndarray, where: str = "ids") -> None:
        self.ids = as_ids(ids, where)
        self.is_text = self.ids.dtype.kind == "U"
        self._sorter = np.argsort(self.ids, kind="stable")
        self._sorted = self.ids[self._sorter]
        if not self.is_text:
            check_ids(self.ids, where)
        twice = np.flatnonzero(self._sorted[1:] == self._sorted[:-1])
        if twice.size:
            raise UsageError(f"{where}: id {str(self._sorted[twice[0]])!r} occurs twice; ids must be unique")
        self._on: dict[torch.device, tuple[torch.Tensor, torch.Tensor]] = {}

    def __len__(self) -> int:
        return len(self.ids)

    def positions(self, ids: np.ndarray) -> np.ndarray:
        """The column of each id, (n,) int64; -1 where there is none."""
        if not len(ids):
            return np.zeros(0, np.int64)
        if (ids.dtype.kind == "U") != self.is_text:
            return np.full(len(ids), -1)
        found = np.minimum(np.searchsorted(self._sorted, ids), len(self.ids) - 1)
        return np.where(self._sorted[found] == ids, self._sorter[found], -1)

    def positions_on(self, ids: torch.Tensor) -> torch.Tensor:
        """As `positions`, on the device of `ids` and without waiting for it; some column where there is
        none."""
        if ids.device not in self._on:
            held = (self._sorted, self._sorter)
            self._on[ids.device] = tuple(torch.from_numpy(array).to(ids.device) for array in held)
        in_order, sorter = self._on[ids.device]
        return sorter[torch.searchsorted(in_order, ids).clamp_(max=len(self.ids) - 1)]
