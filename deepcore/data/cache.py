"""A folder of images decoded once: its pictures, resized, in one memory-mapped file.

The cache holds every picture of both parts in RGB, its shorter side resized as the test transform does it
(`pictures.whole`), so that

- a test picture from the cache is the one from its file, bit for bit;
- a training picture is cut out of the resized picture. It is, bit for bit, what a folder would give whose
  files were these pictures saved without loss; it is not what the original files give.

Files in its folder: `pictures`, the pixels, one picture behind the other; `index.npz`, which files they come
from and their shapes; `cache.json`, what the cache is and how much of it is done. While it is built, the
pixels are in `pictures.part`: a cache is finished when `pictures` exists. A build that was killed goes on
where it was, at most SAVE_SECONDS behind.
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from deepcore.common.checks import StoredMismatch, UsageError, check_positive, read_npz
from deepcore.common.files import locked, read_json, write_json, write_npz
from deepcore.common.progress import Progress
from deepcore.common.resources import free_disk
from deepcore.data.cache_work import Failed, Headers, Pixels, in_chunks
from deepcore.data.pictures import size_of_whole

FORMAT = 1
PICTURES, PART, INDEX, STATE = "pictures", "pictures.part", "index.npz", "cache.json"
SAVE_SECONDS = 10.0
BROKEN_SHARE = 0.01  # of unreadable images, from which on the data set is refused
SPARE = 1 << 26  # bytes of a disk that are left free


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
    """

    def __init__(self, folder: Path, files: ImageFiles, resize: int) -> None:
        check_positive("resize", resize, whole=True)
        self.folder, self.files, self.resize = folder, files, resize

    def __getstate__(self) -> dict[str, Any]:
        """For worker processes: each maps the file itself."""
        return {name: getattr(self, name) for name in ("folder", "files", "resize")}

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
        size = path.stat().st_size
        if size != self.nbytes:
            raise StoredMismatch(
                f"{path} has {size:,} bytes, and {self.nbytes:,} were written; {self._remedy}"
            )
        if not size:
            return np.zeros(0, np.uint8)  # an empty file cannot be mapped
        return np.asarray(np.memmap(path, np.uint8, "r"))  # every slice of a np.memmap costs its bookkeeping

    @property
    def _remedy(self) -> str:
        return f"delete {self.folder}, and the next command builds it again"

    def _forget(self) -> None:
        """What was read of the folder: it is not so any more."""
        for name in ("_state", "_broken", "_index", "_shapes", "_offsets", "_pixels"):
            self.__dict__.pop(name, None)

    def build(self, *, workers: int, progress: Progress) -> None:
        """Write what is missing; nothing when all is there.

        Args:
            workers: processes that decode; 0 for this one.
            progress: what is about to be written, and how far it is.

        Raises:
            StoredMismatch: the folder holds the cache of other files, or at another size.
            UsageError: the disk has not the room, or too many files are no images.
            OSError: the disk, or a file of the data set, cannot be read or written; the next call goes on.
        """
        if self.finished:  # perhaps in a folder that may only be read
            self._check_same()
            return
        with locked(self.folder):
            if (self.folder / "cache.json").exists():
                self._check_same()
            else:
                self._measure(workers, progress)
            if not self.finished:  # another process may have done it meanwhile
                self._fill(workers, progress)
        if self._broken:
            progress.say(
                f"cache: {len(self._broken)} of {len(self):,} images cannot be read, "
                f"{self._name(min(self._broken))} the first; a blank picture stands for each"
            )

    def _measure(self, workers: int, progress: Progress) -> None:
        """Read the size of every picture from its header; write the index, and the state of a cache of which
        nothing is done."""
        progress.say(f"cache: reading the sizes of {len(self):,} pictures")
        shapes, broken = np.zeros((len(self), 2), np.int32), {}
        work = Headers(os.fsencode(self.files.root), self.files.paths)
        with progress.bar(len(self), "cache: sizes") as advance:
            for positions, found in in_chunks(work, 0, len(self), workers):
                for position, size in zip(positions, found, strict=True):
                    if isinstance(size, Failed):
                        broken[position] = _reason(size)
                    else:
                        shapes[position] = size_of_whole(*size, self.resize)[::-1]
                    advance()
                self._check_broken(broken)
        write_npz(self.folder / INDEX, paths=self.files.paths, sizes=self.files.sizes, shapes=shapes)
        self._save(0, broken)

    def _fill(self, workers: int, progress: Progress) -> None:
        """Decode and write what is not done yet, in the order of the files."""
        part, broken = self.folder / PART, dict(self._broken)
        self._check_room(part, progress)
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
                for positions, found in in_chunks(work, done, len(self), workers):
                    for position, failed in zip(positions, found, strict=True):
                        if failed is not None:
                            broken[position] = _reason(failed)
                        advance()
                    if time.monotonic() - saved >= SAVE_SECONDS:
                        os.fsync(handle)  # before the state says that it is there
                        self._save(positions[-1] + 1, broken)
                        saved = time.monotonic()
                    self._check_broken(broken)
            os.fsync(handle)
        finally:
            os.close(handle)
        self._save(len(self), broken)
        os.replace(part, self.folder / PICTURES)

    def _check_room(self, part: Path, progress: Progress) -> None:
        """Say what the cache takes, or that the disk has not the room for it."""
        there = part.stat().st_blocks * 512 if part.exists() else 0
        free = free_disk(self.folder)
        what = f"{len(self):,} pictures of {self.resize} pixels on the shorter side"
        room = there + free - SPARE
        if self.nbytes > room:
            fits = int(self.resize * (max(room, 0) / self.nbytes) ** 0.5)
            raise UsageError(
                f"a cache of {what} takes {_gb(self.nbytes)}, and {self.folder} has {_gb(free)} free: give "
                f"--cache a folder on a larger disk, lower --resize (to about {fits}), or leave --cache out"
            )
        progress.say(f"cache: {what} take {_gb(self.nbytes)}; {self.folder} has {_gb(free)} free")

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

    def _check_broken(self, broken: Collection[int]) -> None:
        if len(broken) > max(10, BROKEN_SHARE * len(self)):
            names = ", ".join(self._name(position) for position in sorted(broken)[:5])
            raise UsageError(
                f"{len(broken)} of {len(self)} images cannot be read ({names}, ...): fetch them again"
            )

    def _name(self, position: int) -> str:
        return os.fsdecode(self.files.paths[position])


def _reason(failed: Failed) -> str:
    """Why a file is no picture; OSError where it is the disk that failed."""
    if failed.number is not None:
        raise OSError(failed.number, failed.reason, failed.path)
    return failed.reason


def _difference(index: dict[str, np.ndarray], files: ImageFiles) -> str | None:
    """How the files of an index differ from `files`; None where they do not."""
    paths, sizes = index["paths"], index["sizes"]
    new, gone = np.setdiff1d(files.paths, paths), np.setdiff1d(paths, files.paths)
    changed = paths[sizes != files.sizes] if not len(new) and not len(gone) else paths[:0]
    for what, names in (("it is without", new), ("gone is", gone), ("changed is", changed)):
        if len(names):
            more = f" and {len(names) - 1:,} more" if len(names) > 1 else ""
            return f"{what} the file {os.fsdecode(names[0])}{more}"
    return None


def _gb(size: int) -> str:
    return f"{size / 1e9:,.1f} GB" if size >= 1e8 else f"{size / 1e6:,.1f} MB"
