"""Writing files so that a reader, or the next run, sees the old content or the new, never a half."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import functools
import io
import json
import os
import platform
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from deepcore.common.checks import StoredMismatch, UsageError

LOCK, WORKERS_LOCK = ".lock", ".workers.lock"  # in the folder of an experiment
CACHE_LOCK, REPORT_LOCK = ".cache.lock", ".report.lock"  # of their writers, which may hold the folder already


def write_bytes(path: Path, content: bytes) -> None:
    """Replace `path` by `content` atomically; on a full disk the old file stays and nothing is left
    behind."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_json(path: Path, value: Any) -> None:
    """Replace `path` by `value` as indented JSON, keys sorted."""
    write_bytes(path, (json.dumps(value, indent=1, sort_keys=True) + "\n").encode())


def write_npz(path: Path, **arrays: np.ndarray) -> None:
    """Replace `path` by an .npz of `arrays`; equal arrays give equal bytes."""
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    write_bytes(path, buffer.getvalue())


def read_json(path: Path, what: str, remedy: str = "delete it and run the command again") -> Any:
    """The content of a JSON file of ours; StoredMismatch, naming `what` and the remedy, when it cannot be
    read."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise StoredMismatch(f"{what} {path} is damaged ({error}); {remedy}") from None


def check_folder(folder: Path, flag: str = "--save_path") -> None:
    """This process may write into `folder`, or make it; else a UsageError that names its flag."""
    above = next(path for path in (folder.absolute(), *folder.absolute().parents) if os.path.lexists(path))
    if not above.is_dir():
        raise UsageError(f"{folder} is, or lies below, a file: give {flag} a folder")
    if not os.access(above, os.W_OK | os.X_OK):
        raise UsageError(f"{folder} cannot be written: give {flag} a folder of yours")


@contextlib.contextmanager
def locked(folder: Path, flag: str = "--save_path", name: str = LOCK) -> Iterator[None]:
    """Hold the folder for this process and its workers.

    A second process waits, and says who holds the folder and since when. The lock ends with the process, also
    when it is killed; workers that outlive it for a moment are waited for. `flag` is where the user gave the
    folder; locks of another `name` are held beside each other.

    Raises:
        UsageError: the folder cannot be written.
    """
    check_folder(folder, flag)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = open(folder / name, "a+")  # noqa: SIM115 (held for the whole block)
        workers = open(folder / WORKERS_LOCK, "a+") if name == LOCK else None  # noqa: SIM115 (likewise)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise
        raise UsageError(
            f"{folder} cannot be written ({error.strerror}): give {flag} a folder of yours"
        ) from None
    with handle, workers or contextlib.nullcontext():
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.seek(0)
            print(f"waiting: {folder} is held by {_holder(handle.read())}", file=sys.stderr, flush=True)
            fcntl.flock(handle, fcntl.LOCK_EX)
        if workers:
            fcntl.flock(workers, fcntl.LOCK_EX)  # workers of a killed command, which are about to end
            fcntl.flock(workers, fcntl.LOCK_UN)
        handle.truncate(0)
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        command = " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])
        handle.write(
            json.dumps({"pid": os.getpid(), "host": platform.node(), "since": since, "command": command})
        )
        handle.flush()
        yield


def _holder(content: str) -> str:
    """Who holds a lock, from what it wrote there."""
    try:
        held = json.loads(content)
        return f"process {held['pid']} on {held['host']} since {held['since']} ({held['command'][:200]})"
    except (ValueError, TypeError, KeyError):  # it was about to write, or is of another version
        return f"process {content.strip() or '?'}"


@functools.cache
def share_lock(folder: Path) -> BinaryIO | None:
    """Hold the folder as a worker does until this process ends: nobody else begins before that."""
    folder.mkdir(parents=True, exist_ok=True)
    handle = open(folder / WORKERS_LOCK, "ab")  # noqa: SIM115 (held until the end of the process)
    fcntl.flock(handle, fcntl.LOCK_SH)
    return handle


def remove_leftovers(folder: Path, parts: Iterable[str]) -> None:
    """Delete the temporary files of `write_bytes` that a killed process left in `folder` itself and anywhere
    below its `parts`; what else lies in `folder` is not ours. Call it with the lock held."""
    name = ".*.[0-9]*.tmp"
    for path in [
        *folder.glob(name),
        *folder.glob(".device-*.lock"),
        *folder.glob(".shared-*"),
        *(path for part in parts for path in (folder / part).rglob(name)),
    ]:
        path.unlink(missing_ok=True)
