"""Figure 2 and Tables 2-5: all methods over the fractions, in the paper's groups, and CLD beside the best.

    python benchmarks/figure2.py

Reads the committed rows of head_to_head.py and trains nothing. The paper's size is the grid `cifar100` (this
script with --full) and, of the same form, `imagenet` (head_to_head.py imagenet).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from benchmarks.claim_curves import (
    MARGIN,
    differences,
    fraction_axis,
    fractions_of,
    margin_verdict,
    side_verdict,
)
from benchmarks.claim_records import Record, accuracies, by_seed, matching
from benchmarks.claims import Claim, Setting, Size, Verdict, main, measured
from benchmarks.gpu_hours import Load, hours_line, loads_of, stand_in
from benchmarks.grids import GRIDS, Grid
from benchmarks.paper_numbers import printed
from deepcore.analysis.equivalence import noninferiority
from deepcore.analysis.stats import Paired, best, paired_difference, summarise
from deepcore.costs.formulas import FORMULAS, LATER
from deepcore.experiment.rows_csv import from_csv
from deepcore.report.accuracy_figure import MARKERS
from deepcore.report.cells import percent
from deepcore.report.cost_figure import family_colours
from deepcore.report.figure_files import DPI, INK, dress
from deepcore.report.text_table import TextTable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COMMITTED = {"quick": ("digits",), "reduced": ("fashion_long", "fashion_long_large", "digits")}
GRID_OF = {"quick": GRIDS["digits"], "reduced": GRIDS["fashion_long"], "full": GRIDS["cifar100"]}
SIZES = {
    name: Size(grid.dataset, (grid.model,), grid.parts[0].fractions, len(grid.seeds), grid.epochs)
    for name, grid in GRID_OF.items()
}
COLUMNS = {method for name in ("cifar100", "imagenet") for method, _ in printed(GRIDS[name].paper)}
FAMILIES = ("score-based", "optimisation-based", "training-property")


def grid_loads(grid: Grid) -> list[Load]:
    """Of all seeds and parts."""
    specs = grid.experiments(stand_in(grid.dataset), 0)
    return [
        load
        for part, spec in zip(grid.parts, specs, strict=True)
        for load in loads_of(replace(spec, seeds=tuple(range(part.seeds))), grid.dataset)
    ]


def grid_of_size(size: Size) -> Grid:
    """The grid whose rows a size shows."""
    return next(grid for name, grid in GRID_OF.items() if SIZES[name] == size)


def measure(setting: Setting) -> list[Record]:
    """The committed rows, or (--full) those of the grid, run now."""
    grid = grid_of_size(setting.size)
    names = next((names for size, names in COMMITTED.items() if SIZES[size] == setting.size), None)
    if names is None:
        rows = [
            row
            for seed in grid.seeds
            for spec in grid.experiments(setting.data, seed)
            for row in setting.rows(spec)
        ]
        return of_data(grid.dataset, rows)
    return committed(names)


def committed(names: Sequence[str]) -> list[Record]:
    """The records of committed grids."""
    found: list[Record] = []
    for name in names:
        rows = from_csv((HERE / "results" / f"{name}.csv").read_text(), f"{name}.csv")
        found += of_data(rows[0].dataset, rows)
    return found


def of_data(dataset: str, rows: Sequence) -> list[Record]:
    """Records of the methods in the paper's tables, each in its published form."""
    chosen = [row for row in rows if row.label in COLUMNS and row.fraction is not None]
    return [{"dataset": dataset, **record} for record in accuracies(chosen)]


def data_of(records: Sequence[Record]) -> list[str]:
    """The data sets, in order."""
    return list(dict.fromkeys(r["dataset"] for r in records))


def methods_of(records: Sequence[Record]) -> list[str]:
    """By family, CLD last."""
    known = list(dict.fromkeys(r["method"] for r in records))
    order = ("reference", *FAMILIES, "own", "CLD")
    return sorted(known, key=lambda method: order.index(family(method)))


