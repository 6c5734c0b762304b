"""What worker processes do to build a cache of pictures: read headers, then decode, resize and write."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from deepcore.common.checks import first_line
from deepcore.data.pictures import whole

CHUNK = 64  # pictures that a worker takes at once

Work = Callable[[Sequence[int]], list[Any]]


class Failed(NamedTuple):
    """Why a picture is not there.

    Attributes:
        reason: in words.
        number: of the system's error, where the disk failed and not the picture; None otherwise.
        path: of the file that the system's error is about.
    """

    reason: str
    number: int | None = None
    path: str = ""


def in_chunks(work: Work, start: int, stop: int, workers: int) -> Iterator[tuple[range, list[Any]]]:
    """(positions, results) of `work` on start..stop-1, chunk by chunk in order.

    Args:
        work: positions to a result each; must be picklable.
        start, stop: positions.
        workers: processes; 0 works in this one. They end with this process, however it ends.
    """
    chunks = [range(at, min(at + CHUNK, stop)) for at in range(start, stop, CHUNK)]
    results = DataLoader(
        _Positions(work),
        batch_sampler=chunks,
        num_workers=min(workers, len(chunks)),
        collate_fn=_same,
        generator=torch.Generator(),  # its own: the loader must not draw from the global one
    )
    yield from zip(chunks, results, strict=True)


@dataclass
class _Positions(Dataset):
    work: Work

    def __getitems__(self, positions: Sequence[int]) -> list[Any]:
        return self.work(positions)


def _same(results: list[Any]) -> list[Any]:
    return results


@dataclass
class Headers:
    """The size of each picture, (width, height), from the file's header; or Failed.

    Attributes:
        root: folder that the paths are relative to.
        paths: (N,) bytes.
    """

    root: bytes
    paths: np.ndarray

    def __call__(self, positions: Sequence[int]) -> list[tuple[int, int] | Failed]:
        from PIL import Image

        found: list[tuple[int, int] | Failed] = []
        for position in positions:
            path = os.path.join(self.root, self.paths[position])
            try:
                with Image.open(os.fsdecode(path)) as image:
                    found.append(image.size)
            except Exception as error:  # whatever a decoder raises, the file is at fault
                found.append(_failed(error, path))
        return found


@dataclass
class Pixels:
    """Each picture, resized and written into its place; None where that went well, or Failed.

    Attributes:
        root: folder that the paths are relative to.
        paths: (N,) bytes.
        resize: the shorter side, in pixels.
        target: the file, already as long as it is to be.
        offsets: (N + 1,) int64, where each picture begins in it.
        shapes: (N, 2) height and width; 0 for a picture without a place.
    """

    root: bytes
    paths: np.ndarray
    resize: int
    target: Path
    offsets: np.ndarray
    shapes: np.ndarray

    def __call__(self, positions: Sequence[int]) -> list[Failed | None]:
        handle = os.open(self.target, os.O_WRONLY)
        try:
            return [self._one(handle, position) for position in positions]
        finally:
            os.close(handle)

    def _one(self, handle: int, position: int) -> Failed | None:
        from PIL import Image

        height, width = self.shapes[position].tolist()
        if not height:
            return None
        path = os.path.join(self.root, self.paths[position])
        try:
            with Image.open(os.fsdecode(path)) as image:
                pixels = np.ascontiguousarray(whole(image, self.resize))
            if pixels.shape != (height, width, 3):
                return Failed(f"its header promises another shape than {pixels.shape}")
        except Exception as error:  # whatever a decoder raises, the file is at fault
            return _failed(error, path)
        try:
            _write(handle, pixels.reshape(-1), int(self.offsets[position]))
        except OSError as error:
            return Failed(error.strerror or str(error), error.errno, str(self.target))
        return None


def _failed(error: Exception, path: bytes) -> Failed:
    """An error that carries the system's number is the disk's; what Pillow says of a file carries none."""
    if isinstance(error, OSError) and error.errno is not None:
        return Failed(error.strerror or first_line(error), error.errno, os.fsdecode(path))
    return Failed(first_line(error))


def _write(handle: int, content: np.ndarray, offset: int) -> None:
    """All of the bytes; the system may take fewer at once."""
    rest = memoryview(content)
    while rest:
        written = os.pwrite(handle, rest, offset)
        rest, offset = rest[written:], offset + written
