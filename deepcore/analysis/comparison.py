"""Comparison of the methods of a grid: means over seeds, differences from Random and from the best.

One `Comparison` per target net and fraction. Within it the selections are compared with Random as one family
(Holm) and with the best of them; the reference rows are compared with Random as a family of their own, and
are never the best. Rows that fix their own size (Full, a file) are compared with nothing.
"""

from __future__ import annotations

import functools
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deepcore.analysis import stats
from deepcore.analysis.power import Reach, reach
from deepcore.analysis.stats import Paired, Ranks, Summary
from deepcore.common.checks import UsageError
from deepcore.experiment.rows import ResultRow

BASELINE = "Random"
Rows = Mapping[int, ResultRow]  # of one method at one fraction, by seed


@dataclass(frozen=True)
class Entry:
    """One method at one fraction on one net. Accuracies are in percent, of the test set after the last step.

    Attributes:
        label: the method with its changed fields.
        n, k: candidates and rows trained on in an epoch; means over seeds, rounded.
        is_selection: False for reference rows.
        accuracy, worst: over seeds; `worst` is of the lowest class accuracy of each seed.
        to_random, worst_to_random: paired differences of the two from Random's; None for Random itself, and
            where there is no Random at this fraction.
        to_best: paired difference of the accuracy from the best selection's; None for it and for references.
        is_best: the selection of the highest mean of several; never below stats.MIN_SEEDS.
    """

    label: str
    n: int
    k: int
    is_selection: bool
    accuracy: Summary
    worst: Summary
    to_random: Paired | None = None
    worst_to_random: Paired | None = None
    to_best: Paired | None = None
    is_best: bool = False

    @property
    def as_good_as_best(self) -> bool:
        """Whether the interval of the difference from the best contains 0; False without an interval."""
        return self.to_best is not None and self.to_best.distinguishable is False

    @property
    def beside_random(self) -> str:
        """ "above", "below", or "" where it is neither or nobody can tell."""
        return side(self.to_random)

    @property
    def verdict(self) -> str:
        """The verdict as printed: "best", "≈ best" (not told apart from it), "> Random", "< Random"."""
        words = ["best"] if self.is_best else ["≈ best"] if self.as_good_as_best else []
        sign = {"above": ">", "below": "<"}.get(self.beside_random)
        return ", ".join([*words, *([f"{sign} {BASELINE}"] if sign else [])])


@dataclass(frozen=True)
class Comparison:
    """The methods at one fraction (None: those that fix their own size) on one target net."""

    dataset: str
    net: str
    fraction: float | None
    entries: tuple[Entry, ...]
    baseline: str | None = None

    @functools.cached_property
    def reach(self) -> tuple[Reach, ...]:
        """The true difference from Random that its seeds find, the most seeds first; empty where nothing
        was tested."""
        return reach([e.to_random for e in self.entries if e.is_selection and e.to_random])


@dataclass(frozen=True)
class RankTable:
    """Average ranks of the selections on one net, per fraction and over the fractions (`overall`).

    `methods` have rows at every fraction; `left_out` have not, and are not ranked.
    """

    net: str
    methods: tuple[str, ...]
    by_fraction: Mapping[float, Ranks]
    overall: Ranks
    left_out: tuple[str, ...] = ()


def side(paired: Paired | None) -> str:
    """ "above" or "below" its reference by the adjusted p; "" where it is neither or nobody can tell."""
    verdict = paired.verdict if paired else None
    return verdict if verdict in ("above", "below") else ""


def accuracy(row: ResultRow) -> float:
    """In percent."""
    return 100 * row.accuracy


def worst_class(row: ResultRow) -> float:
    """The lowest class accuracy, in percent."""
    return 100 * (row.worst_class() or 0.0)


def compare_rows(rows: Sequence[ResultRow]) -> list[Comparison]:
    """The comparisons in the order of nets and of fractions, those of no fraction last; failed rows are left
    out.

    Raises:
        UsageError: two rows of one method, fraction and seed; rows of two experiments, as of two recipes.
    """
    cells: dict[tuple, dict[str, dict[int, ResultRow]]] = {}
    settings: dict[tuple, dict[str, tuple[str, Any]]] = {}
    for row in rows:
        if row.status == "ok":
            key = (row.dataset, row.target_net, row.fraction)
            cell = cells.setdefault(key, {})
            seeds = cell.setdefault(row.label, {})
            if row.seed in seeds:
                raise UsageError(
                    f"{row.label} at {row.fraction} has two rows of seed {row.seed}: "
                    "compare rows of one recipe"
                )
            seeds[row.seed] = row
            _check_setting(row, settings.setdefault(key, {}))
    nets = list(dict.fromkeys(key[:2] for key in cells))
    keys = sorted(cells, key=lambda key: (nets.index(key[:2]), key[2] is None, key[2] or 0))
    return [_compare(*key, cells[key]) for key in keys]


