"""The greedy choices of one class beside libraries made for them: processor time on one thread, and whether
they pick the same rows.

    python benchmarks/greedy_libraries.py        5,400 x 512, 10% kept, as in benchmarks/graph_speed.py

A library that is not installed is left out and named: `pip install apricot-select submodlib-py faiss-cpu`.
Kernels count for all: the libraries get theirs from numpy, whole.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

for _threads in ("OMP", "OPENBLAS", "MKL", "NUMBA"):
    os.environ[f"{_threads}_NUM_THREADS"] = "1"
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a clone without installation

import numpy as np
import torch
from graph_speed import make_run

from deepcore.proxy.signals import Signal
from deepcore.scoring.facility_location import facility_location
from deepcore.scoring.gradient_kernel import GradientKernel, unit_gradients
from deepcore.scoring.graph_cut import graph_cut
from deepcore.scoring.k_center import k_center
from deepcore.scoring.last_layer import LastLayer

FIRST = 7  # of k-Center

Choice = Callable[[], "np.ndarray | list[int]"]


def main() -> None:
    """One line for each choice of this package, then one for each library that makes it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--n", type=int, default=5_400)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--fraction", type=float, default=0.1)
    args = parser.parse_args()
    run = make_run(10 * args.n, args.dim, 10)
    rows = np.flatnonzero(run.labels == 0)
    layer = LastLayer.of(run, rows, torch.device("cpu"), val=False)
    features = run.final_array(Signal.FEATURES)[rows]
    k = round(args.fraction * args.n)
    ours: dict[str, Choice] = {
        "k-Center": lambda: k_center(torch.tensor(features), FIRST, k),
        "facility location": lambda: facility_location(GradientKernel(layer, "cosine"), k, floor=0.0).order,
        "graph cut": lambda: graph_cut(layer, k, 2.0),
    }
    orders = {what: timed(what, "this package", choice) for what, choice in ours.items()}
    for library in (faiss_choices, apricot_choices, submodlib_choices):
        try:
            for what, name, choice in library(features, layer, k):
                timed(what, name, choice, orders[what])
        except ImportError as missing:
            print(f"{missing.name} is not installed: left out")


def timed(what: str, who: str, choice: Choice, order: np.ndarray | None = None) -> np.ndarray:
    """Run a choice, print its processor time, and how many picks it shares with `order`."""
    start = time.process_time()
    found = np.asarray(choice())
    seconds = time.process_time() - start
    same = ""
    if order is not None:
        same = f", {np.isin(found, order).sum()} of {len(order)} rows the same"
        same += " in the same order" if np.array_equal(found, order) else ""
    print(f"{what}, {who}: {seconds:.2f} s{same}", flush=True)
    return found


def kernel(layer: LastLayer) -> np.ndarray:
    """0.5 + 0.5 cos of the gradients, whole."""
    units = unit_gradients(layer)
    inputs, errors = units.inputs.numpy(), units.errors.numpy()
    return 0.5 + 0.5 * (inputs @ inputs.T) * (errors @ errors.T)


def faiss_choices(features: np.ndarray, layer: LastLayer, k: int) -> Iterator[tuple[str, str, Choice]]:
    """Distances of each pick to all, in float32."""
    import faiss

    def centres() -> list[int]:
        picks, nearest = [FIRST], np.full(len(features), np.inf, np.float32)
        while len(picks) < k:
            nearest = np.minimum(nearest, faiss.pairwise_distances(features[picks[-1:]], features)[0])
            nearest[picks[-1]] = -1
            picks.append(int(nearest.argmax()))
        return picks

    yield "k-Center", "faiss", centres


def apricot_choices(features: np.ndarray, layer: LastLayer, k: int) -> Iterator[tuple[str, str, Choice]]:
    """Lazy, on a whole kernel in float64."""
    from apricot import FacilityLocationSelection, GraphCutSelection

    options = {"metric": "precomputed", "optimizer": "lazy"}
    small = np.full((9, 9), 0.5)
    for selector in (FacilityLocationSelection, GraphCutSelection):
        selector(2, **options).fit(small)  # compiled before it is timed
    yield (
        "facility location",
        "apricot",
        lambda: FacilityLocationSelection(k, **options).fit(kernel(layer)).ranking,
    )
    yield "graph cut", "apricot", lambda: GraphCutSelection(k, alpha=2, **options).fit(kernel(layer)).ranking


def submodlib_choices(features: np.ndarray, layer: LastLayer, k: int) -> Iterator[tuple[str, str, Choice]]:
    """Lazy, on a whole kernel in float32."""
    from submodlib import FacilityLocationFunction, GraphCutFunction

    def picks(objective: object) -> list[int]:
        found = objective.maximize(
            budget=k,
            optimizer="LazyGreedy",
            stopIfZeroGain=False,
            stopIfNegativeGain=False,
            verbose=False,
            show_progress=False,
        )
        return [row for row, _ in found]

    def single() -> np.ndarray:
        return kernel(layer).astype(np.float32)

    n = len(features)
    yield (
        "facility location",
        "submodlib",
        lambda: picks(FacilityLocationFunction(n=n, mode="dense", sijs=single(), separate_rep=False)),
    )
    # its gain is sum_i K_ij - lambda (2 sum_a K_aj + K_jj): half of ours with lam 2, but for a constant
    yield (
        "graph cut",
        "submodlib",
        lambda: picks(GraphCutFunction(n=n, mode="dense", lambdaVal=0.5, ggsijs=single())),
    )


if __name__ == "__main__":
    main()
