"""The matrix figure: every method on every data set and fraction, coloured by its verdict beside Random."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from benchmarks.verdicts import Cell, columns_of, ordered
from deepcore.report.cells import REFERENCE, percent
from deepcore.report.figure_files import DPI, INK

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {"above": "#8fd1c4", "below": "#f2b8b1", "": "#ececec"}
CELL = (0.46, 0.21)  # inches


def matrix_values(cells: Sequence[Cell]) -> list[tuple]:
    """The numbers in the figure."""
    return [(c.title, c.fraction, c.label, c.side, f"{c.difference:.6g}", c.n) for c in cells]


def matrix_figure(cells: Sequence[Cell]) -> Figure:
    """A row per method, by mean difference, reference rows last; a column per data set and fraction.

    A cell holds the difference from Random in points. A method without a cell has no rows there, or fewer
    than three seeds.
    """
    from matplotlib.figure import Figure

    columns, rows = columns_of(cells), ordered(cells)
    size = (2.9 + CELL[0] * len(columns), 1.3 + CELL[1] * len(rows))
    figure = Figure(figsize=size, dpi=DPI, layout="constrained")
    ax = figure.subplots()
    for cell in cells:
        _draw(ax, columns.index((cell.title, cell.fraction)), rows.index(cell.label), cell)
    selections = {cell.label for cell in cells if cell.is_selection}
    first = next((i for i, label in enumerate(rows) if label not in selections), len(rows))
    ax.axhline(first - 0.5, color=INK, lw=0.8)
    names = [label if label in selections else label + REFERENCE for label in rows]
    ax.set_yticks(range(len(rows)), names, fontsize=8)
    ax.set_xticks(range(len(columns)), [percent(fraction) for _, fraction in columns], fontsize=8)
    _head(ax, columns)
    ax.set_xlim(-0.5, len(columns) - 0.5)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.tick_params(length=0, colors=INK)
    for side in ax.spines.values():
        side.set_visible(False)
    figure.supxlabel(
        "accuracy minus Random's, points\n"
        "green: above Random, red: below (p < 0.05 after Holm), grey: not told apart\n"
        f"{REFERENCE}: not a selection",
        fontsize=8,
        color=INK,
    )
    return figure


def _draw(ax: Axes, x: int, y: int, cell: Cell) -> None:
    from matplotlib.patches import Rectangle

    ax.add_patch(Rectangle((x - 0.48, y - 0.46), 0.96, 0.92, color=COLOURS[cell.side], lw=0))
    text = f"{cell.difference:+.1f}" if abs(cell.difference) < 9.95 else f"{cell.difference:+.0f}"
    ax.text(x, y, text, ha="center", va="center", fontsize=7, color=INK)


def _head(ax: Axes, columns: Sequence[tuple[str, float]]) -> None:
    """The names of the data sets above their columns."""
    start = 0
    for title, group in groupby(columns, key=lambda column: column[0]):
        width = len(list(group))
        words = title.replace(", ", ",\n")
        ax.text(start + (width - 1) / 2, -0.75, words, ha="center", va="bottom", fontsize=8.5, color=INK)
        if start:
            ax.axvline(start - 0.5, color="white", lw=3)
        start += width
