"""Phases of a run: the formulas beside what was counted."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from deepcore.analysis.phases import Phase, phases
from deepcore.common.units import largest_unit
from deepcore.experiment.rows import ResultRow
from deepcore.report.measured_cost_report import NOTHING, _records, digits, seconds
from deepcore.report.text_table import TextTable, first_widths, render_lines


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
    return f"{_phase_table(found).render(output)}\n\n{render_lines(lines, output)}"


def _phase_table(found: Sequence[Phase]) -> TextTable:
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
    return TextTable(title, headers, rows, formulas=(1, 2), widths=first_widths(headers, rows))


def _over(phase: Phase) -> str:
    """How much more the formula says than was measured."""
    if not phase.flops_measured:
        return "-"
    return f"{100 * (phase.flops_here / phase.flops_measured - 1):.1f}%"
