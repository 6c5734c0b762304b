"""Write the report of a run into its folder: `report.html`, `tables/`, `figures/`."""

from __future__ import annotations

import dataclasses
import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path

from deepcore.analysis.comparison import Comparison, compare_rows, rank_table
from deepcore.analysis.measured_costs import measured_costs
from deepcore.common.files import REPORT_LOCK, locked, write_bytes
from deepcore.experiment.plan import Plan
from deepcore.experiment.rows import ResultRow
from deepcore.report.accuracy_report import reference_lines
from deepcore.report.accuracy_tables import (
    accuracy_table,
    overview_table,
    ranks_table,
    statistics_lines,
    verdict_lines,
    worst_table,
)
from deepcore.report.agreement_report import agreement_tables
from deepcore.report.cells import percent
from deepcore.report.description import description, failures
from deepcore.report.measured_cost_report import cost_record, cost_table, remarks
from deepcore.report.noise_report import noise_line, noise_table
from deepcore.report.page import Drawing, Section, page
from deepcore.report.table import Table

SUFFIXES = {"md": "md", "latex": "tex", "csv": "csv", "json": "json"}  # of the tables' files


def write_report(
    plan: Plan, folder: Path, rows: Sequence[ResultRow], say: Callable[[str], None] = lambda line: None
) -> Path | None:
    """Write the report of a grid's rows; returns the path of the page, None when no row is finished.

    Every table is written as Markdown, LaTeX, CSV and JSON. Figures are written as PNG and SVG and shown in
    the page; without matplotlib they are left out, and `say` gets a line. The next command writes again what
    a kill left half written; commands that write into one folder do so one after the other.
    """
    done = [row for row in rows if row.status == "ok"]
    if not done:
        return None
    with locked(folder, name=REPORT_LOCK):
        return _write(plan, folder, done, failures(rows), say)


def _write(
    plan: Plan, folder: Path, done: Sequence[ResultRow], failed: list[str], say: Callable[[str], None]
) -> Path:
    """The report of the finished rows."""
    comparisons = compare_rows(done)
    nets = list(dict.fromkeys(comparison.net for comparison in comparisons))
    tables = {net: _tables_of_net(comparisons, done, net) for net in nets}
    costs = {net: _cost_table(done, net) for net in nets}
    accuracy, agreement = accuracy_table(comparisons), agreement_tables(plan, folder)
    noise = [noise_table(done)] if done[0].label_noise else []
    for net in nets:
        suffix = f"-{net}" if len(nets) > 1 else ""
        _write_tables(folder / "tables", [*tables[net], costs[net]], suffix)
    _write_tables(folder / "tables", [accuracy, *noise, *agreement])
    drawings = _draw(folder / "figures", comparisons, nets, say)
    sections = [Section("Findings", points=_findings(comparisons))]
    for net, (overview, *others) in tables.items():
        drawn = [drawings[net]] if net in drawings else []
        sections.append(Section(f"Accuracy, {net}", drawings=drawn, tables=[overview]))
        sections.append(Section(f"Worst class and ranks, {net}", tables=others))
    sections += [
        Section("All accuracies", lines=statistics_lines(comparisons), tables=[accuracy]),
        *([Section("Flipped labels", lines=[_capital(noise_line(done[0]))], tables=noise)] if noise else []),
        Section("Agreement of selections", tables=agreement),
        Section("Costs", tables=list(costs.values())),
        Section("Failed rows", points=failed),
        *description(done),
    ]
    path = folder / "report.html"
    text = page(*_heading(comparisons, done), sections)
    write_bytes(path, text.encode(errors="backslashreplace"))
    return path


def _tables_of_net(comparisons: Sequence[Comparison], done: Sequence[ResultRow], net: str) -> list[Table]:
    """The overview, the worst classes, and the ranks when there are several methods."""
    ranks = rank_table(done, net)
    overview = overview_table(comparisons, net)
    overview = dataclasses.replace(overview, notes=(*overview.notes, *reference_lines(done)))
    return [overview, worst_table(comparisons, net), *([ranks_table(ranks)] if ranks else [])]


def _cost_table(done: Sequence[ResultRow], net: str) -> Table:
    """The measured costs of one target network."""
    costs = [cost for cost in measured_costs(done) if cost.net == net]
    records = tuple(map(cost_record, costs))
    return Table("costs", cost_table(costs), records, tuple(remarks(costs)), grouped_by=0)


def _write_tables(folder: Path, tables: Sequence[Table], suffix: str = "") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for table in tables:
        for output, ending in SUFFIXES.items():
            path = folder / f"{table.name}{suffix}.{ending}"
            text = table.render(output) + "\n"
            write_bytes(path, text.encode(errors="backslashreplace"))


def _draw(
    folder: Path, comparisons: Sequence[Comparison], nets: Sequence[str], say: Callable[[str], None]
) -> dict[str, Drawing]:
    """The accuracy figure of each target network, also as files; none without matplotlib."""
    if importlib.util.find_spec("matplotlib") is None:
        say("no figures: matplotlib is not installed")
        return {}
    from deepcore.report.accuracy_figure import accuracy_figure
    from deepcore.report.figure_files import inline_svg, save_figure

    drawings = {}
    for net in nets:
        of_net = [comparison for comparison in comparisons if comparison.net == net]
        if all(comparison.fraction is None for comparison in of_net):
            continue
        wide, narrow = accuracy_figure(of_net), accuracy_figure(of_net, narrow=True)
        save_figure(wide, folder / (f"accuracy-{net}" if len(nets) > 1 else "accuracy"))
        caption = "Test accuracy after the last step: mean and one sample standard deviation over seeds."
        if len(wide.axes) > 1:
            caption += " Minus Random: mean difference over common seeds and its 95% interval."
        if not all(entry.is_selection for comparison in of_net for entry in comparison.entries):
            caption += " Dashed, dotted or hollow: reference rows, which are not selections."
        drawings[net] = Drawing(inline_svg(wide, f"{net}-w"), inline_svg(narrow, f"{net}-n"), caption)
    return drawings


def _findings(comparisons: Sequence[Comparison]) -> list[str]:
    """The verdicts, or the reason why there are none."""
    return verdict_lines(comparisons) or statistics_lines(comparisons)


def _heading(comparisons: Sequence[Comparison], done: Sequence[ResultRow]) -> tuple[str, str]:
    """The title and the line below it."""
    selections = list(dict.fromkeys(row.label for row in done if row.is_selection))
    fractions = [percent(f) for f in dict.fromkeys(c.fraction for c in comparisons) if f is not None]
    seeds = len({row.seed for row in done})
    what = (
        f"{len(selections)} selection methods" if len(selections) > 1 else ", ".join(selections) or "targets"
    )
    kept = f" at {', '.join(fractions)} of {done[0].n:,} candidates" if fractions else ""
    names = ", ".join(selections) if len(selections) > 1 else "Test accuracy"
    return f"{done[0].dataset}: {what}", f"{names}{kept}; {seeds} seed{'s' if seeds > 1 else ''}"


def _capital(line: str) -> str:
    """The line as a sentence of the page begins."""
    return line[:1].upper() + line[1:]
