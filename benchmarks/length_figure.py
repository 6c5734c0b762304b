"""Accuracy of random coresets against the number of epochs, a panel per network."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING

from deepcore.experiment.rows import ResultRow
from deepcore.report.cells import percent
from deepcore.report.figure_files import DPI, INK, dress

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Curves = dict[tuple[str, float], list[tuple[int, float, float]]]
COLOURS = ("#8b0000", "#e07b00", "#1f77b4", "#00695c", "#8e5bc0")


def length_values(rows: Sequence[ResultRow]) -> Curves:
    """{(network, fraction): [(epochs, mean accuracy in %, its sample std, 0 for one seed)]}."""
    cells: dict[tuple[str, float], dict[int, list[float]]] = {}
    for row in rows:
        of = cells.setdefault((row.target_net, row.fraction), {})
        of.setdefault(row.epochs, []).append(100 * row.accuracy)
    return {
        key: [
            (epochs, statistics.mean(found), statistics.stdev(found) if len(found) > 1 else 0.0)
            for epochs, found in sorted(of.items())
        ]
        for key, of in sorted(cells.items())
    }


def length_sentences(rows: Sequence[ResultRow]) -> list[str]:
    """For each network: what twice as many epochs change, from each length to the next, at every fraction."""
    lines = []
    for (net, fraction), points in length_values(rows).items():
        steps = [f"{a[0]} to {b[0]} epochs {b[1] - a[1]:+.1f}" for a, b in itertools.pairwise(points)]
        seeds = len({row.seed for row in rows if (row.target_net, row.fraction) == (net, fraction)})
        count = f"{seeds} seed{'' if seeds == 1 else 's'}"
        lines.append(f"{net}, {percent(fraction)} kept ({count}), in points: {', '.join(steps)}.")
    return lines


def length_figure(rows: Sequence[ResultRow]) -> Figure:
    """A line per fraction; bars are one sample standard deviation over seeds."""
    from matplotlib.figure import Figure

    curves = length_values(rows)
    names = list(dict.fromkeys(net for net, _ in curves))
    fractions = sorted({fraction for _, fraction in curves})
    figure = Figure(figsize=(1.8 + 3.4 * len(names), 3.4), dpi=DPI, layout="constrained")
    axes = figure.subplots(1, len(names), sharey=True, squeeze=False)[0]
    for ax, name in zip(axes, names, strict=True):
        ticks = sorted(
            {epochs for (net, _), points in curves.items() if net == name for epochs, *_ in points}
        )
        for fraction in fractions:
            if points := curves.get((name, fraction)):
                x, y, spread = zip(*points, strict=True)
                colour = COLOURS[fractions.index(fraction) % len(COLOURS)]
                ax.errorbar(x, y, spread, color=colour, marker="o", markersize=4, lw=1.3,
                            label=f"{percent(fraction)} kept")  # fmt: skip
        ax.set_xscale("log")
        ax.set_xticks(ticks, [str(tick) for tick in ticks])
        ax.minorticks_off()
        ax.set_title(name, fontsize=10, color=INK)
        ax.set_xlabel("epochs (log scale)", fontsize=9, color=INK)
        dress(ax)
    axes[0].set_ylabel("test accuracy, %: mean ± std", fontsize=9, color=INK)
    axes[-1].legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure
