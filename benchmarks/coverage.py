"""Where the kept rows lie, and how that goes with accuracy.

Table and sentences of docs/results.md, from the score studies of the trainings at a paper's length.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.in_rows import CLD, ONLINE
from benchmarks.repeats import FRACTION
from benchmarks.score_study import Finding, study_mean
from benchmarks.verdicts import RANDOM, Cell
from benchmarks.wording import signed
from deepcore.analysis.overlap import spearman
from deepcore.report.cells import percent
from deepcore.report.text_table import TextTable

NAMED = {CLD: "CLD as published", ONLINE: "CLD with `record=online`"}


@dataclass(frozen=True)
class Place:
    """Where a selection's rows lie on a data set, at FRACTION kept; means over seeds.

    Attributes:
        title, label: where and what.
        spread: variance of the kept rows of a class over that of its candidates.
        further: how much further a validation row is from the nearest kept row of its class than from a
            random one's, in percent.
        difference: accuracy minus Random's, in points.
    """

    title: str
    label: str
    spread: float
    further: float
    difference: float


def places(studies: Mapping[str, Sequence[Finding]], cells: Sequence[Cell]) -> list[Place]:
    """Of the selections but Random that have a cell on every data set with a study."""
    found: list[Place] = []
    for title, study in studies.items():
        random = study_mean(study, RANDOM, "val_distance", FRACTION)
        for cell in cells:
            if (cell.title, cell.fraction) == (title, FRACTION) and random:
                spread, distance = (
                    study_mean(study, cell.label, m, FRACTION) for m in ("kept_spread", "val_distance")
                )
                if spread is not None and distance is not None:
                    further = 100 * (distance / random - 1)
                    found.append(Place(title, cell.label, spread, further, cell.difference))
    everywhere = [m for m in _labels(found) if {p.title for p in _of(found, m)} == {p.title for p in found}]
    return [p for p in found if p.label in everywhere]


def _of(found: Sequence[Place], label: str) -> list[Place]:
    return [p for p in found if p.label == label]


def _labels(found: Sequence[Place]) -> list[str]:
    """The selections, by falling mean difference from Random."""
    labels = dict.fromkeys(p.label for p in found)
    return sorted(labels, key=lambda m: -statistics.mean(p.difference for p in _of(found, m)))


def coverage_table(found: Sequence[Place]) -> TextTable:
    """A row per selection, means over the data sets."""
    lines = []
    for label in _labels(found):
        spread, further, difference = (
            statistics.mean(getattr(p, name) for p in _of(found, label))
            for name in ("spread", "further", "difference")
        )
        lines.append((label, f"{100 * spread:.0f}", signed(further), signed(difference)))
    kept, n = percent(FRACTION), len({p.title for p in found})
    headers = (
        *("method", "variance of the kept rows, % of their class's"),
        *("further from validation rows than Random's, %", "minus Random, points"),
    )
    return TextTable(f"Where the kept rows lie, {kept} kept: means over {n} data sets", headers, tuple(lines))


def coverage_sentences(found: Sequence[Place]) -> list[str]:
    """How the two measures go with accuracy, and what CLD keeps."""
    if not found:
        return []
    return [
        "Rank correlation of the distance from the validation rows with the difference from Random, over "
        f"{len(_labels(found))} selections: {_within(found, lambda p: p.further)}.",
        "The same of how far the variance is from the class's, in either direction (the size of its "
        f"logarithm): {_within(found, lambda p: abs(math.log(p.spread)))}.",
        *(_of_form(found, m) for m in NAMED if _of(found, m)),
    ]


def _within(found: Sequence[Place], measure: Callable[[Place], float]) -> str:
    """Each data set's rank correlation of a measure with the difference from Random."""
    parts = []
    for title in dict.fromkeys(p.title for p in found):
        here = [p for p in found if p.title == title]
        rho = spearman([measure(p) for p in here], [p.difference for p in here])
        parts += [f"{title} {signed(rho, 2)}"] if rho is not None else []
    return "; ".join(parts) or "none"


def _of_form(found: Sequence[Place], label: str) -> str:
    spreads = sorted(100 * p.spread for p in _of(found, label))
    further = sorted(p.further for p in _of(found, label))
    return (
        f"{NAMED[label]} keeps rows whose variance is {spreads[0]:.0f} to {spreads[-1]:.0f}% of their "
        f"class's. Beside random rows, they are further from the validation rows by {signed(further[0])} to "
        f"{signed(further[-1])}%."
    )
