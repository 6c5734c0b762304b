"""Do CLD's forms keep the same rows under another seed, and are those rows worth keeping?

Table and sentences of docs/results.md, from the score studies of the trainings at a paper's length.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.in_rows import CLD, FORMS
from benchmarks.score_study import Finding, study_mean
from benchmarks.verdicts import RANDOM, Cell, count, of_label
from benchmarks.wording import at, signed
from deepcore.analysis.overlap import spearman
from deepcore.report.cells import percent
from deepcore.report.text_table import TextTable

FRACTION = 0.05  # kept
RIVALS = ("DUAL", "Herding", "CCS")
NOTHING = "-"
FEW_AGAIN = 1.5  # times chance
MEASURES = ("first_step", "rho_first_drop", "rho_el2n", "rho_seeds")


@dataclass(frozen=True)
class Repeat:
    """What a method's choice on a data set repeats, at FRACTION kept; means over seeds.

    Attributes:
        title, label: where and what.
        first_step: the first difference's share of CLD's squared deviations; None for other methods.
        rho_first_drop, rho_el2n: Spearman's correlation of the scores with the loss drop of the first epoch,
            and with EL2N's scores; None without scores of all rows.
        rho_seeds: the same with the scores of another seed.
        again: of the rows that a seed keeps, the share that another one keeps too, over that of chance.
        difference: accuracy minus Random's, in points.
    """

    title: str
    label: str
    first_step: float | None
    rho_first_drop: float | None
    rho_el2n: float | None
    rho_seeds: float | None
    again: float
    difference: float


def repeats(studies: Mapping[str, Sequence[Finding]], cells: Sequence[Cell]) -> list[Repeat]:
    """Of CLD's forms, RIVALS and Random, on every data set with a study."""
    differences = {(c.title, c.label): c.difference for c in cells if c.fraction == FRACTION}
    differences |= {(title, RANDOM): 0.0 for title in studies}
    found = []
    for title, study in studies.items():
        for label in (*FORMS, *RIVALS, RANDOM):
            again = study_mean(study, label, "kept_again", FRACTION)
            if again is not None and (title, label) in differences:
                scores = [study_mean(study, label, m) for m in MEASURES]
                found.append(Repeat(title, label, *scores, again / FRACTION, differences[title, label]))
    return found


def repeats_table(found: Sequence[Repeat]) -> TextTable:
    """CLD's forms: what their scores measure, what repeats, and their accuracy; Random beside them."""
    lines = tuple(
        (
            r.title,
            r.label,
            NOTHING if r.first_step is None else f"{r.first_step:.0%}",
            *(
                NOTHING if rho is None else signed(rho, 2)
                for rho in (r.rho_first_drop, r.rho_el2n, r.rho_seeds)
            ),
            f"{r.again:.1f}",
            signed(r.difference),
        )
        for r in found
        if r.label in (*FORMS, RANDOM)
    )
    headers = (
        *("data", "method", "share of the first difference", "ρ with the first drop", "ρ with EL2N"),
        *("ρ between seeds", "kept again / chance", "minus Random, points"),
    )
    title = f"What CLD's scores measure, and whether they repeat, {percent(FRACTION)} kept"
    return TextTable(title, headers, lines, words=(0, 1))


def repeat_sentences(found: Sequence[Repeat], cells: Sequence[Cell], best: str | None) -> list[str]:
    """What repeats, and what that says of `best`, the form of CLD with the highest mean."""
    medians = {m: statistics.median(of) for m in (*FORMS, *RIVALS, RANDOM) if (of := _again(found, m))}
    if best not in medians:
        return []
    named = "; ".join(f"{m} {value:.1f}" for m, value in medians.items())
    return [
        f"Kept again over chance, at {at([FRACTION])} kept, in the median data set: {named}.",
        *(_between_seeds(found, m) for m in dict.fromkeys((best, CLD))),
        *_relation(found),
        *_of_best(best, medians[best], cells),
    ]


def _between_seeds(found: Sequence[Repeat], label: str) -> str:
    values = {r.title: r.rho_seeds for r in found if r.label == label and r.rho_seeds is not None}
    low, high = min(values, key=lambda t: values[t]), max(values, key=lambda t: values[t])
    return (
        f"Averaged over pairs of seeds, the scores of `{label}` correlate by {signed(values[low], 2)} "
        f"({low}) to {signed(values[high], 2)} ({high})."
    )


def _relation(found: Sequence[Repeat]) -> list[str]:
    """How repeating goes with accuracy: among CLD's forms, and among the rivals."""
    parts = []
    for name, labels in (("a form of CLD", FORMS), (f"one of {', '.join(RIVALS)}", RIVALS)):
        of = [r for r in found if r.label in labels]
        rho = spearman([r.again for r in of], [r.difference for r in of])
        if rho is not None:
            parts.append(f"{rho:+.2f} over {len(of)} pairs of a data set and {name}")
    if not parts:
        return []
    return [
        "The rank correlation of keeping the same rows again with the difference from Random is "
        f"{'; '.join(parts)}. The pairs are not independent."
    ]


def _of_best(best: str, again: float, cells: Sequence[Cell]) -> list[str]:
    """A caution, where the best form hardly repeats its choice."""
    if again >= FEW_AGAIN:
        return []
    of_best = of_label(cells, best)
    above, below = (count(of_best, side) for side in ("above", "below"))
    doubt = "" if above else " These rows do not show that its score finds valuable samples."
    return [
        f"`{best}` keeps few of the same rows under another seed. It is above Random in {above} of "
        f"{len(of_best)} cells, below in {below}.{doubt}"
    ]


def _again(found: Sequence[Repeat], label: str) -> list[float]:
    return [r.again for r in found if r.label == label]
