"""What is printed after a run, from result rows alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from deepcore.analysis.comparison import compare_rows
from deepcore.experiment.rows import ResultRow
from deepcore.experiment.tail_record import tail_line
from deepcore.report.accuracy_tables import accuracy_table, statistics_lines, verdict_lines
from deepcore.report.cells import REFERENCE
from deepcore.report.noise_report import noise_line

OUTPUTS = ("table", "md", "latex", "csv", "json")


def accuracy_report(rows: Sequence[ResultRow], output: str = "table") -> str:
    """The accuracy table: mean ± sample std (number of seeds) of the test accuracy after the last step, the
    worst class, the paired difference from Random, its p value and the verdict.

    Args:
        rows: of any number of methods, fractions, nets and seeds; failed ones are left out.
        output: one of OUTPUTS; csv and json have one record per method, fraction and net, in percent.
    """
    return accuracy_table(compare_rows(rows)).render(output)


def closing_lines(rows: Sequence[ResultRow], folder: Path) -> list[str]:
    """The lines after the tables: verdicts, data and recipe, meaning of the columns, folder."""
    done = [row for row in rows if row.status == "ok"]
    if not done:
        return [f"no row finished; the errors are in {folder / 'rows'}"]
    comparisons = compare_rows(done)
    return [
        *verdict_lines(comparisons),
        *setting_lines(done),
        *statistics_lines(comparisons),
        *reference_lines(done),
        f"rows, selections and proxy runs are in {folder}",
    ]


def setting_lines(done: Sequence[ResultRow]) -> list[str]:
    """Data, recipe, proxy and recording of finished rows."""
    first = done[0]
    recipe = first.target_recipe
    length = f"{recipe['steps']} steps" if recipe["steps"] else f"{recipe['epochs']} epochs"
    steps = sorted({row.steps for row in done})
    span = f"{steps[0]:,}" if len(steps) == 1 else f"{steps[0]:,} to {steps[-1]:,}"
    modes = ", ".join(sorted({row.recording for row in done if row.recording})) or "none"
    schedule = f"{recipe['optimizer']}, lr {recipe['lr']:g}, {recipe['scheduler']}, batch {recipe['batch']}"
    proxies = sorted(
        {f"{row.proxy_net}, {row.proxy_recipe['epochs']} epochs" for row in done if row.proxy_net}
    )
    tail = [tail_line(first.long_tail)] if first.long_tail else []
    flipped = [noise_line(first)] if first.label_noise else []
    return [
        f"{first.dataset}: {first.n:,} candidates, {first.q:,} validation rows; kept: share of candidates",
        *tail,
        *flipped,
        f"targets: {length} each ({span} steps), {schedule}",
        "accuracy: test accuracy after the last step, mean ± sample std (number of seeds)",
        f"proxy: {'; '.join(proxies) or 'none'}; recording: {modes}",
    ]


def reference_lines(done: Sequence[ResultRow]) -> list[str]:
    """One line for each reference row: what it is trained on."""
    notes = (note for row in done if not row.is_selection for note in row.notes)
    return [f"{REFERENCE} {note}" for note in dict.fromkeys(notes) if " is not a selection: " in note]
