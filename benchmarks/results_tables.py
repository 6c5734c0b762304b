"""The tables, figures and findings of the two READMEs, from the rows in benchmarks/results.

    python benchmarks/results_tables.py [--check]

--check writes nothing and fails when something is out of date. Texts are compared byte for byte. A figure
says which rows it was drawn from and by what: by the same versions, it is compared byte for byte, too.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from benchmarks.findings import findings, highlights
from benchmarks.forest_figure import forest_figure
from benchmarks.generated_parts import filled, write_or_check
from benchmarks.published import Head, Published
from benchmarks.results_sheets import noise_sheet, study_sheet
from deepcore.analysis.comparison import rank_table
from deepcore.analysis.measured_costs import measured_costs
from deepcore.cli.flags import Parser
from deepcore.report.accuracy_report import setting_lines
from deepcore.report.accuracy_tables import (
    overview_table,
    ranks_table,
)
from deepcore.report.figure_files import save_figure
from deepcore.report.measured_cost_report import (
    cost_table,
    remarks,
)
from deepcore.report.text_table import TextTable, render_lines

FIGURES = HERE / "figures"
COMMAND = "python benchmarks/results_tables.py"


def texts(published: Published) -> dict[Path, str]:
    """Both READMEs with what stands between their styles as it is now."""
    fashion = overview(published.fashion)
    parts = {
        "findings": findings(published),
        "fashion": fashion,
        "fashion_ranks": ranks(published.fashion),
        "fashion_costs": costs(published.fashion, 0.1),
        "digits": overview(published.digits),
        "digits_ranks": ranks(published.digits),
        "scores": study_sheet(published).render("md"),
        "noise10": noise_sheet(published, 10).render("md"),
        "noise30": noise_sheet(published, 30).render("md"),
        "setting": settings(published),
    }
    readme, ours = HERE.parent / "README.md", HERE / "README.md"
    first = {"highlights": highlights(published), "fashion": fashion}
    return {readme: filled(readme, "results", first), ours: filled(ours, "results", parts)}


def overview(head: Head) -> str:
    """Accuracies by fraction."""
    return overview_table(head.comparisons, head.rows[0].target_net).render("md")


def ranks(head: Head) -> str:
    """Average ranks and Friedman's test."""
    return ranks_table(rank_table(head.rows, head.rows[0].target_net)).render("md")


def costs(head: Head, fraction: float) -> str:
    """The measured cost at one fraction, without its seconds: they are of a machine shared with others."""
    costs = measured_costs([r for r in head.rows if r.fraction in (fraction, None)])
    text = cost_table(costs)
    counted = [i for i, header in enumerate(text.headers) if not header.endswith("\ns")]
    headers = tuple(text.headers[i] for i in counted)
    rows = tuple(tuple(row[i] for i in counted) for row in text.rows)
    lines = [line.partition(" Select s:")[0] for line in remarks(costs)]
    return f"{TextTable(text.title, headers, rows).render('md')}\n\n{render_lines(lines, 'md')}"


def settings(published: Published) -> str:
    """Data, recipe and machine of each grid."""
    lines = []
    for name, head in (("digits", published.digits), ("fashion", published.fashion)):
        lines += [f"- {line}" for line in setting_lines(head.rows)[:2]]
        found = {(r.provenance["device"], r.provenance["torch"], r.provenance["threads"]) for r in head.rows}
        dates = sorted(r.measured["finished"][:10] for r in head.rows)
        machine = "; ".join(
            f"{device}, torch {version}, threads: {t}" for device, version, t in sorted(found)
        )
        lines.append(f"- {name}.csv: {len(head.rows)} rows, {dates[0]} to {dates[-1]}, on {machine}")
    return "\n".join(lines)


def digest(head: Head) -> str:
    """Of what a figure is drawn from."""
    drawn = [
        (
            comparison.fraction,
            entry.label,
            entry.beside_random,
            [f"{x:.6g}" for x in (p.difference, p.low, p.high) if x is not None],
        )
        for comparison in head.comparisons
        for entry in comparison.entries
        if (p := entry.to_random) and p.difference is not None
    ]
    return hashlib.sha256(repr(drawn).encode()).hexdigest()[:16]


def figures(published: Published, folder: Path, *, check: bool) -> list[str]:
    """Draw into the folder, or with `check` name the figures that are not of these rows."""
    import matplotlib
    import PIL

    stale = []
    for name, head in (("fashion", published.fashion), ("digits", published.digits)):
        row = head.rows[0]
        title = f"{row.dataset}, {row.target_net}: what a method's coreset gives beyond a random one"
        about = f"rows {digest(head)}, matplotlib {matplotlib.__version__}, Pillow {PIL.__version__}"
        if not check:
            save_figure(forest_figure(head.comparisons, title), folder / f"forest_{name}", about=about)
            continue
        with tempfile.TemporaryDirectory() as there:
            for fresh in save_figure(forest_figure(head.comparisons, title), Path(there) / "f", about=about):
                committed = folder / f"forest_{name}{fresh.suffix}"
                held = committed.read_bytes() if committed.exists() else b""
                same_tool = about.encode() in held
                of_rows = about.split(",")[0].encode() in held
                if not of_rows or (same_tool and held != fresh.read_bytes()):
                    stale.append(committed.name)
    return stale


def main(argv: list[str] | None = None) -> int:
    """Write, or with --check compare; returns 1 when something is out of date."""
    parser = Parser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a file is out of date")
    args = parser.parse_args(argv)
    published = Published.read()
    stale = figures(published, FIGURES, check=args.check)
    for name in stale:
        print(f"{name} is out of date: run {COMMAND}")
    return write_or_check(texts(published), check=args.check, command=COMMAND) or int(bool(stale))


if __name__ == "__main__":
    sys.exit(main())
