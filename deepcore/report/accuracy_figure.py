"""The figure of accuracy, and of its difference from Random, against the fraction kept.

Each method has a line and a band; at a single fraction it has a row with a bar.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from deepcore.analysis.comparison import BASELINE, Comparison, Entry
from deepcore.common.checks import UsageError
from deepcore.report.cells import REFERENCE, percent
from deepcore.report.cost_figure import COLOURS
from deepcore.report.figure_files import DPI, INK, dress

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

PALETTE = (
    *("#1f77b4", "#e07b00", "#2ca02c", "#8e5bc0", "#17a2b8", "#d6498f", "#8c6d31", "#7f9a00"),
    *("#4a4e9d", "#c0504d", "#00796b", "#a87bb8"),
)
MARKERS = "osD^vPX<>hd*"
DOTS, DASHES = (0, (1, 1.5)), (0, (4, 2))
LOG_FROM = 4.0  # ratio of fractions from which the axis is logarithmic
# a value, and the ends of its band or bar; None where there is nothing to draw
Quantity = Callable[[Entry], "tuple[float, float, float] | None"]


@dataclass(frozen=True)
class Curve:
    """One method: its entries by fraction (None for a horizontal line), colour and marker."""

    label: str
    points: tuple[tuple[float | None, Entry], ...]
    colour: str
    marker: str

    @property
    def is_selection(self) -> bool:
        """Whether it is a selection; reference rows are drawn dashed and hollow."""
        return self.points[0][1].is_selection

    @property
    def name(self) -> str:
        """As in the tables."""
        return self.label if self.is_selection else self.label + REFERENCE

    @property
    def is_level(self) -> bool:
        """Whether it has no fraction and is a horizontal line."""
        return self.points[0][0] is None

    @property
    def stands_out(self) -> bool:
        """Whether it is drawn thick: CLD and Random."""
        return self.label in ("CLD", BASELINE)

    def style(self) -> dict[str, object]:
        """Of the line and its markers."""
        line = {"color": self.colour, "lw": 2.2 if self.stands_out else 1.4, "label": self.name}
        if self.is_level:
            return line | {"lw": 1.0, "ls": DOTS}
        face = self.colour if self.is_selection else "white"
        solid = "-" if self.is_selection else DASHES
        return line | {"ls": solid, "marker": self.marker, "markersize": 4.5, "markerfacecolor": face}


def accuracy_figure(comparisons: Sequence[Comparison], *, narrow: bool = False) -> Figure:
    """Mean test accuracy by fraction, with bands of one sample standard deviation over seeds. A second panel
    has the paired difference from Random with its 95% interval, from three seeds on.

    Reference rows are dashed and hollow; Full, which has no fraction, is a horizontal line. At a single
    fraction each method has a row with a bar instead of a line.

    Args:
        comparisons: of one data set and net, at least one with a fraction.
        narrow: for a phone: panels below each other, names of the lines below the axes.

    Raises:
        UsageError: several data sets or nets, or no fraction.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    fractions = [c.fraction for c in comparisons if c.fraction is not None]
    if len({(c.dataset, c.net) for c in comparisons}) != 1 or not fractions:
        raise UsageError("an accuracy figure shows one data set and target net, at one fraction or more")
    curves = _curves(comparisons)
    panels: list[tuple[str, Quantity]] = [("test accuracy, %", _accuracy)]
    if any(_difference(entry) for curve in curves for _, entry in curve.points):
        panels.append((f"minus {BASELINE}, points", _difference))
    single = len(fractions) == 1
    beside = single and not narrow
    width = 3.7 if narrow else 8.8
    height = 0.9 + 0.29 * len(curves) if single else 4.2
    if not beside:
        height *= len(panels)
    if narrow and not single:
        height += 0.1 * len(curves)
    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    shape = (1, len(panels)) if beside else (len(panels), 1)
    axes = figure.subplots(*shape, sharey=beside, squeeze=False).ravel()
    for i, (ax, (title, quantity)) in enumerate(zip(axes, panels, strict=True)):
        if single:
            _rows(ax, curves, quantity)
            ax.set_xlabel(f"{title}, {percent(fractions[0])} kept", fontsize=10, color=INK)
        else:
            lines = _lines(ax, curves, quantity, sorted(fractions))
            ax.set_ylabel(title, fontsize=10, color=INK)
            if not narrow:
                _name(ax, lines)
            elif i == 0:
                columns = 2 if max(len(curve.name) for curve in curves) <= 18 else 1
                place = {"loc": "outside lower center", "ncols": columns, "frameon": False}
                figure.legend(handles=[line for _, line, _ in lines], fontsize=8, **place)
        dress(ax, "x" if single else "both")
    return figure


