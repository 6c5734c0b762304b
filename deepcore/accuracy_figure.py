"""Accuracy against the fraction kept: a line and a band per method, or a row per method at one fraction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from deepcore.comparison import BASELINE, Comparison, Entry
from deepcore.figures import COLOURS, DPI, INK
from deepcore.tables import REFERENCE, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PALETTE = (
    *("#1f77b4", "#e07b00", "#2ca02c", "#8e5bc0", "#17a2b8", "#d6498f", "#8c6d31", "#7f9a00"),
    *("#4a4e9d", "#c0504d", "#00796b", "#a87bb8"),
)
MARKERS = "osD^vPX<>hd*"
LOG_FROM = 4.0  # ratio of fractions from which the axis is logarithmic
WIDE, NARROW = (8.8, 4.7), (3.7, 4.9)  # inches


@dataclass(frozen=True)
class Curve:
    """One method: its entries by fraction, and how it is drawn."""

    label: str
    points: tuple[tuple[float, Entry], ...]
    colour: str
    marker: str
    is_selection: bool

    @property
    def name(self) -> str:
        """As in the tables."""
        return self.label if self.is_selection else self.label + REFERENCE

    @property
    def width(self) -> float:
        """Of the line."""
        return 2.2 if self.label in ("CLD", BASELINE) else 1.4


def accuracy_figure(comparisons: Sequence[Comparison], *, narrow: bool = False) -> Figure:
    """Mean accuracy by fraction, bands of one sample standard deviation over seeds.

    Reference rows are dashed; what has no fraction (Full) is a level line. At a single fraction there is a
    row per method instead, with a bar of one standard deviation.

    Args:
        comparisons: of one net, with at least one fraction.
        narrow: for a phone: the names are below the axes instead of at the ends of the lines.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    of_fraction = [comparison for comparison in comparisons if comparison.fraction is not None]
    levels = [e for c in comparisons if c.fraction is None for e in c.entries]
    curves = _curves(of_fraction)
    rows = len(curves) + len(levels)
    single = len(of_fraction) == 1
    width, height = NARROW if narrow else WIDE
    height = 1.1 + 0.3 * rows if single else height + (0.1 * rows if narrow else 0)
    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    ax = figure.add_subplot()
    if single:
        _rows(ax, curves, levels)
        ax.set_xlabel(f"test accuracy, %, {percent(of_fraction[0].fraction)} kept", fontsize=10, color=INK)
    else:
        _lines(ax, curves, levels)
        _name(figure, ax, curves, levels, narrow)
    ax.grid(True, axis="x" if single else "both", color="#e8e8e8", lw=0.7, zorder=0)
    ax.set_axisbelow(True)
    ax.tick_params(labelsize=9, colors=INK, length=3)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        ax.spines[side].set_color("#999999")
    return figure


def _curves(comparisons: Sequence[Comparison]) -> list[Curve]:
    """One per label, in order of first appearance; CLD and Random have colours of their own."""
    found: dict[str, list[tuple[float, Entry]]] = {}
    for comparison in comparisons:
        for entry in comparison.entries:
            found.setdefault(entry.label, []).append((comparison.fraction, entry))
    curves, others = [], 0
    for label, points in found.items():
        is_selection = points[0][1].is_selection
        colour = {"CLD": COLOURS["CLD"], BASELINE: "#111111"}.get(label)
        if colour is None:
            colour = PALETTE[others % len(PALETTE)] if is_selection else COLOURS["reference"]
            others += is_selection
        marker = MARKERS[len(curves) % len(MARKERS)]
        curves.append(Curve(label, tuple(points), colour, marker, is_selection))
    return curves


def _lines(ax: Axes, curves: Sequence[Curve], levels: Sequence[Entry]) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    for curve in curves:
        x = [fraction for fraction, _ in curve.points]
        means = [entry.accuracy.mean for _, entry in curve.points]
        spreads = [entry.accuracy.std or 0.0 for _, entry in curve.points]
        low = [mean - std for mean, std in zip(means, spreads, strict=True)]
        high = [mean + std for mean, std in zip(means, spreads, strict=True)]
        ax.fill_between(x, low, high, color=curve.colour, alpha=0.11, lw=0, zorder=2)
        ax.plot(
            x,
            means,
            color=curve.colour,
            lw=curve.width,
            ls="-" if curve.is_selection else (0, (4, 2)),
            marker=curve.marker,
            markersize=4.5,
            markerfacecolor=curve.colour if curve.is_selection else "white",
            zorder=4 if curve.label in ("CLD", BASELINE) else 3,
            clip_on=False,
        )
    for entry in levels:
        ax.axhline(entry.accuracy.mean, color=COLOURS["reference"], lw=1, ls=(0, (1, 1.5)), zorder=1)
    fractions = sorted({fraction for curve in curves for fraction, _ in curve.points})
    if fractions[-1] / fractions[0] >= LOG_FROM:
        ax.set_xscale("log")
    ax.margins(x=0.03)
    ax.set_xlim(right=fractions[-1])  # the lines end where their names begin
    ax.xaxis.set_major_locator(FixedLocator(fractions))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: percent(float(f"{value:.6g}"))))
    ax.set_xlabel("kept, of the candidates", fontsize=10, color=INK)
    ax.set_ylabel("test accuracy, %", fontsize=10, color=INK)


