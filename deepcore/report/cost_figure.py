"""The figure of accuracy against cost (Figure 4 of the CLD paper)."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from deepcore.common.checks import UsageError, check_choice
from deepcore.common.units import largest_unit
from deepcore.costs.terms import FAMILIES
from deepcore.report.figure_files import DPI, INK, dress
from deepcore.report.label_places import place_labels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Family -> colour map whose shades its methods take; "CLD" and "reference" have one colour each.
SHADES = {
    "score-based": "Blues",
    "optimisation-based": "Oranges",
    "training-property": "Greens",
    "own": "Purples",
}
COLOURS = {"CLD": "#8b0000", "reference": "#6b6b6b"}
LARGEST, SMALLEST = 1300.0, 22.0  # squares of the bubbles' diameters, points


@dataclass(frozen=True)
class Point:
    """One bubble.

    Attributes:
        name: its label.
        accuracy: percent; std: its sample standard deviation over seeds, None where there is none.
        flops: of selection and training.
        storage: bytes that selection keeps.
        family: one of `deepcore.costs.terms.FAMILIES`.
    """

    name: str
    accuracy: float
    flops: float
    storage: float
    family: str
    std: float | None = None

    def __post_init__(self) -> None:
        check_choice("family", self.family, FAMILIES)


def frontier(points: Sequence[Point]) -> list[int]:
    """Positions of the points that no other beats: none has at most its FLOPs and at least its accuracy, one
    of the two strictly. Cheapest first."""
    best, out = -np.inf, []
    for i in sorted(range(len(points)), key=lambda i: (points[i].flops, -points[i].accuracy)):
        tied = out and points[i].flops == points[out[-1]].flops and points[i].accuracy == best
        if points[i].accuracy > best or tied:
            best = points[i].accuracy
            out.append(i)
    return out


def pareto_figure(
    points: Sequence[Point],
    *,
    title: str,
    caption: str,
    full: tuple[str, float] | None = None,
) -> Figure:
    """Accuracy against total FLOPs (log), bubble area by the fourth root of storage, colour by family, the
    frontier as a stair, every point named (Figure 4 of the CLD paper).

    Args:
        points: at least one; FLOPs above 0.
        title: above the axes.
        caption: below them; wrapped.
        full: name and FLOPs of training on all data, drawn as a vertical line.

    Returns:
        A matplotlib Figure; `save_figure` writes it.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    if not points or min(point.flops for point in points) <= 0:
        raise UsageError("a Pareto figure needs at least one point, each with FLOPs above 0")
    lines = textwrap.wrap(caption, 160)
    height = 6.4 + 0.17 * len(lines)
    figure = Figure(figsize=(10.6, height), dpi=DPI)
    FigureCanvasAgg(figure)
    bottom = (0.62 + 0.17 * len(lines)) / height
    ax = figure.add_axes((0.068, bottom, 0.745, 1 - bottom - 0.5 / height))
    unit, scale = largest_unit(min(point.flops for point in points))
    x = np.array([point.flops for point in points]) / scale
    y = np.array([point.accuracy for point in points])
    areas = bubble_areas([point.storage for point in points])
    colours = family_colours([point.family for point in points])
    spread = np.array([point.std or 0.0 for point in points])
    _axes(ax, x, np.concatenate([y - spread, y + spread]), unit, None if full is None else full[1] / scale)
    ax.set_title(title, loc="left", fontsize=12.5, color=INK, pad=10)
    full_line = [] if full is None else [_full_line(ax, full[0], full[1] / scale)]
    stair = _stair(ax, x, y, frontier(points))
    for i in np.argsort(-areas):
        ax.scatter(
            x[i], y[i], areas[i], color=colours[i], alpha=0.82, edgecolors="white", linewidths=0.9, zorder=4
        )
        if points[i].std:
            ax.errorbar(x[i], y[i], points[i].std, color=_dark(colours[i]), lw=0.9, zorder=5)
    _legends(ax, points)
    bars = np.array([[x, x], [y - spread, y + spread]]).transpose(2, 1, 0)
    _name(ax, points, x, y, areas, colours, [stair, *full_line, *bars])
    figure.text(
        0.068, 0.1 / height, "\n".join(lines), fontsize=8, color="#555555", va="bottom", linespacing=1.35
    )
    return figure


