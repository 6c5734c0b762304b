"""The figures of README.md and docs/results.md, drawn from the published rows.

`FIGURES` names them. Each function returns the figure; each `values` function returns the numbers in it, so
that a figure can be recognised as made from the rows of today.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.coverage import Place, places
from benchmarks.coverage_figure import coverage_figure, coverage_values
from benchmarks.forest_figure import forest_figure, forest_values
from benchmarks.grids import EARLY
from benchmarks.in_rows import CLD, ONLINE, costs_at
from benchmarks.length_figure import length_figure, length_values
from benchmarks.matrix_figure import matrix_figure, matrix_values
from benchmarks.published import Head, Published
from benchmarks.rank_figure import rank_figure, rank_values
from benchmarks.repeats import FRACTION
from benchmarks.verdicts import accuracies_by_data_set, cells_of
from deepcore.analysis.critical_difference import MIN_DATA_SETS, RankDifferences, rank_differences
from deepcore.report.accuracy_figure import spread_out
from deepcore.report.cells import percent
from deepcore.report.figure_files import DPI, INK, dress
from deepcore.report.noise_report import noise_table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STYLES = {  # of the curves: colour, marker
    "DUAL": ("#00695c", "D"),
    "DynUnc": ("#2e7d32", "^"),
    "CCS": ("#1f77b4", "s"),
    ONLINE: ("#e57373", "v"),
    CLD: ("#8b0000", "o"),
    "EL2N": ("#8e5bc0", "X"),
    "Random": ("#111111", "o"),
}
COST_LABELS = (
    *(CLD, ONLINE, EARLY),
    *("DUAL", "AUM", "CCS", "D2", "EL2N", "TDDS"),
    *("FacilityLocation", "Herding", "KCenter"),
)
SHIFTED = {"Random": 0.45, "TDDS": -0.45}  # names off the dotted line, points
NOISE_COLOURS = {10: "#1f77b4", 30: "#b3261e"}


@dataclass(frozen=True)
class Drawing:
    """A figure and the numbers in it, both from the published rows, and whether they suffice for it."""

    draw: Callable[[Published], Figure]
    values: Callable[[Published], object]
    exists: Callable[[Published], bool] = lambda published: True


def fraction_values(head: Head) -> dict[str, list[tuple[float, float]]]:
    """{method: [(fraction, mean accuracy in %)]} of the curves; Full at fraction 1."""
    curves = {m: [(f, head.entry(m, f).accuracy.mean) for f in head.fractions] for m in STYLES}
    return {**curves, "Full": [(1.0, head.entry("Full", None).accuracy.mean)]}


def fraction_figure(head: Head) -> Figure:
    """Accuracy against the fraction kept, for a few methods."""
    ax = _axes("Accuracy by fraction kept, Fashion-MNIST")
    found = fraction_values(head)
    ends = []
    for label, (colour, marker) in STYLES.items():
        x, y = zip(*found[label], strict=True)
        thick = label in (CLD, "Random")
        ax.plot(x, y, color=colour, marker=marker, markersize=4, lw=2 if thick else 1.2, zorder=3 + thick)
        ends.append((y[0], label, colour))
    ((_, full),) = found["Full"]
    ax.axhline(full, color="#777777", lw=1, ls=(0, (4, 3)), zorder=1)
    ax.text(head.fractions[0], full + 1.2, f"all training data: {full:.1f}%", fontsize=8, color="#777777")
    ax.set_xscale("log")
    ax.set_xticks(head.fractions, [percent(f) for f in head.fractions])
    ax.minorticks_off()
    ax.set_xlim(head.fractions[0] / 8, head.fractions[-1] * 1.15)
    ax.set_ylim(10, 100)
    ends.sort()
    places = spread_out([y for y, _, _ in ends], 5.2, 12, 90)
    for (y, label, colour), place in zip(ends, places, strict=True):
        left = head.fractions[0]
        ax.plot([left * 0.92, left * 0.8], [y, place], color=colour, lw=0.7)
        ax.text(left * 0.76, place, label, fontsize=8, color=colour, ha="right", va="center")
    ax.set_xlabel("kept, of the training data (log scale)", fontsize=9, color=INK)
    ax.set_ylabel("test accuracy, %: mean", fontsize=9, color=INK)
    return ax.figure


def cost_values(head: Head) -> dict[str, tuple[float, float, float]]:
    """{method: (cost in % of training on all data, mean accuracy in %, its std)} at 10% kept."""
    costs = costs_at(head, 0.1)
    found = {m: head.entry(m, 0.1).accuracy for m in (*COST_LABELS, "Random")}
    return {m: (100 * costs[m].share, accuracy.mean, accuracy.std) for m, accuracy in found.items()}


def cost_figure(head: Head) -> Figure:
    """Accuracy against the whole cost of a 10% coreset."""
    ax = _axes("Cost and accuracy of a 10% coreset, Digits")
    found = cost_values(head)
    ax.set_xscale("log")
    ax.set_xlim(8, 420)
    low, high = min(y - s for _, y, s in found.values()), max(y + s for _, y, s in found.values())
    ax.set_ylim(low - 0.9, high + 0.3)
    ax.axvline(100, color="#777777", lw=1, ls=(0, (4, 3)), zorder=1)
    note = {"fontsize": 8, "color": "#777777", "va": "bottom", "transform": ax.get_xaxis_transform()}
    ax.text(95, 0.02, "cheaper than training\non all data", ha="right", **note)
    ax.text(106, 0.02, "dearer", ha="left", **note)
    ax.axhline(found["Random"][1], color="#111111", lw=0.8, ls=(0, (1, 2)), zorder=1)
    columns: dict[int, list[str]] = {}
    for label, (x, *_) in found.items():
        columns.setdefault(round(x / 4), []).append(label)
    for labels in columns.values():
        labels.sort(key=lambda m: found[m][1])
        wished = [found[m][1] + SHIFTED.get(m, 0.0) for m in labels]
        places = spread_out(wished, 0.5, low, high)
        for i, (label, place) in enumerate(zip(labels, places, strict=True)):
            x, y, std = found[label]
            colour = "#8b0000" if label.startswith("CLD") else "#111111" if label == "Random" else "#1f77b4"
            beside = x * (1 + 0.015 * (i - (len(labels) - 1) / 2))  # bars of one cost next to each other
            ax.errorbar([beside], [y], [std], fmt="o", markersize=4.5, color=colour, lw=0.6, zorder=3)
            left = 40 < x < 100  # the name would cross the dashed line
            start, end, at = (0.93, 0.87, 0.85) if left else (1.07, 1.15, 1.18)
            ax.plot([x * start, x * end], [y, place], color=colour, lw=0.6)
            text = {"fontsize": 8, "color": colour, "va": "center", "ha": "right" if left else "left"}
            ax.text(x * at, place, label, zorder=4, **text)
    ax.set_xticks([10, 20, 50, 100, 200], ["10", "20", "50", "100", "200"])
    ax.minorticks_off()
    ax.set_xlabel("cost, % of training on all data (proxy included, log scale)", fontsize=9, color=INK)
    ax.set_ylabel("test accuracy, %: mean ± std", fontsize=9, color=INK)
    return ax.figure


def noise_values(noise: Mapping[int, Head]) -> dict[int, dict[str, tuple[float, float]]]:
    """{rate: {method: (flipped rows among the 10% kept, accuracy), in %}}."""
    return {
        rate: {
            r["method"]: (r["flipped_kept"], r["accuracy"])
            for r in noise_table(head.rows).records
            if r["fraction"] == 0.1
        }
        for rate, head in noise.items()
    }


def noise_figure(noise: Mapping[int, Head]) -> Figure:
    """Flipped rows kept, and accuracy, for every selection at both rates."""
    from matplotlib.figure import Figure

    found = noise_values(noise)
    order = sorted(found[30], key=lambda m: found[30][m][1])
    figure = Figure(figsize=(9, 4.2), dpi=DPI, layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    titles = ("flipped rows in the 10% kept, %", "test accuracy, %")
    for i, (ax, title) in enumerate(zip(axes, titles, strict=True)):
        for rate, of_rate in found.items():
            x = [of_rate[m][i] for m in order]
            name = f"{rate}% of the labels flipped"
            ax.plot(x, range(len(order)), "o", markersize=5, color=NOISE_COLOURS[rate], label=name, zorder=3)
            at_random = of_rate["Random"][i]
            ax.axvline(at_random, color=NOISE_COLOURS[rate], lw=0.8, ls=(0, (1, 2)), zorder=1)
        ax.set_xlabel(title, fontsize=9, color=INK)
        ax.set_xlim(-3, 103 if i == 0 else 93)
        dress(ax)
    axes[0].set_yticks(range(len(order)), order, fontsize=8)
    axes[1].legend(fontsize=8, frameon=False, loc="center")
    figure.suptitle("Flipped labels, Fashion-MNIST, 10% kept (dotted: Random)", fontsize=10)
    return figure


def _axes(title: str) -> Axes:
    """The axes of a small figure."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2, 3.9), dpi=DPI, layout="constrained")
    ax = figure.subplots()
    ax.set_title(title, fontsize=10, color=INK)
    dress(ax)
    return ax


