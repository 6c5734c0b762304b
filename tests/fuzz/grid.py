"""A tiny grid in a process of its own, and what it leaves."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.fuzz.commands import write_data
from tests.fuzz.outcome import Fault, check_command

ARGV = (
    *("--dataset", "data.npz", "--selection", "CLD", "Random", "Forgetting", "--fraction", "0.1", "0.3"),
    *("--num_exp", "2", "--epochs", "6", "--batch", "16", "--output", "csv", "--save_path", "runs"),
)
RUN_TO_RUN = {"measured", "provenance", "costs"}  # times, memory, machine
WITH_TIMES = {"report", "costs"}  # the page, and a table
LOCKS = {".lock", ".workers.lock", ".report.lock"}
PATIENCE = 300.0  # seconds of a whole command: beyond is a hang


@dataclasses.dataclass
class Running:
    """A command that was started.

    Attributes:
        pid: of its process.
        pipes: that its output and its errors come through; both are short.
        status, texts: of its end, when it was asked for.
    """

    pid: int
    pipes: dict[str, int]
    status: int | None = None
    texts: dict[str, str] = dataclasses.field(default_factory=dict)

    def poll(self) -> int | None:
        """Its exit status, below 0 for a signal; None while it runs."""
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.status = os.waitstatus_to_exitcode(status) if pid else None
        return self.status

    def wait(self, seconds: float = PATIENCE) -> int | None:
        """Wait so long; None when it still runs."""
        end = time.monotonic() + seconds
        while self.poll() is None and time.monotonic() < end:
            time.sleep(0.005)
        return self.status

    def finish(self) -> int:
        """Wait until it ends; Fault when it hangs."""
        if self.wait() is None:
            os.kill(self.pid, signal.SIGKILL)
            raise Fault(f"it hangs: {self.text('err')[-2000:]}")
        return self.status

    def kill(self) -> None:
        """End it if it runs."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)
            self.wait()

    def text(self, what: str) -> str:
        """What it wrote, "out" or "err", when it has ended."""
        if what not in self.texts:
            os.set_blocking(self.pipes[what], False)
            with open(self.pipes[what], "rb", buffering=0) as stream:
                self.texts[what] = (stream.read(1 << 20) or b"").decode(errors="replace")
        return self.texts[what]

    def close(self) -> None:
        """Give the pipes back."""
        for what in self.pipes:
            self.text(what)

    def children(self) -> list[int]:
        """The processes that it started and that live."""
        try:
            return [int(p) for p in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()]
        except OSError:
            return []


def nothing() -> None:
    """What is called before a command, usually."""


def start(folder: Path, *more: str, prepare: Callable[[], None] = nothing) -> Running:
    """Start the command in a child of this warm process; `prepare` is called there before."""
    pipes = {what: os.pipe() for what in ("out", "err")}
    pid = os.fork()
    if pid:
        for _, writer in pipes.values():
            os.close(writer)
        return Running(pid, {what: reader for what, (reader, _) in pipes.items()})
    status = 70
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.chdir(folder)
        os.environ["TMPDIR"] = tempfile.tempdir = str(folder / "tmp")
        os.environ["OMP_NUM_THREADS"] = "1"
        os.dup2(pipes["out"][1], 1)
        os.dup2(pipes["err"][1], 2)
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115 (until the end of the process)
        sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115 (likewise)
        prepare()
        import main
    except KeyboardInterrupt:
        os._exit(130)  # before the command had begun
    try:
        status = main.main([*ARGV, *more])
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:
        import traceback

        traceback.print_exc(file=sys.stderr)
        sys.stderr.flush()
    finally:
        os._exit(status)


@contextlib.contextmanager
def place() -> Iterator[Path]:
    """A folder with the data, removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    try:
        write_data(folder / "data.npz")
        (folder / "tmp").mkdir()
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def check_ended(command: Running, signals: set[int]) -> str:
    """The outcome of a command that may have been killed; Fault for a traceback, a wrong status or a hang."""
    status = command.finish()
    command.close()
    if status < 0 and -status in signals:
        return f"killed by {signal.Signals(-status).name}"
    err = command.text("err")
    if status == 130 and signal.SIGINT in signals and "Traceback" not in err:
        return "stopped"
    return check_command(status, command.text("out"), err)


def finish_and_compare(
    folder: Path, expected: dict[str, object], *more: str, prepare: Callable[[], None] = nothing
) -> None:
    """The same command, undisturbed: it ends well, with the bits of a run that nothing happened to."""
    command = start(folder, *more, prepare=prepare)
    if command.finish() != 0:
        raise Fault(f"afterwards, status {command.status}: {command.text('err')[-2000:]}")
    found = contents(folder, command.text("out"))
    if found.keys() != expected.keys():
        raise Fault(f"files left behind or missing: {sorted(found.keys() ^ expected.keys())}")
    different = [name for name in expected if found[name] != expected[name]]
    if different:
        raise Fault(f"other content: {different}")
    left = [path.name for path in (folder / "tmp").iterdir()]
    if left:
        raise Fault(f"temporary files left behind: {left}")


def contents(folder: Path, out: str) -> dict[str, object]:
    """The table, and every file under the run folder, apart from what differs from run to run."""
    found: dict[str, object] = {"table": out}
    for path in sorted((folder / "runs").rglob("*")):
        if path.is_dir() or path.name in LOCKS:
            continue
        name = str(path.relative_to(folder))
        if path.stem in WITH_TIMES:
            found[name] = None
        elif path.suffix == ".json" and path.parent.name != "tables":
            value = json.loads(path.read_text())
            passes = value.get("costs", {}).get("passes")
            found[name] = {k: v for k, v in value.items() if k not in RUN_TO_RUN} | {"counted": passes}
        else:
            found[name] = path.read_bytes()
    return found


def undisturbed(*more: str, prepare: Callable[[], None] = nothing) -> tuple[dict[str, object], float]:
    """What a run without a disturbance leaves, and the seconds that it took."""
    with place() as folder:
        begun = time.monotonic()
        command = start(folder, *more, prepare=prepare)
        if command.finish() != 0:
            raise Fault(f"undisturbed, status {command.status}: {command.text('err')[-2000:]}")
        return contents(folder, command.text("out")), time.monotonic() - begun


def repeat(
    name: str, one: Callable[[random.Random], dict[str, int]], seed: int, until: float, most: int
) -> tuple[dict[str, int], list[str]]:
    """Rounds of one fuzzer until the time or the number of cases is used up: counts and faults."""
    counts: dict[str, int] = {}
    faults: list[str] = []
    number = 0
    while sum(counts.values()) < most and time.monotonic() < until and len(faults) < 10:
        try:
            for outcome, n in one(random.Random(f"{seed}/{name}/{number}")).items():
                counts[outcome] = counts.get(outcome, 0) + n
        except Fault as fault:
            faults.append(f"{name} {number} of seed {seed}: {fault}")
            print(faults[-1], flush=True)
        number += 1
    return counts, faults
