"""The bill in print: Table 1 (formulas) and the Appendix E table (FLOPs per term, storage)."""

from __future__ import annotations

import csv
import io
import json
import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tabulate import tabulate

from deepcore.bills import BILLS, bill
from deepcore.checks import check_choice
from deepcore.cost import Cost
from deepcore.scenario import Scenario

if TYPE_CHECKING:
    from deepcore.method import CoresetMethod

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
WIDTH = 118  # of everything in table form
# Column of the Appendix E table -> the stages in it.
COLUMNS = {
    "proxy\ntraining": ("proxy",),
    "forward\nto log": ("record", "validation"),
    "encoding": ("encode",),
    "scoring": ("score",),
    "coreset\ntraining": ("target",),
    "test\nrows": ("test",),
}


@dataclass(frozen=True)
class Sheet:
    """One table ready to be rendered: title, headers, rows of text, and which columns hold formulas."""

    title: str
    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    formulas: tuple[int, ...] = ()

    def render(self, output: str) -> str:
        """As "table", "md" or "latex"; numbers to the right."""
        words = {0, *self.formulas}
        align = ["left" if i in words else "right" for i in range(len(self.headers))]
        if output == "latex":
            rows = [
                [latex(cell) if i in self.formulas else escape(cell) for i, cell in enumerate(row)]
                for row in self.rows
            ]
            headers = [escape(header.replace("\n", " ")) for header in self.headers]
            body = tabulate(rows, headers, tablefmt="latex_raw", colalign=align, disable_numparse=True)
            return f"% {self.title}\n{body}"
        if output == "md":
            headers = [header.replace("\n", " ") for header in self.headers]
            body = tabulate(self.rows, headers, tablefmt="github", colalign=align, disable_numparse=True)
            return f"**{self.title}**\n\n{body}"
        widths = [22, 62, 30] if self.formulas else None
        rows = [
            [_unbroken(cell) if i in self.formulas else cell for i, cell in enumerate(row)]
            for row in self.rows
        ]
        body = tabulate(
            rows, self.headers, "simple", colalign=align, disable_numparse=True, maxcolwidths=widths
        )
        return f"{self.title}\n\n{body}".replace("\xa0", " ")


def bills_of(
    scenario: Scenario, protocol: str, flops: str, methods: Sequence[CoresetMethod] = ()
) -> list[Cost]:
    """The bills of the table BILLS in its order (without other readings of the paper's protocol when the
    protocol is "here"), then those of `methods`."""
    check_choice("FLOP convention", flops, CONVENTIONS)
    scenario = scenario.consistent() if flops == "consistent" else scenario
    names = [name for name, entry in BILLS.items() if protocol == "paper" or not entry.variant]
    return [
        *(bill(name, scenario, protocol) for name in names),
        *(m.cost(scenario, protocol) for m in methods),
    ]


def formula_sheet(costs: Sequence[Cost]) -> Sheet:
    """Table 1: the formulas."""
    rows = tuple((cost.method, cost.formula, cost.storage_text) for cost in costs)
    headers = ("method", "computational cost (selection + coreset training)", "storage (selection only)")
    return Sheet("Computational cost and storage in symbols (Table 1)", headers, rows, formulas=(1, 2))


def number_sheet(costs: Sequence[Cost]) -> Sheet:
    """The Appendix E table: FLOPs per term, in the unit that suits them, share of Full, storage."""
    unit, scale = _unit(
        min(c.total_flops for c in costs), ("FLOPs", "kFLOPs", "MFLOPs", "GFLOPs", "TFLOPs", "PFLOPs")
    )
    size, bytes_ = _unit(max(c.storage_bytes for c in costs), ("bytes", "kB", "MB", "GB"))
    columns = {name: stages for name, stages in COLUMNS.items() if any(_flops(c, stages) for c in costs)}
    full = next(c.total_flops for c in costs if c.method == "Full")
    rows = tuple(
        (
            cost.method,
            *(_number(_flops(cost, stages) / scale) for stages in columns.values()),
            _number(cost.total_flops / scale),
            f"{100 * cost.total_flops / full:,.1f}",
            _number(cost.storage_bytes / bytes_),
        )
        for cost in costs
    )
    headers = ("method", *columns, "total", "% of\nFull", f"storage\n{size}")
    return Sheet(f"End-to-end cost in {unit}, storage of selection in {size} (Appendix E)", headers, rows)


