"""Result rows set against each other: at each fraction, what differs from Random and what from the best.

The statistics are those of `deepcore.stats`; accuracies are in percent, differences in points.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from deepcore.checks import UsageError
from deepcore.results import ResultRow
from deepcore.sheet import Sheet, render_lines
from deepcore.stats import (
    MIN_SEEDS,
    Accuracies,
    Paired,
    Ranks,
    Summary,
    average_ranks,
    average_ranks_over,
    best,
    compare,
    summarise,
)

REFERENCE = "Random"
BEST, AS_GOOD, BELOW = "best", "as good", "below Random"
LEGEND = (
    f"{BEST}: highest mean of the selections; {AS_GOOD}: the 95% interval of its paired difference from the "
    f"best contains 0; {BELOW}: Holm-adjusted p below 0.05.",
    "minus Random: mean paired difference from Random over common seeds, in points, with its 95% t interval; "
    f"p: paired t test, adjusted by Holm over the table. Below {MIN_SEEDS} common seeds there is neither.",
)


@dataclass(frozen=True)
class Entry:
    """One method at one fraction.

    Attributes:
        method: label.
        is_selection: False for reference rows.
        k: rows trained on (the median over seeds).
        accuracy, worst: over seeds, in percent; `worst` is of the lowest class accuracy.
        to_reference: paired difference from Random; None for Random itself and where it did not run.
        mark: BEST, AS_GOOD, BELOW, or "".
        rank: average rank among the selections; None for others and without common seeds.
    """

    method: str
    is_selection: bool
    k: int
    accuracy: Summary
    worst: Summary
    to_reference: Paired | None
    mark: str
    rank: float | None


@dataclass(frozen=True)
class Block:
    """The methods at one fraction (None: those that fix their own size) of one data set, for one target net.

    `selections` are the accuracies of the methods that are selections, {label: {seed: percent}}.
    """

    dataset: str
    net: str
    fraction: float | None
    entries: tuple[Entry, ...]
    selections: Accuracies
    ranks: Ranks


def blocks(rows: Sequence[ResultRow]) -> list[Block]:
    """A Block for each data set, net and fraction with a finished row; fractions ascending, None last.

    Reference rows are compared with Random, but not ranked and never the best. Holm's family is everything
    that is compared within the block.

    Raises:
        UsageError: two finished rows of one method, fraction and seed, such as of two recipes.
    """
    groups: dict[tuple[str, str, float | None], dict[str, dict[int, ResultRow]]] = {}
    for row in rows:
        if row.status != "ok":
            continue
        seeds = groups.setdefault((row.dataset, row.target_net, row.fraction), {}).setdefault(row.label, {})
        if row.seed in seeds:
            raise UsageError(
                f"{row.label} at {row.fraction} has two rows of seed {row.seed}: compare rows of one recipe"
            )
        seeds[row.seed] = row
    order = sorted(groups, key=lambda key: (key[0], key[1], key[2] is None, key[2] or 0.0))
    return [_block(key, groups[key]) for key in order]


def _block(key: tuple[str, str, float | None], rows: dict[str, dict[int, ResultRow]]) -> Block:
    accuracies = {
        label: {seed: 100 * row.accuracy for seed, row in seeds.items()} for label, seeds in rows.items()
    }
    is_selection = {label: next(iter(seeds.values())).is_selection for label, seeds in rows.items()}
    selections = {label: values for label, values in accuracies.items() if is_selection[label]}
    paired = compare(accuracies, REFERENCE) if REFERENCE in accuracies else {}
    ranks = average_ranks(selections) if selections else Ranks({}, 0)
    marks = _marks(selections, paired)
    entries = tuple(
        Entry(
            label,
            is_selection[label],
            round(statistics.median(row.k for row in seeds.values())),
            summarise(accuracies[label]),
            summarise({seed: 100 * (row.worst_class() or 0.0) for seed, row in seeds.items()}),
            paired.get(label),
            marks.get(label, ""),
            ranks.ranks.get(label),
        )
        for label, seeds in rows.items()
    )
    return Block(*key, entries, selections, ranks)


def _marks(selections: Accuracies, paired: dict[str, Paired]) -> dict[str, str]:
    """{label: mark}; a method as good as the best and below Random carries both."""
    marks = {label: BELOW for label, pair in paired.items() if pair.verdict == "below"}
    if len(selections) > 1:
        top = best(selections)
        for label, as_good in top.indistinguishable().items():
            if as_good:
                marks[label] = ", ".join(filter(None, (AS_GOOD, marks.get(label))))
        marks[top.name] = BEST
    return marks


def ranks_over_fractions(found: Sequence[Block]) -> Ranks | None:
    """Ranks averaged over the fractions of one data set and net, of the selections that all fractions have;
    None for fewer than two of either."""
    tables = {block.fraction: block.selections for block in found if block.fraction is not None}
    common = set.intersection(*(set(table) for table in tables.values())) if tables else set()
    if len(tables) < 2 or len(common) < 2:
        return None
    return average_ranks_over(
        {f: {name: values for name, values in t.items() if name in common} for f, t in tables.items()}
    )


def comparison_sheet(block: Block) -> Sheet:
    """The block as a table."""
    difference = ("minus Random", "95% interval", "p (Holm)")
    headers = ("method", "accuracy %", "verdict", *difference, "worst class %", "rank", "rows")
    lines = tuple(
        (
            entry.method if entry.is_selection else f"{entry.method} (no selection)",
            f"{spread(entry.accuracy)} ({entry.accuracy.n})",
            entry.mark,
            *_difference(entry.to_reference),
            spread(entry.worst),
            "" if entry.rank is None else f"{entry.rank:.2f}",
            f"{entry.k:,}",
        )
        for entry in block.entries
    )
    return Sheet(block_title(block), headers, lines)


def comparison_report(rows: Sequence[ResultRow], output: str = "table") -> str:
    """All blocks as tables, with Friedman's tests and a legend below."""
    found = blocks(rows)
    if not found:
        return "no row finished: there is nothing to compare"
    tables = [comparison_sheet(block).render(output) for block in found]
    if output == "csv":
        return "\n\n".join(tables)
    return "\n\n".join([*tables, render_lines([*rank_lines(found), *LEGEND], output)])


