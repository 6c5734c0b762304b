"""Tables of accuracies, from comparisons: text for people, records for programs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from deepcore.analysis.comparison import Comparison, Entry, RankTable, side
from deepcore.analysis.stats import MIN_SEEDS, Paired, Ranks, Summary
from deepcore.report.cells import REFERENCE, _p, difference, p_value, percent, spread
from deepcore.report.table import Table
from deepcore.report.text_table import TextTable, first_widths

NET_WIDTH = 8
SIGNS = {"best": "*", "same": "≈", "above": "▲", "below": "▼"}
LEGEND = {
    "best": "*: highest mean of the selections at this fraction",
    "same": "≈: not told apart from the best (95% interval of the difference contains 0)",
    "above": "▲: above Random (p < 0.05 after Holm)",
    "below": "▼: below Random (p < 0.05 after Holm)",
}


def accuracy_table(comparisons: Sequence[Comparison]) -> Table:
    """One line per net, fraction and method: accuracy, worst class, difference from Random, verdict. Empty
    columns are left out."""
    lines = [(comparison, entry) for comparison in comparisons for entry in comparison.entries]
    pairs = [entry.to_random for _, entry in lines if entry.to_random]
    beside = "minus Random, 95%" if any(pair.low is not None for pair in pairs) else "minus Random"
    columns = {
        "method": [_name(entry) for _, entry in lines],
        "net": [comparison.net for comparison, _ in lines],
        "kept": [_kept(comparison, entry) for comparison, entry in lines],
        "rows": [f"{entry.k:,}" for _, entry in lines],
        "accuracy %": [spread(entry.accuracy) for _, entry in lines],
        "worst class %": [spread(entry.worst, count=False) for _, entry in lines],
        beside: [difference(entry.to_random) for _, entry in lines],
        "p": [p_value(entry.to_random) for _, entry in lines],
        "verdict": [entry.verdict for _, entry in lines],
    }
    if len(set(columns["net"])) < 2:
        del columns["net"]
    for name in (beside, "p", "verdict"):
        if not any(columns[name]):
            del columns[name]
    headers, rows = tuple(columns), tuple(zip(*columns.values(), strict=True))
    words = tuple(i for i, name in enumerate(headers) if name in ("net", "verdict"))
    widths = None
    if rows:
        cut = [
            tuple(cell[:NET_WIDTH] if headers[i] == "net" else cell for i, cell in enumerate(row))
            for row in rows
        ]
        first = first_widths(headers, cut)[0]
        widths = tuple({"method": first, "net": NET_WIDTH}.get(name) for name in headers)
    styles = tuple((_style(entry),) * len(headers) for _, entry in lines)
    records = tuple(_record(comparison, entry) for comparison, entry in lines)
    text = TextTable("", headers, rows, words=words, widths=widths)
    return Table("accuracy", text, records, reach_notes(comparisons), styles, headers.index("kept"))


def overview_table(comparisons: Sequence[Comparison], net: str) -> Table:
    """A row per method and a column per fraction, with signs for the verdicts. Methods that fix their own
    size have a column of their own."""
    of_net = [comparison for comparison in comparisons if comparison.net == net]
    title = f"Accuracy in % by fraction kept, {net}: mean ± sample std over {_seeds(of_net)}"
    records = tuple(_record(comparison, entry) for comparison in of_net for entry in comparison.entries)
    table = _by_fraction("overview", title, of_net, lambda entry: entry.accuracy, _style, records)
    return replace(table, notes=(*table.notes, *reach_notes(of_net)))


def reach_notes(comparisons: Sequence[Comparison]) -> tuple[str, ...]:
    """One sentence: the true difference from Random that 80% of experiments with these seeds find."""
    nets = {comparison.net for comparison in comparisons}
    found = []
    for comparison in comparisons:
        if comparison.reach:
            place = f"{comparison.net}, " if len(nets) > 1 else ""
            shown = " or ".join(f"{r.shown:.1f} ({r.n} seeds)" for r in comparison.reach)
            found.append(f"{place}{percent(comparison.fraction)}: {shown}")
    what = "A true difference from Random of this size is found by 80% of such experiments "
    return (f"{what}with p < 0.05 after Holm, in points. {'; '.join(found)}.",) if found else ()


def worst_table(comparisons: Sequence[Comparison], net: str) -> Table:
    """As `overview_table`, of the lowest class accuracy; the records hold its difference from Random's."""
    of_net = [comparison for comparison in comparisons if comparison.net == net]
    title = f"Accuracy of the worst class in %, {net}: mean ± sample std over {_seeds(of_net)}"
    records = tuple(
        _place(comparison, entry)
        | _spread_record("worst", entry.worst)
        | _paired_record("minus_random", entry.worst_to_random)
        for comparison in of_net
        for entry in comparison.entries
    )
    table = _by_fraction(
        "worst_class", title, of_net, lambda entry: entry.worst, lambda e: side(e.worst_to_random), records
    )
    return replace(table, notes=(*table.notes, "Each seed has its own worst class."))


