"""The sentences that answer the page's questions, written from the verdicts by rule.

They say what the rows of the day say: a number of cells, a range of points, a name. A cell is one data set at
one fraction kept. What the seeds of a cell cannot decide counts as "not told apart". Sentences that judge go
through `claim` of benchmarks/wording.py.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from benchmarks.in_rows import CLD, FORMS, NO_INITIAL, ONLINE, ONLINE_INITIAL, beside, costs_at
from benchmarks.published import Head
from benchmarks.verdicts import RANDOM, Cell, columns_of, count, mean_difference, of_label, ordered
from benchmarks.wording import at, listed
from deepcore.analysis.critical_difference import RankDifferences
from deepcore.analysis.stats import holm
from deepcore.proxy.signals import Signal
from deepcore.selection.method import CoresetMethod
from methods import METHODS

RECORD = {
    CLD: "the losses of all rows in a pass after each epoch, and of the untrained network",
    NO_INITIAL: "the losses of all rows in a pass after each epoch",
    ONLINE: "the loss of each row in its own training batch",
    ONLINE_INITIAL: "the loss of each row in its own training batch, and of the untrained network",
}
MANY = 5  # methods named in a sentence
ENOUGH = 3  # data sets for a recommendation
FROM_LOGITS = {
    *(
        Signal.LOSS,
        Signal.P_TRUE,
        Signal.CORRECT,
        Signal.MARGIN,
        Signal.MARGIN_P,
        Signal.EL2N,
        Signal.KL_STEP,
    ),
}


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


def setting_sentences(cells: Sequence[Cell]) -> list[str]:
    """The same in another setting, of one grid."""
    chosen = [c for c in cells if c.is_selection]
    columns = columns_of(chosen)
    return [
        *_more_often(chosen, columns),
        tally(chosen, CLD, "CLD as published"),
        tally(chosen, ONLINE, "CLD with `record=online`"),
        *_same_steps(cells),
    ]


def highlights(cells: Sequence[Cell], ranks: RankDifferences | None) -> list[str]:
    """Five sentences for a newcomer."""
    chosen = [c for c in cells if c.is_selection]
    columns = columns_of(chosen)
    return [
        where(chosen),
        *_more_often(chosen, columns),
        tally(chosen, CLD, "CLD as published"),
        rank_sentence(ranks) if ranks else _without_winner(chosen, columns),
    ]


def where(cells: Sequence[Cell]) -> str:
    """Data sets, cells and seeds."""
    seeds, titles = sorted({c.n for c in cells}), dict.fromkeys(c.title for c in cells)
    span = f"{seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else f"{seeds[0]}"
    so_far = "" if len(titles) >= ENOUGH else "So far "
    return (
        f"{so_far}{_number(len(titles), 'data set')} ({'; '.join(titles)}), {len(columns_of(cells))} cells "
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
        f"told apart in {sides['']} (on average {mean_difference(found):+.1f} points)."
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
    named = "; ".join(f"{m} ({sides[m][0]} above, {sides[m][1]} below)" for m in _to_the_tie(up, lead))
    more = len(up) - len(_to_the_tie(up, lead))
    others = f"; and {_number(more, 'other')}" if more else ""
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
        f"{len(down)} of the {len(labels)} selections with rows in half of the cells are more often below "
        f"Random than above; most often {worst}.",
    ]


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


def form_means(cells: Sequence[Cell]) -> dict[str, float]:
    """{form of CLD: its mean difference from Random}, over the cells that all forms have."""
    places = [{(c.title, c.fraction) for c in of_label(cells, m)} for m in FORMS]
    common = set.intersection(*places)
    if not common:
        return {}
    return {
        m: mean_difference([c for c in of_label(cells, m) if (c.title, c.fraction) in common]) for m in FORMS
    }


def recording_sentence(cells: Sequence[Cell]) -> str:
    """On which recording CLD has the highest and the lowest mean; `against` says what is told apart."""
    means = form_means(cells)
    if not means:
        return "There are no rows of every form of CLD."
    best, worst = max(means, key=lambda m: means[m]), min(means, key=lambda m: means[m])
    return (
        f"CLD's mean is highest on {RECORD[best]} ({means[best]:+.1f} points beside Random), lowest on "
        f"{RECORD[worst]} ({means[worst]:+.1f})."
    )


def recording_sentences(heads: Mapping[str, Head], cells: Sequence[Cell]) -> list[str]:
    """What to record, and how much that decides."""
    chosen = [c for c in cells if c.is_selection]
    means = form_means(chosen)
    if not means:
        return [recording_sentence(chosen)]
    best = max(means, key=lambda m: means[m])
    return [
        recording_sentence(chosen),
        *(against(heads, chosen, best, other) for other in FORMS if other != best),
        _decides(chosen),
    ]


def recommendation(heads: Mapping[str, Head], cells: Sequence[Cell]) -> list[str]:
    """What to record: for CLD the form that is shown to be better than the others, for the other methods what
    they read."""
    reading = {name: method for name, kind in METHODS.items() if reads_epochs(method := kind())}
    online = [name for name, method in reading.items() if method.mode == "online"]
    passes = [name for name, method in reading.items() if method.mode == "post_epoch"]
    return [
        *_for_cld(heads, [c for c in cells if c.is_selection]),
        "For the other methods, record the logits of each row in its own training batch, in every epoch. It "
        f"costs no pass. {listed(online)} read nothing else.",
        f"As published, {listed(passes)} need a pass over all rows after each epoch.",
        "Record every epoch. You can choose later which epochs a method reads.",
    ]


def _for_cld(heads: Mapping[str, Head], cells: Sequence[Cell]) -> list[str]:
    """The form that is above each other form in more cells than below; none on few data sets."""
    means = form_means(cells)
    if not means:
        return []
    best = max(means, key=lambda m: means[m])
    verdicts = [sides_of(heads, cells, best, other) for other in FORMS if other != best]
    data_sets = len({c.title for c in cells})
    if data_sets < ENOUGH:
        return [f"For CLD, nothing is recommended yet: {_number(data_sets, 'data set')} cannot decide it."]
    if all(above > below for above, below, _ in verdicts):
        return [f"For CLD, record {RECORD[best]}: `{best}`."]
    return [f"For CLD, no recording is shown to be better than every other. `{best}` has the highest mean."]


def reads_epochs(method: CoresetMethod) -> bool:
    """Whether a method reads what logits of every epoch give, and no features, gradients or weights, and
    trains nothing of its own."""
    return bool(method.needs) and method.needs <= FROM_LOGITS and method.own_run is None


def against(heads: Mapping[str, Head], cells: Sequence[Cell], label: str, other: str) -> str:
    """In how many cells a method is above and below another one."""
    above, below, same = sides_of(heads, cells, label, other)
    return (
        f"`{label}` is above `{other}` in {above} of {above + below + same} cells, below in {below}, not "
        f"told apart in {same}."
    )


def sides_of(
    heads: Mapping[str, Head], cells: Sequence[Cell], label: str, other: str
) -> tuple[int, int, int]:
    """Cells in which a method is above another one, below it, and not told apart: paired t tests, p < 0.05
    after Holm over the cells."""
    places = [
        (c.title, c.fraction)
        for c in of_label(cells, label)
        if any((o.title, o.fraction) == (c.title, c.fraction) for o in of_label(cells, other))
    ]
    pairs = {place: beside(heads[place[0]], label, other, place[1]) for place in places}
    adjusted = holm({place: pair.p for place, pair in pairs.items() if pair.p is not None})
    known = [pairs[place].difference for place, p in adjusted.items() if p < 0.05]
    above, below = sum(d > 0 for d in known), sum(d < 0 for d in known)
    return above, below, len(places) - above - below


def _decides(cells: Sequence[Cell]) -> str:
    """The spread between CLD's forms beside the spread between methods, as medians over cells."""
    forms, rivals = [], []
    for column in columns_of(cells):
        here = [c for c in cells if (c.title, c.fraction) == column]
        of_forms = [c.difference for c in here if c.label in FORMS]
        others = sorted(c.difference for c in here if not c.label.startswith("CLD"))
        if len(of_forms) == len(FORMS) and len(others) >= 4:
            forms.append(max(of_forms) - min(of_forms))
            low, _, high = statistics.quantiles(others, n=4)
            rivals.append(high - low)
    if not forms:
        return "Too few methods to compare the spread of CLD's forms with."
    ours, theirs = statistics.median(forms), statistics.median(rivals)
    return (
        f"Between CLD's best and worst form lie {ours:.1f} points in the median cell; the middle half of the "
        f"other methods lies within {theirs:.1f}."
    )


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
        f"{len(ranks)} selections; {_number(near, 'other')} cannot be told apart from it (critical "
        f"difference {found.critical:.1f}).{random_too}"
    )


def _number(n: int, what: str) -> str:
    return f"{n} {what}{'' if n == 1 else 's'}"
