"""Image folders: worker processes read the images while the network trains."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from deepcore.common import seeding
from deepcore.common.checks import first_line
from deepcore.common.progress import Progress
from deepcore.data.broken import check_readable
from deepcore.data.cache import PictureCache
from deepcore.data.pictures import Crops

MEAN = torch.tensor([0.485, 0.456, 0.406]) * 255  # ImageNet's, for every folder: measuring costs an epoch
STD = torch.tensor([0.229, 0.224, 0.225]) * 255
# a file's path or, for a cache, its position there; the position in the order; augment_seed
Item = tuple[bytes | int, int, int | None]


class Readers:
    """The worker processes of a folder: started once, at the first use, and shared by its two parts.

    An item holds everything that its picture depends on. The processes end with this object, with this
    process, and after an error.

    Args:
        files: gives the picture of an item.
        workers: processes; 0 reads in this one.
    """

    def __init__(self, files: Decoded | Cached, workers: int) -> None:
        self.workers = workers
        self.files = files
        self._order = _Order()
        self._kept: DataLoader | None = None
        self._busy = False

    def prepare(self) -> None:
        """Build the cache, where there is one and nobody has."""
        if isinstance(self.files, Cached):
            self.files.cache.build(Progress())

    def read(self, batches: Iterable[list[Item]], *, pin: bool) -> Iterator[tuple[torch.Tensor, list]]:
        """(pictures (n, size, size, 3) uint8, what is wrong with which file) of each batch of items.

        Args:
            batches: the items of each.
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
            self.files,
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
        begin: position of row 0 in the cache, where the readers have one.
    """

    def __init__(
        self, readers: Readers, paths: np.ndarray, labels: np.ndarray, size: int, *, begin: int = 0
    ) -> None:
        self.labels = labels
        self.shape = (3, size, size)
        self.paths = paths
        self.readers = readers
        self.begin = begin
        self._broken: set[int] = set()

    def __len__(self) -> int:
        return len(self.labels)

    def batches(
        self,
        groups: Sequence[np.ndarray],
        *,
        device: torch.device,
        augment_seed: int | None = None,
        positions: Sequence[np.ndarray] | None = None,
    ) -> Iterator[torch.Tensor]:
        """See `Rows.batches`; crop and flip of a row depend on augment_seed and its position."""
        if not len(groups):
            return
        self.readers.prepare()
        if positions is None:
            positions = np.split(np.arange(sum(map(len, groups))), np.cumsum([len(g) for g in groups])[:-1])
        row_at = dict(zip(np.concatenate(positions).tolist(), np.concatenate(groups).tolist(), strict=True))
        batches = iter(
            self.readers.read(
                self._items(groups, positions, augment_seed), pin=torch.device(device).type == "cuda"
            )
        )
        for group in groups:
            if not len(group):  # a process's share of a small batch may be none
                yield torch.empty((0, *self.shape), device=device)
                continue
            pictures, broken = next(batches)
            self._report([(row_at[position], reason) for position, reason in broken])
            yield _normalised(pictures.to(device, non_blocking=True))
        next(batches, None)  # its end: the readers are free again

    def from_files(self) -> FolderRows:
        """The same rows without a cache: every picture is decoded when it is read."""
        if not isinstance(self.readers.files, Cached):
            return self
        cache = self.readers.files.cache
        files = Decoded(os.fsencode(cache.files.root), self.readers.files.crops)
        return FolderRows(Readers(files, self.readers.workers), self.paths, self.labels, self.shape[1])

    def _items(
        self, groups: Sequence[np.ndarray], positions: Sequence[np.ndarray], augment_seed: int | None
    ) -> Iterator[list[Item]]:
        cached = isinstance(self.readers.files, Cached)
        for group, at in zip(groups, positions, strict=True):
            if len(group):
                keys = (group + self.begin if cached else self.paths[group]).tolist()
                yield [(*pair, augment_seed) for pair in zip(keys, at.tolist(), strict=True)]

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
        check_readable(self._broken, self.paths)


@dataclass
class _Order:
    """The batches that a loader shall read next."""

    batches: Iterable[list[Item]] = ()

    def __iter__(self) -> Iterator[list[Item]]:
        return iter(self.batches)


@dataclass
class Decoded(Dataset):
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
            return _blank(self.crops.size), (position, first_line(error))


@dataclass
class Cached(Dataset):
    """The same from a cache, by position there: pictures of the file's resized one."""

    cache: PictureCache
    crops: Crops

    def __getitem__(self, item: Item) -> tuple[np.ndarray, tuple[int, str] | None]:
        from PIL import Image

        key, position, augment_seed = item
        pixels = self.cache.picture(key)
        if isinstance(pixels, str):
            return _blank(self.crops.size), (position, pixels)
        if augment_seed is None:
            return self.crops.middle(pixels), None
        rng = seeding.stream(augment_seed, "augment", position)
        return self.crops.train(Image.fromarray(pixels), rng), None


def _blank(size: int) -> np.ndarray:
    """The picture that stands for an unreadable one: the mean colour."""
    return np.broadcast_to(MEAN.round().byte().numpy(), (size, size, 3))


def _normalised(pictures: torch.Tensor) -> torch.Tensor:
    """(n, size, size, 3) uint8 to (n, 3, size, size) float32 in channels_last layout."""
    size = pictures.shape[1]
    mean = MEAN.to(pictures.device).repeat(size)  # long rows are faster
    scale = (1 / STD).to(pictures.device).repeat(size)
    x = pictures.reshape(-1, size, 3 * size).float().sub_(mean).mul_(scale)
    return x.view(pictures.shape).permute(0, 3, 1, 2)


def _collate(
    pictures: list[tuple[np.ndarray, tuple[int, str] | None]],
) -> tuple[torch.Tensor, list[tuple[int, str]]]:
    """One tensor (n, size, size, 3) uint8, and the positions that could not be read."""
    batch = torch.from_numpy(np.stack([pixels for pixels, _ in pictures]))
    return batch, [broken for _, broken in pictures if broken]
