"""Label noise: flip the labels of some train and validation rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from deepcore.common.checks import UsageError
from deepcore.common.identity import fingerprint
from deepcore.common.seeding import stream
from deepcore.common.shares import rows_of_share
from deepcore.data.record import LabeledData, Rows
from deepcore.data.split import Split

NO_ROWS = np.empty(0, dtype=np.int64)


@dataclass(frozen=True)
class Relabelled:
    """The inputs of `rows` with other labels."""

    rows: Rows
    labels: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one input."""
        return self.rows.shape

    @property
    def in_memory(self) -> bool:
        """Whether several threads may read it."""
        return getattr(self.rows, "in_memory", False)

    def __len__(self) -> int:
        return len(self.rows)

    def batches(
        self,
        groups: Sequence[np.ndarray],
        *,
        device: torch.device,
        augment_seed: int | None = None,
        positions: Sequence[np.ndarray] | None = None,
    ) -> Iterator[torch.Tensor]:
        """The batches of `rows`."""
        given = {} if positions is None else {"positions": positions}
        return self.rows.batches(groups, device=device, augment_seed=augment_seed, **given)


@dataclass(frozen=True)
class Flipped:
    """A data set under a seed's label noise.

    Attributes:
        data: the data set with flipped labels and its own fingerprint; unchanged without noise.
        rows: sorted ids of the flipped candidates.
    """

    data: LabeledData
    rows: np.ndarray = field(default_factory=lambda: NO_ROWS)


def flip(data: LabeledData, split: Split, noise: LabelNoise) -> Flipped:
    """Flip the labels of floor(rate * n + 1/2) random candidates, and of validation rows by their rate.

    The new label is uniform over the other classes that have candidates (symmetric noise). Rows and labels
    depend on the split's seed and the rate alone. A higher rate flips the rows of a lower rate too, to the
    same labels.
    """
    if not noise:
        return Flipped(data)
    labels = data.train.labels.copy()
    classes = np.unique(labels[split.train])
    if len(classes) < 2:
        raise UsageError("label noise needs two classes or more")
    rows = {}
    for part, rate in (("train", noise.train), ("val", noise.val)):
        ids = getattr(split, part)
        rng = stream(split.seed, "label_noise", part)
        shift = rng.integers(1, len(classes), len(ids))
        at = rng.permutation(len(ids))[: rows_of_share(rate, len(ids))]
        place = np.searchsorted(classes, labels[ids[at]])
        labels[ids[at]] = classes[(place + shift[at]) % len(classes)]
        rows[part] = np.sort(ids[at])
    bare = np.setdiff1d(labels[split.train], labels[split.val])
    if bare.size:
        raise UsageError(
            f"label_noise_val of {noise.val} leaves class {bare[0]} without a validation row: lower it, or "
            "raise the validation fraction"
        )
    noisy = dataclasses.replace(
        data,
        train=Relabelled(data.train, labels),
        fingerprint=fingerprint(data.fingerprint, "label noise", noise.train, noise.val, split.seed),
    )
    return Flipped(noisy, rows["train"])


@dataclass(frozen=True)
class LabelNoise:
    """Shares of labels to flip, in [0, 1): `train` of the candidates, `val` of the validation rows. Test
    labels are never flipped."""

    train: float = 0.0
    val: float = 0.0

    def __post_init__(self) -> None:
        for name, rate in (("label_noise", self.train), ("label_noise_val", self.val)):
            if not 0 <= rate < 1:
                raise UsageError(f"{name} is {rate}: the share of labels to flip, at least 0 and below 1")

    def __bool__(self) -> bool:
        return bool(self.train or self.val)
