"""What a case came to: an outcome that is counted, or a fault."""

from __future__ import annotations

import contextlib
import io
import re
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

LONGEST_MESSAGE = 4000  # letters: a sentence, and both specifications of a proxy run that does not fit


class Fault(AssertionError):
    """The program did what it must not do."""


@dataclass
class Tally:
    """What a fuzzer did: cases by outcome, and the faults, each with its smallest input."""

    counts: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    @property
    def cases(self) -> int:
        """All of them."""
        return sum(self.counts.values())


def captured(work: Callable[[], int]) -> tuple[int, str, str]:
    """Status, standard output and standard error of a command that runs in this process. Both streams encode
    as a terminal's do."""
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    err = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="backslashreplace")
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = work()
        except SystemExit as stop:
            status = stop.code if isinstance(stop.code, int) else 1
        sys.stdout.flush()
    texts = []
    for stream in (out, err):
        stream.flush()
        texts.append(stream.buffer.getvalue().decode("utf-8"))
    return status, texts[0], texts[1]


def check_command(status: int, out: str, err: str) -> str:
    """The outcome of a command: "done", "refused" or "failed rows"; Fault for anything else."""
    if "Traceback" in out + err:
        raise Fault(f"a traceback, status {status}: {err[-1500:]}")
    errors = [line for line in err.splitlines() if line.startswith("error: ")]
    if status == 0 and not errors:
        return "done"
    if status == 1 and re.search("^failed: ", err, re.MULTILINE) and not errors:
        return "failed rows"
    if status != 2 or len(errors) != 1:
        raise Fault(f"status {status} with {len(errors)} errors: {err[-1500:]}")
    if len(errors[0]) > LONGEST_MESSAGE:
        raise Fault(f"a message of {len(errors[0])} letters: {errors[0][:500]}")
    if re.search(r"allow_pickle|weights_only|unsafe", errors[0]):
        raise Fault(f"advice to read unsafely: {errors[0]}")
    return "refused"
