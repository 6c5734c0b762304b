"""The measured bill in print, from result rows alone: per method, and phase by phase beside the formulas."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence

from deepcore.measured import PEAKS, MeasuredBill, measured_bills
from deepcore.phases import Phase, phases
from deepcore.results import ResultRow
from deepcore.sheet import SIZES, Sheet, first_widths, largest_unit, render_lines, to_csv

NOTHING = "no row finished: there is nothing to bill"


def measured_report(rows: Sequence[ResultRow], output: str = "table") -> str:
    """What each method cost at each fraction: selection in three readings, training, total, storage, seconds,
    and after how many uses of the coreset it pays.

    Args:
        rows: the shared and marginal readings are among the methods of these.
        output: one of `deepcore.report.OUTPUTS`; csv and json hold every field of MeasuredBill, unrounded.
    """
    return render_bills(measured_bills(rows), output)


def render_bills(bills: Sequence[MeasuredBill], output: str) -> str:
    """`measured_report` of bills at hand."""
    if output in ("csv", "json"):
        return _records([bill_record(bill) for bill in bills], output)
    if not bills:
        return NOTHING
    nets = dict.fromkeys(bill.net for bill in bills)
    sheets = [cost_sheet([bill for bill in bills if bill.net == net]) for net in nets]
    return "\n\n".join([*(sheet.render(output) for sheet in sheets), render_lines(remarks(bills), output)])


def bill_record(bill: MeasuredBill) -> dict[str, object]:
    """A bill as plain values: its fields, what follows from them, and a column per peak."""
    record = dataclasses.asdict(bill)
    peaks = record.pop("peak_bytes")
    record |= {"total": bill.total, "share_of_full": bill.share, "pays_after": bill.pays_after}
    return record | {f"peak_bytes_{name}": peaks.get(name) for name in PEAKS}


def bill_of_record(record: Mapping[str, object]) -> MeasuredBill:
    """The counterpart of `bill_record`."""
    peaks = {name: record.get(f"peak_bytes_{name}") for name in PEAKS}
    names = {field.name for field in dataclasses.fields(MeasuredBill)} & record.keys()
    return MeasuredBill(
        **{name: record[name] for name in names},
        peak_bytes={name: peak for name, peak in peaks.items() if peak is not None},
    )


def phase_report(rows: Sequence[ResultRow], output: str = "table") -> str:
    """`here` beside what was counted, phase by phase, with seconds and peak memory.

    Args:
        rows: of any number of methods, fractions, nets and seeds.
        output: as for `measured_report`; csv and json hold every field of Phase.
    """
    return render_phases(phases(rows), output)


def render_phases(found: Sequence[Phase], output: str) -> str:
    """`phase_report` of phases at hand."""
    if output in ("csv", "json"):
        return _records([dataclasses.asdict(phase) for phase in found], output)
    if not found:
        return NOTHING
    lines = [
        "Passes are of examples through a network: here by the formulas, counted by the meter as the batches "
        "ran. Seconds of the validation rows and of features and logits are with those of recording. R: "
        "repeats of the proxy, the shared run among them.",
        "FLOPs differ by what the formulas leave out: they take a backward pass for two forward passes, but "
        "the first layer needs no gradient of its input. Neither counts element-wise work, normalisation, "
        "pooling, the loss and the optimiser's step.",
        "Peak: the highest memory of the process (on a GPU, of the device; of scoring always the process) "
        "within the phase, with all that was there before; proxy training and recording have one.",
    ]
    return f"{_phase_sheet(found).render(output)}\n\n{render_lines(lines, output)}"


def cost_sheet(bills: Sequence[MeasuredBill]) -> Sheet:
    """The table of one target net."""
    unit, scale = largest_unit(max(bill.total for bill in bills))
    size, bytes_ = largest_unit(max(bill.storage_bytes for bill in bills), SIZES)
    rows = tuple(
        (
            bill.method,
            f"{100 * (bill.k / bill.n if bill.fraction is None else bill.fraction):.3g}%",
            *(digits(x / scale) for x in (bill.alone, bill.shared, bill.marginal, bill.target, bill.total)),
            f"{100 * bill.share:,.1f}",
            digits(bill.storage_bytes / bytes_),
            seconds(bill.select_seconds),
            seconds(bill.target_seconds),
            _pays(bill),
        )
        for bill in bills
    )
    headers = (
        *("method", "kept", "alone", "shared", "marginal", "target", "total", "% of\nfull", f"read\n{size}"),
        *("select\ns", "train\ns", "pays\nafter"),
    )
    title = (
        f"Measured cost of a coreset for {bills[0].net} on {bills[0].dataset}: {unit} of selection (alone, "
    )
    title += "shared, marginal), target, total"
    return Sheet(title, headers, rows, widths=first_widths(headers, rows))


def remarks(bills: Sequence[MeasuredBill]) -> list[str]:
    seeds = sorted({bill.seeds for bill in bills})
    span = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    return [
        f"Means over seeds ({span}). FLOPs: example passes as counted, times those of one example as torch "
        "counts them (2 per multiply-add).",
        "Selection alone: a proxy run no longer, and recording no more, than the method reads; shared: the "
        "proxy run as it was, in equal parts for the methods of this table that read it; marginal: what the "
        "other methods of this table would save without it. Total: selection alone and target.",
        "% of full: total to training the target on all candidates. Read: recordings that selection reads. "
        "Select s: of selection alone, the proxy's in proportion to its epochs and passes.",
        "Pays after: so many trainings on the coreset, with selection alone, cost no more than as many on "
        "all candidates; never: a training on the coreset saves nothing.",
    ]


def _pays(bill: MeasuredBill) -> str:
    if not bill.is_selection:
        return "-"
    return "never" if bill.pays_after is None else f"{bill.pays_after:,}"


def _phase_sheet(found: Sequence[Phase]) -> Sheet:
    unit, scale = largest_unit(max(phase.flops_measured for phase in found))
    rows = tuple(
        (
            phase.name,
            phase.net or "-",
            phase.formula or "-",
            *(f"{passes:,}" if phase.formula else "-" for passes in (phase.here, phase.counted)),
            *(digits(amount / scale) for amount in (phase.flops_here, phase.flops_measured)),
            _over(phase),
            "-" if phase.seconds is None else seconds(phase.seconds),
            "-" if phase.peak_bytes is None else f"{phase.peak_bytes / 1e6:,.0f}",
        )
        for phase in found
    )
    headers = (
        *("phase", "net", "formula", "passes\nhere", "passes\ncounted", f"{unit}\nhere"),
        *(f"{unit}\nmeasured", "here\nover", "seconds", "peak\nMB"),
    )
    title = "What this harness says that a run takes, and what was counted"
    return Sheet(title, headers, rows, formulas=(1, 2), widths=first_widths(headers, rows))


def _over(phase: Phase) -> str:
    """How much more the formula says than was measured."""
    if not phase.flops_measured:
        return "-"
    return f"{100 * (phase.flops_here / phase.flops_measured - 1):.1f}%"


def digits(value: float) -> str:
    """Four digits, without an exponent; nothing as a dash."""
    if value == 0:
        return "-"
    if value >= 1000:
        return f"{value:,.0f}"
    text = f"{value:#.4g}"
    return text.rstrip(".") if "e" not in text else f"{value:.1g}"


def seconds(value: float) -> str:
    """Seconds as far as they can be told apart."""
    if value < 0.001:
        return "-" if value == 0 else "<0.001"
    return f"{value:.3f}" if value < 0.1 else f"{value:,.2f}" if value < 100 else f"{value:,.0f}"


def _records(records: Sequence[Mapping[str, object]], output: str) -> str:
    if output == "json":
        return json.dumps(records, indent=1)
    columns = list(records[0]) if records else []
    cells = [["" if v is None else str(v) for v in record.values()] for record in records]
    return to_csv(columns, cells)
