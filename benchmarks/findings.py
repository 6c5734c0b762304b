"""What the published rows say, in sentences made from them: no figure here is typed by hand.

A sentence that is more than a list of numbers stands behind `claim`, which refuses it when the rows say
otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable

from benchmarks.published import Head, Published
from benchmarks.results_sheets import study_value
from deepcore.analysis.comparison import Entry
from deepcore.analysis.measured_costs import measured_costs
from deepcore.analysis.stats import Paired, paired_difference
from deepcore.report.noise_report import detection, noise_table

POST, POST_0, ONLINE, ONLINE_0 = (
    "CLD:initial=False",
    "CLD",
    "CLD:record=online",
    "CLD:record=online,initial=True",
)
NAMES = {
    POST_0: "as published (losses after each epoch, from the untrained network on)",
    POST: "without the untrained network's losses (as its authors' code does)",
    ONLINE: "online",
    ONLINE_0: "online, with the untrained network's losses",
}
VARIANTS = {
    "CLD:first=3": "30% of the epochs",
    "CLD:first=5": "half of them",
    "CLD:every=2": "every second checkpoint",
    "CLD:trajectory=global": "the global validation trajectory",
    "CLD:correlation=spearman": "Spearman's correlation",
}
FAR = 10.0  # points of accuracy


def claim(holds: bool, sentence: str) -> str:
    """The sentence; ValueError when the rows do not support it."""
    if not holds:
        raise ValueError(f"the published rows do not say: {sentence}")
    return sentence


def listed(items: Iterable[str]) -> str:
    """a, b and c."""
    *most, last = [*items] or ["none"]
    return f"{', '.join(most)} and {last}" if most else last


def signed(points: float) -> str:
    """With its sign and one decimal; no minus before zero."""
    return f"{round(points, 1) + 0.0:+.1f}"


def at(fractions: Iterable[float]) -> str:
    """1, 5 and 10%."""
    return listed([f"{100 * f:g}" for f in fractions]) + "%"


def beside_random(head: Head, label: str) -> str:
    """Where a method is above, below or not distinguishable from Random, with the differences in points."""
    found = {f: entry for f in head.fractions if (entry := _at(head, label, f))}
    parts = []
    for side, words in (("above", "above"), ("below", "below"), ("", "not told apart from it")):
        gaps = {f: signed(e.to_random.difference) for f, e in found.items() if e.beside_random == side}
        if gaps:
            parts.append(f"{words} at {at(gaps)} ({listed(gaps.values())})")
    return "; ".join(parts)


def _at(head: Head, label: str, fraction: float) -> Entry | None:
    """None where the method has no row at the fraction, or nothing to be compared with."""
    comparison = next(c for c in head.comparisons if c.fraction == fraction)
    found = next((e for e in comparison.entries if e.label == label), None)
    return found if found and found.to_random and found.to_random.difference is not None else None


def selections(head: Head) -> list[str]:
    """Names of the selections of a grid, Random apart."""
    return [
        label
        for label in dict.fromkeys(e.label for c in head.comparisons for e in c.entries if e.is_selection)
        if label not in ("Random", *VARIANTS)
    ]


def findings(published: Published) -> str:
    """Half a page, as a Markdown list."""
    parts = (
        *(against_random, who_wins, what_it_costs, who_loses, references),
        *(why, variants, on_digits, label_noise),
    )
    return "\n".join(f"- {part(published)}" for part in parts)


def highlights(published: Published) -> str:
    """The four that a newcomer reads."""
    parts = (against_random, who_wins, what_it_costs, label_noise)
    return "\n".join(f"- {part(published)}" for part in parts)


def against_random(published: Published) -> str:
    """The four forms of CLD, and LTC, beside Random."""
    head = published.fashion
    forms = [f"{_capital(name)}: {beside_random(head, label)}." for label, name in NAMES.items()]
    return f"**CLD beside Random**, in points. {' '.join(forms)} LTC: {beside_random(head, 'LTC')}."


def who_wins(published: Published) -> str:
    """Which selections beat Random, and where."""
    head = published.fashion
    above = {f: winners(head, f) for f in head.fractions}
    some = [f"{listed(names)} at {at([f])}" for f, names in above.items() if names]
    none = [f for f, names in above.items() if not names]
    best = [(_best(head, f), f) for f in head.fractions]
    highest = listed([f"{e.label} at {at([f])} ({e.accuracy.mean:.2f}%)" for e, f in best])
    nobody = f"; nobody at {at(none)}" if none else ""
    return (
        f"**Above Random**: {'; '.join(some) or 'no selection at any fraction'}{nobody}. "
        f"The highest means: {highest}."
    )


def what_it_costs(published: Published) -> str:
    """The bill of those above Random, of CLD and of Random, at 10%."""
    head = published.fashion
    costs = {b.method: b for b in measured_costs([r for r in head.rows if r.fraction in (0.1, None)])}
    readers = [*winners(head, 0.1), POST_0, ONLINE]
    shown = [f"{costs[label].method} {costs[label].share:.0%}" for label in (*readers, "Random")]
    full = head.entry("Full", None).accuracy.mean
    return (
        "**At what cost.** A 10% coreset, proxy included, in percent of the FLOPs of training once on all "
        f"the data (which gives {full:.2f}%): {listed(shown)}. The proxy is a training on all the data "
        "itself: only a coreset that is trained on more than once can pay for it."
    )


def who_loses(published: Published) -> str:
    """Which selections are far below Random, and what they keep."""
    head = published.fashion
    far: dict[str, list[float]] = {}
    for label in selections(head):
        for f in head.fractions:
            entry = _at(head, label, f)
            if entry and entry.beside_random == "below" and entry.to_random.difference < -FAR:
                far.setdefault(label, []).append(f)
    groups: dict[tuple[float, ...], list[str]] = {}
    for label, fractions in far.items():
        groups.setdefault(tuple(fractions), []).append(label)
    parts = [f"{listed(names)} at {at(fractions)}" for fractions, names in groups.items()]
    low = min(study_value(published, label, "kept_el2n", 0.01) for label in far)
    hard = claim(low > 70, "They keep hard rows")
    return (
        f"**More than {FAR:g} points below Random**, with p < 0.05: {'; '.join(parts)}. {hard}: at 1% kept, "
        f"the mean EL2N percentile of each one's rows is {low:.0f} or more, where 50 is chance."
    )


def references(published: Published) -> str:
    """What reviewers ask for."""
    head = published.fashion
    better = []
    for f in head.fractions:
        short = head.entry("Full@k", f).accuracy.mean
        names = [m for m in selections(head) if _at(head, m, f) and head.entry(m, f).accuracy.mean > short]
        better.append(f"{listed(names)} at {at([f])}")
    val = head.entry("ValOnly", None).accuracy.mean
    plus = [f"{head.entry('Random+Val', f).accuracy.mean:.2f}" for f in head.fractions]
    return (
        "**Against as many steps on all the data** (Full@k), a higher mean have: "
        f"{'; '.join(better)}. The held-out validation rows alone give {val:.2f}%, Random's rows together "
        f"with them {listed(plus)}% at {at(head.fractions)}: what a method that reads a validation set could "
        "have had instead."
    )


def why(published: Published) -> str:
    """What the forms of CLD look at."""

    def value(method: str, measure: str, fraction: float | None = None) -> float:
        return study_value(published, method, measure, fraction)

    first = {m: value(m, "first_step") for m in NAMES}
    rho = {m: value(m, "rho_el2n") for m in NAMES}
    drop = {m: value(m, "rho_first_drop") for m in NAMES}
    kept = value(POST_0, "kept_el2n", 0.01)
    with_row = claim(
        min(first[POST_0], first[ONLINE_0]) > 0.5,
        "With the untrained network's losses the first step dominates",
    )
    easy = claim(max(rho[POST_0], rho[ONLINE_0]) < -0.5, "the score then orders by easiness")
    unlike = claim(max(abs(rho[POST]), abs(rho[ONLINE])) < 0.2, "without them it does not")
    middle = claim(abs(kept - 50) < 15, "What it keeps is nevertheless not the easiest")
    return (
        f"**Why.** {with_row}: it has {first[POST_0]:.0%} of the sum of squares of a sample's centred "
        f"differences (online {first[ONLINE_0]:.0%}; without it the next one has {first[POST]:.0%}, online "
        f"{first[ONLINE]:.0%}), and {easy} (Spearman with EL2N {rho[POST_0]:+.2f}, online "
        f"{rho[ONLINE_0]:+.2f}; with the loss drop of the first epoch {drop[POST_0]:+.2f} and "
        f"{drop[ONLINE_0]:+.2f}); {unlike} ({rho[POST]:+.2f}, online {rho[ONLINE]:+.2f}). {middle}: at 1% "
        f"its rows are of mean EL2N percentile {kept:.0f}."
    )


def variants(published: Published) -> str:
    """Fewer checkpoints, another trajectory, another correlation."""
    head = published.fashion
    parts, seeds = [], set()
    for label, name in VARIANTS.items():
        pairs = [_beside(head, label, POST_0, f) for f in (0.01, 0.1)]
        seeds |= {pair.n for pair in pairs}
        gaps = [f"{signed(p.difference)} [{signed(p.low)}, {signed(p.high)}]" for p in pairs]
        shared = study_value(published, label, "in_cld", 0.1)
        parts.append(f"{name} {listed(gaps)} ({shared:.0%})")
    return (
        "**CLD changed.** Its accuracy at 1 and 10% minus CLD's, with 95% intervals over "
        f"{listed([str(n) for n in sorted(seeds)])} seeds, and the share of CLD's 10% that it keeps, with "
        f"{'; '.join(parts)}."
    )


def on_digits(published: Published) -> str:
    """The small data set, ten seeds."""
    head = published.digits
    forms = [f"{_capital(name)}: {beside_random(head, label)}." for label, name in NAMES.items()]
    above: dict[str, list[float]] = {}
    for f in head.fractions:
        for label in winners(head, f):
            above.setdefault(label, []).append(f)
    found = [f"{label} at {at(fractions)}" for label, fractions in above.items()]
    return (
        f"**Digits**, where one test image is {100 / head.rows[0].n_test:.2f} points. {' '.join(forms)} "
        f"Above Random: {'; '.join(found) or 'nobody'}."
    )


def label_noise(published: Published) -> str:
    """Who finds flipped labels, who keeps them, and what it is worth."""
    heads = published.noise
    records = {
        rate: {r["method"]: r for r in noise_table(head.rows).records if r["fraction"] == 0.1}
        for rate, head in heads.items()
    }

    def tells(method: str) -> list[float]:
        return [detection(of_rate[method]["auroc"])[0] for of_rate in records.values()]

    def keeps(method: str) -> list[float]:
        return [of_rate[method]["flipped_kept"] for of_rate in records.values()]

    def both(values: Iterable[float], form: str) -> str:
        return listed([format(value, form) for value in values])

    finds = claim(min(tells(POST_0)) > 0.95, "CLD's score finds wrong labels")
    blind = claim(max(tells(ONLINE)) < 0.55, "online without them it is blind")
    better = claim(
        min(x - y for m in ("AUM", "EL2N") for x, y in zip(tells(m), tells(POST_0), strict=True)) > 0
        and min(*keeps("AUM"), *keeps("EL2N")) > 50,
        "AUM and EL2N find them better, and keep them",
    )
    clean = claim(max(*keeps(POST_0), *keeps(ONLINE_0)) < 1, "CLD keeps hardly any")
    beside = [
        f"With {rate}% flipped, CLD is beside Random: {beside_random(head, POST_0)}; online with the "
        f"untrained network's losses: {beside_random(head, ONLINE_0)}. Above Random are "
        + "; ".join(f"{listed(winners(head, f))} at {at([f])}" for f in head.fractions)
        for rate, head in heads.items()
    ]
    return (
        f"**Wrong labels** ({listed([str(rate) for rate in heads])}% of the candidates' flipped). {finds}: "
        f"AUROC {both(tells(POST_0), '.3f')}, online with the untrained network's losses "
        f"{both(tells(ONLINE_0), '.3f')}, after each epoch without them {both(tells(POST), '.3f')}; {blind} "
        f"({both(tells(ONLINE), '.3f')}). {better} ({both(tells('AUM'), '.3f')}, "
        f"{both(tells('EL2N'), '.3f')}): of the 10% that AUM keeps {both(keeps('AUM'), '.1f')}% are flipped, "
        f"of EL2N's {both(keeps('EL2N'), '.1f')}%, of Random's {both(keeps('Random'), '.1f')}%. {clean}: "
        f"{both(keeps(POST_0), '.1f')}%, online with the untrained network's losses "
        f"{both(keeps(ONLINE_0), '.1f')}%. {'. '.join(beside)}."
    )


def winners(head: Head, fraction: float) -> list[str]:
    """The selections above Random."""
    return [
        label
        for label in selections(head)
        if (entry := _at(head, label, fraction)) and entry.beside_random == "above"
    ]


def _beside(head: Head, label: str, reference: str, fraction: float) -> Paired:
    """A method minus another one, over the seeds that both have, in points."""
    of = {
        name: {r.seed: 100 * r.accuracy for r in head.rows if (r.label, r.fraction) == (name, fraction)}
        for name in (label, reference)
    }
    return paired_difference(of, label, reference)


def _best(head: Head, fraction: float) -> Entry:
    comparison = next(c for c in head.comparisons if c.fraction == fraction)
    return max((e for e in comparison.entries if e.is_selection), key=lambda e: e.accuracy.mean)


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
