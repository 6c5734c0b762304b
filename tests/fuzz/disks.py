"""Disks that are full, read-only or gone: the command says so in a sentence, and goes on when there is
room."""

from __future__ import annotations

import contextlib
import ctypes
import os
import random
import resource
import time
from collections import Counter
from pathlib import Path

from tests.fuzz import grid
from tests.fuzz.outcome import Fault, Tally

NEW_MOUNTS, NEW_USER = 0x00020000, 0x10000000  # of unshare(2)
READ_ONLY, REMOUNT = 1, 32  # of mount(2)
LARGE = 1 << 26  # bytes, room for everything
PLAIN = ("--jobs", "1", "--report", "false")


def run(seed: int, until: float, most: int) -> Tally:
    """Rounds on small disks (where this machine lets us mount one), with small files, and without folder."""
    expected, seconds = grid.undisturbed(*PLAIN)
    whole = sum(len(value) if isinstance(value, bytes) else 2000 for value in expected.values())
    kinds = ["largest file", "largest file", "folder gone"]
    if can_mount():
        kinds += ["small disk"] * 6 + ["read-only"]

    def one(rng: random.Random) -> dict[str, int]:
        kind = rng.choice(kinds)
        with grid.place() as folder:
            if kind in ("small disk", "read-only"):
                size = None if kind == "read-only" else int(rng.uniform(0.05, 4) * whole)
                return {f"{kind}: {mounted(folder, size, expected)}": 1}
            outcome = (largest_file if kind == "largest file" else folder_gone)(rng, folder, seconds)
            grid.finish_and_compare(folder, expected, *PLAIN)
            return {f"{kind}: {outcome}": 1}

    counts, faults = grid.repeat("disks", one, seed, until, most)
    return Tally(Counter(counts), faults)


def largest_file(rng: random.Random, folder: Path, seconds: float) -> str:
    """No file may grow beyond a few bytes or kilobytes."""
    size = int(10 ** rng.uniform(0, 4.5))

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    return grid.check_ended(grid.start(folder, "--quiet", *PLAIN, prepare=limit), set())


def folder_gone(rng: random.Random, folder: Path, seconds: float) -> str:
    """The folder of the experiment is moved away while the command writes into it."""
    command = grid.start(folder, *PLAIN)
    time.sleep(rng.uniform(0.02, 0.9) * seconds)
    with contextlib.suppress(OSError):
        os.rename(folder / "runs", folder / "elsewhere")
    return grid.check_ended(command, set())


def mounted(folder: Path, size: int | None, expected: dict[str, object]) -> str:
    """A child mounts a disk of `size` bytes (None: read-only) on the folder of the experiment, tries, makes
    room, and goes on; mounts and disk end with it."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        answer = "fault: the child broke"
        try:
            own_mounts()
            (folder / "runs").mkdir()
            mount(folder / "runs", READ_ONLY if size is None else 0, f"size={size or LARGE}")
            answer = grid.check_ended(grid.start(folder, *PLAIN), set())
            mount(folder / "runs", REMOUNT, f"size={LARGE}")
            grid.finish_and_compare(folder, expected, *PLAIN)
        except BaseException as error:
            answer = f"fault: {type(error).__name__}: {error}"
        finally:
            os.write(writer, answer.encode()[:8000])
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        answer = stream.read().decode()
    os.waitpid(pid, 0)
    if answer.startswith("fault"):
        raise Fault(answer)
    return answer


def own_mounts() -> None:
    """Mounts of this process from now on are its own, and end with it."""
    libc = ctypes.CDLL(None, use_errno=True)
    users = (os.getuid(), os.getgid())
    if libc.unshare(NEW_MOUNTS if users[0] == 0 else NEW_MOUNTS | NEW_USER):
        raise OSError(ctypes.get_errno(), "unshare")
    if users[0]:
        for name, text in (
            ("setgroups", "deny"),
            ("uid_map", f"0 {users[0]} 1"),
            ("gid_map", f"0 {users[1]} 1"),
        ):
            Path(f"/proc/self/{name}").write_text(text)
    if libc.mount(b"none", b"/", None, 0x4000 | 0x40000, None):  # what is mounted here stays here
        raise OSError(ctypes.get_errno(), "mount")


def mount(path: Path, flags: int, options: str) -> None:
    """A disk in memory."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"fuzz", os.fsencode(path), b"tmpfs", flags, options.encode()):
        raise OSError(ctypes.get_errno(), "mount")


def can_mount() -> bool:
    """Whether this machine lets a child have mounts of its own."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            own_mounts()
            mount(Path("/tmp"), 0, "size=4096")
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
