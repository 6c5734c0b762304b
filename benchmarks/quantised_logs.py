"""An open question of the LTC paper, storage: how coarsely may the losses be stored?

    python benchmarks/quantised_logs.py

The losses of a proxy run, candidates and validation rows, are rounded to a format and read back. CLD's scores
and its coreset of 10% are compared with those of float32. "int8 of the loss" cuts each checkpoint's range
into 255 equal steps; "int8 of log loss" does so with log(loss + 1e-6).
"""

from __future__ import annotations

import dataclasses
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import torch
from scipy.stats import spearmanr

from benchmarks.claim_intervals import adjusted, beside, is_above, p_words, t_interval
from benchmarks.claims import Claim, Record, Setting, Size, Verdict, main, verdict_by
from benchmarks.gpu_hours import Load, stand_in
from benchmarks.pool_split import chosen, pool_run
from deepcore.data.split import make_split
from deepcore.proxy.run import ProxyRun
from deepcore.proxy.signals import Signal
from deepcore.report.figure_files import DPI, INK, dress
from deepcore.report.text_table import TextTable
from methods.cld import CLD

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KEPT = 0.1
EPSILON = 1e-6  # added to losses before the logarithm


def by_steps(losses: np.ndarray) -> np.ndarray:
    """Each row's range in 255 equal steps, and back, float32; a byte for each number and 8 for each row."""
    low, high = (f(losses, axis=1, keepdims=True).astype(np.float64) for f in (np.min, np.max))
    step = np.where(high > low, (high - low) / 255, 1.0)
    codes = np.round((losses - low) / step).astype(np.uint8)
    return (low + step * codes).astype(np.float32)


def by_log_steps(losses: np.ndarray) -> np.ndarray:
    """As `by_steps`, of log(loss + EPSILON)."""
    return (np.exp(by_steps(np.log(losses + EPSILON)).astype(np.float64)) - EPSILON).astype(np.float32)


FORMATS: dict[str, tuple[int, Callable[[np.ndarray], np.ndarray]]] = {  # bytes a loss; round and read back
    "float32": (4, lambda losses: losses),
    "float16": (2, lambda losses: losses.astype(np.float16).astype(np.float32)),
    "bfloat16": (2, lambda losses: torch.from_numpy(losses).bfloat16().float().numpy()),
    "int8 of the loss": (1, by_steps),
    "int8 of log loss": (1, by_log_steps),
}

SIZES = {
    "quick": Size("Digits", ("MLP",), (KEPT,), 3, 20),
    "reduced": Size("Digits", ("MLP",), (KEPT,), 5),
    "full": Size("CIFAR100", ("ResNet18",), (KEPT,), 5),
}


def loads(size: Size) -> list[Load]:
    """Proxy runs."""
    n, epochs = len(stand_in(size.dataset).train), size.recipe.epochs
    candidates = n * (1 - stand_in(size.dataset).val_fraction)
    return [Load(size.dataset, size.nets[0], size.seeds * candidates * epochs, size.seeds * n * (epochs + 1))]


def measure(setting: Setting) -> list[Record]:
    """Seed by seed."""
    return setting.seed_by_seed("quantised_logs", lambda seed: _of_seed(setting, seed))


def _of_seed(setting: Setting, seed: int) -> list[Record]:
    labels, share = setting.data.train.labels, setting.data.val_fraction
    _, run = pool_run(setting, make_split(labels, val_fraction=share, seed=seed))
    exact, kept = CLD().score(run), chosen(CLD(), run, KEPT, seed=seed)
    return [
        {"seed": seed, "format": name, "bytes_per_loss": size} | compare(rounded(run, restore), exact, kept)
        for name, (size, restore) in FORMATS.items()
    ]


