"""Tables of agreement between methods and between seeds, from the stored selections and scores.

Selections are compared by the Jaccard overlap of their rows. Scores are compared by Spearman's rank
correlation; every score is turned so that its kept end is high. Methods without files, such as reference
rows, are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from deepcore.analysis.overlap import Scores, correlations, overlaps
from deepcore.experiment.plan import Plan
from deepcore.report.cells import percent
from deepcore.report.table import Table
from deepcore.report.text_table import TextTable
from deepcore.selection.budget import Budget
from deepcore.selection.method import CoresetMethod
from deepcore.selection.ranking import merit
from deepcore.selection.store import file_stem, read_scores, read_selected

Pair = tuple[str, str]


@dataclass(frozen=True)
class Agreement:
    """Means over `count` seeds or pairs of seeds; None where nothing was compared."""

    jaccard: float | None = None
    chance: float | None = None
    spearman: float | None = None
    count: int = 0


@dataclass(frozen=True)
class _Files:
    """The selections and scores that a plan left in a folder."""

    plan: Plan
    folder: Path

    def of(self, seed: int, method: CoresetMethod) -> Path:
        """The folder of one method under one seed."""
        return self.plan.selection_folder(self.folder, seed, method)


def agreement_tables(plan: Plan, folder: Path) -> list[Table]:
    """Overlap of the methods at each fraction, correlation of their scores, agreement of each method with
    itself between seeds. Tables without content are left out."""
    files = _Files(plan, folder)
    methods = {method.label(): method for method in plan.spec.methods}
    tables = [_overlap_table(files, methods, fraction) for fraction in files.plan.spec.fractions]
    tables += [_correlation_table(files, methods), _seeds_table(files, methods)]
    return [table for table in tables if table.records]


def _overlap_table(files: _Files, methods: Mapping[str, CoresetMethod], fraction: float) -> Table:
    """Jaccard overlap of the methods at a fraction."""
    found: dict[Pair, list[tuple[float, float]]] = {}
    for seed in files.plan.spec.seeds:
        rows = {name: _rows(files, seed, method, fraction) for name, method in methods.items()}
        held = {name: ids for name, ids in rows.items() if ids is not None}
        for pair in overlaps(held, len(files.plan.seeds[seed].split.train)):
            found.setdefault((pair.first, pair.second), []).append((pair.jaccard, pair.chance))
    means = {pair: np.mean(values, axis=0).tolist() for pair, values in found.items()}
    records = tuple(
        {"fraction": fraction, "first": first, "second": second, "jaccard": jaccard, "chance": chance,
         "seeds": len(found[first, second])}
        for (first, second), (jaccard, chance) in means.items()
    )  # fmt: skip
    chances = sorted(f"{chance:.2f}" for _, chance in means.values()) or [""]
    by_chance = chances[0] if chances[0] == chances[-1] else f"{chances[0]} to {chances[-1]}"
    note = f"Rows in both selections divided by rows in either, mean over seeds. Chance is {by_chance}."
    title = f"Overlap of selections, {percent(fraction)} kept (Jaccard)"
    text, styles = _matrix(title, {pair: jaccard for pair, (jaccard, _) in means.items()}, methods)
    return Table(f"overlap_f{fraction:.12g}", text, records, (note,), styles)


def _correlation_table(files: _Files, methods: Mapping[str, CoresetMethod]) -> Table:
    """Spearman's correlation of the scores of different methods."""
    found: dict[Pair, list[float]] = {}
    for seed in files.plan.spec.seeds:
        scores = {name: _scores(files, seed, method) for name, method in methods.items()}
        for pair in correlations({name: s for name, s in scores.items() if s is not None}):
            if pair.rho is not None:
                found.setdefault((pair.first, pair.second), []).append(pair.rho)
    means = {pair: float(np.mean(values)) for pair, values in found.items()}
    records = tuple(
        {"first": first, "second": second, "spearman": rho, "seeds": len(found[first, second])}
        for (first, second), rho in means.items()
    )
    notes = (
        "Mean over seeds. 1: the same order. Scores whose low end is kept are turned around. Scores that "
        f"depend on the fraction are those of {percent(max(files.plan.spec.fractions))}.",
    )
    text, styles = _matrix("Rank correlation of scores (Spearman)", means, methods)
    return Table("score_correlation", text, records, notes, styles)


