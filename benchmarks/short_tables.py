"""Small tables of the published rows for docs/results.md: a few methods, a few numbers."""

from __future__ import annotations

from benchmarks.in_rows import (
    CLD,
    FORMS,
    ONLINE,
    ONLINE_INITIAL,
    VARIANTS,
    beside,
    costs_at,
    detections,
    flipped_kept,
    gap,
    mean,
)
from benchmarks.published import Head, Published
from benchmarks.study_tables import study_value
from benchmarks.wording import listed, signed
from deepcore.analysis.stats import Paired
from deepcore.report.accuracy_tables import SIGNS
from deepcore.report.cells import percent
from deepcore.report.text_table import TextTable

IN_COSTS = ("DUAL", "DynUnc", "CCS", ONLINE, CLD, "CLD:first=3", "CLD:first=5", "Full@k", "Random", "Full")
IN_NOISE = (CLD, ONLINE_INITIAL, ONLINE, "AUM", "EL2N", "CCS", "DUAL", "DynUnc", "Random")


def forms_table(head: Head) -> TextTable:
    """CLD's forms and LTC minus Random, by fraction."""
    names = {**FORMS, "LTC": "after each epoch, with it; mean of correlations"}
    lines = tuple(
        (m, words, *(_difference(head, m, f) for f in head.fractions)) for m, words in names.items()
    )
    headers = ("method", "losses that it reads", *(percent(f) for f in head.fractions))
    title = f"CLD minus Random on {head.rows[0].dataset}, in points of accuracy"
    return TextTable(title, headers, lines, words=(1,))


def form_scores_table(published: Published) -> TextTable:
    """What the scores of CLD's forms measure."""

    def value(method: str, measure: str, fraction: float | None = None) -> float:
        return study_value(published, method, measure, fraction)

    lines = tuple(
        (
            m,
            words,
            f"{value(m, 'first_step'):.0%}",
            f"{value(m, 'rho_el2n'):+.2f}",
            f"{value(m, 'rho_first_drop'):+.2f}",
            f"{value(m, 'kept_el2n', 0.01):.0f}",
        )
        for m, words in FORMS.items()
    )
    headers = (
        *("method", "losses that it reads", "share of the first difference", "ρ with EL2N"),
        *("ρ with the first drop", "EL2N percentile of the 1% kept"),
    )
    return TextTable("What CLD's score measures on Fashion-MNIST", headers, lines, words=(1,))


def variants_table(published: Published) -> TextTable:
    """CLD with other fields minus CLD."""
    head = published.fashion
    lines, counts = [], set()
    for label, words in VARIANTS.items():
        pairs = [beside(head, label, CLD, f) for f in (0.01, 0.1)]
        counts |= {pair.n for pair in pairs}
        shared = study_value(published, label, "in_cld", 0.1)
        lines.append((label, words, *map(_interval, pairs), f"{shared:.0%}"))
    headers = ("method", "change", "1% kept", "10% kept", "same rows at 10%")
    seeds = listed([str(n) for n in sorted(counts)])
    title = f"CLD with one change minus CLD on Fashion-MNIST, in points: mean and 95% interval, {seeds} seeds"
    return TextTable(title, headers, tuple(lines), words=(1,))


def short_costs_table(published: Published) -> TextTable:
    """Cost and accuracy of a few methods at 10% kept."""
    head, found = published.fashion, costs_at(published.fashion, 0.1)
    lines = []
    for label in IN_COSTS:
        cost = found[label]
        pays = f"{cost.pays_after}" if cost.is_selection and cost.pays_after else "-"
        accuracy = mean(head, label, cost.fraction)
        lines.append((label, f"{100 * cost.share:.0f}", f"{accuracy:.2f}", pays))
    headers = ("method", "cost, % of training on all data", "accuracy, %", "trainings until it pays")
    return TextTable("A 10% coreset of Fashion-MNIST, proxy included", headers, tuple(lines))


def short_noise_table(published: Published) -> TextTable:
    """Detection, flipped rows kept and accuracy of a few methods, at both rates."""
    lines = []
    for label in IN_NOISE:
        has_score = label != "Random"
        aurocs = [f"{v:.3f}" for v in detections(published, label)] if has_score else ["-", "-"]
        kept = [f"{v:.1f}" for v in flipped_kept(published, label)]
        accuracy = [f"{mean(head, label, 0.1):.1f}" for head in published.noise.values()]
        lines.append((label, *aurocs, *kept, *accuracy))
    rates = [f"{rate}% flipped" for rate in published.noise]
    headers = (
        "method",
        *(f"AUROC, {rate}" for rate in rates),
        *(f"flipped rows kept, %, {rate}" for rate in rates),
        *(f"accuracy, %, {rate}" for rate in rates),
    )
    return TextTable("Flipped labels on Fashion-MNIST, 10% kept", headers, tuple(lines))


def _difference(head: Head, label: str, fraction: float) -> str:
    """A difference from Random with its sign of significance."""
    side = head.entry(label, fraction).beside_random
    sign = f"{SIGNS[side]}\N{NO-BREAK SPACE}" if side else ""
    return sign + signed(gap(head, label, fraction))


def _interval(pair: Paired) -> str:
    return f"{signed(pair.difference)} [{signed(pair.low)}, {signed(pair.high)}]"
