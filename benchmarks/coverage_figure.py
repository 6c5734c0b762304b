"""The figure of where kept rows lie: their distance from validation rows, and accuracy, beside Random's."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

from benchmarks.coverage import Place
from benchmarks.in_rows import CLD, NO_INITIAL, ONLINE, ONLINE_INITIAL
from deepcore.report.cells import percent
from deepcore.report.figure_files import DPI, INK, dress

if TYPE_CHECKING:
    from matplotlib.figure import Figure

OTHER = "#9e9e9e"
COLOURS = {
    CLD: "#8b0000",
    NO_INITIAL: "#d9822b",
    ONLINE: "#e57373",
    ONLINE_INITIAL: "#c06090",
    "DUAL": "#00695c",
    "Herding": "#1f77b4",
    "FacilityLocation": "#111111",
}
MARKERS = "osD^vPX*"


def coverage_values(found: Sequence[Place]) -> list[tuple]:
    """The numbers in the figure."""
    return [(p.title, p.label, f"{p.further:.6g}", f"{p.difference:.6g}") for p in found]


def coverage_figure(found: Sequence[Place], fraction: float) -> Figure:
    """A point per selection and data set: a colour for the selection, a marker for the data set."""
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    figure = Figure(figsize=(8.5, 4.6), dpi=DPI, layout="constrained")
    ax = figure.subplots()
    dress(ax, "both")
    ax.set_title(
        f"Where the kept rows lie, and what they give, {percent(fraction)} kept",
        fontsize=10,
        color=INK,
        loc="left",
    )
    titles = list(dict.fromkeys(p.title for p in found))
    markers = dict(zip(titles, itertools.cycle(MARKERS), strict=False))
    for place in found:
        colour = COLOURS.get(place.label, OTHER)
        ax.plot(
            place.further, place.difference, marker=markers[place.title], color=colour, ls="", markersize=5,
            alpha=0.9, zorder=2 + (place.label in COLOURS),
        )  # fmt: skip
    for line in (ax.axhline, ax.axvline):
        line(0, color="#777777", lw=0.8, ls=(0, (3, 3)), zorder=1)
    ax.annotate("Random", (0, 0), (-4, 4), textcoords="offset points", fontsize=8, color=INK, ha="right")
    drawn = {p.label for p in found}
    methods = [(m, colour) for m, colour in COLOURS.items() if m in drawn]
    methods += [("other selections", OTHER)] if drawn - COLOURS.keys() else []
    handles = [Line2D([], [], marker="s", ls="", color=colour, label=m) for m, colour in methods]
    handles += [Line2D([], [], marker=markers[t], ls="", color=INK, mfc="none", label=t) for t in titles]
    figure.legend(handles=handles, loc="outside right upper", fontsize=8, frameon=False)
    ax.set_xlabel("distance from a validation row to the nearest kept row, beside Random's, %", fontsize=9)
    ax.set_ylabel("accuracy minus Random's, points", fontsize=9)
    return figure
