"""The sentences that answer the page's questions, written from the verdicts by rule.

They say what the rows of the day say: a number of cells, a range of points, a name. A cell is one data set at
one fraction kept. What the seeds of a cell cannot decide counts as "not told apart".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from benchmarks.in_rows import CLD, ONLINE, costs_at
from benchmarks.published import Head
from benchmarks.verdicts import RANDOM, Cell, columns_of, count, mean_difference, most_run, of_label
from benchmarks.wording import at, listed, signed
from deepcore.analysis.critical_difference import RankDifferences

IN_SETTINGS = (CLD, ONLINE, "DUAL", "Herding", "CCS", "D2")
REFERENCES = {
    "Full@k": "All data for as many steps (Full@k) have",
    "RS2": "A new random subset of the same size in every epoch (RS2) has",
    "Random+Val": "A random coreset with the validation rows added (Random+Val) has",
}
MANY = 5  # methods named in a sentence
ENOUGH = 3  # data sets for a recommendation


def answer_sentences(cells: Sequence[Cell]) -> list[str]:
    """Which methods beat Random, where, and by how much."""
    chosen = [c for c in cells if c.is_selection]
    columns = columns_of(chosen)
    return [
        where(chosen),
        *_more_often(chosen),
        *_without_winner(chosen, columns),
        tally(chosen, CLD, "CLD as published"),
        tally(chosen, ONLINE, "CLD on losses from the training batches (`record=online`)"),
        *_beside_references(cells),
    ]


def setting_sentences(head: Head, cells: Sequence[Cell]) -> list[str]:
    """The same in another setting, of one grid, by differences: its seeds are few."""
    lines = []
    for label in IN_SETTINGS:
        found = {c.fraction: c for c in sorted(of_label(cells, label), key=lambda c: c.fraction)}
        if found:
            points = listed([_with_verdict(c) for c in found.values()])
            lines.append(f"{label} minus Random at {at(found)}, in points: {points}.")
    return [*_power(head), *lines, *_beside_references(cells)]


def _with_verdict(cell: Cell) -> str:
    """+5.4 (above)."""
    return f"{signed(cell.difference)} ({cell.side})" if cell.side else signed(cell.difference)


def _power(head: Head) -> list[str]:
    """What these seeds can show; nothing where no comparison says it."""
    shown = [reach.shown for c in head.comparisons for reach in c.reach]
    if not shown:
        return []
    seeds = listed([str(n) for n in sorted({reach.n for c in head.comparisons for reach in c.reach})])
    span = " to ".join(dict.fromkeys([f"{min(shown):.0f}", f"{max(shown):.0f}"]))
    return [
        f"{seeds} seeds find differences from Random of {span} points (in 80% "
        "of experiments, after Holm). Where no *above* or *below* stands, nothing is decided."
    ]


def highlights(cells: Sequence[Cell]) -> list[str]:
    """For a newcomer: where, who is above and below Random, and CLD as published."""
    chosen = [c for c in cells if c.is_selection]
    return [
        where(chosen),
        *_more_often(chosen),
        tally(chosen, CLD, "CLD as published"),
    ]


def where(cells: Sequence[Cell]) -> str:
    """Data sets, cells and seeds."""
    seeds, titles = sorted({c.n for c in cells}), dict.fromkeys(c.title for c in cells)
    span = f"{seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else f"{seeds[0]}"
    so_far = "" if len(titles) >= ENOUGH else "So far "
    return (
        f"{so_far}{number(len(titles), 'data set')} ({'; '.join(titles)}), {len(columns_of(cells))} cells "
        f"of a data set and a fraction, {span} seeds."
    )


def tally(cells: Sequence[Cell], label: str, name: str) -> str:
    """In how many cells a method is above and below Random."""
    found = of_label(cells, label)
    if not found:
        return f"{name} has no rows here."
    sides = {side: count(found, side) for side in ("above", "below", "")}
    return (
        f"{name} is above Random in {sides['above']} of {len(found)} cells, below in {sides['below']}, not "
        f"told apart in {sides['']} ({mean_difference(found):+.1f} points on average, each data set counting "
        "once)."
    )


def _more_often(cells: Sequence[Cell]) -> list[str]:
    """The methods of `most_run` that are more often on one side of Random than on the other. They have rows
    in different numbers of cells, so shares order them, not counts."""
    labels = most_run(cells)
    sides = {m: (count(of_label(cells, m), "above"), count(of_label(cells, m), "below")) for m in labels}
    lead = {m: (above - below) / len(of_label(cells, m)) for m, (above, below) in sides.items()}
    up = sorted((m for m in labels if lead[m] > 0), key=lambda m: -lead[m])
    down = [m for m in labels if lead[m] < 0]
    named = "; ".join(_standing(of_label(cells, m)) for m in _to_the_tie(up, lead))
    more = len(up) - len(_to_the_tie(up, lead))
    others = f"; and {number(more, 'other')}" if more else ""
    first = (
        f"More often above Random than below: {named}{others}."
        if up
        else ("No method is more often above Random than below.")
    )
    if not down:
        return [first, "No method is more often below Random than above."]
    shares = [sides[m][1] / len(of_label(cells, m)) for m in down]
    return [
        first,
        f"{len(down)} of the {len(labels)} selections with rows in at least half of the cells (of CLD, the "
        f"published form) are more often below Random than above: below in {min(shares):.0%} to "
        f"{max(shares):.0%} of their cells.",
    ]


def _standing(cells: Sequence[Cell]) -> str:
    """A method's cells above and below Random, and the data set where all above are of one."""
    above = [c.title for c in cells if c.side == "above"]
    where_above = f", all above on {above[0]}" if len(set(above)) == 1 and len(above) > 1 else ""
    return (
        f"{cells[0].label} ({len(above)} above, {count(cells, 'below')} below of {len(cells)}{where_above})"
    )


