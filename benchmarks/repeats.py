"""Do CLD's forms keep the same rows under another seed, and are those rows worth keeping?

Table and sentences of docs/results.md, from the score studies of the trainings at a paper's length.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.in_rows import CLD, FORMS
from benchmarks.score_study import Finding, study_mean
from benchmarks.verdicts import Cell, count, of_label
from benchmarks.wording import at, signed
from deepcore.analysis.overlap import spearman
from deepcore.report.cells import percent
from deepcore.report.text_table import TextTable

FRACTION = 0.05
RIVALS = ("DUAL", "Herding", "CCS")
RELATED = 0.3  # of a rank correlation over forms and data sets
ALMOST_RANDOM = 1.5  # times chance


@dataclass(frozen=True)
class Repeat:
    """What a method's choice on a data set repeats, at FRACTION kept; means over seeds.

    Attributes:
        title, label: where and what.
        first_step: the first difference's share of CLD's squared deviations; None for other methods.
        rho_el2n: Spearman's correlation of the scores with EL2N's; None without scores of all rows.
        rho_seeds: the same with the scores of another seed.
        again: of the rows that a seed keeps, the share that another one keeps too, over that of chance.
        difference: accuracy minus Random's, in points.
    """

    title: str
    label: str
    first_step: float | None
    rho_el2n: float | None
    rho_seeds: float | None
    again: float
    difference: float


def repeats(studies: Mapping[str, Sequence[Finding]], cells: Sequence[Cell]) -> list[Repeat]:
    """Of CLD's forms and RIVALS, on every data set with a study."""
    differences = {(c.title, c.label): c.difference for c in cells if c.fraction == FRACTION}
    found = []
    for title, study in studies.items():
        for label in (*FORMS, *RIVALS):
            again = study_mean(study, label, "kept_again", FRACTION)
            if again is not None and (title, label) in differences:
                scores = [study_mean(study, label, m) for m in ("first_step", "rho_el2n", "rho_seeds")]
                found.append(Repeat(title, label, *scores, again / FRACTION, differences[title, label]))
    return found


def repeats_table(found: Sequence[Repeat]) -> TextTable:
    """CLD's forms: what their scores measure, what repeats, and their accuracy."""
    lines = tuple(
        (
            r.title,
            r.label,
            _shown(r.first_step, ".0%"),
            _shown(r.rho_el2n, "+.2f"),
            _shown(r.rho_seeds, "+.2f"),
            f"{r.again:.1f}",
            signed(r.difference),
        )
        for r in found
        if r.label in FORMS
    )
    kept = percent(FRACTION)
    headers = (
        *("data", "method", "share of the first difference", "ρ with EL2N", "ρ between seeds"),
        *(f"kept again at {kept}, times chance", f"minus Random at {kept}, points"),
    )
    return TextTable("What CLD's scores measure, and whether they repeat", headers, lines, words=(0, 1))


def _shown(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def repeat_sentences(found: Sequence[Repeat], cells: Sequence[Cell], best: str | None) -> list[str]:
    """What repeats, and what that says of `best`, the form that is recommended."""
    medians = {m: statistics.median(of) for m in (*FORMS, *RIVALS) if (of := _of(found, m, "again"))}
    if best not in medians:
        return []
    named = "; ".join(f"{m} {value:.1f}" for m, value in medians.items())
    forms = [r for r in found if r.label in FORMS]
    rho = spearman([r.again for r in forms], [r.difference for r in forms])
    return [
        f"How often a row that one seed keeps among its {at([FRACTION])} is kept by another, in multiples of "
        f"chance, in the median data set: {named}.",
        *(_between_seeds(found, m) for m in dict.fromkeys((best, CLD))),
        *([_relation(rho, len(forms))] if rho is not None else []),
        *_almost_random(best, medians[best], cells),
    ]


def headline(found: Sequence[Repeat], cells: Sequence[Cell], best: str | None) -> list[str]:
    """The recommended form in one sentence: beside Random, and how often it keeps the same rows."""
    again = _of(found, best, "again") if best else []
    if not again:
        return []
    of_best, published = of_label(cells, best), statistics.median(_of(found, CLD, "again"))
    above, below = (count(of_best, side) for side in ("above", "below"))
    return [
        f"CLD's best recording, `{best}`, is above Random in {above} of {len(of_best)} cells, below in "
        f"{below}. In the median data set, another seed keeps "
        f"{statistics.median(again):.1f} times as many of its rows as chance would; of the rows of CLD as "
        f"published, {published:.1f} times as many."
    ]


def _between_seeds(found: Sequence[Repeat], label: str) -> str:
    values = _of(found, label, "rho_seeds")
    return (
        f"Two seeds' scores of `{label}` correlate by {min(values):+.2f} to {max(values):+.2f} "
        f"(Spearman), in the median data set by {statistics.median(values):+.2f}."
    )


def _relation(rho: float, n: int) -> str:
    """How repeating goes with accuracy, over forms and data sets."""
    way = "is not related to accuracy" if abs(rho) < RELATED else "goes with a lower accuracy"
    way = "goes with a higher accuracy" if rho >= RELATED else way
    return (
        f"Among CLD's forms, keeping the same rows again {way}: over {n} pairs of a form and a data set, its "
        f"rank correlation with the difference from Random is {rho:+.2f}."
    )


def _almost_random(best: str, again: float, cells: Sequence[Cell]) -> list[str]:
    """A caution, where the recommended form chooses almost at random."""
    if again >= ALMOST_RANDOM:
        return []
    of_best = of_label(cells, best)
    above = count(of_best, "above")
    doubt = "" if above else " These rows do not show that its score finds valuable samples."
    return [
        f"So `{best}` chooses almost as Random does. It is above Random in {above} of {len(of_best)} cells, "
        f"below in {count(of_best, 'below')}: it is the form that harms least.{doubt}"
    ]


def _of(found: Sequence[Repeat], label: str, name: str) -> list[float]:
    values = [getattr(r, name) for r in found if r.label == label]
    return [value for value in values if value is not None]
