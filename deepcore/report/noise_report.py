"""Table of flipped labels: how many each method kept, and whether its score finds them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from deepcore.analysis.stats import Summary, summarise
from deepcore.experiment.rows import ResultRow
from deepcore.report.cells import percent, spread
from deepcore.report.table import Table
from deepcore.report.text_table import TextTable

CLEAN = "no row has flipped labels: --label_noise 0.1 flips a tenth of them"
NOTES = (
    "flipped %: share of the kept rows whose label was flipped. A random subset holds the share that was "
    "flipped in all candidates.",
    "detection: AUROC of the score for flipped against clean candidates, 0.5 is chance. low: flipped rows "
    "score low, high: they score high. -: the method has no score, or no candidate was flipped.",
)


def noise_report(rows: Sequence[ResultRow], output: str = "table") -> str:
    """The table of flipped labels in one of the `OUTPUTS`; csv and json have a record per method, fraction
    and network."""
    return noise_table(rows).render(output)


def noise_table(rows: Sequence[ResultRow]) -> Table:
    """One line per net, fraction and selection: accuracy, flipped rows kept, detection.

    Args:
        rows: of one rate of label noise; those without any, failed ones and references are left out.
    """
    cells: dict[tuple, list[ResultRow]] = {}
    for row in rows:
        if row.status == "ok" and row.label_noise and row.is_selection:
            cells.setdefault((row.target_net, row.fraction, row.label), []).append(row)
    order = sorted(cells, key=lambda key: (key[0], key[1] is None, key[1] or 0))
    records = tuple(_record(*key, cells[key]) for key in order)
    nets = {record["net"] for record in records}
    headers = ("method", *(["net"] if len(nets) > 1 else []), "kept", "accuracy %", "flipped %", "detection")
    lines = tuple(
        (
            record["method"],
            *([record["net"]] if len(nets) > 1 else []),
            percent(record["fraction"]),
            spread(Summary(record["accuracy"], record["accuracy_std"], record["n"])),
            spread(Summary(record["flipped_kept"], record["flipped_kept_std"], record["n"]), count=False),
            _detection(record["auroc"], record["auroc_std"]),
        )
        for record in records
    )
    text, notes = TextTable(_title(rows), headers, lines), NOTES if records else (CLEAN,)
    return Table("label_noise", text, records, notes, grouped_by=headers.index("kept"))


def detection(auroc: float) -> tuple[float, str]:
    """AUROC of a score for flipped labels in [0.5, 1], and whether they score "high" or "low"."""
    return (auroc, "high") if auroc >= 0.5 else (1 - auroc, "low")


def noise_line(row: ResultRow) -> str:
    """One line on the flipped labels of a row."""
    noise = row.label_noise
    val = f", {100 * noise['val']:g}% of the validation labels" if noise["val"] else ""
    clean = "test labels are clean" if noise["val"] else "validation and test labels are clean"
    return f"flipped labels: {noise['flipped']:,} candidates ({100 * noise['train']:g}%){val}; {clean}"


def _title(rows: Sequence[ResultRow]) -> str:
    noise = next((row.label_noise for row in rows if row.label_noise), None)
    if noise is None:
        return ""
    val = f", {100 * noise['val']:g}% of the validation rows" if noise["val"] else ""
    return f"Flipped labels: {100 * noise['train']:g}% of the candidates{val}"


def _record(net: str, fraction: float | None, label: str, rows: Sequence[ResultRow]) -> dict[str, Any]:
    """Means over seeds, in percent; the AUROC counts a flipped candidate with the higher score as a hit."""
    accuracy = _over_seeds(rows, lambda row: 100 * row.accuracy)
    kept = _over_seeds(rows, lambda row: 100 * row.label_noise["kept"] / row.k)
    record = {
        "method": label, "net": net, "fraction": fraction, "n": len(rows),
        "accuracy": accuracy.mean, "accuracy_std": accuracy.std,
        "flipped_kept": kept.mean, "flipped_kept_std": kept.std, "auroc": None, "auroc_std": None,
    }  # fmt: skip
    if all(row.label_noise["auroc"] is not None for row in rows):
        auroc = _over_seeds(rows, lambda row: row.label_noise["auroc"])
        record |= {"auroc": auroc.mean, "auroc_std": auroc.std}
    return record


def _over_seeds(rows: Sequence[ResultRow], value: Callable[[ResultRow], float]) -> Summary:
    return summarise({row.seed: value(row) for row in rows})


def _detection(auroc: float | None, std: float | None) -> str:
    if auroc is None:
        return "-"
    found, end = detection(auroc)
    return f"{found:.3f}" + (f" ± {std:.3f}" if std is not None else "") + f" ({end})"
