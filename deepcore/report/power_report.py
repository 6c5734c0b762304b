"""Seeds needed to tell a method from Random, by fraction, from finished rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from deepcore.analysis.comparison import Comparison, compare_rows
from deepcore.analysis.power import seeds_needed
from deepcore.common.checks import UsageError
from deepcore.experiment.rows import ResultRow, RowStore
from deepcore.experiment.rows_csv import read_csv
from deepcore.report.cells import percent
from deepcore.report.table import Table
from deepcore.report.text_table import TextTable

POINTS = (0.5, 1.0, 2.0, 5.0)
NOTES = (
    "seeds: of the methods that have most. std: of a method's difference from Random over seeds, median over "
    "the methods. found: 80% of experiments with these seeds find a true difference of this size.",
    "Found means p < 0.05, two-sided, after Holm over the methods compared. It is for a method of that std: "
    "one that varies more needs more seeds. Holm asks less of all but the smallest p value.",
)


def power_report(path: Path, output: str = "table") -> str:
    """The table of the rows in a folder of results, or in a CSV of rows; UsageError where there are none, or
    nothing is compared with Random by three seeds or more."""
    return power_table(compare_rows(rows_at(path))).render(output)


def rows_at(path: Path) -> list[ResultRow]:
    """The rows of a folder that main.py or a grid wrote (its seeds' folders too), or of a CSV of rows."""
    if path.is_dir():
        folders = [folder for folder in (path, *sorted(path.glob("seed*"))) if (folder / "rows").is_dir()]
        rows = [row for folder in folders for row in RowStore(folder / "rows").all()]
    elif path.suffix == ".csv" and path.is_file():
        rows = read_csv(path)
    else:
        raise UsageError(f"--power {path}: give a folder of results (--save_path) or a .csv of rows")
    if not rows:
        raise UsageError(f"--power {path}: it holds no result rows")
    return rows


def power_table(comparisons: Sequence[Comparison]) -> Table:
    """A line per data set, network and fraction: the true difference that its seeds find in 80% of
    experiments, and the seeds that differences of POINTS need; UsageError where nothing was tested."""
    tested = [comparison for comparison in comparisons if comparison.reach]
    if not tested:
        raise UsageError("no method is compared with Random over three seeds or more: add Random, or seeds")
    records = tuple(_record(comparison) for comparison in tested)
    several = len({(c.dataset, c.net) for c in tested}) > 1
    headers = (
        *(("data", "net") if several else ()),
        *("kept", "methods", "seeds", "std", "found"),
        *(f"{p:g} point{'' if p == 1 else 's'}" for p in POINTS),
    )
    lines = tuple(
        (
            *((record["dataset"], record["net"]) if several else ()),
            percent(record["fraction"]),
            str(record["methods"]),
            str(record["seeds"]),
            f"{record['std']:.2f}",
            f"{record['found']:.2f}",
            *(_count(record[f"seeds_for_{points:g}"]) for points in POINTS),
        )
        for record in records
    )
    first = tested[0]
    title = "Seeds needed to show a difference from Random" + (
        "" if several else f": {first.dataset}, {first.net}"
    )
    return Table("power", TextTable(title, headers, lines), records, NOTES)


def _record(comparison: Comparison) -> dict[str, object]:
    """One fraction's numbers, in percentage points."""
    found = comparison.reach[0]
    needed = {f"seeds_for_{points:g}": seeds_needed(points, found.std, found.methods) for points in POINTS}
    return {
        "dataset": comparison.dataset,
        "net": comparison.net,
        "fraction": comparison.fraction,
        "methods": found.methods,
        "seeds": found.n,
        "std": found.std,
        "found": found.shown,
        **needed,
    }


def _count(seeds: int | None) -> str:
    return "over 100,000" if seeds is None else f"{seeds:,}"
