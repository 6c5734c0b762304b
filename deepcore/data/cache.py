"""The cache of an image folder: its pictures, decoded and resized, in one memory-mapped file.

The cache holds every picture of both parts in RGB, its shorter side resized as the test transform does it
(`pictures.whole`), so that

- a test picture from the cache is the one from its file, bit for bit;
- a training picture is cut out of the resized picture, and therefore differs from a cut out of the file. It
  is, bit for bit, what a folder of losslessly saved resized pictures would give.

Files in its folder: `pictures`, the pixels, one picture behind the other; `index.npz`, which files they come
from and their shapes; `cache.json`, what the cache is and how much of it is done. While it is built, the
pixels are in `pictures.part`: a cache is finished when `pictures` exists. A build that was killed continues
where it was; at most SAVE_SECONDS of work are lost.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from deepcore.common.checks import StoredMismatch, UsageError, check_positive, read_npz
from deepcore.common.files import CACHE_LOCK, locked, read_json, write_json, write_npz
from deepcore.common.progress import Progress
from deepcore.common.resources import free_disk
from deepcore.common.units import size
from deepcore.data.broken import check_readable
from deepcore.data.cache_work import Failed, Headers, Pixels, in_chunks
from deepcore.data.pictures import size_of_whole

FORMAT = 1
PICTURES, PART, INDEX, STATE = "pictures", "pictures.part", "index.npz", "cache.json"
SAVE_SECONDS = 10.0
SPARE = 1 << 26  # bytes of a disk that are left free
SAMPLE = 200  # pictures whose headers tell the size of all


@dataclass(frozen=True)
class ImageFiles:
    """The files of an image folder, in the order of the rows that they become.

    Attributes:
        root: folder that the paths are relative to.
        paths: (N,) bytes, as os.fsencode gives.
        sizes: (N,) int64, of the files, in bytes.
    """

    root: Path
    paths: np.ndarray
    sizes: np.ndarray


class PictureCache:
    """The pictures of some image files, by position; built when asked for, mapped when read.

    Args:
        folder: where the cache is, or shall be.
        files: of which it is; what lies in `folder` must be of the same.
        resize: the shorter side of the pictures, in pixels.
        workers: processes that build it; 0 for this one.
    """

    def __init__(self, folder: Path, files: ImageFiles, resize: int, *, workers: int = 0) -> None:
        check_positive("resize", resize, whole=True)
        self.folder, self.files, self.resize, self.workers = folder, files, resize, workers
        self._is_checked = False  # that the folder is of these files

    def __getstate__(self) -> dict[str, Any]:
        """For another process, which maps the file itself."""
        names = ("folder", "files", "resize", "workers", "_is_checked")
        return {name: getattr(self, name) for name in names}

    def __len__(self) -> int:
        return len(self.files.paths)

    @property
    def finished(self) -> bool:
        """Whether all pictures are there; whose they are, `build` looks at."""
        return (self.folder / PICTURES).exists()

    @property
    def nbytes(self) -> int:
        """Size of all pictures; known once their headers have been read."""
        return int(self._offsets[-1])

    def picture(self, position: int) -> np.ndarray | str:
        """The picture (height, width, 3) uint8 of a file, read-only; or why that file could not be read."""
        if position in self._broken:
            return self._broken[position]
        start, stop = self._offsets[position : position + 2]
        return self._pixels[start:stop].reshape(*self._shapes[position], 3)

    @cached_property
    def _state(self) -> dict[str, Any]:
        state = read_json(self.folder / STATE, "the cache's state", self._remedy)
        if not isinstance(state, dict) or state.get("format") != FORMAT:
            raise StoredMismatch(f"{self.folder / STATE} is of another version; {self._remedy}")
        return state

    @cached_property
    def _broken(self) -> dict[int, str]:
        return {int(position): reason for position, reason in self._state["broken"].items()}

    @cached_property
    def _index(self) -> dict[str, np.ndarray]:
        try:
            return read_npz(self.folder / INDEX, str(self.folder / INDEX))
        except UsageError as error:
            raise StoredMismatch(f"{error}; {self._remedy}") from None

    @cached_property
    def _shapes(self) -> np.ndarray:
        """(N, 2) height and width; 0 for what could not be read."""
        return self._index["shapes"]

    @cached_property
    def _offsets(self) -> np.ndarray:
        """(N + 1,) int64, where each picture begins."""
        return np.concatenate([[0], np.cumsum(3 * self._shapes.astype(np.int64).prod(axis=1))])

    @cached_property
    def _pixels(self) -> np.ndarray:
        """(bytes,) uint8, mapped."""
        path = self.folder / PICTURES
        there = path.stat().st_size
        if there != self.nbytes:
            raise StoredMismatch(
                f"{path} has {there:,} bytes, and {self.nbytes:,} were written; {self._remedy}"
            )
        if not there:
            return np.zeros(0, np.uint8)  # an empty file cannot be mapped
        return np.asarray(np.memmap(path, np.uint8, "r"))  # every slice of a np.memmap costs its bookkeeping

    @property
    def _remedy(self) -> str:
        return f"delete {self.folder}, and the next command builds it again"

    def _forget(self) -> None:
        """What was read of the folder: it is not so any more."""
        for name in ("_state", "_broken", "_index", "_shapes", "_offsets", "_pixels"):
            self.__dict__.pop(name, None)

    def missing_bytes(self) -> int:
        """What a build is still to write: 0 for a finished cache, an estimate from some pictures for one that
        is not begun."""
        if self.finished:
            return 0
        if not (self.folder / STATE).exists():
            return self._estimate()
        part = self.folder / PART
        return max(self.nbytes - (part.stat().st_blocks * 512 if part.exists() else 0), 0)

    def build(self, progress: Progress) -> None:
        """Write what is missing; nothing when all is there.

        Args:
            progress: what is about to be written, and how far it is.

        Raises:
            StoredMismatch: the folder holds the cache of other files, or at another size.
            UsageError: the disk has not the room, or too many files are no images.
            OSError: the disk, or a file of the data set, cannot be read or written; the next call goes on.
        """
        if self._is_checked and self.finished:
            return
        self._forget()
        if self.finished:  # perhaps in a folder that may only be read
            self._check_same()
            self._is_checked = True
            return
        with locked(self.folder, "--cache", CACHE_LOCK):
            if (self.folder / STATE).exists():
                self._check_same()
            else:
                self._measure(progress)
            if not self.finished:  # another process may have done it meanwhile
                self._fill(progress)
        self._is_checked = True
        if self._broken:
            first = os.fsdecode(self.files.paths[min(self._broken)])
            progress.say(
                f"cache: {len(self._broken)} of {len(self):,} images cannot be read, {first} the first; a "
                "blank picture stands for each"
            )

    def _measure(self, progress: Progress) -> None:
        """Read the size of every picture from its header; write the index, and the state of a cache of which
        nothing is done."""
        progress.say(f"cache: reading the sizes of {len(self):,} pictures")
        shapes, broken = np.zeros((len(self), 2), np.int32), {}
        work = Headers(os.fsencode(self.files.root), self.files.paths)
        with progress.bar(len(self), "cache: sizes") as advance:
            for positions, found in in_chunks(work, 0, len(self), self.workers):
                for position, header in zip(positions, found, strict=True):
                    if isinstance(header, Failed):
                        broken[position] = _reason(header)
                    else:
                        shapes[position] = size_of_whole(*header, self.resize)[::-1]
                    advance()
                check_readable(broken, self.files.paths)
        write_npz(self.folder / INDEX, paths=self.files.paths, sizes=self.files.sizes, shapes=shapes)
        self._save(0, broken)

    def _fill(self, progress: Progress) -> None:
        """Decode and write what is not done yet, in the order of the files."""
        part, broken = self.folder / PART, dict(self._broken)
        self._check_room(progress)
        begun = part.exists() and part.stat().st_size == self.nbytes
        done = self._state["done"] if begun else 0
        handle = os.open(part, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            os.ftruncate(handle, self.nbytes)
            work = Pixels(
                os.fsencode(self.files.root), self.files.paths, self.resize, part, self._offsets, self._shapes
            )
            saved = time.monotonic()
            with progress.bar(len(self) - done, "cache") as advance:
                for positions, found in in_chunks(work, done, len(self), self.workers):
                    for position, failed in zip(positions, found, strict=True):
                        if failed is not None:
                            broken[position] = _reason(failed)
                        advance()
                    if time.monotonic() - saved >= SAVE_SECONDS:
                        os.fsync(handle)  # before the state says that it is there
                        self._save(positions[-1] + 1, broken)
                        saved = time.monotonic()
                    check_readable(broken, self.files.paths)
            os.fsync(handle)
        finally:
            os.close(handle)
        self._save(len(self), broken)
        os.replace(part, self.folder / PICTURES)

    def _check_room(self, progress: Progress) -> None:
        """Say what the cache takes, or that the disk has not the room for it."""
        free, missing = free_disk(self.folder), self.missing_bytes()
        what = f"{len(self):,} pictures of {self.resize} pixels on the shorter side"
        if missing > free - SPARE:
            room = max(self.nbytes - missing + free - SPARE, 0)
            fits = int(self.resize * (room / self.nbytes) ** 0.5)
            raise UsageError(
                f"a cache of {what} takes {size(self.nbytes)}, and {self.folder} has {size(free)} free: give "
                f"--cache a folder on a larger disk, lower --resize (to about {fits}), or leave --cache out"
            )
        progress.say(f"cache: {what} take {size(self.nbytes)}; {self.folder} has {size(free)} free")

    def _estimate(self) -> int:
        """Bytes of all pictures, as the headers of SAMPLE of them, evenly spaced, let expect."""
        positions = np.unique(np.linspace(0, len(self) - 1, SAMPLE, dtype=np.int64)).tolist()
        found = Headers(os.fsencode(self.files.root), self.files.paths)(positions)
        sizes = [size_of_whole(*header, self.resize) for header in found if not isinstance(header, Failed)]
        return round(3 * len(self) / len(positions) * sum(width * height for width, height in sizes))

    def _check_same(self) -> None:
        """The folder is of these files at this size; StoredMismatch says what differs."""
        difference = _difference(self._index, self.files)
        if self._state["resize"] != self.resize:
            difference = f"its pictures have {self._state['resize']} pixels and --resize is {self.resize}"
        if difference:
            raise StoredMismatch(
                f"{self.folder} is the cache of another data set, or of another size ({difference}): give "
                "--cache another folder, or delete this one"
            )

    def _save(self, done: int, broken: dict[int, str]) -> None:
        from PIL import __version__ as pillow

        state = {"format": FORMAT, "resize": self.resize, "pillow": pillow, "done": done, "broken": broken}
        write_json(self.folder / STATE, state)
        self._forget()


def _reason(failed: Failed) -> str:
    """Why a file is no picture; OSError where it is the disk that failed."""
    if failed.number is not None:
        raise OSError(failed.number, failed.reason, failed.path)
    return failed.reason


def _difference(index: dict[str, np.ndarray], files: ImageFiles) -> str | None:
    """How the files of an index differ from `files`; None where they do not."""
    paths, sizes = index["paths"], index["sizes"]
    if np.array_equal(paths, files.paths):
        differences = {"changed is": paths[sizes != files.sizes]}
    else:
        differences = {
            "it is without": np.setdiff1d(files.paths, paths),
            "gone is": np.setdiff1d(paths, files.paths),
        }
    for what, names in differences.items():
        if len(names):
            more = f" and {len(names) - 1:,} more" if len(names) > 1 else ""
            return f"{what} the file {os.fsdecode(names[0])}{more}"
    return None
