"""A training that one method needs for itself, in addition to the shared proxy run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from deepcore.common.checks import check_choice
from deepcore.common.seeding import stream
from deepcore.data.split import Split
from deepcore.selection.budget import Budget, class_quotas

ROWS = ("validation", "share")


@dataclass(frozen=True)
class OwnRun:
    """A training of the proxy network from the shared run's initialisation, on other rows.

    Methods that ask for the same one share it. Its weights are kept.

    Attributes:
        rows: "validation" trains on the validation rows and records nothing. "share" trains on a random share
            of the candidates, records what the method needs, and then computes the features of the other
            candidates once.
        share: share of the candidates, in (0, 1), for "share".
        epochs: length; None for the proxy's.
    """

    rows: str
    share: float | None = None
    epochs: int | None = None

    def __post_init__(self) -> None:
        check_choice("rows", self.rows, ROWS)

    @property
    def name(self) -> str:
        """Its name in folders and identities, such as "validation" or "share0.1"."""
        return self.rows if self.share is None else f"{self.rows}{self.share:.12g}"

    def split(self, split: Split, labels: np.ndarray, num_classes: int) -> Split:
        """The rows that it is trained on (`train`) and validated on (`val`), and the others (`rest`).

        A share takes as many rows of each class as `class_quotas` gives it of floor(share * N + 1/2), at
        least two, drawn from the seed's stream "share": of every class one at least, where there are as many
        rows as classes.

        Args:
            split: of the seed.
            labels: of all rows of the training set.
            num_classes: C.
        """
        if self.rows == "validation":
            return Split(split.val, split.val[:0], split.seed)
        rng = stream(split.seed, "share", f"{self.share:.12g}")
        of_rows = labels[split.train]
        rows = max(Budget.of(self.share, len(of_rows)).k, min(2, len(of_rows)))
        quotas = class_quotas(of_rows, rows, num_classes)
        drawn = [
            rng.choice(split.train[of_rows == c], quotas[c], replace=False) for c in np.flatnonzero(quotas)
        ]
        part = np.sort(np.concatenate(drawn))
        return Split(part, split.val, split.seed, np.setdiff1d(split.train, part))
