"""The forest figure: every method minus Random with its 95% interval, one panel per fraction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from deepcore.analysis.comparison import Comparison, Entry
from deepcore.report.cells import REFERENCE, percent
from deepcore.report.figure_files import DPI

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {"above": "#00695c", "below": "#b3261e", "": "#555555"}
REACH = (-12.0, 6.0)  # points of accuracy in a panel; a mean outside is an arrow with its number


def forest_values(comparisons: Sequence[Comparison]) -> list[tuple]:
    """The numbers in the figure: fraction, method, verdict, difference and interval to six digits."""
    return [
        (
            comparison.fraction,
            entry.label,
            entry.beside_random,
            [f"{x:.6g}" for x in (p.difference, p.low, p.high) if x is not None],
        )
        for comparison in comparisons
        for entry in comparison.entries
        if (p := entry.to_random) and p.difference is not None
    ]


def forest_figure(comparisons: Sequence[Comparison], title: str) -> Figure:
    """One panel per fraction. All panels have the same methods, in the order of their mean difference.

    A method with fewer than three seeds has a dot without an interval. A mean outside REACH is drawn as an
    arrow at the edge with its number.
    """
    from matplotlib.figure import Figure

    panels = [c for c in comparisons if c.fraction is not None and c.baseline]
    known: dict[str, list[float]] = {}
    references = set()
    for comparison in panels:
        for entry in comparison.entries:
            if entry.to_random is not None and entry.to_random.difference is not None:
                known.setdefault(entry.label, []).append(entry.to_random.difference)
                references |= set() if entry.is_selection else {entry.label}
    order = sorted(known, key=lambda name: (name not in references, sum(known[name]) / len(known[name])))
    figure = Figure(figsize=(2.0 + 1.9 * len(panels), 1.4 + 0.17 * len(order)), dpi=DPI, layout="constrained")
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for ax, comparison in zip(axes, panels, strict=True):
        _panel(ax, comparison, order)
    names = [name + REFERENCE if name in references else name for name in order]
    axes[0].set_yticks(range(len(order)), names, fontsize=8)
    axes[0].set_ylim(-0.7, len(order) - 0.3)
    figure.suptitle(title, fontsize=10)
    figure.supxlabel(
        "mean and 95% interval over seeds. Green: above Random, red: below (p < 0.05 after Holm). "
        f"Grey: not told apart. {REFERENCE}: not a selection",
        fontsize=8,
    )
    return figure


def _panel(ax: Axes, comparison: Comparison, order: Sequence[str]) -> None:
    low, high = REACH
    ax.axvline(0, color="#999999", linewidth=0.8, zorder=1)
    ax.set_xlim(low, high)
    ax.set_title(f"{percent(comparison.fraction)} kept", fontsize=9)
    ax.tick_params(axis="both", length=2, labelsize=7.5)
    ax.grid(axis="y", color="#eeeeee", zorder=0)
    for side in ("top", "right", "left"):
        ax.spines[side].set_visible(False)
    for entry in comparison.entries:
        if entry.label in order and entry.to_random and entry.to_random.difference is not None:
            _draw(ax, order.index(entry.label), entry)


def _draw(ax: Axes, y: int, entry: Entry) -> None:
    """A dot with its interval, or an arrow at the edge."""
    low, high = REACH
    pair, colour = entry.to_random, COLOURS[entry.beside_random]
    face = colour if entry.is_selection else "white"
    mean = pair.difference
    if low < mean < high:
        if pair.low is not None:
            ax.plot([max(pair.low, low), min(pair.high, high)], [y, y], color=colour, linewidth=1.3, zorder=2)
        ax.plot([mean], [y], "o", markersize=4.5, color=colour, markerfacecolor=face, zorder=3)
        return
    end, text, where = (low, "left", 0.9) if mean <= low else (high, "right", -0.9)
    ax.plot([end], [y], "<" if mean <= low else ">", color=colour, markersize=4, clip_on=False, zorder=3)
    ax.text(end + where, y, f"{mean:+.1f}", ha=text, va="center", fontsize=7, color=colour)