def _check_setting(row: ResultRow, known: dict[str, tuple[str, Any]]) -> None:
    """UsageError where `row` differs from `known`, {field: (label of first row, value)}, which it joins."""
    for name, value in _setting(row).items():
        label, other = known.setdefault(name, (row.label, value))
        if value != other:
            raise UsageError(
                f"{label} and {row.label} at {row.fraction} differ in {name} ({other} and {value}): compare "
                "rows of one experiment"
            )


def _setting(row: ResultRow) -> dict[str, Any]:
    """The fields that all rows of a comparison share. A method without a proxy run has none of one, nor has a
    method with a run of its own."""
    found = {"n": row.n, "q": row.q, "long_tail.imbalance": row.long_tail.get("imbalance")}
    found |= {f"label_noise.{part}": row.label_noise.get(part, 0.0) for part in ("train", "val")}
    found |= {f"target_recipe.{name}": value for name, value in row.target_recipe.items()}
    if row.proxy_recipe is not None and not row.reads.get("own"):
        found |= {"proxy_net": row.proxy_net}
        found |= {f"proxy_recipe.{name}": value for name, value in row.proxy_recipe.items()}
    return found


def rank_table(rows: Sequence[ResultRow], net: str) -> RankTable | None:
    """The ranks on one net, of rows of one data set; None with fewer than two methods to rank."""
    datasets = sorted({row.dataset for row in rows})
    if len(datasets) > 1:
        raise UsageError(f"ranks within a seed are of one data set, not of {' and '.join(datasets)}")
    found: dict[float, dict[str, dict[int, float]]] = {}
    for row in rows:
        if row.status == "ok" and row.target_net == net and row.is_selection and row.fraction is not None:
            found.setdefault(row.fraction, {}).setdefault(row.label, {})[row.seed] = accuracy(row)
    every = list(dict.fromkeys(label for of_fraction in found.values() for label in of_fraction))
    common = [label for label in every if all(label in of_fraction for of_fraction in found.values())]
    if len(common) < 2:
        return None
    kept = {f: {label: found[f][label] for label in common} for f in sorted(found)}
    return RankTable(
        net,
        tuple(common),
        {fraction: stats.average_ranks(accuracies) for fraction, accuracies in kept.items()},
        stats.average_ranks_over(kept),
        tuple(label for label in every if label not in common),
    )


def _compare(dataset: str, net: str, fraction: float | None, cells: Mapping[str, Rows]) -> Comparison:
    first = {label: next(iter(rows.values())) for label, rows in cells.items()}
    chosen = [label for label, row in first.items() if row.is_selection]
    baseline = None
    if fraction is not None:
        known = [label for label in chosen if first[label].method == BASELINE]
        baseline = BASELINE if BASELINE in known else next(iter(known), None)
    by_label = {label: {seed: accuracy(row) for seed, row in rows.items()} for label, rows in cells.items()}
    worst = {label: {seed: worst_class(row) for seed, row in rows.items()} for label, rows in cells.items()}
    to_random = _to_baseline(by_label, chosen, baseline)
    worst_to_random = _to_baseline(worst, chosen, baseline)
    to_best: Mapping[str, Paired] = {}
    best = None
    if fraction is not None and len(chosen) > 1:
        found = stats.best({label: by_label[label] for label in chosen})
        to_best = found.to_best
        known = any(paired.distinguishable is not None for paired in to_best.values())
        best = found.name if known else None
    entries = tuple(
        Entry(
            label,
            round(statistics.mean(row.n for row in rows.values())),
            round(statistics.mean(row.k for row in rows.values())),
            label in chosen,
            stats.summarise(by_label[label]),
            stats.summarise(worst[label]),
            to_random.get(label),
            worst_to_random.get(label),
            to_best.get(label),
            label == best,
        )
        for label, rows in cells.items()
    )
    return Comparison(dataset, net, fraction, entries, baseline)


def _to_baseline(
    accuracies: stats.Accuracies, chosen: Sequence[str], baseline: str | None
) -> dict[str, Paired]:
    """Each label against the baseline; selections and reference rows are two families."""
    if baseline is None:
        return {}
    others = [label for label in accuracies if label not in chosen]
    found: dict[str, Paired] = {}
    for family in (chosen, [baseline, *others]):
        found |= stats.compare({label: accuracies[label] for label in family}, baseline)
    return found
