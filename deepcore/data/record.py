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

MOST_WORKERS, MOST_PIXELS = 1024, 1 << 14  # more are a slip of the finger


class Rows(Protocol):
    """One part (train or test) of a data set. Row ids are positions in it and never change.

    Attributes:
        labels: (N,) int64.
        shape: shape of one input, (C, H, W) or (D,).
    """

    labels: np.ndarray
    shape: tuple[int, ...]

    def __len__(self) -> int: ...

    def batches(
        self,
        groups: Sequence[np.ndarray],
        *,
        device: torch.device,
        augment_seed: int | None = None,
        positions: Sequence[np.ndarray] | None = None,
    ) -> Iterator[torch.Tensor]:
        """Yield one normalised float32 tensor (len(group), *shape) on `device` per group of row ids.

        Args:
            groups: row ids of each batch, int64; repeated ids are allowed.
            device: device of the tensors.
            augment_seed: seed of the data set's augmentation; None for no augmentation. The same seed and
                groups give the same tensors.
            positions: where each row of the groups stands in the order of all rows that are read under this
                seed, of which the groups are a part; its augmentation depends on that. None: they are all.
        """
        ...


@dataclass(frozen=True)
class Source:
    """Where a loader finds its files, and how it reads them.

    Attributes:
        path: folder.
        download: fetch missing files into the folder.
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
            check_positive("workers", self.workers, zero=True, whole=True, most=MOST_WORKERS)
        for name in ("image_size", "resize"):
            if getattr(self, name) is not None:
                check_positive(name, getattr(self, name), whole=True, most=MOST_PIXELS)


@dataclass(frozen=True)
class LabeledData:
    """A data set in two parts.

    Attributes:
        name: its name in the table DATASETS.
        train, test: the two parts. `test` is read after the last step of a target only.
        num_classes: C; labels of both parts are in 0..C-1.
        fingerprint: hex digest of the content (pixels, labels, normalisation, augmentation), equal for equal
            data.
        default_net: name in NETS.
        recipe: name in deepcore.training.recipes.RECIPES.
        val_fraction: default share of the train part held out for validation.
        kinds: kind of each train row, (N,) str such as "easy", "hard", "mislabelled"; None if unknown.
        paths: path of each train row's file below the data set's folder, (N,) bytes for os.fsdecode; None if
            rows are not files.
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