def family(method: str) -> str:
    """The paper's group of a method; methods that it does not group are "own"."""
    entry = FORMULAS.get(method) or LATER.get(method)
    if method == "Random":
        return "reference"
    return entry.family if entry and entry.family in (*FAMILIES, "CLD") else "own"


def beside_best(records: Sequence[Record], fraction: float) -> Paired:
    """CLD minus the other selection of the highest mean, Random included."""
    at = matching(records, fraction=fraction)
    seeds = {method: by_seed(at, method=method) for method in methods_of(at)}
    others = {method: found for method, found in seeds.items() if method != "CLD"}
    return paired_difference(seeds, "CLD", best(others).name)


def judge(records: Sequence[Record]) -> list[Verdict]:
    """Per data set: at most 1 point below the best, and above random rows, at every fraction."""
    verdicts = []
    for dataset in data_of(records):
        own = matching(records, dataset=dataset)
        at_best = {f: beside_best(own, f) for f in fractions_of(own)}
        what = f"{dataset}: CLD is at most 1 point below the best other, at every fraction"
        near = margin_verdict(what, list(at_best.values()))
        verdicts += [
            replace(near, measured=f"{_said(at_best)} (90% intervals); {near.measured}"),
            side_verdict(
                f"{dataset}: CLD is above random rows at every fraction (not in the paper)",
                differences(own, "CLD", "Random"),
                "above",
            ),
        ]
    return verdicts


def _said(cells: dict[float, Paired]) -> str:
    tests = {f: noninferiority(cell, MARGIN) for f, cell in cells.items()}
    return "; ".join(
        f"{percent(f)} kept: {measured(test.difference, test.low, test.high)} against {cells[f].reference}"
        for f, test in tests.items()
    )


def remarks(records: Sequence[Record]) -> list[str]:
    """What was trained, what the paper's own tables say of its claim, and the commands of both grids."""
    own, commands = [], []
    for name in ("cifar100", "imagenet"):
        grid = GRIDS[name]
        own.append(printed_sentence(grid))
        commands.append(
            f"Grid `{name}`, beside the paper's numbers: `python benchmarks/head_to_head.py {name} "
            f"--data_path DIR`, {hours_line(grid_loads(grid))}."
        )
    return [*(trained_sentence(records, dataset) for dataset in data_of(records)), *own, *commands]


def trained_sentence(records: Sequence[Record], dataset: str) -> str:
    """Network, epochs and seeds of a data set's rows."""
    grid = next(GRIDS[name] for name in COMMITTED["reduced"] if GRIDS[name].dataset == dataset)
    own = matching(records, dataset=dataset)
    size = Size(dataset, (grid.model,), (), 0, grid.epochs)
    seeds = {f: seeds_of(own, f) for f in fractions_of(own)}
    most = max(high for _, high in seeds.values())
    fewer = ", ".join(
        f"{low if low == high else f'{low} to {high}'} at {percent(f)}"
        for f, (low, high) in seeds.items()
        if low < most
    )
    fewer = f" ({fewer})" if fewer else ""
    few = {f: methods_of(matching(own, fraction=f)) for f in seeds}
    whole = max(map(len, few.values()))
    short = "".join(f" At {percent(f)} only {', '.join(m)}." for f, m in few.items() if len(m) < whole)
    return f"{dataset}: {grid.model}, {size.recipe.epochs} epochs, {most} seeds{fewer}.{short}"


def seeds_of(records: Sequence[Record], fraction: float) -> tuple[int, int]:
    """The fewest and the most seeds that a method has at a fraction."""
    own = matching(records, fraction=fraction)
    counts = [len(by_seed(own, method=method, fraction=fraction)) for method in methods_of(own)]
    return min(counts), max(counts)


