"""Table of the measured cost of each method, from result rows alone."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence

from deepcore.analysis.measured_costs import PEAKS, MeasuredCost, measured_costs
from deepcore.common.units import SIZES, largest_unit
from deepcore.experiment.rows import ResultRow
from deepcore.report.text_table import TextTable, first_widths, render_lines, to_csv

NOTHING = "no row finished: there is no cost to show"
SECONDS = (
    "select s: seconds of selection alone, estimated from the proxy's epochs and passes. train s: seconds of "
    "the target's training."
)


def measured_report(rows: Sequence[ResultRow], output: str = "table") -> str:
    """What each method cost at each fraction.

    The columns are the cost of selection counted in three ways (alone, shared, marginal), of the target's
    training, the total, storage, seconds, and the number of trainings after which the coreset pays.

    Args:
        rows: the shared and marginal costs are relative to the methods in these rows.
        output: one of `OUTPUTS` of accuracy_report; csv and json hold every field of MeasuredCost, unrounded.
    """
    return render_costs(measured_costs(rows), output)


def render_costs(costs: Sequence[MeasuredCost], output: str) -> str:
    """As `measured_report`, from costs."""
    if output in ("csv", "json"):
        return _records([cost_record(cost) for cost in costs], output)
    if not costs:
        return NOTHING
    nets = dict.fromkeys(cost.net for cost in costs)
    tables = [cost_table([cost for cost in costs if cost.net == net]) for net in nets]
    return "\n\n".join([*(text.render(output) for text in tables), render_lines(remarks(costs), output)])


def cost_record(cost: MeasuredCost) -> dict[str, object]:
    """A measured cost as plain values: fields, total, share of Full, pays after, a column per peak."""
    record = dataclasses.asdict(cost)
    peaks = record.pop("peak_bytes")
    record |= {"total": cost.total, "share_of_full": cost.share, "pays_after": cost.pays_after}
    return record | {f"peak_bytes_{name}": peaks.get(name) for name in PEAKS}


def cost_of_record(record: Mapping[str, object]) -> MeasuredCost:
    """The counterpart of `cost_record`."""
    peaks = {name: record.get(f"peak_bytes_{name}") for name in PEAKS}
    names = {field.name for field in dataclasses.fields(MeasuredCost)} & record.keys()
    return MeasuredCost(
        **{name: record[name] for name in names},
        peak_bytes={name: peak for name, peak in peaks.items() if peak is not None},
    )


def cost_table(costs: Sequence[MeasuredCost]) -> TextTable:
    """The cost table of one target network."""
    unit, scale = largest_unit(max(cost.total for cost in costs))
    size, bytes_ = largest_unit(max(cost.storage_bytes for cost in costs), SIZES)
    rows = tuple(
        (
            cost.method,
            f"{100 * (cost.k / cost.n if cost.fraction is None else cost.fraction):.3g}%",
            *(digits(x / scale) for x in (cost.alone, cost.shared, cost.marginal, cost.target, cost.total)),
            f"{100 * cost.share:,.1f}",
            digits(cost.storage_bytes / bytes_),
            seconds(cost.select_seconds),
            seconds(cost.target_seconds),
            _pays(cost),
        )
        for cost in costs
    )
    headers = (
        *("method", "kept", "alone", "shared", "marginal", "target", "total", "% of\nfull", f"read\n{size}"),
        *("select\ns", "train\ns", "pays\nafter"),
    )
    title = f"Measured cost in {unit}: selection (alone, shared, marginal), target, total; "
    title += f"{costs[0].net} on {costs[0].dataset}"
    return TextTable(title, headers, rows, widths=first_widths(headers, rows))


def remarks(costs: Sequence[MeasuredCost]) -> list[str]:
    """What each column of the cost table means, a line each."""
    seeds = sorted({cost.seeds for cost in costs})
    span = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    return [
        f"Means over seeds ({span}). FLOPs: counted example passes times torch's FLOPs per example, 2 per "
        "multiply-add.",
        "alone: cost of selection if no other method were run; the proxy run then stops, and records, where "
        "the method stops reading. shared: an equal part of the actual proxy run for each method of this "
        "table that read it. marginal: what the other methods would save without this one.",
        "total: alone + target. % of full: total in percent of training the target on all candidates. read: "
        "size of the recordings that selection reads.",
        SECONDS,
        "pays after: the number of trainings on the coreset from which alone and these trainings together "
        "cost no more than as many trainings on all candidates. never: a training on the coreset saves "
        "nothing.",
    ]


def _pays(cost: MeasuredCost) -> str:
    if not cost.is_selection:
        return "-"
    return "never" if cost.pays_after is None else f"{cost.pays_after:,}"


def digits(value: float) -> str:
    """Four digits, without an exponent; 0 as a dash."""
    if value == 0:
        return "-"
    if value >= 1000:
        return f"{value:,.0f}"
    text = f"{value:#.4g}"
    return text.rstrip(".") if "e" not in text else f"{value:.1g}"


def seconds(value: float) -> str:
    """Seconds, rounded to what a clock can tell."""
    if value < 0.001:
        return "-" if value == 0 else "<0.001"
    return f"{value:.3f}" if value < 0.1 else f"{value:,.2f}" if value < 100 else f"{value:,.0f}"


def _records(records: Sequence[Mapping[str, object]], output: str) -> str:
    if output == "json":
        return json.dumps(records, indent=1)
    columns = list(records[0]) if records else []
    cells = [["" if v is None else str(v) for v in record.values()] for record in records]
    return to_csv(columns, cells)
