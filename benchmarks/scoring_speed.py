"""How long CLD and LTC take on a log of ImageNet's size, beside one numpy.sum of the same mapped array.

    python benchmarks/scoring_speed.py                           91 x 1,281,167, 1000 classes: a 466 MB file
    python benchmarks/scoring_speed.py --n 50000 --classes 10    a quick look
    python benchmarks/scoring_speed.py --all                     and Spearman, and the one-pass form

Everything that `score(run)` does is in the time: class means of the validation rows (one per 100 samples)
included. Each repeat times all of them one after the other; the ratio to numpy.sum is taken within a repeat,
its median is printed. With --all, a second table gives the time of one `CLDStream.update` beside one
numpy.sum over each of the arrays that the stream keeps, in turns. Memory is the growth of the process's
anonymous pages (Linux) while scoring, so that the mapped file does not count. The file lies in a temporary
folder and is removed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from tabulate import tabulate

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a clone without installation

from deepcore.common.seeding import stream
from deepcore.proxy.run import ProxyRun
from deepcore.proxy.signals import Signal
from deepcore.scoring.one_pass import CLDStream
from methods.cld import CLD
from methods.ltc import LTC


def main() -> None:
    """Write the log, time, print, remove the log."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--n", type=int, default=1_281_167, help="samples")
    parser.add_argument("--epochs", type=int, default=90, help="checkpoints after the first")
    parser.add_argument("--classes", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--all", action="store_true", help="time Spearman and the one-pass form too (slow)")
    parser.add_argument("--tmp", help="where the temporary folder goes")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.tmp) as folder:
        run = make_run(Path(folder) / "loss.npy", args.epochs + 1, args.n, args.classes)
        jobs = make_jobs(run, everything=args.all)
        rows = measure(jobs, args.repeats)
        losses = run.trajectories["post_epoch", Signal.LOSS]
        print(
            f"{losses.shape[0]} x {losses.shape[1]:,} float32 ({losses.nbytes / 1e6:,.0f} MB, mapped), "
            f"{args.classes} classes, {len(run.val_labels):,} validation rows; {args.repeats} repeats"
        )
        print(tabulate(rows, headers=["", "median s", "least s", "x numpy.sum", "extra MB"], floatfmt=".3f"))
        if args.all:
            print(f"\n{tabulate(per_checkpoint(run), headers=['', 'median ms', 'least ms'], floatfmt='.1f')}")
        del run, jobs, losses


def make_run(path: Path, checkpoints: int, count: int, classes: int) -> ProxyRun:
    """Falling, noisy losses, written row by row and mapped for reading."""
    rng = stream(0, "scoring_speed")
    losses = np.lib.format.open_memmap(path, "w+", np.float32, (checkpoints, count))
    for t in range(checkpoints):
        losses[t] = rng.random(count, dtype=np.float32) * np.float32(7 * np.exp(-t / 20) + 0.01)
    losses.flush()
    del losses
    extra = max(count // 100 - classes, 0)
    val_labels = np.concatenate([np.arange(classes), rng.integers(0, classes, extra)])
    return ProxyRun(
        ids=np.arange(count),
        labels=rng.integers(0, classes, count),
        num_classes=classes,
        val_labels=val_labels,
        trajectories={("post_epoch", Signal.LOSS): np.load(path, mmap_mode="r", allow_pickle=False)},
        val_trajectories={Signal.LOSS: rng.random((checkpoints, len(val_labels)), dtype=np.float32)},
    )


def make_jobs(run: ProxyRun, *, everything: bool) -> dict[str, Callable[[], object]]:
    """What is timed, by name; the yardstick first."""
    losses = run.trajectories["post_epoch", Signal.LOSS]
    jobs: dict[str, Callable[[], object]] = {
        "numpy.sum": lambda: np.sum(losses),
        "CLD": lambda: CLD().score(run),
        "LTC": lambda: LTC().score(run),
    }
    if everything:
        jobs["CLD:correlation=spearman"] = lambda: CLD(correlation="spearman").score(run)
        jobs["CLDStream"] = lambda: one_pass(run)
    return jobs


def one_pass(run: ProxyRun) -> np.ndarray:
    """CLD without stored trajectories: the log is fed checkpoint by checkpoint."""
    scores = CLDStream(run.labels, run.num_classes)
    means = run.val_class_means(initial=True)
    for losses, mean in zip(run.trajectories["post_epoch", Signal.LOSS], means, strict=True):
        scores.update(losses, mean)
    return scores.score()


def per_checkpoint(run: ProxyRun) -> list[list[object]]:
    """A row each for an update of the one-pass form and for one pass over its state: name, median and least
    ms. The update of a checkpoint and the pass take turns."""
    stream = CLDStream(run.labels, run.num_classes)
    state = [
        array
        for holder in (stream, stream._samples)
        for array in vars(holder).values()
        if isinstance(array, np.ndarray) and len(array) == len(run.labels)
    ]
    seconds = []
    for losses, mean in zip(
        run.trajectories["post_epoch", Signal.LOSS], run.val_class_means(initial=True), strict=True
    ):
        begin = time.perf_counter()
        stream.update(losses, mean)
        between = time.perf_counter()
        for array in state:
            array.sum()
        seconds.append((between - begin, time.perf_counter() - between))
    names = (
        "CLDStream.update, a checkpoint",
        f"numpy.sum of its state, {sum(a.nbytes for a in state) / 1e6:.0f} MB",
    )
    columns = 1000 * np.array(seconds).T
    return [[name, np.median(ms), min(ms)] for name, ms in zip(names, columns, strict=True)]


def measure(jobs: dict[str, Callable[[], object]], repeats: int) -> list[list[object]]:
    """A row a job: name, median and least seconds, median ratio to the first job, extra MB."""
    extra = {name: anonymous_growth(job) for name, job in jobs.items()}  # also warms the file's pages
    seconds: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(repeats):
        for name, job in jobs.items():
            start = time.perf_counter()
            job()
            seconds[name].append(time.perf_counter() - start)
    yardstick = np.array(next(iter(seconds.values())))
    return [
        [name, np.median(times), min(times), np.median(np.array(times) / yardstick), extra[name]]
        for name, times in seconds.items()
    ]


def anonymous_growth(job: Callable[[], object]) -> float | None:
    """Peak growth of the process's own memory while `job` runs, MB; None where the system does not say."""
    if anonymous_mb() is None:
        return None
    before = anonymous_mb()
    peak, done = before, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.002):
            peak = max(peak, anonymous_mb())

    watcher = threading.Thread(target=watch)
    watcher.start()
    job()
    done.set()
    watcher.join()
    return max(peak, anonymous_mb()) - before


def anonymous_mb() -> float | None:
    """RssAnon of this process in MB: memory that is neither a mapped file nor shared."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((float(line.split()[1]) / 1024 for line in lines if line.startswith("RssAnon")), None)


if __name__ == "__main__":
    main()
