"""Where the kept rows of a selection lie among the inputs: how spread out, and how near to other rows.

Inputs are normalised as a network gets them, without augmentation, and flattened.
`kept_spread`: the variance of a class's kept rows over that of its candidates, summed over the entries of an
input, mean over classes. 1 on average for a random draw; below 1 the kept rows lie close to each other, above
1 further apart than a random draw.
`val_distance`: from a validation row to the nearest kept row of its class, Euclidean, mean over the rows.
"""

from __future__ import annotations

from collections.abc import Mapping
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
        variances: {class: variance of its candidates, summed over the entries}.
        val_rows, val_labels: (Q, D), (Q,) of the validation rows.
    """

    ids: np.ndarray
    rows: np.ndarray
    labels: np.ndarray
    variances: Mapping[int, float]
    val_rows: np.ndarray
    val_labels: np.ndarray

    @classmethod
    def of(cls, part: Rows, split: Split) -> Inputs:
        """The candidates and the validation rows of a split."""
        ids = np.sort(split.train)
        rows, val_rows = (_flat(part, which) for which in (ids, split.val))
        labels = part.labels[ids]
        variances = {int(c): _variance(rows[labels == c]) for c in np.unique(labels)}
        return cls(ids, rows, labels, variances, val_rows, part.labels[split.val])

    def measures(self, kept: np.ndarray) -> dict[str, float]:
        """kept_spread and val_distance of kept ids; without a measure that no class has.

        Raises:
            ValueError: an id that is no candidate.
        """
        if not np.isin(kept, self.ids).all():
            raise ValueError("a kept row is no candidate")
        at = np.searchsorted(self.ids, kept)
        spreads, distances = [], []
        for c, whole in self.variances.items():
            chosen = self.rows[at[self.labels[at] == c]]
            held_out = self.val_rows[self.val_labels == c]
            if len(chosen) > 1 and whole:
                spreads.append(_variance(chosen) / whole)
            if len(chosen) and len(held_out):
                distances.append(torch.cdist(*map(torch.from_numpy, (held_out, chosen))).amin(1).double())
        found = {}
        if spreads:
            found["kept_spread"] = float(np.mean(spreads))
        if distances:
            found["val_distance"] = float(torch.cat(distances).mean())
        return found


def _variance(rows: np.ndarray) -> float:
    return float(rows.var(axis=0, ddof=1, dtype=np.float64).sum()) if len(rows) > 1 else 0.0


def _flat(part: Rows, ids: np.ndarray) -> np.ndarray:
    groups = np.array_split(ids, max(1, len(ids) // 1024))
    return torch.cat([batch.flatten(1) for batch in part.batches(groups, device=CPU)]).numpy()