def bubble_areas(storage: Sequence[float]) -> np.ndarray:
    """Squared diameters in points: they grow with the fourth root of the bytes, since storage spans eight
    decades; the largest is LARGEST, no storage is SMALLEST."""
    roots = np.asarray(storage, dtype=np.float64) ** 0.25
    return SMALLEST + (LARGEST - SMALLEST) * roots / max(roots.max(), 1.0)


def size_name(size: float) -> str:
    """Bytes with three digits at most: 5 MB, 6.4 TB."""
    names = ("bytes", "kB", "MB", "GB", "TB", "PB")
    unit, scale = largest_unit(max(size, 1), names)
    return f"{size / scale:.2g} {unit}" if size / scale < 99.5 else f"{size / scale:.0f} {unit}"


def family_colours(families: Sequence[str]) -> list:
    """A colour per method: its family's, in shades from light to dark in the order given."""
    from matplotlib import colormaps

    out = []
    for i, family in enumerate(families):
        if family in COLOURS:
            out.append(COLOURS[family])
            continue
        place, count = families[:i].count(family), families.count(family)
        shade = 0.7 if count == 1 else 0.45 + 0.45 * place / (count - 1)
        out.append(colormaps[SHADES[family]](shade))
    return out


def _dark(colour: object) -> tuple[float, ...]:
    """The colour's ink, for text and thin lines."""
    from matplotlib.colors import to_rgb

    return tuple(0.6 * channel for channel in to_rgb(colour))


def _axes(ax: Axes, x: np.ndarray, y: np.ndarray, unit: str, full: float | None) -> None:
    """Scales, limits, ticks and grid."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    right = max(x.max(), full or 0)
    ax.set_xscale("log")
    span = max(np.log10(right / x.min()), 0.3)
    ax.set_xlim(x.min() / 10 ** (0.08 * span), right * 10 ** (0.1 * span))
    room = max(np.ptp(y), 1.0)
    ax.set_ylim(y.min() - 0.1 * room, y.max() + 0.14 * room)
    ticks = range(1, 10) if span < 1 else (1, 2, 5) if span < 3.5 else (1,)
    ax.xaxis.set_major_locator(LogLocator(subs=ticks, numticks=30))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.12g}"))
    ax.set_xlabel(f"selection + training, {unit} (log scale)", fontsize=10, color=INK)
    ax.set_ylabel("test accuracy, %", fontsize=10, color=INK)
    dress(ax)


def _full_line(ax: Axes, name: str, at: float) -> np.ndarray:
    """Draw the cost of training on all data: coresets right of it do not pay when used once. Returns the
    line's ends (2, 2) in data coordinates."""
    ax.axvline(at, color="#999999", lw=1, ls=(0, (4, 3)), zorder=1)
    ax.annotate(
        name,
        (at, 1.0),
        xycoords=("data", "axes fraction"),
        xytext=(4, -4),
        textcoords="offset points",
        fontsize=8,
        color="#777777",
        va="top",
    )
    return np.column_stack([[at, at], ax.get_ylim()])


def _stair(ax: Axes, x: np.ndarray, y: np.ndarray, on: Sequence[int]) -> np.ndarray:
    """Draw the frontier; returns its corners (L, 2) in data coordinates."""
    right = ax.get_xlim()[1]
    xs = np.append(np.repeat(x[on], 2)[1:], right)
    ys = np.repeat(y[on], 2)
    ax.plot(xs, ys, color="#444444", lw=1.1, ls=(0, (1, 1.6)), zorder=2)
    return np.column_stack([xs, ys])


