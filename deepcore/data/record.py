"""The record that every data set loader returns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch

from deepcore.common.checks import check_positive

if TYPE_CHECKING:
    from deepcore.data.cache import PictureCache


class Rows(Protocol):
    """One part (train or test) of a data set. Row i is original row i, for ever: ids are positions here.

    Attributes:
        labels: (N,) int64.
        shape: of one input, (C, H, W) or (D,).
    """

    labels: np.ndarray
    shape: tuple[int, ...]

    def __len__(self) -> int: ...

    def batches(
        self, groups: Sequence[np.ndarray], *, device: torch.device, augment_seed: int | None = None
    ) -> Iterator[torch.Tensor]:
        """One normalised float32 tensor (len(group), *shape) on `device` per group of row ids, in that order.

        Args:
            groups: row ids of each batch, int64; repeated ids are allowed.
            device: where the tensors are wanted.
            augment_seed: draw the data set's augmentation from this seed; None for none. The same seed and
                groups give the same tensors.
        """
        ...


@dataclass(frozen=True)
class Source:
    """Where a loader finds its files, and how it reads them.

    Attributes:
        path: folder.
        download: fetch what is missing there.
        workers: processes that read image folders; None for one per CPU, at most 8.
        image_size, resize: of image folders, in pixels: the crops' side, and the shorter side before the
            central crop; None for the data set's.
        cache: folder in which the resized pictures of image folders are kept, so that they are decoded once;
            None for none.
    """

    path: Path
    download: bool = False
    workers: int | None = None
    image_size: int | None = None
    resize: int | None = None
    cache: Path | None = None

    def __post_init__(self) -> None:
        if self.workers is not None:
            check_positive("workers", self.workers, zero=True, whole=True)
        for name in ("image_size", "resize"):
            if getattr(self, name) is not None:
                check_positive(name, getattr(self, name), whole=True)


@dataclass(frozen=True)
class LabeledData:
    """A data set in two parts.

    Attributes:
        name: as in the table DATASETS.
        train, test: the two parts; nothing reads `test` before a target's last step.
        num_classes: C; labels of both parts are in 0..C-1.
        fingerprint: hex digest of the content (pixels, labels, normalisation, augmentation), equal for equal
            data.
        default_net: name in NETS.
        recipe: name in deepcore.training.recipes.RECIPES.
        val_fraction: default share of the train part held out for validation.
        kinds: what is known of each train row, (N,) str such as "easy", "hard", "mislabelled"; None if
            nothing is.
        paths: of each train row's file below the data set's folder, (N,) bytes for os.fsdecode; None for data
            that are not a file per row.
        cache: of the pictures, built when a row is first read; `build` it before to see how far it is. None
            for none.
    """

    name: str
    train: Rows
    test: Rows
    num_classes: int
    fingerprint: str
    default_net: str
    recipe: str = "paper-cifar"
    val_fraction: float = 0.1
    kinds: np.ndarray | None = None
    paths: np.ndarray | None = None
    cache: PictureCache | None = None