def rounded(run: ProxyRun, restore: Callable[[np.ndarray], np.ndarray]) -> ProxyRun:
    """The run with its losses stored coarsely."""
    train = {key: restore(np.array(rows)) for key, rows in run.trajectories.items() if key[1] is Signal.LOSS}
    val = {Signal.LOSS: restore(np.array(run.val_trajectories[Signal.LOSS]))}
    return dataclasses.replace(run, trajectories=train, val_trajectories=val)


def compare(run: ProxyRun, exact: np.ndarray, kept: np.ndarray) -> dict[str, float]:
    """Errors of the scores of a run, and the percentage of `kept` that its coreset keeps."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # losses that no longer vary: that is what is measured
        scores, rows = CLD().score(run), chosen(CLD(), run, KEPT, seed=0)
    return {
        "mean_error": float(np.abs(scores - exact).mean()),
        "largest_error": float(np.abs(scores - exact).max()),
        "spearman": float(spearmanr(scores, exact)[0]),
        "same_rows": 100 * float(np.isin(kept, rows).mean()),
    }


def values(records: Sequence[Record], name: str, measure: str) -> list[float]:
    """Of each seed."""
    return [r[measure] for r in records if r["format"] == name]


def judge(records: Sequence[Record]) -> list[Verdict]:
    """At least 95% of the same coreset."""
    found = []
    tests = {name: beside(values(records, name, "same_rows"), 95.0) for name in list(FORMATS)[1:]}
    for name, test in adjusted(tests).items():
        mean, low, high = t_interval(values(records, name, "same_rows"))
        what = f"losses stored as {name} give at least 95% of the coreset of float32"
        text = f"{mean:.1f}% [{low:.1f}, {min(high, 100.0):.1f}], {p_words(test)}"
        found.append(verdict_by(is_above(test), what, text))
    return found


def table(records: Sequence[Record]) -> TextTable:
    """A line for each format."""
    lines = []
    for name, (size, _) in FORMATS.items():
        mean = {m: np.mean(values(records, name, m)) for m in ("mean_error", "spearman", "same_rows")}
        largest = max(values(records, name, "largest_error"))
        cells = (
            f"{mean['mean_error']:.2g}",
            f"{largest:.2g}",
            f"{mean['spearman']:.4f}",
            f"{mean['same_rows']:.1f}",
        )
        lines.append((name, size, *cells))
    headers = (
        "losses stored as",
        "bytes each",
        "mean error",
        "largest error",
        "Spearman",
        "same rows at 10%, %",
    )
    seeds = len(values(records, "float32", "spearman"))
    return TextTable(f"CLD from coarse losses against float32, {seeds} seeds", headers, tuple(lines))


def draw(records: Sequence[Record]) -> Figure:
    """Kept rows that stay, and errors of the scores."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.6, 3.2), dpi=DPI, layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    shown = list(FORMATS)[1:]
    for i, name in enumerate(shown):
        for ax, what in ((left, "same_rows"), (right, "mean_error")):
            own = values(records, name, what)
            ax.plot(own, [i] * len(own), "o", markersize=5, color="#8b0000", alpha=0.5)
            ax.plot([np.mean(own)], [i], "|", markersize=18, mew=2, color="#8b0000")
    labels = [f"{name}\n({FORMATS[name][0]} bytes)".replace("1 bytes", "1 byte") for name in shown]
    left.set_yticks(range(len(shown)), labels, fontsize=8)
    left.set_ylim(len(shown) - 0.5, -0.5)
    left.set_xlabel("rows of float32's 10% coreset that are kept, %", fontsize=9, color=INK)
    right.set_xlabel("mean error of a score (log scale)", fontsize=9, color=INK)
    right.set_xscale("log")
    figure.suptitle("CLD from losses stored coarsely (dots: seeds)", fontsize=10, color=INK)
    for ax in (left, right):
        dress(ax, "x")
    return figure


CLAIM = Claim("quantised_logs", "LTC, storage", SIZES, loads, measure, judge, table, draw, in_paper=False)

if __name__ == "__main__":
    sys.exit(main(CLAIM))
