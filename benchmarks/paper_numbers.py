"""A table of the CLD paper's accuracies beside measured ones."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.grids import Grid
from deepcore.analysis.comparison import Comparison
from deepcore.report.cells import percent, spread
from deepcore.report.table import Table
from deepcore.report.text_table import TextTable

PAPER = Path(__file__).resolve().parent / "paper"
NAMES = {"Dyn-Unc": "DynUnc"}  # the paper's, where ours is another


class Printed(NamedTuple):
    """Top-1 accuracy in percent, mean and standard deviation over five runs."""

    mean: float
    std: float


def printed(file: str) -> dict[tuple[str, float], Printed]:
    """{(our method name, fraction): accuracy} of a file in benchmarks/paper."""
    with (PAPER / file).open() as lines:
        return {
            (
                NAMES.get(line["method"], line["method"]),
                round(float(line["percent_of_train"]) / 100, 9),
            ): Printed(float(line["top1_mean"]), float(line["top1_std"]))
            for line in csv.DictReader(lines)
        }


def paper_table(grid: Grid, comparisons: Sequence[Comparison]) -> Table:
    """One line per method and fraction of the paper or of the rows. Data and network are the paper's; split,
    recipe and code are ours."""
    paper = printed(grid.paper)
    ours = {
        (entry.label, comparison.fraction): entry
        for comparison in comparisons
        for entry in comparison.entries
        if comparison.fraction is not None
    }
    order = {name: i for i, (name, _) in enumerate([*ours, *paper])}
    keys = sorted({*ours, *paper}, key=lambda key: (key[1], order[key[0]]))
    records = tuple(
        {
            "method": name,
            "fraction": fraction,
            "mean": ours[name, fraction].accuracy.mean if (name, fraction) in ours else None,
            "std": ours[name, fraction].accuracy.std if (name, fraction) in ours else None,
            "paper_mean": paper[name, fraction].mean if (name, fraction) in paper else None,
            "paper_std": paper[name, fraction].std if (name, fraction) in paper else None,
        }
        for name, fraction in keys
    )
    lines = tuple(
        (
            name,
            percent(fraction),
            spread(ours[name, fraction].accuracy) if (name, fraction) in ours else "-",
            f"{paper[name, fraction].mean:.2f} ± {paper[name, fraction].std:.2f}"
            if (name, fraction) in paper
            else "-",
        )
        for name, fraction in keys
    )
    text = TextTable(
        f"Measured here, and printed in the CLD paper ({grid.dataset}, {grid.model})",
        ("method", "kept", "measured %", "paper %"),
        lines,
    )
    notes = ("The paper's numbers are its authors'; none of them was measured here.",)
    return Table("paper", text, records, notes)
