"""Images too many for memory: read by worker processes while the network trains."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from deepcore import seeding
from deepcore.checks import UsageError
from deepcore.data.pictures import Crops

MEAN = torch.tensor([0.485, 0.456, 0.406]) * 255  # ImageNet's, for every folder: measuring costs an epoch
STD = torch.tensor([0.229, 0.224, 0.225]) * 255
BROKEN_SHARE = 0.01  # of unreadable images, from which on the data set is refused


class FolderRows:
    """One part of a data set as image files (implements `Rows`).

    Unreadable images do not end a run: a blank picture stands for each, and a warning names it. Batches come
    in channels_last layout.

    Args:
        root: folder that `paths` are relative to.
        paths: (N,) bytes, as os.fsencode gives.
        labels: (N,) int64.
        crops: how a file becomes a picture.
        workers: processes that read; 0 reads in this one.
    """

    def __init__(self, root: Path, paths: np.ndarray, labels: np.ndarray, crops: Crops, workers: int) -> None:
        self.labels = labels
        self.shape = (3, crops.size, crops.size)
        self.paths = paths
        self.workers = workers
        self._files = _Files(os.fsencode(root), paths, crops)
        self._broken: set[int] = set()

    def __len__(self) -> int:
        return len(self.labels)

    def batches(
        self, groups: Sequence[np.ndarray], *, device: torch.device, augment_seed: int | None = None
    ) -> Iterator[torch.Tensor]:
        """See `Rows.batches`; crop and flip of a row depend on augment_seed and its position."""
        loader = DataLoader(
            self._files,
            batch_sampler=_Order(groups, augment_seed),
            num_workers=min(self.workers, len(groups)),
            collate_fn=_collate,
            pin_memory=torch.device(device).type == "cuda",
            generator=torch.Generator(),  # its own: the loader must not draw from the global one
        )
        mean, scale = MEAN.to(device), (1 / STD).to(device)
        for pictures, broken in loader:
            self._report(broken)
            x = pictures.to(device, non_blocking=True).float().sub_(mean).mul_(scale)
            yield x.permute(0, 3, 1, 2)

    def _report(self, broken: list[tuple[int, str]]) -> None:
        """Warn of each broken image once; refuse the data set when there are many."""
        for row, reason in broken:
            if row not in self._broken:
                self._broken.add(row)
                name = os.fsdecode(self.paths[row])
                warnings.warn(
                    f"row {row}, {name}, cannot be read ({reason}): a blank picture stands for it",
                    stacklevel=3,
                )
        if len(self._broken) > max(10, BROKEN_SHARE * len(self)):
            names = ", ".join(os.fsdecode(self.paths[row]) for row in sorted(self._broken)[:5])
            raise UsageError(
                f"{len(self._broken)} of {len(self)} images cannot be read ({names}, ...): fetch them again"
            )


@dataclass
class _Order:
    """The items of each batch: (row, position in the order, augment_seed)."""

    groups: Sequence[np.ndarray]
    augment_seed: int | None

    def __len__(self) -> int:
        return len(self.groups)

    def __iter__(self) -> Iterator[list[tuple[int, int, int | None]]]:
        position = 0
        for group in self.groups:
            yield [(row, position + k, self.augment_seed) for k, row in enumerate(group.tolist())]
            position += len(group)


@dataclass
class _Files(Dataset):
    """What a worker process needs: (row, position, augment_seed) to a picture (size, size, 3) uint8."""

    root: bytes
    paths: np.ndarray
    crops: Crops

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, item: tuple[int, int, int | None]) -> tuple[np.ndarray, tuple[int, str] | None]:
        from PIL import Image

        row, position, augment_seed = item
        try:
            with Image.open(os.fsdecode(os.path.join(self.root, self.paths[row]))) as image:
                if augment_seed is None:
                    return self.crops.test(image), None
                return self.crops.train(image, seeding.stream(augment_seed, "augment", position)), None
        except Exception as error:  # whatever a decoder raises, the file is at fault
            blank = np.broadcast_to(MEAN.round().byte().numpy(), (self.crops.size, self.crops.size, 3))
            return blank, (row, str(error).split("\n")[0] or type(error).__name__)


def _collate(
    pictures: list[tuple[np.ndarray, tuple[int, str] | None]],
) -> tuple[torch.Tensor, list[tuple[int, str]]]:
    """One tensor (n, size, size, 3) uint8, and the rows that could not be read."""
    batch = torch.from_numpy(np.stack([pixels for pixels, _ in pictures]))
    return batch, [broken for _, broken in pictures if broken]