def _curves(comparisons: Sequence[Comparison]) -> list[Curve]:
    """One curve per label; those without a fraction come last; CLD and Random have fixed colours."""
    found: dict[str, list[tuple[float | None, Entry]]] = {}
    for comparison in comparisons:
        for entry in comparison.entries:
            found.setdefault(entry.label, []).append((comparison.fraction, entry))
    curves, others = [], 0
    for label, points in found.items():
        colour = {"CLD": COLOURS["CLD"], BASELINE: "#111111"}.get(label)
        if colour is None:
            is_selection = points[0][1].is_selection
            colour = PALETTE[others % len(PALETTE)] if is_selection else COLOURS["reference"]
            others += is_selection
        curves.append(Curve(label, tuple(points), colour, MARKERS[len(curves) % len(MARKERS)]))
    return sorted(curves, key=lambda curve: curve.is_level)


def _accuracy(entry: Entry) -> tuple[float, float, float]:
    mean, std = entry.accuracy.mean, entry.accuracy.std or 0.0
    return mean, mean - std, mean + std


def _difference(entry: Entry) -> tuple[float, float, float] | None:
    pair = entry.to_random
    return None if pair is None or pair.low is None else (pair.difference, pair.low, pair.high)


def _lines(
    ax: Axes, curves: Sequence[Curve], quantity: Quantity, fractions: Sequence[float]
) -> list[tuple[float, Line2D, Curve]]:
    """Draw them; returns where each ends."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    ends = []
    for curve in curves:
        points = [(x, found) for x, entry in curve.points if (found := quantity(entry))]
        if not points:
            continue
        if curve.is_level:
            line = ax.axhline(points[0][1][0], zorder=1, **curve.style())
        else:
            x = [fraction for fraction, _ in points]
            value, low, high = zip(*(found for _, found in points), strict=True)
            alpha = 0.14 if curve.stands_out else 0.07
            ax.fill_between(x, low, high, color=curve.colour, alpha=alpha, lw=0, zorder=2)
            (line,) = ax.plot(x, value, zorder=4 if curve.stands_out else 3, clip_on=False, **curve.style())
        ends.append((points[-1][1][0], line, curve))
    if quantity is _difference:
        ax.axhline(0.0, color="#111111", lw=2.2, zorder=1)
    if fractions[-1] / fractions[0] >= LOG_FROM:
        ax.set_xscale("log")
    ax.margins(x=0.03)
    ax.set_xlim(right=fractions[-1])  # the lines end where their names begin
    ax.xaxis.set_major_locator(FixedLocator(fractions))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: percent(float(f"{value:.6g}"))))
    ax.set_xlabel("kept, of the candidates", fontsize=10, color=INK)
    return ends


def _rows(ax: Axes, curves: Sequence[Curve], quantity: Quantity) -> None:
    """A row with a bar per curve, the first on top."""
    for row, curve in enumerate(curves):
        found = quantity(curve.points[0][1])
        if found:
            value, low, high = found
            face = curve.colour if curve.is_selection else "white"
            marker = {"marker": "o", "markersize": 6, "markerfacecolor": face, "color": curve.colour}
            ax.errorbar(
                value, row, xerr=[[value - low], [high - value]], capsize=3, lw=1.6, zorder=3, **marker
            )
    baseline = next((curve.points[0][1] for curve in curves if curve.label == BASELINE), None)
    if baseline is not None:
        at = 0.0 if quantity is _difference else baseline.accuracy.mean
        ax.axvline(at, color="#111111", lw=0.8, ls=(0, (1, 2)), zorder=1)
    ax.set_yticks(range(len(curves)), [curve.name for curve in curves])
    ax.set_ylim(len(curves) - 0.5, -0.5)
    ax.margins(x=0.08)


def _name(ax: Axes, ends: Sequence[tuple[float, Line2D, Curve]]) -> None:
    """Names at the right ends of the lines, moved apart."""
    ends = sorted(ends, key=lambda end: end[0])
    low, high = ax.get_ylim()
    places = spread_out([value for value, _, _ in ends], (high - low) * 0.05, low, high)
    transform = ax.get_yaxis_transform()
    for (value, _, curve), y in zip(ends, places, strict=True):
        text = {"color": curve.colour, "fontweight": "bold" if curve.stands_out else "normal"}
        ax.plot((1.008, 1.028), (value, y), color=curve.colour, lw=0.7, transform=transform, clip_on=False)
        ax.text(1.034, y, curve.name, va="center", fontsize=9, transform=transform, **text)
    ax.set_ylim(low, high)


def spread_out(values: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Places for labels at ascending `values`: at least `gap` apart, as near as may be (least squares:
    neighbours that touch move as one block), within low..high where they fit, else from low upwards."""
    blocks: list[tuple[float, int]] = []  # sum of the places wished for the first label, number of labels
    for value in values:
        blocks.append((value, 1))
        while len(blocks) > 1:
            (total, n), (added, m) = blocks[-2:]
            if added / m - total / n >= n * gap:
                break
            blocks[-2:] = [(total + added - m * n * gap, n + m)]
    places = [total / n + i * gap for total, n in blocks for i in range(n)]
    for i in range(len(places)):
        places[-1 - i] = min(places[-1 - i], high - i * gap)
    for i in range(len(places)):
        places[i] = max(places[i], low + i * gap)
    return places
