"""The critical-difference diagram: average ranks over data sets, joined where they are not told apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deepcore.analysis.critical_difference import RankDifferences
from deepcore.report.figure_files import DPI, INK

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def rank_values(found: RankDifferences) -> list[tuple[str, str]]:
    """The numbers in the figure."""
    ranks = [(name, f"{rank:.6g}") for name, rank in found.ranks.ranks.items()]
    return [*ranks, ("critical", f"{found.critical:.6g}")]


def rank_figure(found: RankDifferences) -> Figure:
    """Demsar's diagram: an axis of ranks, the best at the left; each method hangs from its rank; a bar joins
    methods that Nemenyi's test does not tell apart."""
    from matplotlib.figure import Figure

    order = sorted(found.ranks.ranks.items(), key=lambda item: item[1])
    k, half = len(order), (len(order) + 1) // 2
    bars = [group for group in found.groups if len(group) > 1]
    top = 0.6 + 0.35 * len(bars)
    figure = Figure(figsize=(8.5, 1.2 + 0.22 * half + 0.1 * len(bars)), dpi=DPI, layout="constrained")
    ax = figure.subplots()
    ax.plot([1, k], [0, 0], color=INK, lw=1)
    for rank in range(1, k + 1):
        ax.plot([rank, rank], [0, 0.15], color=INK, lw=0.8)
        if k <= 12 or rank % 2:
            ax.text(rank, 0.3, str(rank), ha="center", va="bottom", fontsize=8, color=INK)
    for i, (name, rank) in enumerate(order):
        left = i < half
        y = -top - 0.55 * (i if left else k - 1 - i)
        edge = 0.6 if left else k + 0.4
        ax.plot([rank, rank, edge], [0, y, y], color="#777777", lw=0.8)
        colour = "#8b0000" if name.startswith("CLD") else INK
        weight = "bold" if name == "Random" else "normal"
        align = "right" if left else "left"
        shift = -0.1 if left else 0.1
        ax.text(edge + shift, y, f"{name} {rank:.1f}", ha=align, va="center", fontsize=8, color=colour,
                weight=weight)  # fmt: skip
    for i, group in enumerate(bars):
        ends = [found.ranks.ranks[group[0]], found.ranks.ranks[group[-1]]]
        y = -0.35 - 0.35 * i
        ax.plot([ends[0] - 0.08, ends[1] + 0.08], [y, y], color=INK, lw=3, solid_capstyle="butt")
    ax.plot([1, 1 + found.critical], [1.5, 1.5], color=INK, lw=1.5, marker="|")
    ax.text(1, 1.75, f"critical difference {found.critical:.1f}", fontsize=8, color=INK, va="bottom")
    ax.set_xlim(-0.28 * k, 1.28 * k)
    ax.set_ylim(-top - 0.55 * half, 2.6)
    ax.set_axis_off()
    return figure