def _to_the_tie(labels: Sequence[str], lead: Mapping[str, int]) -> list[str]:
    """The first MANY at most, and never one of two that are equal; all when the first are too many equals."""
    if len(labels) <= MANY:
        return list(labels)
    cut = [m for m in labels[:MANY] if lead[m] != lead[labels[MANY]]]
    return cut or [m for m in labels if lead[m] == lead[labels[0]]]


def _without_winner(cells: Sequence[Cell], columns: Sequence[tuple[str, float]]) -> list[str]:
    """The cells in which no method is above Random, and where few were run."""
    none = [
        col for col in columns if not any((c.title, c.fraction) == col and c.side == "above" for c in cells)
    ]
    if not none:
        return ["In every cell some method is above Random."]
    places: dict[str, list[float]] = {}
    for title, fraction in none:
        places.setdefault(title, []).append(fraction)
    named = "; ".join(f"{title} at {at(fractions)}" for title, fractions in places.items())
    return [
        f"In {len(none)} of {len(columns)} cells no method is above Random: {named}.",
        *_few_methods(cells, none),
    ]


def _few_methods(cells: Sequence[Cell], columns: Sequence[tuple[str, float]]) -> list[str]:
    """Which of the columns have rows of less than half as many methods as the fullest column of all."""
    count_of = Counter((c.title, c.fraction) for c in cells)
    most = max(count_of.values())
    few: dict[tuple[str, int], list[float]] = {}
    for title, fraction in columns:
        if 2 * (n := count_of[title, fraction]) < most:
            few.setdefault((title, n), []).append(fraction)
    return [
        f"{title} at {at(fractions)} has rows of {number(n, 'selection')} beside Random only."
        for (title, n), fractions in few.items()
    ]


def _beside_references(cells: Sequence[Cell]) -> list[str]:
    """What is no selection, beside the best selection of each cell."""
    best: dict[tuple[str, float], float] = {}
    for c in cells:
        if c.is_selection:
            best[c.title, c.fraction] = max(best.get((c.title, c.fraction), 0.0), c.difference)  # 0 is Random
    lines = []
    for label, what in REFERENCES.items():
        of = {(c.title, c.fraction): c.difference for c in of_label(cells, label)}
        both = [place for place in of if place in best]
        if both:
            higher = sum(of[place] > best[place] for place in both)
            lines.append(f"{what} a higher mean than every coreset in {higher} of {len(both)} cells.")
    return lines


def cost_sentences(title: str, head: Head, fraction: float) -> list[str]:
    """What a coreset costs in all, the proxy run included, in shares of one training on all data."""
    found = {m: c for m, c in costs_at(head, fraction).items() if c.is_selection and c.fraction == fraction}
    paid = {m: c for m, c in found.items() if c.alone > 0}
    low, high = min(paid, key=lambda m: paid[m].share), max(paid, key=lambda m: paid[m].share)
    dearer = [m for m, c in paid.items() if c.share > 1]
    return [
        f"A coreset of {at([fraction])} of {title} costs {paid[low].share:.0%} ({low}) to "
        f"{paid[high].share:.0%} ({high}) of a training on all data; a random one {found[RANDOM].share:.0%}.",
        f"{len(dearer)} of {len(paid)} selections cost more than that training: such a coreset pays when it "
        "is trained on more than once.",
    ]


def rank_sentence(found: RankDifferences) -> str:
    """The best average rank, Random's, and whether they are told apart."""
    ranks = found.ranks.ranks
    best = min(ranks, key=lambda m: ranks[m])
    random = ranks[RANDOM]
    near = sum(rank - ranks[best] < found.critical for rank in ranks.values()) - 1
    apart = "is told apart from it" if random - ranks[best] >= found.critical else "is not told apart from it"
    random_too = "" if best == RANDOM else f" Random's rank is {random:.1f} and {apart}."
    tested = found.ranks
    friedman = (
        f" Friedman's test: chi-squared {tested.statistic:.1f}, {len(ranks) - 1} degrees of freedom, "
        f"{'p < 0.001' if tested.p < 0.001 else f'p = {tested.p:.3f}'}."
        if tested.p is not None
        else ""
    )
    return (
        f"Over {tested.n} data sets {best} has the best average rank, {ranks[best]:.1f} among "
        f"{len(ranks)} selections; {number(near, 'other')} cannot be told apart from it (critical "
        f"difference {found.critical:.1f}).{random_too}{friedman}"
    )


def number(n: int, what: str) -> str:
    """2 data sets, 1 data set."""
    return f"{n} {what}{'' if n == 1 else 's'}"