def _by_fraction(
    name: str,
    title: str,
    comparisons: Sequence[Comparison],
    value: Callable[[Entry], Summary],
    mark: Callable[[Entry], str],
    records: tuple[Mapping[str, Any], ...],
) -> Table:
    """A row per method, selections first, and a column per fraction."""
    entries = [entry for comparison in comparisons for entry in comparison.entries]
    entries.sort(key=lambda entry: not entry.is_selection)
    names = list(dict.fromkeys(_name(entry) for entry in entries))
    cells: dict[str, list[str]] = {name: [name] for name in names}
    styles: dict[str, list[str]] = {name: [""] for name in names}
    for comparison in comparisons:
        found = {_name(entry): entry for entry in comparison.entries}
        for label in names:
            entry = found.get(label)
            styles[label].append(mark(entry) if entry else "")
            signs = "".join(SIGNS[word] for word in styles[label][-1].split())
            shown = spread(value(entry), count=False) if entry else ""
            cells[label].append(f"{signs} {shown}" if signs else shown)
    headers = ("method", *(percent(comparison.fraction) for comparison in comparisons))
    used = {word for row in styles.values() for of_cell in row for word in of_cell.split()}
    legend = "; ".join(LEGEND[word] for word in SIGNS if word in used)
    text = TextTable(title, headers, tuple(map(tuple, cells.values())))
    return Table(name, text, records, (f"{legend}.",) if legend else (), tuple(map(tuple, styles.values())))


def ranks_table(ranks: RankTable) -> Table:
    """Average ranks over seeds and Friedman's test, per fraction and over the fractions."""
    columns = {percent(fraction): found for fraction, found in ranks.by_fraction.items()}
    if len(columns) > 1:
        columns["all fractions"] = ranks.overall
    rows = [(name, *(_rank(found, name) for found in columns.values())) for name in ranks.methods]
    rows.append(("Friedman's p", *(_p(found.p) for found in columns.values())))
    rows.append(("seeds", *(str(found.n) for found in columns.values())))
    title = f"Average rank of the selections within a seed, {ranks.net} (1 is the best)"
    notes = list(dict.fromkeys(f"{found.note}." for found in columns.values() if found.note))
    if len(columns) > 1:
        notes.append("All fractions: the ranks of a seed are averaged over the fractions first.")
    if ranks.left_out:
        notes.append(f"Not ranked, because they lack rows at some fraction: {', '.join(ranks.left_out)}.")
    found_at = [*ranks.by_fraction.items(), *([(None, ranks.overall)] if len(columns) > 1 else [])]
    records = tuple(
        {"net": ranks.net, "fraction": fraction, "method": name, "rank": found.ranks.get(name), "n": found.n,
         "friedman": found.statistic, "p": found.p}
        for fraction, found in found_at
        for name in ranks.methods
    )  # fmt: skip
    return Table("ranks", TextTable(title, ("method", *columns), tuple(rows)), records, tuple(notes))


def verdict_lines(comparisons: Sequence[Comparison]) -> list[str]:
    """A line for each fraction: the best selection, those that cannot be told apart from it, those above and
    below Random."""
    nets = {comparison.net for comparison in comparisons}
    lines = []
    for comparison in comparisons:
        best = next((entry for entry in comparison.entries if entry.is_best), None)
        if best is None:
            continue
        chosen = [entry for entry in comparison.entries if entry.is_selection]
        same = [entry.label for entry in chosen if entry.as_good_as_best]
        parts = [f"{best.label} is best ({best.accuracy.mean:.2f}%)"]
        parts += [f"not told apart from it: {', '.join(same)}"] if same else []
        for beside in ("above", "below"):
            there = [entry.label for entry in chosen if entry.beside_random == beside]
            parts += [f"{beside} {comparison.baseline}: {', '.join(there)}"] if there else []
        of_net = f"{comparison.net}, " if len(nets) > 1 else ""
        lines.append(f"{of_net}{percent(comparison.fraction)}: {'; '.join(parts)}")
    return lines


