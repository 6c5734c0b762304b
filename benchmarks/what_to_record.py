"""The sentences on what to record: CLD's forms beside each other, and a recommendation, by rule from the
verdicts."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from benchmarks.answers import ENOUGH, number
from benchmarks.in_rows import CLD, FORMS, NO_INITIAL, ONLINE, ONLINE_INITIAL, beside
from benchmarks.published import Head
from benchmarks.verdicts import RANDOM, Cell, columns_of, count, mean_difference, of_label
from benchmarks.wording import at, listed
from deepcore.analysis.stats import holm
from deepcore.proxy.signals import Signal
from deepcore.report.noise_report import noise_table
from deepcore.selection.method import CoresetMethod
from methods import METHODS

RECORD = {
    CLD: "the losses of all rows in a pass after each epoch, and of the untrained network",
    NO_INITIAL: "the losses of all rows in a pass after each epoch",
    ONLINE: "the loss of each row in its own training batch",
    ONLINE_INITIAL: "the loss of each row in its own training batch, and of the untrained network",
}
FROM_LOGITS = {
    *(Signal.LOSS, Signal.P_TRUE, Signal.CORRECT, Signal.MARGIN, Signal.MARGIN_P),
    *(Signal.EL2N, Signal.KL_STEP),
}


def form_means(cells: Sequence[Cell]) -> dict[str, float]:
    """{form of CLD: its mean difference from Random}, over the cells that all forms have."""
    places = [{(c.title, c.fraction) for c in of_label(cells, m)} for m in FORMS]
    common = set.intersection(*places)
    if not common:
        return {}
    return {
        m: mean_difference([c for c in of_label(cells, m) if (c.title, c.fraction) in common]) for m in FORMS
    }


def best_form(cells: Sequence[Cell]) -> str | None:
    """The form of CLD with the highest mean; None where no cell has them all."""
    means = form_means(cells)
    return max(means, key=lambda m: means[m]) if means else None


def recording_sentence(cells: Sequence[Cell]) -> str:
    """On which recording CLD has the highest and the lowest mean; `against` says what is told apart."""
    means = form_means(cells)
    if not means:
        return "There are no rows of every form of CLD."
    best, worst = best_form(cells), min(means, key=lambda m: means[m])
    return (
        f"CLD's mean is highest on {RECORD[best]} ({means[best]:+.1f} points beside Random), lowest on "
        f"{RECORD[worst]} ({means[worst]:+.1f})."
    )


def recording_sentences(heads: Mapping[str, Head], cells: Sequence[Cell]) -> list[str]:
    """What to record, and how much that decides."""
    chosen = [c for c in cells if c.is_selection]
    best = best_form(chosen)
    if best is None:
        return [recording_sentence(chosen)]
    sides = sides_of(heads, chosen, best, [other for other in FORMS if other != best])
    return [
        recording_sentence(chosen),
        *(against(best, other, counts) for other, counts in sides.items()),
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
        f"For {listed(online)}, record the logits of each row in its own training batch, in every epoch. It "
        "costs no pass. (`LossRecorder` computes no KL_STEP, which TDDS reads.)",
        "The others read more, mostly the features of the last layer: `python -m deepcore inspect LOG` says "
        "what a log lacks for each.",
        f"As published, {listed(passes)} need a pass over all rows after each epoch.",
        "Record every epoch. You can choose later which epochs a method reads.",
    ]


def _for_cld(heads: Mapping[str, Head], cells: Sequence[Cell]) -> list[str]:
    """The form that is above each other form in more cells than below; none on few data sets."""
    best = best_form(cells)
    if best is None:
        return []
    sides = sides_of(heads, cells, best, [other for other in FORMS if other != best])
    data_sets = len({c.title for c in cells})
    if data_sets < ENOUGH:
        return [f"For CLD, nothing is recommended yet: {number(data_sets, 'data set')} cannot decide it."]
    if all(above > below for above, below, _ in sides.values()):
        of = {m: of_label(cells, m) for m in FORMS}
        better = [m for m in FORMS if count(of[m], "above") > count(of[m], "below")]
        none = "" if better else " No form of CLD is more often above Random than below."
        return [f"If you use CLD, record {RECORD[best]}: `{best}`.{none}"]
    return [f"For CLD, no recording is shown to be better than every other. `{best}` has the highest mean."]


def in_flipped_labels(noise: Mapping[str, Head], label: str) -> list[str]:
    """Whether a method leaves out flipped candidates, at the smallest fraction of each grid of them."""
    found: dict[float, dict[str, float]] = {}
    for head in noise.values():
        if rate := head.rows[0].label_noise["train"]:
            records = [r for r in noise_table(head.rows).records if r["fraction"] == min(head.fractions)]
            found[rate] = {r["method"]: r["flipped_kept"] for r in records}
    found = {rate: kept for rate, kept in found.items() if {label, RANDOM} <= kept.keys()}
    if not found:
        return []
    ours, random = (listed([f"{kept[m]:.1f}" for kept in found.values()]) for m in (label, RANDOM))
    as_many = any(kept[label] > kept[RANDOM] / 2 for kept in found.values())
    return [
        f"With {at(found)} of the labels flipped, {ours}% of the rows that `{label}` keeps are flipped, of "
        f"random ones {random}%{'. Do not use it to leave out wrong labels' if as_many else ''}."
    ]


def reads_epochs(method: CoresetMethod) -> bool:
    """Whether a method reads what logits of every epoch give, and no features, gradients or weights, and
    trains nothing of its own."""
    return bool(method.needs) and method.needs <= FROM_LOGITS and method.own_run is None


def against(label: str, other: str, counts: tuple[int, int, int]) -> str:
    """In how many cells a method is above and below another one."""
    above, below, same = counts
    return (
        f"`{label}` is above `{other}` in {above} of {above + below + same} cells, below in {below}, not "
        f"told apart in {same}."
    )


def sides_of(
    heads: Mapping[str, Head], cells: Sequence[Cell], label: str, others: Sequence[str]
) -> dict[str, tuple[int, int, int]]:
    """{other method: cells in which a method is above it, below it, and not told apart}: paired t tests,
    p < 0.05 after Holm over the cells of all these methods."""
    have = {m: {(c.title, c.fraction) for c in of_label(cells, m)} for m in (label, *others)}
    pairs = {
        (other, *place): beside(heads[place[0]], label, other, place[1])
        for other in others
        for place in have[label] & have[other]
    }
    adjusted = holm({key: pair.p for key, pair in pairs.items() if pair.p is not None})
    found = {}
    for other in others:
        known = [pairs[key].difference for key, p in adjusted.items() if key[0] == other and p < 0.05]
        above, below = sum(d > 0 for d in known), sum(d < 0 for d in known)
        found[other] = (above, below, len(have[label] & have[other]) - above - below)
    return found


def _decides(cells: Sequence[Cell]) -> str:
    """The spread between CLD's forms beside the spread between methods, as medians over cells."""
    forms, rivals = [], []
    for column in columns_of(cells):
        here = [c for c in cells if (c.title, c.fraction) == column]
        of_forms = [c.difference for c in here if c.label in FORMS]
        others = [c.difference for c in here if not c.label.startswith("CLD")]
        if len(of_forms) == len(FORMS) and len(others) >= len(FORMS):
            forms.append(statistics.stdev(of_forms))
            rivals.append(statistics.stdev(others))
    if not forms:
        return "Too few methods to compare the spread of CLD's forms with."
    ours, theirs = statistics.median(forms), statistics.median(rivals)
    return (
        f"The standard deviation of the difference from Random, in the median cell, is {ours:.1f} points "
        f"between CLD's forms and {theirs:.1f} between the other methods."
    )
