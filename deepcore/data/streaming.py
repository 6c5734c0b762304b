"""Images too many for memory: read by worker processes while the network trains."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from deepcore.common import seeding
from deepcore.common.checks import UsageError, first_line
from deepcore.data.pictures import Crops

MEAN = torch.tensor([0.485, 0.456, 0.406]) * 255  # ImageNet's, for every folder: measuring costs an epoch
STD = torch.tensor([0.229, 0.224, 0.225]) * 255
Item = tuple[bytes, int, int | None]  # a file's path, its position in the order, augment_seed
BROKEN_SHARE = 0.01  # of unreadable images, from which on the data set is refused


class Readers:
    """The worker processes of a folder: started once, at the first use, and shared by its two parts.

    They know nothing of parts, orders or epochs; each item says all that its picture depends on. They end
    with this object, with this process, however it ends, and after an error.

    Args:
        root: folder that the items' paths are relative to.
        crops: how a file becomes a picture.
        workers: processes; 0 reads in this one.
    """

    def __init__(self, root: Path, crops: Crops, workers: int) -> None:
        self.workers = workers
        self._files = _Files(os.fsencode(root), crops)
        self._order = _Order()
        self._kept: DataLoader | None = None
        self._busy = False

    def read(self, batches: Iterable[list[Item]], *, pin: bool) -> Iterator[tuple[torch.Tensor, list]]:
        """(pictures (n, size, size, 3) uint8, what is wrong with which file) of each batch of items.

        Args:
            batches: paths, positions and seeds.
            pin: whether a GPU will fetch the tensors.
        """
        if self._busy:  # two readings at once: the second has its own processes
            yield from self._loader(_Order(batches), pin, keep=False)
            return
        if self._kept is None or self._kept.pin_memory != pin:
            self._kept = self._loader(self._order, pin, keep=self.workers > 0)
        self._busy, self._order.batches = True, batches
        try:
            yield from self._kept
        except GeneratorExit:  # left half read: the next reading throws the rest away
            raise
        except BaseException:
            self._kept = None  # a worker that died takes the others with it
            raise
        finally:
            self._busy = False

    def _loader(self, order: _Order, pin: bool, *, keep: bool) -> DataLoader:
        return DataLoader(
            self._files,
            batch_sampler=order,
            num_workers=self.workers,
            persistent_workers=keep,
            collate_fn=_collate,
            pin_memory=pin,
            generator=torch.Generator(),  # its own: the loader must not draw from the global one
        )


class FolderRows:
    """One part of a data set as image files (implements `Rows`).

    Unreadable images do not end a run: a blank picture stands for each, and a warning names it. Batches come
    in channels_last layout.

    Args:
        readers: of the folder.
        paths: (N,) bytes, as os.fsencode gives.
        labels: (N,) int64.
        size: of the pictures.
    """

    def __init__(self, readers: Readers, paths: np.ndarray, labels: np.ndarray, size: int) -> None:
        self.labels = labels
        self.shape = (3, size, size)
        self.paths = paths
        self.readers = readers
        self._broken: set[int] = set()

    def __len__(self) -> int:
        return len(self.labels)

    def batches(
        self, groups: Sequence[np.ndarray], *, device: torch.device, augment_seed: int | None = None
    ) -> Iterator[torch.Tensor]:
        """See `Rows.batches`; crop and flip of a row depend on augment_seed and its position."""
        if not len(groups):
            return
        ids = np.concatenate(groups).tolist()
        batches = self.readers.read(
            self._items(groups, augment_seed), pin=torch.device(device).type == "cuda"
        )
        mean, scale = MEAN.to(device), (1 / STD).to(device)
        for pictures, broken in batches:
            self._report([(ids[position], reason) for position, reason in broken])
            x = pictures.to(device, non_blocking=True).float().sub_(mean).mul_(scale)
            yield x.permute(0, 3, 1, 2)

    def _items(self, groups: Sequence[np.ndarray], augment_seed: int | None) -> Iterator[list[Item]]:
        position = 0
        for group in groups:
            yield [(path, position + k, augment_seed) for k, path in enumerate(self.paths[group].tolist())]
            position += len(group)

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
    """The batches that a loader shall read next."""

    batches: Iterable[list[Item]] = ()

    def __iter__(self) -> Iterator[list[Item]]:
        return iter(self.batches)


@dataclass
class _Files(Dataset):
    """What a worker process needs: an item to a picture (size, size, 3) uint8, and what is wrong with it."""

    root: bytes
    crops: Crops

    def __getitem__(self, item: Item) -> tuple[np.ndarray, tuple[int, str] | None]:
        from PIL import Image

        path, position, augment_seed = item
        try:
            with Image.open(os.fsdecode(os.path.join(self.root, path))) as image:
                if augment_seed is None:
                    return self.crops.test(image), None
                return self.crops.train(image, seeding.stream(augment_seed, "augment", position)), None
        except Exception as error:  # whatever a decoder raises, the file is at fault
            blank = np.broadcast_to(MEAN.round().byte().numpy(), (self.crops.size, self.crops.size, 3))
            return blank, (position, first_line(error))


def _collate(
    pictures: list[tuple[np.ndarray, tuple[int, str] | None]],
) -> tuple[torch.Tensor, list[tuple[int, str]]]:
    """One tensor (n, size, size, 3) uint8, and the positions that could not be read."""
    batch = torch.from_numpy(np.stack([pixels for pixels, _ in pictures]))
    return batch, [broken for _, broken in pictures if broken]