def statistics_lines(comparisons: Sequence[Comparison]) -> list[str]:
    """What the columns of the accuracy table mean, and which comparisons could not be made."""
    entries = [entry for comparison in comparisons for entry in comparison.entries]
    of_fraction = [comparison for comparison in comparisons if comparison.fraction is not None]
    pairs = [(c, entry.to_random) for c in of_fraction for entry in c.entries if entry.to_random]
    lines = []
    if of_fraction and not any(comparison.baseline for comparison in of_fraction):
        lines.append("no comparison with Random: add Random to --selection")
    if any(pair.low is not None for _, pair in pairs):
        lines.append(
            "minus Random: mean difference over common seeds, 95% t interval; p: paired t test with Holm's "
            "correction"
        )
    if any(entry.verdict for entry in entries):
        lines.append(
            "≈ best: not told apart from the best (the 95% interval contains 0); < and > Random: p < 0.05"
        )
    few = [entry.accuracy.n for entry in entries if entry.accuracy.n < MIN_SEEDS]
    if few and any(len(comparison.entries) > 1 for comparison in comparisons):
        seeds = "1 seed" if max(few) == 1 else f"{max(few)} seeds"
        lines.append(f"{seeds}: intervals, p values and verdicts need {MIN_SEEDS} (--num_exp)")
    lines += dict.fromkeys(
        f"{percent(comparison.fraction)}, {pair.method} minus {pair.reference}: {pair.note}"
        for comparison, pair in pairs
        if pair.note and pair.n >= MIN_SEEDS
    )
    return lines


def _record(comparison: Comparison, entry: Entry) -> dict[str, Any]:
    """An entry's numbers, in percent and percentage points."""
    return {
        **_place(comparison, entry),
        **_spread_record("", entry.accuracy),
        **{key: value for key, value in _spread_record("worst", entry.worst).items() if key != "n"},
        **_paired_record("minus_random", entry.to_random),
        "smallest_shown": _smallest_shown(comparison, entry),
        **{k: v for k, v in _paired_record("minus_best", entry.to_best).items() if not k.endswith("p_holm")},
        "best": entry.is_best,
        "as_good_as_best": entry.as_good_as_best,
        "verdict": entry.verdict,
    }


def _smallest_shown(comparison: Comparison, entry: Entry) -> float | None:
    """Of a selection that is compared with Random, by the seeds that both have."""
    if not entry.is_selection or entry.to_random is None:
        return None
    return next((r.shown for r in comparison.reach if r.n == entry.to_random.n), None)


def _place(comparison: Comparison, entry: Entry) -> dict[str, Any]:
    return {
        "dataset": comparison.dataset,
        "net": comparison.net,
        "method": entry.label,
        "is_selection": entry.is_selection,
        "fraction": comparison.fraction,
        "k": entry.k,
    }


def _spread_record(prefix: str, summary: Summary) -> dict[str, Any]:
    before = f"{prefix}_" if prefix else ""
    return {"n": summary.n, f"{before}mean": summary.mean, f"{before}std": summary.std}


def _paired_record(prefix: str, paired: Paired | None) -> dict[str, Any]:
    return {
        prefix: paired.difference if paired else None,
        f"{prefix}_low": paired.low if paired else None,
        f"{prefix}_high": paired.high if paired else None,
        f"{prefix}_p": paired.p if paired else None,
        f"{prefix}_p_holm": paired.p_adjusted if paired else None,
    }


def _name(entry: Entry) -> str:
    return entry.label if entry.is_selection else entry.label + REFERENCE


def _kept(comparison: Comparison, entry: Entry) -> str:
    if comparison.fraction is not None:
        return percent(comparison.fraction)
    return "all" if entry.k == entry.n else "-"


def _style(entry: Entry) -> str:
    best = "best" if entry.is_best else "same" if entry.as_good_as_best else ""
    return " ".join(filter(None, (best, side(entry.to_random))))


def _seeds(comparisons: Sequence[Comparison]) -> str:
    counts = sorted({entry.accuracy.n for comparison in comparisons for entry in comparison.entries})
    span = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    return f"{span} seed{'' if counts[-1] == 1 else 's'}"


def _rank(ranks: Ranks, name: str) -> str:
    return f"{ranks.ranks[name]:.2f}" if name in ranks.ranks else "-"
