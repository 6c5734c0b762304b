"""An open question of the LTC paper: does it carry over from images to text and tables?

    python benchmarks/real_data.py DIR letter satellite spam
    python benchmarks/text_tabular.py --data_path DIR

CLD, LTC and random coresets of 10% on two tables of numbers (Letter, Satellite) and on e-mails as counted
words (SpamAssassin), with an MLP. --quick takes synthetic vectors.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.claim_intervals import by_sign, error_bar, mean_and_std
from benchmarks.claims import Claim, Record, Setting, Size, Verdict, main
from benchmarks.gpu_hours import Load, loads_of
from deepcore.analysis.stats import paired_difference
from deepcore.report.figure_files import DPI, INK, dress
from deepcore.report.text_table import TextTable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

METHODS = ("CLD", "LTC", "Random")
COLOURS = {"CLD": "#8b0000", "LTC": "#e08a1e"}
NAMES = {
    "letter.npz": "Letter (table)",
    "satellite.npz": "Satellite (table)",
    "spam.npz": "SpamAssassin (text)",
    "Synthetic": "synthetic vectors",
}


@dataclass(frozen=True)
class DataSize(Size):
    """`dataset` is the first of `datasets`."""

    datasets: tuple[str, ...] = ("letter.npz", "satellite.npz", "spam.npz")

    def of(self, dataset: str) -> Size:
        """This size on one of the data sets."""
        return dataclasses.replace(self, dataset=dataset)


SIZES = {
    "quick": DataSize("Synthetic", ("MLP",), (0.1,), 3, 15, datasets=("Synthetic",)),
    "reduced": DataSize("letter.npz", ("MLP",), (0.1,), 5, 15),
    "full": DataSize("letter.npz", ("MLP",), (0.1,), 10, 164),
}


def loads(size: DataSize) -> list[Load]:
    """Of all data sets."""
    return [load for name in size.datasets for load in loads_of(size.of(name).experiment(METHODS), name)]


def measure(setting: Setting) -> list[Record]:
    """Data set by data set."""
    records: list[Record] = []
    for name in setting.size.datasets:
        path = str(Path(setting.data_path) / name) if name.endswith(".npz") else name
        own = dataclasses.replace(setting, size=dataclasses.replace(setting.size, dataset=path))
        spec = setting.size.of(name).experiment(METHODS)
        spec = dataclasses.replace(spec, everything=False)
        records += [
            {"dataset": name, "seed": row.seed, "method": row.label, "accuracy": 100 * row.accuracy}
            for row in own.rows(spec)
        ]
    return records


def accuracies(records: Sequence[Record], dataset: str) -> dict[str, dict[int, float]]:
    """{method: {seed: accuracy}}."""
    found: dict[str, dict[int, float]] = {}
    for r in records:
        if r["dataset"] == dataset:
            found.setdefault(r["method"], {})[r["seed"]] = r["accuracy"]
    return found


def datasets_of(records: Sequence[Record]) -> list[str]:
    """In the order of the records."""
    return list(dict.fromkeys(r["dataset"] for r in records))


def judge(records: Sequence[Record]) -> list[Verdict]:
    """Each method against random rows, on each data set."""
    return by_sign(
        {
            f"on {NAMES[dataset]}, {method}'s coreset of 10% is better than a random one": paired_difference(
                accuracies(records, dataset), method, "Random"
            )
            for dataset in datasets_of(records)
            for method in METHODS[:-1]
        }
    )


def table(records: Sequence[Record]) -> TextTable:
    """A line for each data set."""
    lines = []
    for dataset in datasets_of(records):
        found = accuracies(records, dataset)
        lines.append((NAMES[dataset], *(mean_and_std(list(found[m].values())) for m in METHODS)))
    seeds = len({r["seed"] for r in records})
    return TextTable(f"Accuracy of coresets of 10%, MLP, {seeds} seeds", ("data", *METHODS), tuple(lines))


def draw(records: Sequence[Record]) -> Figure:
    """Differences from random coresets."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.8, 2.9), dpi=DPI, layout="constrained")
    ax, shown = figure.subplots(), datasets_of(records)
    for i, dataset in enumerate(shown):
        for j, (method, colour) in enumerate(COLOURS.items()):
            paired = paired_difference(accuracies(records, dataset), method, "Random")
            ax.errorbar(
                [paired.difference],
                [i + 0.24 * (j - 0.5)],
                xerr=error_bar(paired),
                fmt="o",
                markersize=5,
                capsize=2,
                color=colour,
                label=method if i == 0 else None,
            )
    ax.axvline(0, color="#111111", lw=1)
    ax.set_yticks(range(len(shown)), [NAMES[d] for d in shown], fontsize=9)
    ax.set_ylim(len(shown) - 0.5, -0.5)
    ax.set_xlabel("accuracy minus that of a random coreset, points (95% interval)", fontsize=9, color=INK)
    ax.set_title("CLD and LTC beyond images, 10% kept", fontsize=10, color=INK)
    ax.legend(fontsize=8, frameon=False)
    dress(ax, "x")
    return figure


CLAIM = Claim(
    "text_tabular", "LTC, text and tables", SIZES, loads, measure, judge, table, draw, in_paper=False
)

if __name__ == "__main__":
    sys.exit(main(CLAIM))
