"""How long the scores of the rivals take together, from mapped logs, and how long a selection of 10% takes.

    python benchmarks/rivals_speed.py                     165 x 54,000 of each signal, 10 classes
    python benchmarks/rivals_speed.py --n 1281167 --epochs 90 --classes 1000

Methods with a window use all epochs (TDDS and DUAL would stop at 30: `--published` keeps those). Every method
that scores from the online scalars is timed; D2 and Glister are not scores. Peak memory is what numpy
allocates while scoring, in bytes per sample.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import sys
import tempfile
import time
import tracemalloc
import warnings
from pathlib import Path

import numpy as np
from tabulate import tabulate

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a clone without installation

import methods
from deepcore.common.seeding import stream
from deepcore.proxy.run import ProxyRun
from deepcore.proxy.signals import TRAJECTORIES, Signal
from deepcore.selection.budget import Budget
from deepcore.selection.method import ScoreMethod

NAMES = ("Forgetting", "EL2N", "GraNd", "AUM", "CCS", "TDDS", "DynUnc", "DUAL")


def main() -> None:
    """Write the logs, time, print, remove the logs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--n", type=int, default=54_000, help="samples")
    parser.add_argument("--epochs", type=int, default=164)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--published", action="store_true", help="the published first epochs, not all")
    parser.add_argument("--tmp", help="where the temporary folder goes")
    args = parser.parse_args()
    warnings.simplefilter("ignore")  # parameters reduced to a short log
    with tempfile.TemporaryDirectory(dir=args.tmp) as folder:
        run = make_run(Path(folder), args.epochs + 1, args.n, args.classes)
        rows = [measure(make(name, args), run, args.repeats) for name in NAMES]
        rows.append(["together", sum(row[1] for row in rows), sum(row[2] for row in rows), ""])
        print(f"{args.epochs} epochs, {args.n:,} samples, {args.classes} classes, {args.repeats} repeats")
        print(
            tabulate(rows, headers=["", "score s (median)", "select 10% s", "bytes/sample"], floatfmt=".3f")
        )
        del run


def make(name: str, args: argparse.Namespace) -> ScoreMethod:
    """The method with its defaults, but TDDS and DUAL over all epochs unless --published."""
    method = methods.get(name)()
    if name in ("TDDS", "DUAL") and not args.published:
        method = dataclasses.replace(method, window=10, epochs=args.epochs)
    return method


def make_run(folder: Path, checkpoints: int, count: int, classes: int) -> ProxyRun:
    """Random values of every scalar signal in its range, written row by row and mapped for reading."""
    rng = stream(0, "rivals_speed")
    logs = {}
    for signal in TRAJECTORIES:
        shift = 0.5 if signal in (Signal.MARGIN, Signal.MARGIN_P) else 0.0
        path = folder / f"{signal.value}.npy"
        rows = np.lib.format.open_memmap(path, "w+", np.float32, (checkpoints, count))
        for t in range(checkpoints):
            rows[t] = rng.random(count, dtype=np.float32) - shift
        rows.flush()
        logs["online", signal] = np.load(path, mmap_mode="r", allow_pickle=False)
    return ProxyRun(np.arange(count), rng.integers(0, classes, count), classes, trajectories=logs)


def measure(method: ScoreMethod, run: ProxyRun, repeats: int) -> list[str | float]:
    """Name, median seconds of `score`, seconds of `choose` at 10%, allocated bytes per sample."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        scores = method.score(run)
        seconds.append(time.perf_counter() - start)
    budget = Budget.of(0.1, len(run.ids))
    start = time.perf_counter()
    method.resolve(0.1).choose(scores, run, budget, stream(0, "choose"))
    chosen = time.perf_counter() - start
    tracemalloc.start()
    method.score(run)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return [method.name, statistics.median(seconds), chosen, f"{peak / len(run.ids):.0f}"]


if __name__ == "__main__":
    main()
