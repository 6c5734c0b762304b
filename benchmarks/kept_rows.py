"""Where the kept rows of a selection lie among the inputs: how spread out, and how near to other rows.

Inputs are normalised as a network gets them, without augmentation, and flattened.
`kept_spread`: the variance of a class's kept rows over that of its candidates, summed over the entries of an
input, mean over classes. 1 for a random draw; below 1 the kept rows lie close to each other.
`val_distance`: from a validation row to the nearest kept row of its class, Euclidean, mean over the rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from deepcore.data.record import Rows
from deepcore.data.split import Split

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Inputs:
    """The flattened inputs of a seed.

    Attributes:
        ids: (N,) ids of the candidates, ascending.
        rows: (N, D) their inputs.
        labels: (N,).
        val_rows, val_labels: (Q, D), (Q,) of the validation rows.
    """

    ids: np.ndarray
    rows: np.ndarray
    labels: np.ndarray
    val_rows: np.ndarray
    val_labels: np.ndarray

    @classmethod
    def of(cls, part: Rows, split: Split) -> Inputs:
        """The candidates and the validation rows of a split."""
        ids = np.sort(split.train)
        rows, val_rows = (_flat(part, which) for which in (ids, split.val))
        return cls(ids, rows, part.labels[ids], val_rows, part.labels[split.val])

    def measures(self, kept: np.ndarray) -> dict[str, float]:
        """kept_spread and val_distance of kept ids; without a measure that has no class to be taken over."""
        at = np.searchsorted(self.ids, kept)
        spreads, distances = [], []
        for c in np.unique(self.labels):
            chosen = self.rows[at[self.labels[at] == c]]
            held_out = self.val_rows[self.val_labels == c]
            if len(chosen) > 1:
                whole = self.rows[self.labels == c].var(axis=0, ddof=1, dtype=np.float64).sum()
                spreads.append(chosen.var(axis=0, ddof=1, dtype=np.float64).sum() / whole)
            if len(chosen) and len(held_out):
                distances.append(torch.cdist(*map(torch.from_numpy, (held_out, chosen))).amin(1).double())
        found = {}
        if spreads:
            found["kept_spread"] = float(np.mean(spreads))
        if distances:
            found["val_distance"] = float(torch.cat(distances).mean())
        return found


def _flat(part: Rows, ids: np.ndarray) -> np.ndarray:
    groups = np.array_split(ids, max(1, len(ids) // 1024))
    return torch.cat([batch.flatten(1) for batch in part.batches(groups, device=CPU)]).numpy()
