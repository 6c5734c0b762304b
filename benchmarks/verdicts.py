"""Verdicts over several data sets: one cell per data set, fraction and method."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.grids import EARLY
from benchmarks.in_rows import CLD, FORMS
from benchmarks.published import Head

RANDOM = "Random"
IN_CELLS = (*FORMS, EARLY)


@dataclass(frozen=True)
class Cell:
    """A method beside Random on one data set at one fraction.

    Attributes:
        title, fraction, label: where and what.
        is_selection: False for reference rows.
        difference: mean accuracy minus Random's, in points.
        side: "above", "below", or "" for not told apart.
        n: seeds.
    """

    title: str
    fraction: float
    label: str
    is_selection: bool
    difference: float
    side: str
    n: int


def cells_of(heads: Mapping[str, Head]) -> list[Cell]:
    """Every cell with a verdict: of methods that have three seeds or more. Of CLD with changed fields only
    the forms that differ in what they record (IN_CELLS) are among them."""
    return [
        cell
        for title, head in heads.items()
        for cell in _cells(title, head)
        if cell.label in IN_CELLS or not cell.label.startswith("CLD:")
    ]


def _cells(title: str, head: Head) -> Iterator[Cell]:
    for comparison in head.comparisons:
        if comparison.fraction is None or comparison.baseline is None:
            continue
        for entry in comparison.entries:
            pair = entry.to_random
            if pair is not None and pair.p_adjusted is not None:
                yield Cell(
                    title,
                    comparison.fraction,
                    entry.label,
                    entry.is_selection,
                    pair.difference,
                    entry.beside_random,
                    pair.n,
                )


def columns_of(cells: Sequence[Cell]) -> list[tuple[str, float]]:
    """(data set, fraction) of the cells, data sets in their order, fractions ascending."""
    titles = list(dict.fromkeys(cell.title for cell in cells))
    found = {(cell.title, cell.fraction) for cell in cells}
    return sorted(found, key=lambda column: (titles.index(column[0]), column[1]))


def of_label(cells: Sequence[Cell], label: str) -> list[Cell]:
    """The cells of a method."""
    return [cell for cell in cells if cell.label == label]


def mean_difference(cells: Sequence[Cell]) -> float:
    """Mean of the differences, each data set counting once; cells must not be empty."""
    titles = dict.fromkeys(cell.title for cell in cells)
    means = []
    for title in titles:
        found = [cell.difference for cell in cells if cell.title == title]
        means.append(sum(found) / len(found))
    return sum(means) / len(means)


def count(cells: Sequence[Cell], side: str) -> int:
    """Cells on a side of Random."""
    return sum(cell.side == side for cell in cells)


def ordered(cells: Sequence[Cell]) -> list[str]:
    """Selections, then reference rows; each by falling mean difference, those with few cells last."""
    labels = list(dict.fromkeys(cell.label for cell in cells))
    columns = len(columns_of(cells))

    def key(label: str) -> tuple:
        found = of_label(cells, label)
        return not found[0].is_selection, len(found) < columns / 2, -mean_difference(found)

    return sorted(labels, key=key)


def most_run(cells: Sequence[Cell]) -> list[str]:
    """The selections with rows in at least half of the cells; of CLD the published form alone."""
    columns = len(columns_of(cells))
    chosen = [c for c in cells if c.is_selection and (c.label == CLD or not c.label.startswith("CLD:"))]
    return [m for m in ordered(chosen) if 2 * len(of_label(chosen, m)) >= columns]


def accuracies_by_data_set(heads: Mapping[str, Head]) -> dict[str, dict[str, float]]:
    """{selection: {data set: mean accuracy}} of the selections that every data set has; of CLD the published
    form alone, because its forms would lower each other's ranks.

    The mean is over the fractions of a data set at which all of these have rows, each weighted alike.
    """
    known = [
        {
            (e.label, c.fraction)
            for c in head.comparisons
            for e in c.entries
            if e.is_selection and c.fraction and not e.label.startswith("CLD:")
        }
        for head in heads.values()
    ]
    if not known:
        return {}
    common = set.intersection(*({label for label, _ in found} for found in known))
    order = [label for label in _labels(heads) if label in common]
    found: dict[str, dict[str, float]] = {label: {} for label in order}
    for (title, head), have in zip(heads.items(), known, strict=True):
        fractions = [f for f in head.fractions if all((label, f) in have for label in order)]
        for label in order if fractions else ():
            values = [head.entry(label, f).accuracy.mean for f in fractions]
            found[label][title] = sum(values) / len(values)
    return found


def _labels(heads: Mapping[str, Head]) -> list[str]:
    return list(dict.fromkeys(e.label for h in heads.values() for c in h.comparisons for e in c.entries))
