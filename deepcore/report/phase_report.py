"""Table of the phases of a run: cost by formula beside the counted cost."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from deepcore.analysis.phases import Phase, phases
from deepcore.common.units import largest_unit
from deepcore.experiment.rows import ResultRow
from deepcore.report.measured_cost_report import NOTHING, _records, digits, seconds
from deepcore.report.text_table import TextTable, first_widths, render_lines


def phase_report(rows: Sequence[ResultRow], output: str = "table") -> str:
    """Cost by this harness's formulas (`here`) beside the counted cost, with seconds and peak memory.

    Args:
        rows: of any number of methods, fractions, nets and seeds.
        output: as for `measured_report`; csv and json hold every field of Phase.
    """
    return render_phases(phases(rows), output)


def render_phases(found: Sequence[Phase], output: str) -> str:
    """As `phase_report`, from phases."""
    if output in ("csv", "json"):
        return _records([dataclasses.asdict(phase) for phase in found], output)
    if not found:
        return NOTHING
    lines = [
        "passes here: example passes by the formulas. passes counted: example passes counted while the "
        "batches ran. R: number of proxy runs, the shared run included. The seconds of recording include "
        "those of the validation rows and of features and logits.",
        "FLOPs here count a backward pass as two forward passes. The measured ones are lower: the first "
        "layer computes no gradient of its input. Neither counts element-wise work, normalisation, pooling, "
        "the loss and the optimiser's step.",
        "peak: highest memory of the process within the phase, including what was allocated before it. On a "
        "GPU it is the device's memory, except for scoring. Proxy training and recording share one peak.",
    ]
    return f"{_phase_table(found).render(output)}\n\n{render_lines(lines, output)}"


def _phase_table(found: Sequence[Phase]) -> TextTable:
    unit, scale = largest_unit(max(phase.flops_measured for phase in found))
    rows = tuple(
        (
            phase.name,
            phase.net or "-",
            phase.formula or "-",
            f"{phase.here:,}" if phase.formula else "-",
            f"{phase.counted:,}" if phase.formula or phase.counted else "-",
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
    title = "Cost of each phase: by formula, and as counted"
    return TextTable(title, headers, rows, formulas=(1, 2), widths=first_widths(headers, rows))


def _over(phase: Phase) -> str:
    """How much more the formula says than was measured."""
    if not phase.formula or not phase.flops_measured:
        return "-"
    return f"{100 * (phase.flops_here / phase.flops_measured - 1):.1f}%"
