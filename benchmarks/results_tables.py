"""Write the results in README.md and docs/results.md, and their figures, from the rows in benchmarks/results.

    python benchmarks/results_tables.py [--check]

--check writes nothing and fails when something is out of date. Texts are compared byte for byte. A figure's
description holds a digest of its numbers and the versions that drew it. The digest must fit; the bytes are
compared too where the versions are the same.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from benchmarks import (
    answers,
    coverage,
    findings,
    long_tables,
    over_data_sets,
    paper_check,
    repeats,
    short_tables,
    what_to_record,
)
from benchmarks.generated_parts import filled, write_or_check
from benchmarks.length_figure import length_sentences
from benchmarks.published import Head, Published, title_of
from benchmarks.result_figures import FIGURES, Drawing, places_of, ranks_of
from benchmarks.study_tables import flipped_table, scores_table
from benchmarks.verdicts import Cell, cells_of
from benchmarks.wording import bullets
from deepcore.analysis.comparison import rank_table
from deepcore.analysis.measured_costs import measured_costs
from deepcore.cli.arguments import Parser
from deepcore.report.accuracy_report import setting_lines
from deepcore.report.accuracy_tables import (
    overview_table,
    ranks_table,
)
from deepcore.report.figure_files import save_figure
from deepcore.report.measured_cost_report import (
    SECONDS,
    cost_table,
    remarks,
)
from deepcore.report.text_table import TextTable, render_lines

FOLDER = HERE / "figures"
DOCS = HERE.parent / "docs"
COMMAND = "python benchmarks/results_tables.py"
COSTS_OF = "Fashion-MNIST"  # where there are such rows
FEW_DATA_SETS = "This needs three data sets at full length; so far there are fewer."


def texts(published: Published) -> dict[Path, str]:
    """README.md and docs/results.md with their generated parts as the rows are now."""
    fashion, digits = published.fashion, published.digits
    parts = {
        **long_parts(published),
        "paper_facts": bullets(paper_check.facts()),
        "setting": settings(published),
        "fashion_findings": findings.fashion_findings(published),
        "form_findings": findings.form_findings(published),
        "forms": short_tables.forms_table(fashion).render("md"),
        "score_findings": findings.score_findings(published),
        "form_scores": short_tables.form_scores_table(published).render("md"),
        "variant_findings": findings.variant_findings(published),
        "variants": short_tables.variants_table(published).render("md"),
        "cost_findings": findings.cost_findings(published),
        "costs": short_tables.short_costs_table(published).render("md"),
        "noise_findings": findings.noise_findings(published),
        "noise": short_tables.short_noise_table(published).render("md"),
        "digits_findings": findings.digits_findings(published),
        "digits_forms": short_tables.forms_table(digits).render("md"),
        "fashion": overview(fashion),
        "fashion_ranks": ranks(fashion),
        "fashion_costs": costs(fashion, 0.1),
        "digits": overview(digits),
        "digits_ranks": ranks(digits),
        "scores": scores_table(published).render("md"),
        "noise10": flipped_table(published, 10).render("md"),
        "noise30": flipped_table(published, 30).render("md"),
    }
    readme, results = HERE.parent / "README.md", DOCS / "results.md"
    first = {"highlights": bullets(highlights(published))}
    return {readme: filled(readme, "results", first), results: filled(results, "results", parts)}


def highlights(published: Published) -> list[str]:
    """Five sentences for a newcomer."""
    cells = cells_of(published.long)
    best = what_to_record.best_form([c for c in cells if c.is_selection])
    form = [answers.tally(cells, best, f"CLD's form with the highest mean, `{best}`,")] if best else []
    return [*answers.highlights(cells), *form]


def long_parts(published: Published) -> dict[str, str]:
    """The parts about trainings at a paper's length; those without rows say how to get them."""
    heads, cells, ranks = published.long, cells_of(published.long), ranks_of(published)
    selections = [c for c in cells if c.is_selection]
    repeated, best = repeats.repeats(published.studies, selections), what_to_record.best_form(selections)
    title = COSTS_OF if COSTS_OF in heads else next(iter(heads))
    head = heads[title]
    fraction = 0.05 if 0.05 in head.fractions else head.fractions[-1]
    noise, effects = published.long_noise, published.effects
    return {
        "answer": bullets(answers.answer_sentences(cells)),
        "ranks": rank_part(answers.rank_sentence(ranks)) if ranks else FEW_DATA_SETS,
        "data_sets": data_sets_part(cells),
        "length": length_part(published),
        "tail": setting_part(published, "fashion_tail"),
        "conv": setting_part(published, "fashion_conv"),
        "resnet": setting_part(published, "fashion_resnet"),
        "recording": bullets(what_to_record.recording_sentences(heads, cells)),
        "recordings": long_tables.forms_over_data(cells).render("md"),
        "recommendation": bullets(
            [
                *what_to_record.recommendation(heads, cells),
                *(what_to_record.in_flipped_labels(noise, best) if best else ()),
            ]
        ),
        "repeats": repeats.repeats_table(repeated).render("md")
        if repeated
        else lacking("letter", "score_study.py"),
        "repeat_findings": bullets(repeats.repeat_sentences(repeated, selections, best)),
        "coverage": coverage_part(published),
        "seeds": long_tables.seeds_over_data(heads),
        "long_cost_findings": bullets(answers.cost_sentences(title, head, fraction)),
        "long_costs": long_tables.long_costs_table(title, head, fraction).render("md"),
        "long_noise": noise_part(published) if noise else lacking("letter_noise10"),
        "effects": long_tables.effects_table(published).render("md")
        if effects
        else lacking("fashion_long_effects"),
        "long_numbers": "\n\n".join(
            f"### {name}, accuracy\n\n{overview(of)}" for name, of in heads.items() if name != "Digits"
        )
        or "No rows but those of Digits, below.",
    }


