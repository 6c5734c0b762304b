"""Kill storms: a command, or one of its workers, is killed at random times; then the same command ends with
the bits of an undisturbed run, and nothing is left behind."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from pathlib import Path

from tests.fuzz import grid
from tests.fuzz.outcome import Fault, Tally

SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
KILLS = 4  # of a round, most
REPORT = {True: ("--report", "true"), False: ("--report", "false")}


def forked_workers() -> None:
    """Workers are copies of this warm process, as they are of a user's, which has just imported torch."""
    from deepcore.common import pools

    real = pools.LokyPool
    pools.LokyPool = lambda slots, preload=(), *, forked=False: real(slots, preload, forked=True)


def run(seed: int, until: float, most: int) -> Tally:
    """Rounds of kills; two in five kills are of a command with jobs."""
    expected = {report: grid.undisturbed("--jobs", "1", *REPORT[report]) for report in (True, False)}
    with_jobs = grid.undisturbed("--jobs", "2", *REPORT[False], prepare=forked_workers)
    seconds = {False: expected[False][1], True: with_jobs[1]}
    kills: Counter[bool] = Counter()

    def one(rng: random.Random) -> dict[str, int]:
        with_jobs = kills[True] <= 0.4 * (kills.total() + 1)
        report = rng.random() < 0.2
        counts = storm(rng, with_jobs, report, seconds[with_jobs], expected[report][0])
        kills[with_jobs] += sum(counts.values())
        return counts

    counts, faults = grid.repeat("kills", one, seed, until, most)
    return Tally(Counter(counts), faults)


def storm(
    rng: random.Random, with_jobs: bool, report: bool, seconds: float, expected: dict[str, object]
) -> dict[str, int]:
    """Kills in one folder, and the comparison; how many there were, by what was killed."""
    counts: Counter[str] = Counter()
    jobs = ("--jobs", "2" if with_jobs else "1")
    with grid.place() as folder:
        for _ in range(KILLS):
            together = 1 if with_jobs else rng.choice((1, 1, 1, 2, 3))
            commands = [
                grid.start(folder, *jobs, *REPORT[report], prepare=forked_workers) for _ in range(together)
            ]
            time.sleep(rng.uniform(0.02, 0.9) * seconds)
            victim = rng.choice(commands)
            workers = victim.children()
            of_worker = with_jobs and rng.random() < 0.4 and len(workers) > 0
            sent = rng.choice(SIGNALS)
            if victim.poll() is None:
                try:
                    os.kill(rng.choice(workers) if of_worker else victim.pid, sent)
                    what = "worker" if of_worker else f"one of {together}" if together > 1 else "command"
                    counts[f"{what}{' with jobs' * with_jobs}, {sent.name}"] += 1
                except ProcessLookupError:
                    pass
            try:
                for command in commands:
                    signals = {sent} if command is victim and not of_worker else set()
                    grid.check_ended(command, signals)
            finally:
                for command in commands:
                    command.kill()
            wait_until_gone(workers)
        final = jobs if rng.random() < 0.3 else ("--jobs", "1")
        grid.finish_and_compare(folder, expected, *final, *REPORT[report], prepare=forked_workers)
    return dict(counts)


def wait_until_gone(pids: list[int]) -> None:
    """Fault when one of the processes outlives its parent."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        alive = [pid for pid in pids if _lives(pid)]
        if not alive:
            return
        time.sleep(0.02)
    raise Fault(f"processes are left behind: {alive}")


def _lives(pid: int) -> bool:
    try:
        return ") Z" not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