def rank_lines(found: Sequence[Block]) -> list[str]:
    """Friedman's test of each block that has ranks, and of the ranks averaged over fractions."""
    lines = [
        f"{block_title(block)}: {friedman(block.ranks)}" for block in found if len(block.ranks.ranks) > 1
    ]
    for dataset, net in dict.fromkeys((block.dataset, block.net) for block in found):
        over = ranks_over_fractions([b for b in found if (b.dataset, b.net) == (dataset, net)])
        if over is not None and over.ranks:
            listed = ", ".join(
                f"{name} {rank:.2f}" for name, rank in sorted(over.ranks.items(), key=lambda item: item[1])
            )
            lines.append(f"{dataset}, {net}, average ranks over fractions: {listed}; {friedman(over)}")
    return lines


def friedman(ranks: Ranks) -> str:
    """Friedman's test in words."""
    seeds = f"{ranks.n} common seeds"
    if ranks.p is None:
        return ranks.note or seeds
    p = "p < 0.001" if ranks.p < 0.001 else f"p = {ranks.p:.3f}"
    return f"Friedman chi2 = {ranks.statistic:.2f}, {p}, {seeds}"


def block_title(block: Block) -> str:
    """Data set, net and fraction."""
    kept = "their own size" if block.fraction is None else f"{100 * block.fraction:g}% kept"
    return f"{block.dataset}, {block.net}, {kept}"


def spread(summary: Summary) -> str:
    """`mean ± std`; without the std where there is none."""
    return f"{summary.mean:.2f}" + ("" if summary.std is None else f" ± {summary.std:.2f}")


def _difference(pair: Paired | None) -> tuple[str, str, str]:
    """Mean, interval and adjusted p of a paired difference; empty where they are not known."""
    if pair is None or pair.difference is None:
        return "", "", ""
    if pair.low is None or pair.high is None or pair.p_adjusted is None:
        return f"{pair.difference:+.2f}", f"n = {pair.n}", ""
    p = "< 0.001" if pair.p_adjusted < 0.001 else f"{pair.p_adjusted:.3f}"
    return f"{pair.difference:+.2f}", f"{pair.low:+.2f} to {pair.high:+.2f}", p
