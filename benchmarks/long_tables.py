"""Tables of the trainings at a paper's length: CLD's forms, seeds needed, costs, flipped labels, protocol."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

from benchmarks.grids import EARLY
from benchmarks.in_rows import FORMS, beside, costs_at
from benchmarks.published import Head, Published
from benchmarks.score_study import Finding
from benchmarks.verdicts import Cell, count, mean_difference, of_label
from benchmarks.wording import at, interval, signed
from deepcore.analysis.stats import Paired, paired_difference
from deepcore.report.accuracy_tables import SIGNS
from deepcore.report.cells import REFERENCE, percent
from deepcore.report.noise_report import detection, noise_table
from deepcore.report.power_report import power_table
from deepcore.report.text_table import TextTable

NOTHING = "-"
LEGEND = f"{SIGNS['above']} above Random, {SIGNS['below']} below"
IN_NOISE = ("CLD", "CLD:record=online", "CCS", "DUAL", "Random")
IN_COSTS = (
    *("FacilityLocation", "Herding", "DUAL", "DynUnc", "CCS", "TDDS", "AUM", "Moderate", "D2"),
    *(*FORMS, EARLY, "Random"),
)
PROTOCOL = (  # effect, method, beside which
    ("no class quotas", "Random:class_balanced=False", "Random"),
    ("no class quotas", "CLD:class_balanced=False", "CLD"),
    ("no class quotas", "AUM:class_balanced=False", "AUM"),
    ("no class quotas", "DUAL:class_balanced=False", "DUAL"),
    ("validation rows trained on, too", "Random+Val", "Random"),
    ("without the untrained network (checkpoint 0)", "CLD:initial=False", "CLD"),
    ("margins of probabilities, not logits", "AUM:of=probability", "AUM"),
    ("kernel of the paper, exp(-d²), not of the code", "D2:power=2", "D2"),
    ("difficulty times the messages, not plus", "D2:forward=product", "D2"),
    ("neighbours lowered by the whole value", "D2:reverse=absolute", "D2"),
    ("distances over their median", "D2:normalize=True", "D2"),
)


def forms_over_data(cells: Sequence[Cell]) -> TextTable:
    """CLD's forms, its early epochs and LTC beside Random: mean over fractions, and verdicts counted."""
    names = [m for m in (*FORMS, EARLY, "LTC") if of_label(cells, m)]
    lines = []
    for title in dict.fromkeys(cell.title for cell in cells):
        here = [cell for cell in cells if cell.title == title]
        lines.append((title, *(_tally(of_label(here, m)) for m in names)))
    shared = set.intersection(*({(c.title, c.fraction) for c in of_label(cells, m)} for m in names))
    both = [cell for cell in cells if (cell.title, cell.fraction) in shared]
    lines.append((f"{len(shared)} cells that all have", *(_tally(of_label(both, m)) for m in names)))
    caption = (
        "Minus Random in points, mean over the fractions, each data set counting once; cells above (▲) and "
        "below (▼) Random"
    )
    return TextTable(caption, ("data", *names), tuple(lines))


def _tally(cells: Sequence[Cell]) -> str:
    if not cells:
        return NOTHING
    up, down = count(cells, "above"), count(cells, "below")
    signs = f"{SIGNS['above']}{up} {SIGNS['below']}{down} of {len(cells)}"
    return f"{signed(mean_difference(cells))} ({signs})"


def seeds_over_data(heads: Mapping[str, Head]) -> str:
    """The difference that the seeds of every data set and fraction find, and the seeds that one needs."""
    comparisons = [dataclasses.replace(c, dataset=title) for title, h in heads.items() for c in h.comparisons]
    table = power_table([c for c in comparisons if c.reach])
    return table.render("md")


def long_costs_table(title: str, head: Head, fraction: float) -> TextTable:
    """Cost and accuracy of a few methods at one fraction."""
    found = costs_at(head, fraction)
    lines = []
    for label in (m for m in IN_COSTS if m in found):
        cost = found[label]
        pays = f"{cost.pays_after}" if cost.pays_after and label != "Random" else NOTHING
        entry = head.entry(label, cost.fraction)
        sign = f"{SIGNS[entry.beside_random]} " if entry.beside_random else ""
        lines.append((label, f"{100 * cost.share:.0f}", f"{sign}{entry.accuracy.mean:.2f}", pays))
    headers = ("method", "cost, % of training on all data", "accuracy, %", "trainings until it pays")
    caption = f"A {percent(fraction)} coreset of {title}, proxy included; {LEGEND}"
    return TextTable(caption, headers, tuple(lines))


