"""The sentences that answer the page's questions, written from the verdicts by rule.

They say what the rows of the day say: a number of cells, a range of points, a name. A cell is one data set at
one fraction kept. What the seeds of a cell cannot decide counts as "not told apart".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.in_rows import CLD, ONLINE, costs_at
from benchmarks.published import Head
from benchmarks.verdicts import RANDOM, Cell, columns_of, count, mean_difference, of_label, ordered
from benchmarks.wording import at, listed, signed
from deepcore.analysis.critical_difference import RankDifferences

IN_SETTINGS = (CLD, ONLINE, "DUAL", "Herding", "CCS", "D2")
MANY = 5  # methods named in a sentence
ENOUGH = 3  # data sets for a recommendation


def answer_sentences(cells: Sequence[Cell]) -> list[str]:
    """Which methods beat Random, where, and by how much."""
    chosen = [c for c in cells if c.is_selection]
    columns = columns_of(chosen)
    return [
        where(chosen),
        *_more_often(chosen, columns),
        _without_winner(chosen, columns),
        tally(chosen, CLD, "CLD as published"),
        tally(chosen, ONLINE, "CLD on losses from the training batches (`record=online`)"),
        *_same_steps(cells),
    ]


def setting_sentences(head: Head, cells: Sequence[Cell]) -> list[str]:
    """The same in another setting, of one grid, by differences: its seeds are few."""
    lines = []
    for label in IN_SETTINGS:
        found = {c.fraction: c for c in sorted(of_label(cells, label), key=lambda c: c.fraction)}
        if found:
            points = listed([_with_verdict(c) for c in found.values()])
            lines.append(f"{label} minus Random at {at(found)}, in points: {points}.")
    return [*_power(head), *lines, *_same_steps(cells)]


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
        *_more_often(chosen, columns_of(chosen)),
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


def _more_often(cells: Sequence[Cell], columns: Sequence[tuple[str, float]]) -> list[str]:
    """The methods that are more often on one side of Random than on the other, of those that have rows in at
    least half of the cells; of CLD the published form alone."""
    labels = [m for m in ordered(cells) if 2 * len(of_label(cells, m)) >= len(columns)]
    labels = [m for m in labels if m == CLD or not m.startswith("CLD:")]
    sides = {m: (count(of_label(cells, m), "above"), count(of_label(cells, m), "below")) for m in labels}
    lead = {m: above - below for m, (above, below) in sides.items()}
    up = sorted((m for m in labels if lead[m] > 0), key=lambda m: -lead[m])
    down = sorted((m for m in labels if lead[m] < 0), key=lambda m: (lead[m], -sides[m][1]))
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
    worst = listed([f"{m} ({sides[m][1]} of {len(of_label(cells, m))})" for m in _to_the_tie(down, lead)])
    return [
        first,
        f"{len(down)} of the {len(labels)} selections with rows in half of the cells (of CLD, the published "
        f"form) are more often below Random than above; most often {worst}.",
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


def _without_winner(cells: Sequence[Cell], columns: Sequence[tuple[str, float]]) -> str:
    none = [
        col for col in columns if not any((c.title, c.fraction) == col and c.side == "above" for c in cells)
    ]
    if not none:
        return "In every cell some method is above Random."
    places: dict[str, list[float]] = {}
    for title, fraction in none:
        places.setdefault(title, []).append(fraction)
    named = "; ".join(f"{title} at {at(fractions)}" for title, fractions in places.items())
    return f"In {len(none)} of {len(columns)} cells no method is above Random: {named}."


def _same_steps(cells: Sequence[Cell]) -> list[str]:
    """All data for as many steps, beside the best selection of each cell."""
    full = {(c.title, c.fraction): c.difference for c in cells if c.label == "Full@k"}
    best: dict[tuple[str, float], float] = {}
    for c in cells:
        if c.is_selection:
            best[c.title, c.fraction] = max(best.get((c.title, c.fraction), 0.0), c.difference)  # 0 is Random
    both = [place for place in full if place in best]
    if not both:
        return []
    higher = sum(full[place] > best[place] for place in both)
    return [
        "All data for as many steps (Full@k) have a higher mean than every coreset in "
        f"{higher} of {len(both)} cells. Their batches are full; a coreset of fewer rows than a batch makes "
        "smaller steps."
    ]


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
    return (
        f"Over {found.ranks.n} data sets {best} has the best average rank, {ranks[best]:.1f} among "
        f"{len(ranks)} selections; {number(near, 'other')} cannot be told apart from it (critical "
        f"difference {found.critical:.1f}).{random_too}"
    )


def number(n: int, what: str) -> str:
    """2 data sets, 1 data set."""
    return f"{n} {what}{'' if n == 1 else 's'}"
