"""How long the rivals that read features take, and their peak memory: D2, Glister and the greedy ones.

    python benchmarks/graph_speed.py                              54,000 x 512, 10 classes, 10% kept
    python benchmarks/graph_speed.py --methods D2:neighbors=10    any method in the form of --selection

Features are rectified normal numbers around a centre per class. Each method runs in a process of its own;
seconds are of `select`, peak is the highest resident memory of the process, `before` what the run took.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # as main.py does
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a clone without installation

import numpy as np

import methods
from deepcore.common.seeding import stream
from deepcore.proxy.run import ProxyRun
from deepcore.proxy.signals import Signal
from deepcore.selection.budget import Budget

METHODS = (
    "D2:neighbors=10,normalize=true",
    "D2:neighbors=10,normalize=true,graph=global,class_balanced=false",
    "Glister",
    *("Herding", "KCenter", "GraphCut", "FacilityLocation", "CRAIG", "GradMatch"),
)


def main() -> None:
    """Time each method in a process of its own, or (--one) the one method in this process."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--n", type=int, default=54_000, help="candidates; a ninth as many validation rows")
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--fraction", type=float, default=0.1)
    parser.add_argument("--methods", nargs="+", default=METHODS)
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        measure(args.methods[0], make_run(args.n, args.dim, args.classes), args.fraction)
        return
    sizes = [f"--{name}={getattr(args, name)}" for name in ("n", "dim", "classes", "fraction")]
    for method in args.methods:
        subprocess.run([sys.executable, __file__, "--one", *sizes, "--methods", method], check=True)


def make_run(n: int, dim: int, classes: int, epochs: int = 20) -> ProxyRun:
    """Features, logits of a fixed last layer, and random margins."""
    rng = stream(0, "graph_speed")
    centres = rng.standard_normal((classes, dim), dtype=np.float32)
    arrays = []
    for count in (n, n // 9):
        labels = np.arange(count) % classes
        features = rng.standard_normal((count, dim), dtype=np.float32)
        features += 0.3 * centres[labels]
        np.maximum(features, 0, out=features)
        arrays.append((labels, {Signal.FEATURES: features, Signal.LOGITS: features @ (0.05 * centres.T)}))
    margins = rng.standard_normal((epochs, n), dtype=np.float32)
    return ProxyRun(
        ids=np.arange(n),
        labels=arrays[0][0],
        num_classes=classes,
        val_ids=np.arange(n, n + len(arrays[1][0])),
        val_labels=arrays[1][0],
        trajectories={("online", Signal.MARGIN): margins, ("online", Signal.MARGIN_P): np.tanh(margins)},
        final=arrays[0][1],
        val_final=arrays[1][1],
        has_initial=False,
    )


def measure(text: str, run: ProxyRun, fraction: float) -> None:
    """Print seconds, processor seconds and peak memory of one selection."""
    method, before = methods.parse(text), _peak()
    budget = Budget.of(fraction, len(run.ids))
    wall, used = time.perf_counter(), time.process_time()
    method.select(run, budget, stream(0, "select"))
    wall, used = time.perf_counter() - wall, time.process_time() - used
    print(
        f"{text}, k = {budget.k:,}: {wall:.1f} s ({used:.1f} s of processor time), "
        f"peak {_peak():.2f} GB (before {before:.2f})",
        flush=True,
    )


def _peak() -> float:
    """GB; ru_maxrss is in kB on Linux."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


if __name__ == "__main__":
    main()