def coverage_part(published: Published) -> str:
    """Where kept rows lie: sentences, figure and table."""
    found = places_of(published)
    if not found:
        return lacking("letter", "score_study.py")
    alt = "Each selection's distance from the validation rows and its accuracy, both beside Random's"
    figure = f"![{alt}](../benchmarks/figures/coverage.png)"
    table = coverage.coverage_table(found).render("md")
    return f"{bullets(coverage.coverage_sentences(found))}\n\n{figure}\n\n{table}"


def setting_part(published: Published, grid: str) -> str:
    """A grid in another setting: what it says, and its accuracies."""
    head = published.settings.get(grid)
    if head is None:
        return lacking(grid)
    sentences = answers.setting_sentences(head, cells_of({grid: head}))
    return f"{bullets(sentences)}\n\n{overview(head)}"


def noise_part(published: Published) -> str:
    """Flipped labels at full length: table, and what they change."""
    table = long_tables.long_noise_table(published.long_noise).render("md")
    return f"{table}\n\n{bullets(long_tables.noise_sentences(published.long, published.long_noise))}".strip()


def rank_part(sentence: str) -> str:
    """The sentence on ranks, and the diagram."""
    alt = "Critical-difference diagram: average ranks of the selections over data sets"
    return f"{sentence}\n\n![{alt}](../benchmarks/figures/ranks.png)"


def data_sets_part(cells: Sequence[Cell]) -> str:
    """Each method over data sets, on the cells that all have."""
    found = over_data_sets.shared(cells)
    if not over_data_sets.enough(found):
        return FEW_DATA_SETS
    table = over_data_sets.data_sets_table(found).render("md")
    return f"{bullets(over_data_sets.data_sets_sentences(found))}\n\n{table}"


def length_part(published: Published) -> str:
    """The curves of accuracy against epochs, and what each step of them is."""
    if not published.length:
        return lacking("", "length.py")
    alt = (
        "Accuracy of random coresets of Fashion-MNIST against the number of epochs, a line per fraction kept"
    )
    return f"{bullets(length_sentences(published.length))}\n\n![{alt}](../benchmarks/figures/length.png)"


def lacking(grid: str, script: str = "head_to_head.py") -> str:
    """What stands for a table whose rows are not there."""
    command = f"python benchmarks/{script} {grid}".strip()
    return f"No rows of this kind are published yet: `{command}` makes them."


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
    lines = [line for line in remarks(costs) if line != SECONDS]
    return f"{TextTable(text.title, headers, rows).render('md')}\n\n{render_lines(lines, 'md')}"


def settings(published: Published) -> str:
    """Data, recipe and machine of each grid."""
    lines = []
    settings = {title_of(head.rows[0]): head for head in published.settings.values()}
    grids = {**published.long, **settings, "Fashion-MNIST, ten epochs": published.fashion}
    for name, head in grids.items():
        data, *_, targets = [x for x in setting_lines(head.rows) if not x.startswith(("accuracy", "proxy"))]
        lines += [f"- {name}. {data}; {targets}"]
        found = {(r.provenance["device"], r.provenance["torch"], r.provenance["threads"]) for r in head.rows}
        dates = sorted(r.measured["finished"][:10] for r in head.rows)
        machine = "; ".join(
            f"{device}, torch {version}, threads: {t}" for device, version, t in sorted(found)
        )
        lines.append(f"  {len(head.rows)} rows, {dates[0]} to {dates[-1]}, on {machine}")
    return "\n".join(lines)


def digest(values: object) -> str:
    """Sixteen hex digits of a figure's numbers."""
    return hashlib.sha256(repr(values).encode()).hexdigest()[:16]


def figures(published: Published, folder: Path, *, check: bool) -> list[str]:
    """Draw FIGURES into the folder; with `check`, name the files that do not fit the rows."""
    stale = []
    for name, drawing in FIGURES.items():
        if not drawing.exists(published):
            continue
        about = description(drawing, published)
        if not check:
            save_figure(drawing.draw(published), folder / name, about=about)
            continue
        with tempfile.TemporaryDirectory() as there:
            for fresh in save_figure(drawing.draw(published), Path(there) / "f", about=about):
                if not is_current(folder / f"{name}{fresh.suffix}", fresh.read_bytes(), about):
                    stale.append(f"{name}{fresh.suffix}")
    return stale


def description(drawing: Drawing, published: Published) -> str:
    """What a figure's files say of themselves: the digest of its numbers, and what drew it."""
    import matplotlib
    import PIL

    numbers = digest(drawing.values(published))
    return f"rows {numbers}, matplotlib {matplotlib.__version__}, Pillow {PIL.__version__}"


def is_current(path: Path, fresh: bytes, about: str) -> bool:
    """Whether a committed figure fits the rows: same digest and, when drawn by the same versions, same
    bytes."""
    committed = path.read_bytes() if path.exists() else b""
    if about.split(",")[0].encode() not in committed:
        return False
    return about.encode() not in committed or committed == fresh


def main(argv: list[str] | None = None) -> int:
    """Write, or with --check compare; returns 1 when something is out of date."""
    parser = Parser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a file is out of date")
    args = parser.parse_args(argv)
    published = Published.read()
    stale = figures(published, FOLDER, check=args.check)
    for name in stale:
        print(f"{name} is out of date: run {COMMAND}")
    return write_or_check(texts(published), check=args.check, command=COMMAND) or int(bool(stale))


if __name__ == "__main__":
    sys.exit(main())