def _rows(ax: Axes, curves: Sequence[Curve], levels: Sequence[Entry]) -> None:
    entries = [(c.points[0][1], c.colour, c.name) for c in curves]
    entries += [(entry, COLOURS["reference"], _level_name(entry)) for entry in levels]
    for row, (entry, colour, _) in enumerate(entries):
        ax.errorbar(
            entry.accuracy.mean,
            row,
            xerr=entry.accuracy.std,
            color=colour,
            marker="o",
            markersize=6,
            markerfacecolor=colour if entry.is_selection else "white",
            capsize=3,
            lw=1.6,
            zorder=3,
        )
    baseline = next((entry for entry, _, _ in entries if entry.label == BASELINE), None)
    if baseline is not None:
        ax.axvline(baseline.accuracy.mean, color="#111111", lw=0.8, ls=(0, (1, 2)), zorder=1)
    ax.set_yticks(range(len(entries)), [name for _, _, name in entries])
    ax.set_ylim(len(entries) - 0.5, -0.5)
    ax.margins(x=0.08)


def _name(figure: Figure, ax: Axes, curves: Sequence[Curve], levels: Sequence[Entry], narrow: bool) -> None:
    """Names at the right ends of the lines, moved apart; in a narrow figure a legend below."""
    ends = [(c.points[-1][1].accuracy.mean, c.name, c.colour, c.width > 2) for c in curves]
    ends += [(e.accuracy.mean, _level_name(e), COLOURS["reference"], False) for e in levels]
    if narrow:
        from matplotlib.lines import Line2D

        handles = [
            Line2D([], [], color=c.colour, lw=c.width, marker=c.marker, markersize=4.5, label=c.name,
                   ls="-" if c.is_selection else (0, (4, 2)),
                   markerfacecolor=c.colour if c.is_selection else "white")
            for c in curves
        ]  # fmt: skip
        handles += [
            Line2D([], [], color=COLOURS["reference"], lw=1, ls=(0, (1, 1.5)), label=_level_name(e))
            for e in levels
        ]
        longest = max(len(handle.get_label()) for handle in handles)
        columns = 2 if longest <= 18 else 1
        figure.legend(handles=handles, loc="outside lower center", ncols=columns, fontsize=8, frameon=False)
        return
    ends.sort(key=lambda end: end[0])
    low, high = ax.get_ylim()
    high = min(high, 100.6)
    gap = (high - low) * 0.042
    heights = spread_out([end[0] for end in ends], gap, low, high)
    place = ax.get_yaxis_transform()
    for (end, name, colour, bold), y in zip(ends, heights, strict=True):
        weight = "bold" if bold else "normal"
        ax.plot((1.008, 1.028), (end, y), color=colour, lw=0.7, transform=place, clip_on=False)
        ax.text(1.034, y, name, va="center", fontsize=9, color=colour, fontweight=weight, transform=place)
    ax.set_ylim(low, high)


def spread_out(values: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Places for labels at ascending `values`: at least `gap` apart, as near as may be, within low..high
    where they fit (least squares: neighbours that touch move as one block)."""
    blocks: list[list[float]] = []  # [sum of wished places of the first label, number of labels]
    for value in values:
        blocks.append([value, 1])
        while len(blocks) > 1:
            (a, n), (b, m) = blocks[-2:]
            if b / m - a / n >= n * gap:
                break
            blocks[-2:] = [[a + b - m * n * gap, n + m]]
    places = [total / count + i * gap for total, count in blocks for i in range(int(count))]
    for i in range(len(places)):
        places[-1 - i] = min(places[-1 - i], high - i * gap)
    for i in range(len(places)):
        places[i] = max(places[i], low + i * gap)
    return places


def _level_name(entry: Entry) -> str:
    return entry.label if entry.is_selection else entry.label + REFERENCE
