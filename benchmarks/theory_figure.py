"""The figure of theory_check.py."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.claims import Record
from deepcore.report.cells import percent
from deepcore.report.figure_files import DPI, INK, dress

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {"CLD": "#8b0000", "CLD:keep=lowest": "#e57373", "LTC": "#e08a1e", "Random": "#111111"}
OTHERS = ("#1f77b4", "#2e7d32", "#8e5bc0", "#2ca6a4", "#777777")


def draw(records: Sequence[Record]) -> Figure:
    """kappa along training; kappa and accuracy of the methods; the bound beside its left side."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11.5, 3.9), dpi=DPI, layout="constrained")
    first, second, third = figure.subplots(1, 3)
    methods = list(dict.fromkeys(r["method"] for r in records if r["measure"] == "accuracy"))
    rest = iter(OTHERS)
    colours = {m: COLOURS.get(m) or next(rest) for m in methods}
    _curves(first, records, colours)
    _ranking(second, records, colours)
    _bound(third, records)
    figure.legend(
        *second.get_legend_handles_labels(), fontsize=8, frameon=False, loc="outside lower center", ncols=9
    )
    return figure


def _mean(records: Sequence[Record], measure: str, method: str, fraction: float) -> float:
    wanted = (measure, method, fraction)
    return float(
        np.mean([r["value"] for r in records if (r["measure"], r["method"], r["fraction"]) == wanted])
    )


def _curves(ax: Axes, records: Sequence[Record], colours: dict[str, str]) -> None:
    for method, colour in colours.items():
        own = [r for r in records if r["measure"] == "kappa_at" and r["method"] == method]
        ax.plot([r["step"] for r in own], [r["value"] for r in own], color=colour, lw=1.4)
    fraction = max(r["fraction"] for r in records if r["measure"] == "kappa_at")
    ax.set_xlabel("step of gradient descent", fontsize=9, color=INK)
    ax.set_ylabel("kappa: 1 - cosine with the\nvalidation gradient, mean", fontsize=9, color=INK)
    ax.set_title(f"Alignment along training, {percent(fraction)} kept", fontsize=10, color=INK)
    dress(ax)


def _ranking(ax: Axes, records: Sequence[Record], colours: dict[str, str]) -> None:
    fractions = sorted({r["fraction"] for r in records if r["measure"] == "accuracy"})
    for method, colour in colours.items():
        x = [_mean(records, "kappa_mean", method, f) for f in fractions]
        y = [_mean(records, "accuracy", method, f) for f in fractions]
        ax.plot(x, y, "-", color=colour, lw=0.7, alpha=0.6)
        sizes = [16 + 24 * i for i in range(len(fractions))]
        ax.scatter(x, y, sizes, color=colour, label=method, zorder=3)
    kept = ", ".join(percent(f) for f in fractions)
    ax.set_xlabel("mean kappa", fontsize=9, color=INK)
    ax.set_ylabel("test accuracy, %", fontsize=9, color=INK)
    ax.set_title(
        f"Does a small kappa mean accuracy?\n(larger dots: more kept; {kept})", fontsize=10, color=INK
    )
    dress(ax)


def _bound(ax: Axes, records: Sequence[Record]) -> None:
    fraction = max(r["fraction"] for r in records if r["measure"] == "accuracy")
    bars = {
        "left side:\nmin ||grad R||²": "risk2_min",
        "||grad R||²\nbefore training": "risk2_start",
        "start:\n2 R / (eta T)": "term_start",
        "step:\nL eta B²": "term_step",
        "alignment:\n(B √(2 kappa) + delta)²": "term_alignment",
    }
    values = [_mean(records, name, "CLD", fraction) for name in bars.values()]
    ax.barh(range(len(bars)), values, color=["#8b0000", "#777777", *["#1f77b4"] * 3])
    for i, value in enumerate(values):
        ax.text(value * 1.3, i, f"{value:.3g}", va="center", fontsize=8, color=INK)
    ax.set_yticks(range(len(bars)), list(bars), fontsize=8)
    ax.invert_yaxis()
    ax.set_xscale("log")
    ax.set_xlabel("log scale", fontsize=9, color=INK)
    ax.set_xlim(min(values) / 3, max(values) * 20)
    ax.set_title(f"The bound (15), CLD, {percent(fraction)} kept", fontsize=10, color=INK)
    dress(ax, "x")