def _seeds_table(files: _Files, methods: Mapping[str, CoresetMethod]) -> Table:
    """Agreement of each method with itself between seeds."""
    rows, records = [], []
    fractions = files.plan.spec.fractions
    for name, method in methods.items():
        own = fractions if method.uses_fraction else ()
        found = {fraction: _between_seeds(files, method, fraction) for fraction in own}
        rho = _scores_between_seeds(files, method)
        if not rho.count and not any(agreement.count for agreement in found.values()):
            continue
        values = [found.get(fraction, Agreement()).jaccard for fraction in fractions]
        rows.append((name, *("-" if v is None else f"{v:.2f}" for v in (*values, rho.spearman))))
        records += [
            {"method": name, "fraction": fraction, "jaccard": agreement.jaccard, "chance": agreement.chance,
             "spearman": rho.spearman, "pairs": agreement.count}
            for fraction, agreement in found.items()
        ]  # fmt: skip
    note = (
        "Mean over pairs of seeds, on the candidates that both seeds have: Jaccard overlap of the selections "
        "at each fraction, and Spearman's correlation of the scores. Random's values are chance."
    )
    headers = ("method", *(percent(fraction) for fraction in fractions), "scores")
    text = TextTable("Agreement of each method with itself between seeds", headers, tuple(rows))
    return Table("between_seeds", text, tuple(records), (note,))


def _between_seeds(files: _Files, method: CoresetMethod, fraction: float) -> Agreement:
    """Overlap of the method's selections under any two seeds, of the rows that both could select."""
    held = {seed: _rows(files, seed, method, fraction) for seed in files.plan.spec.seeds}
    pairs = []
    for a, b in combinations([seed for seed, ids in held.items() if ids is not None], 2):
        pool = np.intersect1d(files.plan.seeds[a].split.train, files.plan.seeds[b].split.train)
        both = {str(seed): np.intersect1d(held[seed], pool) for seed in (a, b)}
        pairs += [(pair.jaccard, pair.chance) for pair in overlaps(both, len(pool))]
    if not pairs:
        return Agreement()
    jaccard, chance = np.mean(pairs, axis=0).tolist()
    return Agreement(jaccard, chance, count=len(pairs))


def _scores_between_seeds(files: _Files, method: CoresetMethod) -> Agreement:
    """Correlation of the method's scores under any two seeds."""
    held = {str(seed): _scores(files, seed, method) for seed in files.plan.spec.seeds}
    found = correlations({seed: scores for seed, scores in held.items() if scores is not None})
    known = [pair.rho for pair in found if pair.rho is not None]
    return Agreement(spearman=float(np.mean(known)), count=len(known)) if known else Agreement()


def _rows(files: _Files, seed: int, method: CoresetMethod, fraction: float) -> np.ndarray | None:
    """The selected ids, if their file is there."""
    path = files.of(seed, method) / f"{file_stem(method, fraction)}.npz"
    if not path.exists():
        return None
    pool = files.plan.seeds[seed].pool
    k = Budget.of(fraction, len(pool.ids)).k if method.uses_fraction else None
    return read_selected(path, pool, k)


def _scores(files: _Files, seed: int, method: CoresetMethod) -> Scores | None:
    """The scores, high for the end that is kept; those of the largest fraction where they depend on it."""
    largest = max(files.plan.spec.fractions)
    folder = files.of(seed, method)
    names = ("scores.npz", f"scores-{file_stem(method, largest)}.npz")
    path = next((folder / name for name in names if (folder / name).exists()), None)
    if path is None:
        return None
    pool = files.plan.seeds[seed].pool
    scores = read_scores(path, pool)
    keep = getattr(method.resolve(largest) if method.uses_fraction else method, "keep", "highest")
    return Scores(pool.ids, merit(scores, keep))


def _matrix(
    title: str, values: Mapping[Pair, float], names: Iterable[str]
) -> tuple[TextTable, tuple[tuple[str, ...], ...]]:
    """A symmetric table of pairs, and the shade of each cell. Columns have the numbers of the rows, because
    names are long."""
    known = [name for name in names if any(name in pair for pair in values)]
    rows, styles = [], []
    for i, name in enumerate(known):
        others = [values.get((name, other), values.get((other, name))) for other in known]
        rows.append((f"{i + 1} {name}", *("-" if value is None else f"{value:.2f}" for value in others)))
        styles.append(("", *map(_shade, others)))
    return TextTable(title, ("", *(str(i + 1) for i in range(len(known)))), tuple(rows)), tuple(styles)


def _shade(value: float | None) -> str:
    """ "plus1" to "plus4" for a value from 0.1 to 1, "minus1" to "minus4" below 0, "" near 0."""
    if value is None or abs(value) < 0.1:
        return ""
    return f"{'plus' if value > 0 else 'minus'}{min(4, 1 + int(4 * abs(value)))}"