def printed_sentence(grid: Grid) -> str:
    """How far CLD is from the best other method in the paper's printed means."""
    gaps = printed_gaps(grid.paper)
    behind = {f: gap for f, gap in gaps.items() if gap[0] < 0}
    far = {f: gap for f, gap in behind.items() if gap[0] < -MARGIN}
    listed = ", ".join(f"{percent(f)} ({gap:+.2f} against {other})" for f, (gap, other) in far.items())
    more = f"by more than 1 point at {len(far)}: {listed}" if far else "never by more than 1 point"
    return (
        f"The paper's own table for {grid.dataset}: another method's mean is above CLD's at {len(behind)} of "
        f"{len(gaps)} fractions, {more}."
    )


def printed_gaps(file: str) -> dict[float, tuple[float, str]]:
    """{fraction: CLD's printed mean minus the highest of the others, and whose that is}."""
    found: dict[float, dict[str, float]] = {}
    for (method, fraction), accuracy in printed(file).items():
        found.setdefault(fraction, {})[method] = accuracy.mean
    gaps = {}
    for fraction, means in sorted(found.items()):
        other = max((m for m in means if m != "CLD"), key=lambda m: means[m])
        gaps[fraction] = (means["CLD"] - means[other], other)
    return gaps


def table(records: Sequence[Record]) -> TextTable:
    """Means, a line for each data set and method."""
    fractions = sorted({r["fraction"] for r in records})
    lines = []
    for dataset in data_of(records):
        own = matching(records, dataset=dataset)
        for method in methods_of(own):
            found = [by_seed(own, method=method, fraction=f) for f in fractions]
            lines.append((dataset, family(method), method,
                          *(f"{summarise(s).mean:.2f}" if s else "-" for s in found)))  # fmt: skip
    headers = ("data", "group", "method", *map(percent, fractions))
    return TextTable("Mean test accuracy in %", headers, tuple(lines), words=(1, 2))


def draw(records: Sequence[Record]) -> Figure:
    """A panel for each data set, the paper's colours: blues, oranges, greens by group; CLD black."""
    from matplotlib.figure import Figure

    known = data_of(records)
    figure = Figure(figsize=(5.2 * len(known) + 2.4, 4.6), dpi=DPI, layout="constrained")
    figure.suptitle("Test accuracy by the share of data kept (as Figure 2)", fontsize=11, color=INK)
    axes = figure.subplots(1, len(known), squeeze=False)[0]
    for ax, dataset in zip(axes, known, strict=True):
        _panel(ax, matching(records, dataset=dataset), methods_of(records))
        ax.set_title(dataset, fontsize=10, color=INK)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", fontsize=8, frameon=False)
    figure.supxlabel(
        "blue: score-based, orange: optimisation-based, green: training-property, black: CLD, grey: random",
        fontsize=9, color=INK,
    )  # fmt: skip
    axes[0].set_ylabel("test accuracy, %: mean over seeds", fontsize=9, color=INK)
    return figure


def _panel(ax: Axes, records: Sequence[Record], methods: Sequence[str]) -> None:
    dress(ax)
    fractions = fractions_of(records)
    fraction_axis(ax, fractions)
    colours = family_colours([family(method) for method in methods])
    for i, (method, colour) in enumerate(zip(methods, colours, strict=True)):
        found = [by_seed(records, method=method, fraction=f) for f in fractions]
        at = [(x, summarise(seeds).mean) for x, seeds in enumerate(found) if seeds]
        if not at:
            continue
        group = family(method)
        style = {"CLD": {"color": "#000000", "lw": 2.4}, "reference": {"color": "#777777", "ls": "--"}}
        ax.plot(*zip(*at, strict=True), label=method, marker=MARKERS[i % len(MARKERS)], markersize=4,
                **{"color": colour, "lw": 1.2, **style.get(group, {})})  # fmt: skip


CLAIM = Claim(
    name="figure2",
    paper="Figure 2, Tables 2-5",
    sizes=SIZES,
    loads=lambda size: grid_loads(grid_of_size(size)),
    measure=measure,
    judge=judge,
    table=table,
    draw=draw,
    remarks=remarks,
)

if __name__ == "__main__":
    sys.exit(main(CLAIM))
