"""Accuracy of random coresets against the number of epochs, a panel per network."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING

from benchmarks.wording import interval, listed
from deepcore.analysis.stats import paired_difference
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
    """For each network and fraction, what the last two doublings of the length change, with 95% intervals
    over seeds; then what that means."""
    lines, told_apart, ends = [], [], []
    for (net, fraction), points in length_values(rows).items():
        if len(points) < 2:
            continue
        of = {
            str(epochs): {
                r.seed: 100 * r.accuracy
                for r in rows
                if (r.target_net, r.fraction, r.epochs) == (net, fraction, epochs)
            }
            for epochs, *_ in points[-3:]
        }
        pairs = [paired_difference(of, b, a) for a, b in itertools.pairwise(of)]
        steps = [f"{pair.reference} to {pair.method} epochs {interval(pair, 2)}" for pair in pairs]
        place = f"{net}, {percent(fraction)} kept"
        lines.append(f"{place} ({pairs[-1].n} seeds), in points: {', '.join(steps)}.")
        if pairs[-1].distinguishable:
            told_apart.append(place)
        ends += [abs(end) for end in (pairs[-1].low, pairs[-1].high) if end is not None]
    last = "The last doubling changes nothing that these seeds can tell" + (
        f", but for {listed(told_apart)}" if told_apart else ""
    )
    limit = f"; by its intervals it could change up to {max(ends):.1f} points" if ends else ""
    return [*lines, f"{last}{limit}."]


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
