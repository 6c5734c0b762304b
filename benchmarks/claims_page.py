"""Write docs/claims.md from the records in benchmarks/results/claims.

    python benchmarks/claims_page.py [--check]

--check writes nothing and fails when the page or a figure does not fit the records.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from benchmarks.claim_records import digest
from benchmarks.claims import FIGURES, Claim, full_command, published
from benchmarks.generated_parts import filled, write_or_check
from benchmarks.gpu_hours import hours_line
from deepcore.cli.arguments import Parser
from deepcore.report.text_table import TextTable

PAGE = HERE.parent / "docs" / "claims.md"
SCRIPTS = (  # in the order of the page; each has a `CLAIM`
    "contact_sheet",
    "figure2",
    "transfer",
    "subsampling",
    "strata",
    "seeds_agreement",
    "min_fraction",
    "validation_proxy",
    "validation_size",
    "theory_check",
    "lds",
    "brittleness",
    "quantised_logs",
    "text_tabular",
    "negative_cld",
)


def claims() -> list[Claim]:
    """Of all scripts."""
    return [importlib.import_module(f"benchmarks.{name}").CLAIM for name in SCRIPTS]


def text() -> str:
    """docs/claims.md with its generated parts as the records are now."""
    found = claims()
    parts = {"summary": summary(found)} | {claim.name: part(claim) for claim in found}
    return filled(PAGE, "claims", parts)


def summary(found: list[Claim]) -> str:
    """A line for each verdict."""
    lines = [
        (claim.paper, v.what.replace("|", "\\|"), f"**{v.word}**", v.measured)
        for claim in found
        if (records := published(claim)) is not None
        for v in claim.judge(records)
    ]
    headers = ("paper", "claim, as tested", "verdict", "measured")
    return TextTable("", headers, tuple(lines), words=(1, 2, 3)).render("md")


def part(claim: Claim) -> str:
    """Commands, verdicts, table and figure of a claim."""
    size = "at the paper's size" if claim.in_paper else "at a larger size"
    commands = (
        f"`python benchmarks/{claim.name}.py --data_path DIR` gives what follows; {size}, "
        f"`{full_command(claim)}`: {hours_line(claim.loads(claim.sizes['full']))}."
    )
    records = published(claim)
    if records is None:
        return f"{commands}\n\nIt has not been run."
    said = [f"**{capital(v.word)}**: {v.what}. {capital(v.measured)}." for v in claim.judge(records)]
    said = "\n".join(f"- {line}" for line in [*said, *claim.remarks(records)])
    picture = f"![{claim.paper}](../benchmarks/figures/{claim.name}.png)"
    return f"{commands}\n\n{said}\n\n{claim.table(records).render('md')}\n\n{picture}"


def capital(text: str) -> str:
    """As a sentence begins."""
    return text[0].upper() + text[1:]


def stale_figures() -> list[str]:
    """The figures that were not drawn from the committed records."""
    return [
        f"{claim.name}.png"
        for claim in claims()
        if (records := published(claim)) is not None
        and digest(records).encode() not in (FIGURES / f"{claim.name}.png").read_bytes()
    ]


def main(argv: list[str] | None = None) -> int:
    """Write, or with --check compare; returns 1 when something is out of date."""
    parser = Parser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a file is out of date")
    args = parser.parse_args(argv)
    stale = stale_figures()
    for name in stale:
        print(f"{name} does not fit its records: run its script with --publish")
    command = "python benchmarks/claims_page.py"
    return write_or_check({PAGE: text()}, check=args.check, command=command) or int(bool(stale))


if __name__ == "__main__":
    sys.exit(main())
