"""Write the cost tables: benchmarks/tables as Markdown, CSV and LaTeX, and the tables of docs/costs.md.

    python benchmarks/cost_table.py [--folder benchmarks/tables] [--check]

The paper's Table 1 and Appendix E are computed from formulas. Measured costs come from benchmarks/results.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from benchmarks.generated_parts import filled, write_or_check
from deepcore.analysis.phases import Phase
from deepcore.costs.scenario import Scenario
from deepcore.report.cost_report import (
    costs_csv,
    costs_of,
    formula_table,
    number_table,
    remarks,
)
from deepcore.report.flop_conventions import (
    convention_lines,
    convention_table,
)
from deepcore.report.measured_cost_report import (
    cost_of_record,
    render_costs,
)
from deepcore.report.phase_report import render_phases

PAGE = HERE.parent / "docs" / "costs.md"
RESULTS = HERE / "results"


def tables() -> dict[str, str]:
    """{file name: content}; two tables in three forms, and conventions.md."""
    paper = Scenario.paper()
    costs = costs_of(paper, "paper", "paper")
    lines = "\n".join(f"- {line}" for line in remarks(paper, costs, "paper", "paper"))
    files = {"appendix_e.csv": costs_csv(costs), "table1.csv": formula_table(costs).render("csv")}
    for stem, text in (("table1", formula_table(costs)), ("appendix_e", number_table(costs))):
        files[f"{stem}.md"] = f"{text.render('md')}\n\n{lines}"
        files[f"{stem}.tex"] = text.render("latex")
    what_changes = "\n".join(f"- {line}" for line in convention_lines(paper))
    files["conventions.md"] = f"{convention_table(paper).render('md')}\n\n{what_changes}"
    return {name: text + "\n" for name, text in files.items()}


def costs_page() -> str:
    """docs/costs.md with its generated tables as they are now."""
    paper = Scenario.paper()
    printed = costs_of(paper, "paper", "paper")
    measured = [cost_of_record(r) for r in json.loads((RESULTS / "digits_costs.json").read_text())]
    found = [Phase(**record) for record in json.loads((RESULTS / "digits_phases.json").read_text())]
    here = {"table1_here": formula_table, "appendix_e_here": number_table}
    parts = {
        "appendix_e": number_table(printed).render("md"),
        "remarks": "\n".join(f"- {line}" for line in remarks(paper, printed, "paper", "paper")),
        "conventions": tables()["conventions.md"].strip(),
        **{name: text(costs_of(paper, "here", "consistent")).render("md") for name, text in here.items()},
        "digits_costs": render_costs(measured, "md"),
        "digits_phases": render_phases(found, "md"),
    }
    return filled(PAGE, "table", parts)


def main() -> int:
    """Write the files, or with --check compare them; returns 1 when they differ."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=HERE / "tables")
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a file is out of date")
    args = parser.parse_args()
    files = {args.folder / name: text for name, text in tables().items()} | {PAGE: costs_page()}
    return write_or_check(files, check=args.check, command="python benchmarks/cost_table.py")


if __name__ == "__main__":
    sys.exit(main())
