"""The cost tables of the CLD paper: Table 1 (formulas) and Appendix E (FLOPs per term, storage)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from deepcore.common.checks import check_choice
from deepcore.common.units import largest_unit
from deepcore.costs.formulas import FORMULAS
from deepcore.costs.of_method import cost_of, formula_cost
from deepcore.costs.scenario import Scenario
from deepcore.costs.terms import Cost
from deepcore.report.text_table import TextTable, number, render_lines, to_csv

if TYPE_CHECKING:
    from deepcore.selection.method import CoresetMethod

OUTPUTS = ("table", "md", "latex", "csv", "json")
CONVENTIONS = ("paper", "consistent")
CSV_COLUMNS = (
    "method",
    "selection_pflops",
    "training_pflops",
    "total_pflops",
    "storage_gb",
    "storage_bytes",
    "notes",
)
# Column of the Appendix E table -> the stages in it.
COLUMNS = {
    "proxy\ntraining": ("proxy",),
    "forward\nto log": ("record", "validation"),
    "encoding": ("encode",),
    "scoring": ("score",),
    "coreset\ntraining": ("target",),
    "test\nrows": ("test",),
}


def costs_of(
    scenario: Scenario, protocol: str, flops: str, methods: Sequence[CoresetMethod] = ()
) -> list[Cost]:
    """The costs of all methods in FORMULAS, in its order, then those of `methods`.

    Entries marked as a variant only exist in the paper's protocol.
    """
    check_choice("FLOP convention", flops, CONVENTIONS)
    scenario = scenario.consistent() if flops == "consistent" else scenario
    names = [name for name, entry in FORMULAS.items() if protocol == "paper" or not entry.variant]
    return [
        *(formula_cost(name, scenario, protocol) for name in names),
        *(cost_of(method, scenario, protocol) for method in methods),
    ]


def formula_table(costs: Sequence[Cost]) -> TextTable:
    """Table 1: the formulas."""
    rows = tuple((cost.method, cost.formula, cost.storage_text) for cost in costs)
    headers = ("method", "computational cost (selection + coreset training)", "storage (selection only)")
    return TextTable(
        f"Computational cost and storage in symbols ({_source(costs, 'Table 1')})",
        headers,
        rows,
        formulas=(1, 2),
        widths=(22, 62, 30),
    )


def number_table(costs: Sequence[Cost]) -> TextTable:
    """The Appendix E table: FLOPs per term, share of Full, storage."""
    unit, scale = largest_unit(min(cost.total_flops for cost in costs))
    size, bytes_ = largest_unit(max(cost.storage_bytes for cost in costs), ("bytes", "kB", "MB", "GB"))
    columns = {name: stages for name, stages in COLUMNS.items() if any(_flops(c, stages) for c in costs)}
    full = next(c.total_flops for c in costs if c.method == "Full")
    rows = tuple(
        (
            cost.method,
            *(number(_flops(cost, stages) / scale) for stages in columns.values()),
            number(cost.total_flops / scale),
            f"{100 * cost.total_flops / full:,.1f}",
            number(cost.storage_bytes / bytes_),
        )
        for cost in costs
    )
    headers = ("method", *columns, "total", "% of\nFull", f"storage\n{size}")
    title = f"End-to-end cost in {unit}, storage of selection in {size} ({_source(costs, 'Appendix E')})"
    return TextTable(title, headers, rows)


def _source(costs: Sequence[Cost], of_paper: str) -> str:
    """The source that the title names: the paper's table, or this harness."""
    return of_paper if costs[0].protocol == "paper" else "this harness, each method alone"


def costs_report(
    scenario: Scenario,
    *,
    protocol: str = "paper",
    flops: str = "paper",
    output: str = "table",
    methods: Sequence[CoresetMethod] = (),
) -> str:
    """Both tables and their remarks, as text.

    Args:
        scenario: `Scenario.paper()`, or `Scenario.measured(...)` for a setting of one's own.
        protocol: "paper", or "here" for what this harness does.
        flops: "paper" as the scenario gives f and f_large, "consistent" for 2 per multiply-add in both.
        output: "table" (120 columns at most), "md", "latex", "csv" (the numbers, PFLOPs and GB), "json".
        methods: instances to add below the table's own rows.
    """
    check_choice("output", output, OUTPUTS)
    costs = costs_of(scenario, protocol, flops, methods)
    if output == "csv":
        return costs_csv(costs)
    if output == "json":
        return json.dumps([as_dict(cost) for cost in costs], indent=1)
    lines = remarks(scenario, costs, protocol, flops)
    tables = (formula_table(costs), number_table(costs))
    return "\n\n".join([*(text.render(output) for text in tables), render_lines(lines, output)])


def remarks(s: Scenario, costs: Sequence[Cost], protocol: str, flops: str) -> list[str]:
    """The remarks below the tables: protocol, symbols, counting, notes of the formulas."""
    same = flops == "consistent" or s.madd_proxy == s.madd_large == 2
    counting = (
        "2 operations per multiply-add in both networks"
        if same
        else f"as printed: f counts a multiply-add as {s.madd_proxy}, f_large as {s.madd_large} "
        "(--flops consistent counts 2 in both)"
    )
    used = s.consistent() if flops == "consistent" else s
    whose = "the CLD paper's" if protocol == "paper" else "this harness's, each method alone"
    lines = [
        f"Protocol: {whose}. N = {s.N:,} candidates, Q = {s.Q:,} query rows, k = {s.k:,} kept "
        f"({s.fraction:.4g} of N), d = {s.d:,}, c = {s.num_classes:,}, F = {s.F:,}; T = {s.T:g}, "
        f"T_proxy = {s.T_proxy}, T_early = {s.T_early}, T_proxy_early = {s.T_proxy_early}, "
        f"T_first = {s.T_first}.",
        f"Forward pass of one example: f = {used.f_proxy:,.0f}, f_large = {used.f_large:,.0f} FLOPs; "
        f"{counting}.",
    ]
    if s.b_proxy is not None or s.b_large is not None:
        lines.append("Backward passes are measured: the 3 in a formula stands for forward plus backward.")
    if protocol == "here":
        lines.append("The test rows are listed but not part of the total: they are evaluation.")
    return [*lines, *dict.fromkeys(note for cost in costs for note in cost.notes)]


def costs_csv(costs: Sequence[Cost]) -> str:
    """The numbers as CSV: CSV_COLUMNS, unrounded PFLOPs and GB, whatever the scenario's size."""
    rows = [
        (
            cost.method,
            *(f"{x / 1e15:.12g}" for x in (cost.selection_flops, cost.training_flops, cost.total_flops)),
            f"{cost.storage_bytes / 1e9:.12g}",
            f"{cost.storage_bytes:.0f}",
            " ".join(cost.notes),
        )
        for cost in costs
    ]
    return to_csv(CSV_COLUMNS, rows)


def as_dict(cost: Cost) -> dict[str, object]:
    """A cost as plain JSON values; FLOPs and bytes unrounded."""
    return {
        "method": cost.method,
        "family": cost.family,
        "protocol": cost.protocol,
        "formula": cost.formula,
        "terms": [vars(term) for term in cost.terms],
        "selection_flops": cost.selection_flops,
        "training_flops": cost.training_flops,
        "total_flops": cost.total_flops,
        "storage_formula": cost.storage_text,
        "storage_bytes": cost.storage_bytes,
        "notes": list(cost.notes),
    }


def _flops(cost: Cost, stages: Sequence[str]) -> float:
    return sum(cost.stage_flops(stage) for stage in stages)