def long_noise_table(heads: Mapping[str, Head]) -> TextTable:
    """Each selection under each kind of flipped labels: accuracy, flipped rows kept, detection."""
    fraction = min(f for head in heads.values() for f in head.fractions)
    columns: list[tuple[str, Callable[[str], str]]] = []
    for title, head in heads.items():
        short = title.partition(", ")[2]
        records = {r["method"]: r for r in noise_table(head.rows).records if r["fraction"] == fraction}
        columns.append((f"accuracy, %: {short}", lambda m, head=head: _accuracy(head, m, fraction)))
        if any(r["auroc"] is not None for r in records.values()):
            columns.append((f"flipped rows kept, %: {short}", lambda m, r=records: _kept(r.get(m))))
            columns.append((f"AUROC: {short}", lambda m, r=records: _auroc(r.get(m))))
    labels = dict.fromkeys(
        e.label for h in heads.values() for c in h.comparisons for e in c.entries if e.is_selection
    )
    lines = tuple((m, *(value(m) for _, value in columns)) for m in labels)
    seeds = sorted({e.accuracy.n for h in heads.values() for c in h.comparisons for e in c.entries})
    span = "-".join(str(n) for n in dict.fromkeys((seeds[0], seeds[-1])))
    title = f"Flipped labels at full length, {percent(fraction)} kept, {span} seeds; {LEGEND}"
    return TextTable(title, ("method", *(header for header, _ in columns)), lines)


def _accuracy(head: Head, label: str, fraction: float) -> str:
    found = [e for c in head.comparisons if c.fraction == fraction for e in c.entries if e.label == label]
    if not found:
        return NOTHING
    sign = f"{SIGNS[found[0].beside_random]} " if found[0].beside_random else ""
    return f"{sign}{found[0].accuracy.mean:.1f}"


def _kept(record: Mapping[str, float] | None) -> str:
    return NOTHING if record is None else f"{record['flipped_kept']:.1f}"


def _auroc(record: Mapping[str, float] | None) -> str:
    if record is None or record["auroc"] is None:
        return NOTHING
    return f"{detection(record['auroc'])[0]:.3f}"


def noise_sentences(clean: Mapping[str, Head], noisy: Mapping[str, Head]) -> list[str]:
    """What flipped labels change for a few methods: accuracy minus that with clean labels, seed by seed."""
    lines = []
    for title, head in noisy.items():
        data, _, what = title.partition(", ")
        for fraction in head.fractions if data in clean else ():
            changes = [_change(clean[data], head, m, fraction) for m in IN_NOISE]
            lines.append(
                f"With {what}, {at([fraction])} kept, accuracies change against clean labels, in points: "
                f"{'; '.join(change for change in changes if change)}."
            )
    return lines


def _change(clean: Head, noisy: Head, label: str, fraction: float) -> str:
    """A method's difference, with its interval; "" without rows of both."""
    of = {
        name: {r.seed: 100 * r.accuracy for r in head.rows if (r.label, r.fraction) == (label, fraction)}
        for name, head in (("noisy", noisy), ("clean", clean))
    }
    pair = paired_difference(of, "noisy", "clean")
    return "" if pair.difference is None else f"{label} {interval(pair)}"


def effects_table(published: Published) -> TextTable:
    """What protocol and variants do: mean difference and its 95% interval, never adjusted."""
    head, curves = published.effects, published.curves
    lines = (
        [
            (
                "best test epoch, not the last",
                m,
                m,
                *(interval(_curves(curves, m, f, "best", "last")) for f in head.fractions),
            )
            for m in ("Random", "CLD")
        ]
        if curves
        else []
    )
    for effect, label, base in PROTOCOL:
        pairs = [interval(beside(head, label, base, f)) for f in head.fractions]
        lines.append((effect, label + (REFERENCE if label == "Random+Val" else ""), base, *pairs))
    if curves:
        shift = [interval(_curves(curves, "CLD", f, "shifted", "last")) for f in head.fractions]
        lines.append(("ids read as rows of unsorted data", "CLD", "CLD", *shift))
    n = max(e.accuracy.n for c in head.comparisons for e in c.entries)
    title = f"What protocol does on Fashion-MNIST, MLP, in points: mean and 95% interval, {n} seeds"
    headers = ("changed", "method", "beside", *(f"{percent(f)} kept" for f in head.fractions))
    return TextTable(title, headers, tuple(lines), words=(0, 1, 2))


def _curves(curves: Sequence[Finding], method: str, fraction: float, measure: str, base: str) -> Paired:
    found = {
        name: {
            f.seed: f.value for f in curves if (f.method, f.fraction, f.measure) == (method, fraction, name)
        }
        for name in (measure, base)
    }
    return paired_difference(found, measure, base)