def _legends(ax: Axes, points: Sequence[Point]) -> None:
    """Families by colour, the frontier, and four sizes of bubbles."""
    from matplotlib import colormaps
    from matplotlib.lines import Line2D

    def dot(colour: object, area: float, label: str) -> Line2D:
        return Line2D(
            [],
            [],
            ls="",
            marker="o",
            color=colour,
            markersize=area**0.5,
            markeredgecolor="white",
            label=label,
        )

    families = dict.fromkeys(point.family for point in points)
    handles = [dot(COLOURS[f] if f in COLOURS else colormaps[SHADES[f]](0.7), 70, f) for f in families]
    handles.append(Line2D([], [], color="#444444", lw=1.1, ls=(0, (1, 1.6)), label="frontier"))
    style = {"fontsize": 8.5, "title_fontsize": 8.5, "frameon": False, "labelcolor": INK, "alignment": "left"}
    beside = {"loc": "upper left", "bbox_transform": ax.transAxes}
    by_colour = ax.legend(handles=handles, title="family", bbox_to_anchor=(1.01, 1.0), **beside, **style)
    ax.add_artist(by_colour)
    top = max(point.storage for point in points)
    shown = [0.0, *(1000.0**i for i in range(1, 6) if top / 1e9 < 1000**i <= top)]
    sizes = [
        dot("#b5b5b5", area, size_name(size) if size else "none")
        for size, area in zip(shown, bubble_areas([*shown, top]), strict=False)
    ]
    by_size = ax.legend(
        handles=sizes,
        title="storage of selection\n(area by its 4th root)",
        bbox_to_anchor=(1.01, 0.66),
        labelspacing=2.1,
        handletextpad=1.4,
        borderpad=0.8,
        **beside,
        **style,
    )
    for legend in (by_colour, by_size):
        legend.get_title().set_color(INK)


def _name(
    ax: Axes,
    points: Sequence[Point],
    x: np.ndarray,
    y: np.ndarray,
    areas: np.ndarray,
    colours: Sequence,
    strokes: Sequence[np.ndarray],
) -> None:
    """Write each point's name beside it, off the strokes (corners (L, 2) in data coordinates), with a thin
    line where it is not next to it."""
    renderer = ax.figure.canvas.get_renderer()
    pixels = ax.figure.dpi / 72
    dark = [_dark(colour) for colour in colours]
    texts = [
        ax.text(0, 0, point.name, fontsize=9, color=ink, va="bottom", ha="left", zorder=6)
        for point, ink in zip(points, dark, strict=True)
    ]
    for text, point in zip(texts, points, strict=True):
        text.set_fontweight("bold" if point.family == "CLD" else "normal")
    extents = [text.get_window_extent(renderer) for text in texts]
    centres = ax.transData.transform(np.column_stack([x, y]))
    radii = np.sqrt(areas) / 2 * pixels
    parts = [pair for stroke in strokes for pair in itertools.pairwise(ax.transData.transform(stroke))]
    lines = np.array([[*np.minimum(a, b) - 1, *np.maximum(a, b) + 1] for a, b in parts])
    frame = ax.get_window_extent(renderer).extents + np.array([3, 3, -3, -3])
    sizes = np.array([[box.width, box.height] for box in extents])
    boxes = place_labels(centres, radii, sizes, frame, lines)
    back = ax.transData.inverted()
    for text, box, centre, radius, colour in zip(texts, boxes, centres, radii, dark, strict=True):
        text.set_position(back.transform(box[:2]))
        near = np.clip(centre, box[:2], box[2:])
        away = near - centre
        distance = float(np.hypot(*away))
        if distance > radius + 9 * pixels / 2:
            ends = back.transform(np.array([centre + away * radius / distance, near]))
            ax.plot(ends[:, 0], ends[:, 1], color=colour, lw=0.6, zorder=5)
