"""`python -m tests.fuzz`: run the fuzzers; exit status 1 when one found a fault."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import time
from collections.abc import Callable

from tests.fuzz.outcome import Tally

KINDS = ("commands", "files", "calls", "kills", "disks")
SHARES = {"commands": 0.25, "files": 0.2, "calls": 0.2, "kills": 0.25, "disks": 0.1}  # of the time


def main(argv: list[str] | None = None) -> int:
    """Run, print counts and faults."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=2.0, help="for all fuzzers together (default 2)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=KINDS, nargs="+", default=KINDS)
    parser.add_argument("--cases", type=int, default=10**9, help="at most this many of each kind")
    args = parser.parse_args(argv)
    whole = sum(SHARES[kind] for kind in args.only)
    status = 0
    for kind in args.only:
        run = runner(kind)
        start, cpu = time.monotonic(), _cpu()
        until = start + 60 * args.minutes * SHARES[kind] / whole
        tally = run(args.seed, until, args.cases)
        counts = ", ".join(f"{n:,} {outcome}" for outcome, n in tally.counts.most_common())
        print(
            f"{kind}, seed {args.seed}: {tally.cases:,} cases in {time.monotonic() - start:.0f} s "
            f"({_cpu() - cpu:.0f} s of processor): {counts}; {len(tally.faults)} faults",
            flush=True,
        )
        status |= bool(tally.faults)
    return status


def runner(kind: str) -> Callable[[int, float, int], Tally]:
    """The function that runs the fuzzer of this name: (seed, until, most cases) to a tally."""
    from tests.fuzz import sandbox

    sandbox.warm()
    module = importlib.import_module(f"tests.fuzz.{kind}")
    if kind in ("kills", "disks"):
        return module.run
    return lambda seed, until, most: sandbox.run(module.FUZZER, seed, until=until, most=most)


def _cpu() -> float:
    """Processor seconds of this process and of its children that ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


if __name__ == "__main__":
    sys.exit(main())