def costs_report(
    scenario: Scenario,
    *,
    protocol: str = "paper",
    flops: str = "paper",
    output: str = "table",
    methods: Sequence[CoresetMethod] = (),
) -> str:
    """Both tables with what must be known of them, as text.

    Args:
        scenario: `Scenario.paper()`, or `Scenario.measured(...)` for a setting of one's own.
        protocol: "paper", or "here" for what this harness does.
        flops: "paper" as the scenario gives f and f_large, "consistent" for 2 per multiply-add in both.
        output: "table" (120 columns at most), "md", "latex", "csv" (the numbers, PFLOPs and GB), "json".
        methods: instances to be billed below the table's own rows.
    """
    check_choice("output", output, OUTPUTS)
    costs = bills_of(scenario, protocol, flops, methods)
    if output == "csv":
        return _csv(costs)
    if output == "json":
        return json.dumps([as_dict(cost) for cost in costs], indent=1)
    lines = [*scenario_lines(scenario, protocol, flops), *notes_of(costs)]
    if output == "latex":
        text = "\n".join(f"% {line}" for line in lines)
    elif output == "md":
        text = "\n".join(f"- {line}" for line in lines)
    else:
        text = "\n".join(textwrap.fill(line, WIDTH, subsequent_indent="  ") for line in lines)
    sheets = (formula_sheet(costs), number_sheet(costs))
    return "\n\n".join([*(sheet.render(output) for sheet in sheets), text])


def scenario_lines(s: Scenario, protocol: str, flops: str) -> list[str]:
    """Protocol, symbols and counting, a sentence each."""
    counting = (
        "2 operations per multiply-add in both networks"
        if flops == "consistent" or s.madd_proxy == s.madd_large == 2
        else f"as printed: f counts a multiply-add as {s.madd_proxy}, f_large as {s.madd_large} "
        "(--flops consistent counts 2 in both)"
    )
    used = s.consistent() if flops == "consistent" else s
    whose = "the CLD paper's" if protocol == "paper" else "this harness's, each method alone"
    measured = s.b_proxy is not None or s.b_large is not None
    lines = [
        f"Protocol: {whose}. N = {s.N:,} candidates, Q = {s.Q:,} query rows, k = {s.k:,} kept "
        f"({s.fraction:.4g} of N), d = {s.d:,}, c = {s.num_classes:,}, F = {s.F:,}; T = {s.T:g}, "
        f"T_proxy = {s.T_proxy}, T_early = {s.T_early}, T_proxy_early = {s.T_proxy_early}, "
        f"T_first = {s.T_first}.",
        f"Forward pass of one example: f = {used.f_proxy:,.0f}, f_large = {used.f_large:,.0f} FLOPs; "
        f"{counting}.",
    ]
    if measured:
        lines.append("Backward passes are as measured: the 3 of a formula stands for forward plus backward.")
    if protocol == "here":
        lines.append("The test rows are evaluation: listed, not in the total.")
    return lines


def notes_of(costs: Sequence[Cost]) -> list[str]:
    """The notes of all bills, each once."""
    return list(dict.fromkeys(note for cost in costs for note in cost.notes))


def as_dict(cost: Cost) -> dict[str, object]:
    """A bill as plain JSON values; FLOPs and bytes unrounded."""
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


def latex(formula: str) -> str:
    """A formula of this module as LaTeX; what stands in [brackets] stays text."""
    out = []
    for piece in re.split(r"(\[[^\]]*\])", formula):
        if piece.startswith("["):
            out.append(escape(piece))
        elif piece.strip():
            math = re.sub(
                r"\b([A-Za-z])_([A-Za-z_]+)",
                lambda m: rf"{m[1]}_{{\text{{{m[2].replace('_', ',')}}}}}",
                piece,
            )
            math = re.sub(r"\b(log|gamma|epsilon|kappa)\b", r"\\\1 ", math)
            out.append(f"${math.replace('O(', chr(92) + 'mathcal{O}(').strip()}$")
    return " ".join(out)


def _unbroken(formula: str) -> str:
    """A formula that is wrapped between its terms only, and before [remarks]."""
    return re.sub(r" (?![+\[])", "\xa0", formula)


def escape(text: str) -> str:
    """Text with LaTeX's special characters escaped."""
    return re.sub(r"([%_&#$])", r"\\\1", text)


def _csv(costs: Sequence[Cost]) -> str:
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for cost in costs:
        pflops = [f"{x / 1e15:.12g}" for x in (cost.selection_flops, cost.training_flops, cost.total_flops)]
        size = f"{cost.storage_bytes:.0f}"
        writer.writerow(
            [cost.method, *pflops, f"{cost.storage_bytes / 1e9:.12g}", size, " ".join(cost.notes)]
        )
    return file.getvalue().rstrip("\n")


def _flops(cost: Cost, stages: Sequence[str]) -> float:
    return sum(cost.stage_flops(stage) for stage in stages)


def _unit(amount: float, names: Sequence[str]) -> tuple[str, float]:
    """The largest unit of a thousand-fold ladder in which `amount` is at least 1, and its size."""
    step = max((i for i in range(len(names)) if amount >= 1000**i), default=0)
    return names[step], 1000.0**step


def _number(value: float) -> str:
    """Three decimals; less than that in two digits; nothing as a dash."""
    if value == 0:
        return "-"
    return f"{value:,.3f}" if value >= 0.0005 else f"{value:.2g}"
