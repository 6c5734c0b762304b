"""The committed rows, with their comparisons.

Which files are there decides what the page says: a grid of benchmarks/grids.py without a file in
benchmarks/results is left out.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.grids import GRIDS
from benchmarks.score_study import Finding
from benchmarks.score_study import from_csv as study_from_csv
from deepcore.analysis.comparison import Comparison, Entry, compare_rows
from deepcore.experiment.rows import ResultRow
from deepcore.experiment.rows_csv import from_csv

RESULTS = Path(__file__).resolve().parent / "results"
SHORT = ("fashion", "fashion_all", "fashion_noise10", "fashion_noise30")  # ten epochs
EFFECTS = "fashion_long_effects"
TITLES = {
    "FashionMNIST": "Fashion-MNIST",
    "mnist5k.npz": "MNIST-5k",
    "letter.npz": "Letter",
    "satellite.npz": "Satellite",
    "spam.npz": "Spam",
}


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
        noise: {percent of flipped labels: grid}, of ten epochs.
        study: the score study of the fashion grid.
        long: {title: grid} of trainings as long as a paper's, one for each data set: clean labels, the
            candidates as they are, the MLP. Digits is one of them.
        settings: {name: grid} of the same length in another setting: a long tail, another network.
        long_noise: {title: grid} of the same length with flipped labels.
        effects: the grid of effects of protocol; None without.
        curves: the measures of benchmarks/effects.py.
        length: the rows of benchmarks/length.py.
        studies: {title: score study} of the grids in `long`.
    """

    digits: Head
    fashion: Head
    noise: Mapping[int, Head]
    study: Sequence[Finding]
    long: Mapping[str, Head] = field(default_factory=dict)
    settings: Mapping[str, Head] = field(default_factory=dict)
    long_noise: Mapping[str, Head] = field(default_factory=dict)
    effects: Head | None = None
    curves: Sequence[Finding] = ()
    length: Sequence[ResultRow] = ()
    studies: Mapping[str, Sequence[Finding]] = field(default_factory=dict)

    @classmethod
    @functools.lru_cache(maxsize=2)
    def read(cls, folder: Path = RESULTS) -> Published:
        """From the CSV files in `folder`, once in the life of the process."""
        found = {name: path for name in GRIDS if (path := folder / f"{name}.csv").exists()}
        rows = {name: from_csv(path.read_text(), path.name) for name, path in found.items()}
        of_length = {name: of for name, of in rows.items() if name not in (*SHORT, EFFECTS)}
        clean = {name: of for name, of in of_length.items() if not of[0].label_noise}
        settings = {name: of for name, of in clean.items() if of[0].long_tail or of[0].target_net != "MLP"}
        long = [of for name, of in clean.items() if name not in settings]
        curves, length = folder / "effects.csv", folder / "length.csv"
        return cls(
            Head.of(rows["digits"]),
            Head.of(rows["fashion"]),
            {percent: Head.of(rows[f"fashion_noise{percent}"]) for percent in (10, 30)},
            study_from_csv((folder / "fashion_scores.csv").read_text()),
            by_title(long),
            {name: Head.of(of) for name, of in settings.items()},
            by_title(of for of in of_length.values() if of[0].label_noise),
            Head.of(rows[EFFECTS]) if EFFECTS in rows else None,
            study_from_csv(curves.read_text()) if curves.exists() else (),
            from_csv(length.read_text(), length.name) if length.exists() else (),
            studies_of({name: of for name, of in clean.items() if name not in settings}, folder),
        )


def title_of(row: ResultRow) -> str:
    """What a row is of: data, long tail, flipped labels, and the network where it is no MLP."""
    parts = [TITLES.get(row.dataset, row.dataset)]
    if row.long_tail:
        parts.append("long tail")
    if row.label_noise:
        share = {"labels": row.label_noise["train"], "validation labels": row.label_noise["val"]}
        parts += [f"{100 * rate:g}% of the {what} flipped" for what, rate in share.items() if rate]
    if row.target_net != "MLP":
        parts.append(row.target_net)
    return ", ".join(parts)


def by_title(grids: Iterable[Sequence[ResultRow]]) -> dict[str, Head]:
    """The grids by title; those of one title together, each row once."""
    found: dict[str, dict[tuple, ResultRow]] = {}
    for rows in grids:
        for row in rows:
            found.setdefault(title_of(row), {})[row.label, row.fraction, row.seed] = row
    return {title: Head.of(list(rows.values())) for title, rows in found.items()}


def studies_of(grids: Mapping[str, Sequence[ResultRow]], folder: Path) -> dict[str, list[Finding]]:
    """{title: the findings of its grids' score studies}, each once."""
    found: dict[str, dict[tuple, Finding]] = {}
    for name, rows in grids.items():
        path = folder / f"{name}_scores.csv"
        if path.exists():
            of_title = found.setdefault(title_of(rows[0]), {})
            of_title |= {finding[:4]: finding for finding in study_from_csv(path.read_text())}
    return {title: list(findings.values()) for title, findings in found.items()}