def _forest_title(head: Head) -> str:
    row = head.rows[0]
    what = "Accuracy of each method's coreset minus that of a random one, in points"
    return f"{what}: {row.dataset}, {row.target_net}"


def ranks_of(published: Published) -> RankDifferences | None:
    """Ranks over the data sets at full length; None for fewer than MIN_DATA_SETS."""
    judged = {cell.title for cell in cells_of(published.long)}  # by three seeds or more
    found = accuracies_by_data_set({title: h for title, h in published.long.items() if title in judged})
    return rank_differences(found) if len(found) > 1 and len(judged) >= MIN_DATA_SETS else None


def places_of(published: Published) -> list[Place]:
    """Where the rows of the selections lie."""
    return places(published.studies, [c for c in cells_of(published.long) if c.is_selection])


FIGURES: dict[str, Drawing] = {
    "matrix": Drawing(
        lambda p: matrix_figure(cells_of(p.long)),
        lambda p: matrix_values(cells_of(p.long)),
        lambda p: bool(cells_of(p.long)),
    ),
    "length": Drawing(
        lambda p: length_figure(p.length),
        lambda p: [
            (key, [(e, f"{m:.6g}", f"{s:.6g}") for e, m, s in of])
            for key, of in length_values(p.length).items()
        ],
        lambda p: bool(p.length),
    ),
    "ranks": Drawing(
        lambda p: rank_figure(ranks_of(p)),
        lambda p: rank_values(ranks_of(p)),
        lambda p: ranks_of(p) is not None,
    ),
    "coverage": Drawing(
        lambda p: coverage_figure(places_of(p), FRACTION),
        lambda p: coverage_values(places_of(p)),
        lambda p: bool(places_of(p)),
    ),
    "forest_fashion": Drawing(
        lambda p: forest_figure(p.fashion.comparisons, _forest_title(p.fashion)),
        lambda p: forest_values(p.fashion.comparisons),
    ),
    "forest_digits": Drawing(
        lambda p: forest_figure(p.digits.comparisons, _forest_title(p.digits)),
        lambda p: forest_values(p.digits.comparisons),
    ),
    "accuracy_fashion": Drawing(
        lambda p: fraction_figure(p.fashion), lambda p: _rounded(fraction_values(p.fashion))
    ),
    "cost_digits": Drawing(lambda p: cost_figure(p.digits), lambda p: _rounded(cost_values(p.digits))),
    "noise_fashion": Drawing(
        lambda p: noise_figure(p.noise), lambda p: [_rounded(v) for v in noise_values(p.noise).values()]
    ),
}


def _rounded(values: Mapping[str, Sequence]) -> list[tuple[str, str]]:
    """Numbers to six digits: the last bits of a mean depend on the machine."""

    def digits(value: object) -> str:
        if isinstance(value, float):
            return f"{value:.6g}"
        return " ".join(map(digits, value))

    return [(name, digits(value)) for name, value in values.items()]
