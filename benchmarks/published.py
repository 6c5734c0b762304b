"""The committed rows, with their comparisons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.rows_csv import from_csv
from benchmarks.score_study import Finding
from benchmarks.score_study import from_csv as study_from_csv
from deepcore.analysis.comparison import Comparison, Entry, compare_rows
from deepcore.experiment.rows import ResultRow

RESULTS = Path(__file__).resolve().parent / "results"


@dataclass(frozen=True)
class Head:
    """A grid's rows and their comparisons."""

    rows: Sequence[ResultRow]
    comparisons: Sequence[Comparison]

    @classmethod
    def of(cls, rows: Sequence[ResultRow]) -> Head:
        """From rows."""
        return cls(rows, compare_rows(rows))

    def entry(self, label: str, fraction: float | None) -> Entry:
        """One method at one fraction."""
        comparison = next(c for c in self.comparisons if c.fraction == fraction)
        return next(entry for entry in comparison.entries if entry.label == label)

    @property
    def fractions(self) -> list[float]:
        """The fractions kept, ascending."""
        return [c.fraction for c in self.comparisons if c.fraction is not None]


@dataclass(frozen=True)
class Published:
    """All committed rows.

    Attributes:
        digits, fashion: the grids of these names.
        noise: {percent of flipped labels: grid}.
        study: the score study of the fashion grid.
    """

    digits: Head
    fashion: Head
    noise: Mapping[int, Head]
    study: Sequence[Finding]

    @classmethod
    def read(cls, folder: Path = RESULTS) -> Published:
        """From the CSV files in `folder`."""

        def head(name: str) -> Head:
            return Head.of(from_csv((folder / f"{name}.csv").read_text(), f"{name}.csv"))

        return cls(
            head("digits"),
            head("fashion"),
            {percent: head(f"fashion_noise{percent}") for percent in (10, 30)},
            study_from_csv((folder / "fashion_scores.csv").read_text()),
        )
