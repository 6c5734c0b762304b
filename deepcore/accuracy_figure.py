"""Accuracy, and its paired difference from Random, against the fraction kept: a line and band per method."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from deepcore.checks import UsageError
from deepcore.comparison import REFERENCE, Block, Entry
from deepcore.figures import COLOURS, DPI, INK

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

PALETTE = ("#1f77b4", "#e08214", "#2a9d5c", "#7b5ea7", "#c2559d", "#17a2b8", "#8a6d3b", "#9aa51f", "#d1495b")
MARKERS = "osD^vP*Xp<>h"
DOTS = ((1, 2), (5, 2), (3, 1, 1, 1))
Point = tuple[float, float, float, float]  # fraction in percent, value, lower and upper end of the band


def accuracy_figure(found: Sequence[Block]) -> Figure:
    """The blocks of one data set and net. Above: mean test accuracy at each fraction (log), band ± one sample
    standard deviation over seeds; methods that fix their own size (Full) are horizontal lines. Below, where
    Random ran: mean paired difference from it, band its 95% interval.

    Args:
        found: `deepcore.comparison.blocks` of one data set and net, at least one with a fraction.

    Returns:
        A matplotlib Figure; `deepcore.figures.save_figure` writes it.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    if len({(block.dataset, block.net) for block in found}) != 1:
        raise UsageError("an accuracy figure shows one data set and one target net")
    entries: dict[str, list[tuple[float, Entry]]] = {}
    for block in found:
        for entry in block.entries if block.fraction is not None else ():
            entries.setdefault(entry.method, []).append((100 * block.fraction, entry))
    if not entries:
        raise UsageError("an accuracy figure needs at least one fraction")
    panels = 2 if any(entry.to_reference for values in entries.values() for _, entry in values) else 1
    figure = Figure(figsize=(9.2, 1.2 + 3.7 * panels), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(panels, sharex=True, squeeze=False)[:, 0]
    others = [name for name in entries if name not in (REFERENCE, "CLD")]
    for name, values in entries.items():
        place = others.index(name) if name in others else None
        dashed = name == REFERENCE or not values[0][1].is_selection
        line = _line(axes[0], [_accuracy(x, entry) for x, entry in values], name, place, dashed)
        line.set_label(name if values[0][1].is_selection else f"{name} (no selection)")
        differences = [point for x, entry in values if (point := _difference(x, entry))]
        if panels == 2 and differences:
            _line(axes[1], differences, name, place, dashed)
    sizes = [entry for block in found if block.fraction is None for entry in block.entries]
    for i, entry in enumerate(sizes):
        label, dots = f"{entry.method} ({entry.k:,} rows)", (0, DOTS[i % len(DOTS)])
        axes[0].axhline(entry.accuracy.mean, color=INK, lw=1.1, ls=dots, label=label, zorder=2)
    _dress(axes, sorted({x for values in entries.values() for x, _ in values}))
    axes[0].set_title(f"{found[0].dataset}, {found[0].net}", loc="left", fontsize=12, color=INK)
    figure.legend(loc="outside right upper", frameon=False, fontsize=9)
    return figure


def _accuracy(fraction: float, entry: Entry) -> Point:
    mean, std = entry.accuracy.mean, entry.accuracy.std or 0.0
    return fraction, mean, mean - std, mean + std


def _difference(fraction: float, entry: Entry) -> Point | None:
    """None where there is no common seed with Random."""
    pair = entry.to_reference
    if pair is None or pair.difference is None:
        return None
    low = pair.difference if pair.low is None else pair.low
    high = pair.difference if pair.high is None else pair.high
    return fraction, pair.difference, low, high


def _line(ax: Axes, points: Sequence[Point], name: str, place: int | None, dashed: bool) -> Line2D:
    """A method's line and band; `place` is its number among those without a colour of their own."""
    x, value, low, high = zip(*points, strict=True)
    colour = COLOURS["reference" if name == REFERENCE else "CLD"]
    if place is not None:
        colour = PALETTE[place % len(PALETTE)]
    ax.fill_between(x, low, high, color=colour, alpha=0.11, lw=0, zorder=1)
    (line,) = ax.plot(
        x,
        value,
        color=colour,
        lw=2.2 if place is None else 1.4,
        ls="--" if dashed else "-",
        marker=MARKERS[(place or 0) % len(MARKERS)],
        ms=4.5,
        zorder=4 if place is None else 3,
    )
    return line


def _dress(axes: Sequence[Axes], fractions: list[float]) -> None:
    """Scales, names and grid; the zero line of the differences."""
    for ax, name in zip(axes, ("test accuracy, %", f"minus {REFERENCE}, points"), strict=False):
        ax.set_ylabel(name, color=INK)
        ax.grid(color="#dddddd", lw=0.6)
        ax.spines[["top", "right"]].set_visible(False)
    for ax in axes[1:]:
        ax.axhline(0.0, color=COLOURS["reference"], lw=2.2, ls="--", zorder=2)
    axes[-1].set_xscale("log")
    axes[-1].set_xticks(fractions, [f"{fraction:g}" for fraction in fractions])
    axes[-1].minorticks_off()
    axes[-1].set_xlabel("fraction kept, %", color=INK)
