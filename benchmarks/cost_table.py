"""The paper's cost tables as Markdown, CSV and LaTeX, and the tables of benchmarks/README.md.

Table 1 and Appendix E, and what counting consistently does, are computed; what was measured comes from
benchmarks/results.

python benchmarks/cost_table.py [--folder benchmarks/tables] [--check]
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from deepcore.conventions import convention_lines, convention_sheet  # noqa: E402
from deepcore.costs_report import bills_of, costs_csv, formula_sheet, number_sheet, remarks  # noqa: E402
from deepcore.measured_report import bill_of_record, render_bills, render_phases  # noqa: E402
from deepcore.phases import Phase  # noqa: E402
from deepcore.scenario import Scenario  # noqa: E402

README = HERE / "README.md"
RESULTS = HERE / "results"
MARKED = re.compile(r"(?<=<!-- table: )(\w+)( -->\n).*?(?=<!-- end -->)", re.DOTALL)


def tables() -> dict[str, str]:
    """{file name: content}; two tables in three forms, and conventions.md."""
    paper = Scenario.paper()
    costs = bills_of(paper, "paper", "paper")
    lines = "\n".join(f"- {line}" for line in remarks(paper, costs, "paper", "paper"))
    files = {"appendix_e.csv": costs_csv(costs), "table1.csv": formula_sheet(costs).render("csv")}
    for stem, sheet in (("table1", formula_sheet(costs)), ("appendix_e", number_sheet(costs))):
        files[f"{stem}.md"] = f"{sheet.render('md')}\n\n{lines}"
        files[f"{stem}.tex"] = sheet.render("latex")
    what_changes = "\n".join(f"- {line}" for line in convention_lines(paper))
    files["conventions.md"] = f"{convention_sheet(paper).render('md')}\n\n{what_changes}"
    return {name: text + "\n" for name, text in files.items()}


def readme() -> str:
    """benchmarks/README.md with the tables between its marks as they are now."""
    paper = Scenario.paper()
    costs = bills_of(paper, "paper", "paper")
    bills = [bill_of_record(r) for r in json.loads((RESULTS / "digits_costs.json").read_text())]
    found = [Phase(**record) for record in json.loads((RESULTS / "digits_phases.json").read_text())]
    here = {"table1_here": formula_sheet, "appendix_e_here": number_sheet}
    parts = {
        "appendix_e": number_sheet(costs).render("md"),
        "remarks": "\n".join(f"- {line}" for line in remarks(paper, costs, "paper", "paper")),
        "conventions": tables()["conventions.md"].strip(),
        **{name: sheet(bills_of(paper, "here", "consistent")).render("md") for name, sheet in here.items()},
        "digits_costs": render_bills(bills, "md"),
        "digits_phases": render_phases(found, "md"),
    }
    text = README.read_text()
    missing = set(parts) ^ set(re.findall(r"<!-- table: (\w+) -->", text))
    if missing:
        raise SystemExit(f"benchmarks/README.md: marks and tables differ: {', '.join(sorted(missing))}")
    return MARKED.sub(lambda mark: f"{mark[1]}{mark[2]}{parts[mark[1]]}\n", text)


def main() -> int:
    """Write the files, or with --check compare them; returns 1 when they differ."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=HERE / "tables")
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a file is out of date")
    args = parser.parse_args()
    files = {args.folder / name: text for name, text in tables().items()} | {README: readme()}
    stale = []
    for path, text in files.items():
        if not args.check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        elif not path.exists() or path.read_text() != text:
            stale.append(path.name)
    for name in stale:
        print(f"{name} is out of date: run python benchmarks/cost_table.py")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
