"""Cases in forked children, with limits on time and memory; and the smallest failing input."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import random
import resource
import select
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deepcore.common.checks import shortened
from tests.fuzz.outcome import Fault, Tally

Answer = tuple[dict[str, int], "str | None"]  # counts by outcome, and the fault
Case = tuple[Any, ...]  # pieces; a case of fewer pieces is a smaller one
MOST_FAULTS = 10  # then the fuzzer stops
OWN = "own"  # the folder of a case that writes
BATCH = 200  # cases of one child
CPU_SECONDS, WALL_SECONDS = 20.0, 240.0  # of one case; beyond is a hang
MEMORY = 3 << 30  # bytes that a case may ask for beyond what the parent holds


@dataclass(frozen=True)
class Fuzzer:
    """Cases of one kind.

    Attributes:
        name: of `--only`.
        draw: a case.
        attempt: tries it and returns the outcome; Fault, and any exception, is a fault. The current folder is
            that of the child; a case that writes calls `own_folder`. A case that is several gives counts by
            outcome.
        batch: cases of one child.
        cpu_seconds: of a case; beyond is a hang.
    """

    name: str
    draw: Callable[[random.Random], Case]
    attempt: Callable[[Case], str | dict[str, int]]
    batch: int = BATCH
    cpu_seconds: float = CPU_SECONDS

    def case(self, seed: int, index: int) -> Case:
        """The case of this number."""
        return self.draw(random.Random(f"{seed}/{self.name}/{index}"))


def own_folder() -> Path:
    """An empty folder of this case alone, which becomes the current one."""
    here = Path.cwd() / OWN
    here.mkdir()
    os.chdir(here)
    return here


class Hang(Fault):
    """A case took longer than it may."""


def flushed(line: str) -> None:
    """Print it at once, also into a file."""
    print(line, flush=True)


def run(fuzzer: Fuzzer, seed: int, *, until: float, most: int, say: Callable[[str], None] = flushed) -> Tally:
    """Try cases 0, 1, ... until the time (of time.monotonic) or their number is used up, or ten faults."""
    tally, index = Tally(), 0
    while tally.cases < most and time.monotonic() < until and len(tally.faults) < MOST_FAULTS:
        wanted = range(index, index + min(fuzzer.batch, most - tally.cases))
        for outcomes, fault in _in_child(fuzzer, (fuzzer.case(seed, i) for i in wanted), until):
            tally.counts.update(outcomes)
            if fault is not None:
                smallest = shrunk(fuzzer, fuzzer.case(seed, index), fault)
                text = f"{fuzzer.name} {index} of seed {seed}: {shortened(repr(smallest))}\n{fault}"
                tally.faults.append(text)
                say(text)
            index += 1
    return tally


def shrunk(fuzzer: Fuzzer, case: Case, fault: str) -> Case:
    """The case without the pieces that the fault does not need."""
    kind, size = _kind(fault), max(1, len(case) // 2)
    while size:
        at = 0
        while at < len(case):
            smaller = case[:at] + case[at + size :]
            answers = list(_in_child(fuzzer, iter([smaller]), time.monotonic() + WALL_SECONDS))
            if answers and answers[0][1] is not None and _kind(answers[0][1]) == kind:
                case = smaller
            else:
                at += size
        size //= 2
    return case


def _kind(fault: str) -> str:
    """The exception behind a fault: its last line's first word."""
    return fault.strip().splitlines()[-1].split(":")[0]


def _in_child(fuzzer: Fuzzer, cases: Iterator[Case], until: float) -> Iterator[Answer]:
    """Outcomes and fault of each case that was tried; after one that killed the child none follows."""
    reader, writer = os.pipe()
    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        _child(fuzzer, cases, folder, writer, until)
    os.close(writer)
    try:
        yield from _answers(reader)
    finally:
        os.close(reader)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        shutil.rmtree(folder, ignore_errors=True)


def _answers(reader: int) -> Iterator[Answer]:
    begun, held = False, b""
    while True:
        while b"\n" not in held:
            ready, _, _ = select.select([reader], [], [], WALL_SECONDS)
            part = os.read(reader, 1 << 16) if ready else b""
            if not part:
                if begun or not ready:
                    how = "the process died" if ready else "it hangs"
                    yield {"fault": 1}, f"{how}\nDied: {how}"
                return
            held += part
        line, _, held = held.partition(b"\n")
        answer = json.loads(line)
        begun = answer == "begin"
        if not begun:
            yield answer["outcomes"], answer["fault"]


def _child(fuzzer: Fuzzer, cases: Iterator[Case], folder: Path, writer: int, until: float) -> None:
    """Try the cases, each in an empty folder, and tell what came of each."""
    status = 1
    try:
        resource.setrlimit(resource.RLIMIT_AS, (_held() + MEMORY,) * 2)
        signal.signal(signal.SIGPROF, _raise_hang)
        with os.fdopen(writer, "wb", buffering=0) as stream:
            os.chdir(folder)
            for case in cases:
                if time.monotonic() > until:
                    break
                stream.write(b'"begin"\n')
                outcomes, fault = _tried(fuzzer, case)
                stream.write(json.dumps({"outcomes": outcomes, "fault": fault}).encode() + b"\n")
                if Path.cwd() != folder:  # it asked for a folder of its own
                    os.chdir(folder)
                    shutil.rmtree(folder / OWN, ignore_errors=True)
        status = 0
    except BaseException:
        traceback.print_exc(file=sys.__stderr__)
    finally:
        os._exit(status)


def _tried(fuzzer: Fuzzer, case: Case) -> Answer:
    signal.setitimer(signal.ITIMER_PROF, fuzzer.cpu_seconds)
    try:
        outcome = fuzzer.attempt(case)
        return {outcome: 1} if isinstance(outcome, str) else outcome, None
    except (Exception, KeyboardInterrupt) as error:
        return {"fault": 1}, "".join(traceback.format_exception(error, limit=-12)).strip()
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _raise_hang(signum: int, frame: object) -> None:
    raise Hang("it took more processor time than a case may")


def _held() -> int:
    """Bytes of address space of this process."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except OSError:
        return 32 << 30


def warm() -> None:
    """Import what the children need, with one thread, so that a fork is cheap and safe."""
    import torch

    torch.set_num_threads(1)
    for name in (
        *("main", "methods", "torchvision.models", "torch._dynamo", "sklearn.datasets", "pyarrow.parquet"),
        *("deepcore.experiment.dry_run", "deepcore.report.accuracy_report", "deepcore.report.run_report"),
        *("deepcore.cli.verbs", "deepcore.logs", "deepcore.report.cost_report", "pandas", "tqdm"),
        *("deepcore.analysis.overlap", "deepcore.selection.readable", "deepcore.report.measured_cost_report"),
        *("torch.utils.flop_counter", "PIL.Image", "scipy.io", "scipy.stats"),
    ):
        with contextlib.suppress(ImportError):  # what is optional
            importlib.import_module(name)
