"""Writing figures to files and pages, and the style of their axes."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


DPI = 160


INK = "#333333"


def save_figure(figure: Figure, stem: Path, *, about: str | None = None, svg: bool = True) -> list[Path]:
    """Write `stem`.png and `stem`.svg, the same bytes for the same figure; returns the paths.

    Args:
        figure: to write.
        stem: of the paths.
        about: kept in both files as their description.
        svg: False for the PNG alone.
    """
    from matplotlib import rc_context

    stem.parent.mkdir(parents=True, exist_ok=True)
    paths = [stem.with_name(stem.name + suffix) for suffix in (".png", ".svg")]
    with rc_context({"svg.hashsalt": "deepcore", "svg.fonttype": "none"}):
        figure.savefig(paths[0], metadata={"Software": None, "Description": about})
        if not svg:
            return paths[:1]
        figure.savefig(paths[1], metadata={"Date": None, "Creator": None, "Description": about})
    return paths


def inline_svg(figure: Figure, prefix: str) -> str:
    """The figure as an <svg> element for a page: as wide as its place, its ids beginning with `prefix`."""
    from matplotlib import rc_context

    buffer = io.StringIO()
    with rc_context({"svg.hashsalt": "deepcore", "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    text = buffer.getvalue()
    text = re.sub(r"\s*<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    text = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{prefix}-", text)
    return re.sub(r'^<svg([^>]*?) width="[^"]*"([^>]*?) height="[^"]*"', r"<svg\1\2", text, count=1)


def dress(ax: Axes, grid: str = "both") -> None:
    """A light grid along "x", "y" or "both", two spines, small ticks."""
    ax.grid(True, axis=grid, color="#e8e8e8", lw=0.7, zorder=0)
    ax.set_axisbelow(True)
    ax.tick_params(labelsize=9, colors=INK, length=3)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        ax.spines[side].set_color("#999999")
