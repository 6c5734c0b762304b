"""The paper's cost tables (Table 1, Appendix E) as Markdown, CSV and LaTeX; what counting consistently does.

python benchmarks/cost_table.py [--folder benchmarks/tables] [--check]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from deepcore.conventions import convention_lines, convention_sheet  # noqa: E402
from deepcore.costs_report import bills_of, costs_csv, formula_sheet, number_sheet, remarks  # noqa: E402
from deepcore.scenario import Scenario  # noqa: E402


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


def main() -> int:
    """Write the files, or with --check compare them; returns 1 when they differ."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=HERE / "tables")
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a file is out of date")
    args = parser.parse_args()
    stale = []
    for name, text in tables().items():
        path = args.folder / name
        if not args.check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        elif not path.exists() or path.read_text() != text:
            stale.append(name)
    for name in stale:
        print(f"{name} is out of date: run python benchmarks/cost_table.py")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
