"""Seconds and memory of `python -m deepcore select` on large logs.

    python benchmarks/log_speed.py            an .npz of 91 x 1,281,167 losses (466 MB), a CSV of 10^7 rows
    python benchmarks/log_speed.py --of npz folder csv parquet --repeats 3

Each command runs in a process of its own, imports included, and writes the 10% that CLD keeps. Seconds are
medians: by the clock, and of the processor, which others on the machine disturb less. Own memory is the peak
of the process's anonymous pages (Linux), less that of the same command on a log of 20 samples: pages of the
mapped file do not count. All memory is the peak of all resident pages. The logs lie in a temporary folder and
are removed.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from tabulate import tabulate

ROOT = Path(__file__).resolve().parents[1]
FORMS = ("npz", "folder", "csv", "parquet")
TABLE = {"samples": 200_000, "val": 50_000, "epochs": 40, "classes": 100}  # 10^7 rows


def main() -> None:
    """Write each log, select from it, print, remove it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--of", nargs="+", choices=FORMS, default=["npz", "csv"])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--n", type=int, default=1_281_167, help="samples of the arrays")
    parser.add_argument("--checkpoints", type=int, default=91, help="of the arrays")
    parser.add_argument("--rows_of_table", type=int, default=10**7)
    parser.add_argument("--tmp", help="where the temporary folder goes")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.tmp) as folder:
        small = write_arrays(Path(folder), "npz", 20, 5, 2)
        idle = min(select(small)[2] for _ in range(2))
        rows = []
        for form in args.of:
            if form in ("npz", "folder"):
                log = write_arrays(Path(folder), form, args.n, args.checkpoints, 1000)
            else:
                log = write_table(Path(folder), form, args.rows_of_table)
            runs = np.array([select(log) for _ in range(args.repeats)])
            clock, processor = np.median(runs[:, :2], axis=0)
            own, whole = runs[:, 2:].max(axis=0)
            rows.append([form, size_of(log) / 1e6, clock, processor, own - idle, whole])
            shutil.rmtree(log) if log.is_dir() else log.unlink()
    headers = ["log", "MB", "seconds", "processor s", "own memory, MB", "all memory, MB"]
    print(tabulate(rows, headers, floatfmt=("", ",.0f", ".2f", ".2f", ",.0f", ",.0f")))


def write_arrays(folder: Path, form: str, count: int, checkpoints: int, classes: int) -> Path:
    """Falling, noisy losses and class means of validation rows, by the names of the documentation."""
    rng = np.random.default_rng(0)
    arrays = {
        "train_losses": np.stack([falling(rng, t, count) for t in range(checkpoints)]),
        "train_labels": rng.integers(0, classes, count),
        "val_losses": np.stack([falling(rng, t, classes) for t in range(checkpoints)]),
    }
    if form == "npz":
        path = folder / f"log{count}.npz"
        np.savez(path, **arrays)
        return path
    path = folder / "log"
    path.mkdir()
    for name, array in arrays.items():
        np.save(path / f"{name}.npy", array)
    return path


def falling(rng: np.random.Generator, t: int, count: int) -> np.ndarray:
    """(count,) losses of checkpoint t."""
    return rng.random(count, dtype=np.float32) * np.float32(7 * np.exp(-t / 20) + 0.01)


def write_table(folder: Path, form: str, rows: int) -> Path:
    """A long table, an epoch after the other, each shuffled."""
    import pyarrow
    import pyarrow.csv
    import pyarrow.parquet

    share = rows / (TABLE["epochs"] * (TABLE["samples"] + TABLE["val"]))
    samples, val = int(TABLE["samples"] * share), int(TABLE["val"] * share)
    path = folder / f"log.{form}"
    with open(path, "wb") as handle:
        writer = None
        for table in epochs_of(samples, val):
            if writer is None:
                kind = pyarrow.csv.CSVWriter if form == "csv" else pyarrow.parquet.ParquetWriter
                writer = kind(handle, table.schema)
            writer.write_table(table)
        writer.close()
    return path


def epochs_of(samples: int, val: int) -> Iterator[object]:
    """The rows of each epoch."""
    import pyarrow

    rng = np.random.default_rng(0)
    labels = [rng.integers(0, TABLE["classes"], samples), np.arange(val) % TABLE["classes"]]
    ids = np.concatenate([np.arange(samples), np.arange(val)])
    split = np.repeat(["train", "val"], [samples, val])
    for t in range(TABLE["epochs"]):
        order = rng.permutation(len(ids))
        columns = {"id": ids, "split": split, "label": np.concatenate(labels)}
        columns |= {"epoch": np.full(len(ids), t + 1), "loss": falling(rng, t, len(ids))}
        yield pyarrow.table({name: column[order] for name, column in columns.items()})


def select(log: Path) -> tuple[float, float, float, float]:
    """Seconds by the clock and of the processor; peaks of the process's own memory and of all of it, MB."""
    command = [sys.executable, "-m", "deepcore", "select", str(log), "--method", "CLD", "--fraction", "0.1"]
    out = log.with_name("coreset.csv")
    start, used = time.perf_counter(), processor_seconds()
    process = subprocess.Popen([*command, "--out", str(out)], cwd=ROOT, stderr=subprocess.DEVNULL)
    own = whole = 0.0
    while process.poll() is None:
        found = memory(process.pid)
        own, whole = max(own, found.get("RssAnon", 0)), max(whole, found.get("VmHWM", 0))
        time.sleep(0.01)
    seconds = time.perf_counter() - start
    if process.returncode or out.read_text().count("\n") < 2:
        raise SystemExit(f"{' '.join(command)} failed with {process.returncode}")
    out.unlink()
    return seconds, processor_seconds() - used, own, whole


def processor_seconds() -> float:
    """Of all processes that this one started and that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def memory(pid: int) -> dict[str, float]:
    """Lines of /proc/PID/status in MB; none where the system has no such file."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return {}
    fields = (line.split() for line in lines if line.endswith(" kB"))
    return {name.rstrip(":"): float(kb) / 1000 for name, kb, _ in fields}


def size_of(log: Path) -> int:
    """Bytes of a file, or of the files of a folder."""
    return sum(path.stat().st_size for path in log.iterdir()) if log.is_dir() else log.stat().st_size


if __name__ == "__main__":
    main()
