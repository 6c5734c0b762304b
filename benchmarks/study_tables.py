"""Large tables of the published rows that no run prints: flipped labels, and properties of the scores."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.published import Published
from benchmarks.score_study import study_mean
from deepcore.analysis.comparison import Entry
from deepcore.report.accuracy_tables import SIGNS
from deepcore.report.cells import percent
from deepcore.report.noise_report import detection, noise_table
from deepcore.report.text_table import TextTable

NOTHING = "-"


def flipped_table(published: Published, rate: int) -> TextTable:
    """Each selection with `rate` percent of the labels flipped: detection, flipped rows kept, accuracy."""
    head = published.noise[rate]
    records = {(r["method"], r["fraction"]): r for r in noise_table(head.rows).records}
    lines = []
    for label in dict.fromkeys(label for label, _ in records):
        of_label = [records[label, fraction] for fraction in head.fractions]
        kept = [f"{r['flipped_kept']:.1f}" for r in of_label]
        accuracy = [marked(head.entry(label, fraction)) for fraction in head.fractions]
        aurocs = [r["auroc"] for r in of_label if r["auroc"] is not None]
        end, found = NOTHING, NOTHING
        if aurocs:
            value, end = detection(aurocs[-1])
            found = f"{value:.3f}"
        lines.append((label, found, end, *kept, *accuracy))
    lines.sort(key=lambda line: line[1], reverse=True)
    at = [percent(fraction) for fraction in head.fractions]
    headers = (
        "method",
        "AUROC",
        "flipped rows score",
        *(f"flipped rows in the {a} kept, %" for a in at),
        *(f"accuracy at {a}" for a in at),
    )
    n = min(entry.accuracy.n for c in head.comparisons for entry in c.entries)
    title = f"{rate}% of the candidates' labels flipped: Fashion-MNIST, ConvNet, {n} seeds"
    return TextTable(title, headers, tuple(lines), words=(2,))


def marked(entry: Entry) -> str:
    """Mean and std with the signs of the overview table."""
    words = ["best"] if entry.is_best else ["same"] if entry.as_good_as_best else []
    words += [entry.beside_random] if entry.beside_random else []
    signs = "".join(SIGNS[word] for word in words)
    spread = "" if entry.accuracy.std is None else f" ± {entry.accuracy.std:.2f}"
    return f"{signs} {entry.accuracy.mean:.2f}{spread}".strip()


def study_value(
    published: Published, method: str, measure: str, fraction: float | None = None
) -> float | None:
    """Mean over seeds of a measure of the short trainings' score study; None where it has no value."""
    return study_mean(published.study, method, measure, fraction)


def scores_table(published: Published) -> TextTable:
    """The score study: one line per selection method of the fashion grid."""

    def shown(form: str, *key: object) -> str:
        value = study_value(published, *key)
        return NOTHING if value is None else format(value, form)

    columns: dict[str, Callable[[str], str]] = {
        "ρ EL2N": lambda m: shown("+.2f", m, "rho_el2n"),
        "ρ first drop": lambda m: shown("+.2f", m, "rho_first_drop"),
        "ρ last loss": lambda m: shown("+.2f", m, "rho_last_loss"),
        "first step": lambda m: shown(".2f", m, "first_step"),
        "EL2N percentile, 1% kept": lambda m: shown(".0f", m, "kept_el2n", 0.01),
        "EL2N percentile, 10% kept": lambda m: shown(".0f", m, "kept_el2n", 0.1),
        "last loss percentile, 10% kept": lambda m: shown(".0f", m, "kept_last_loss", 0.1),
        "also kept by CLD, 10% kept": lambda m: shown(".0%", m, "in_cld", 0.1),
    }
    lines = tuple(
        (method, *(column(method) for column in columns.values()))
        for method in dict.fromkeys(finding.method for finding in published.study)
    )
    counts = [len({f.seed for f in published.study if f.method == method}) for method, *_ in lines]
    seeds = f"{min(counts)} to {max(counts)}" if min(counts) < max(counts) else f"{max(counts)}"
    title = f"What scores measure and which rows selections keep: Fashion-MNIST, {seeds} seeds"
    return TextTable(title, ("method", *columns), lines)
