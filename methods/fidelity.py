"""The table of methods/README.md: what each method implements, and the test that checks it.

`python -m methods.fidelity` writes methods/README.md from the classes; with --check it writes nothing and
fails when the file is not what the classes say.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path

from deepcore.selection.method import CoresetMethod, ScoreMethod
from methods import METHODS

README = Path(__file__).with_name("README.md")
COLUMNS = (
    "method",
    "paper",
    "authors' code",
    "rule",
    "recording",
    "kept end",
    "sampling",
    "budget and class balance",
    "defaults",
    "anchor",
    "deviations",
)
HEAD = """# Methods: what is implemented, and how faithfully

Generated from the classes by `python -m methods.fidelity`; edit those, not this file. A method is called
faithful to its rule only where an anchor is named: the test that compares it with values computed by hand or
by an obvious reference. Each class's docstring has the equations, the score's range and the memory formula.

Common to all: the budget is k = floor(fraction * N + 1/2) rows of the train pool, at least 1. Class balance
is the default for every method, as in the CLD paper's protocol (`class_balanced=false` is each paper's own
form): each class gets its share of k by largest remainder. Equal scores go by lower row id.
`record=online|post_epoch` reads the other recording. Any score can be spent in another way by
`sampler=top|strata|beta|middle|drop` (drop: DRoP's class quotas, Vysogorets et al., ICLR 2025, from the
proxy's recall on the validation rows; the method's own choice inside), and made cheaper by
`extrapolate=SHARE` (Schmidt et al. 2025: a proxy trained on that share of the candidates scores it, and the
others get weighted means of their 20 nearest scored neighbours in its features). Which method for what:
[CHOOSING.md](CHOOSING.md).
"""


def table() -> str:
    """The README's text."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    lines += ["| " + " | ".join(_row(name, cls)) + " |" for name, cls in METHODS.items()]
    return HEAD + "\n" + "\n".join(lines) + "\n"


def _row(name: str, cls: type[CoresetMethod]) -> list[str]:
    method, facts = cls(), cls.facts
    scored = isinstance(method, ScoreMethod)
    sampling = method.own_sampler if scored else "its own"
    shared = {field.name for field in dataclasses.fields(ScoreMethod)}
    own = [f"{f.name}={f.default}" for f in dataclasses.fields(cls) if f.compare and f.name not in shared]
    cells = [
        name,
        cls.paper,
        facts.code if facts else "",
        facts.rule if facts else _summary(cls),
        method.mode if method.needs else "",
        method.keep if scored and sampling not in ("strata", "middle") else "",
        sampling if cls.is_selection else "not a selection",
        facts.balance if facts else "",
        ", ".join(own),
        f"`{facts.anchor}`" if facts else "none: nothing is claimed",
        "<br>".join(facts.deviations) if facts else "",
    ]
    return [cell.replace("|", "\\|") or "-" for cell in cells]


def _summary(cls: type[CoresetMethod]) -> str:
    """The first paragraph of the docstring, as one line."""
    return " ".join((cls.__doc__ or "").split("\n\n")[0].split())


def main(arguments: list[str] | None = None) -> int:
    """Write the table, or compare it with `--check`; 1 when it is out of date."""
    parser = argparse.ArgumentParser(description="Write methods/README.md from the method classes.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the file is out of date")
    text = table()
    if not parser.parse_args(arguments).check:
        README.write_text(text, encoding="utf-8")
    elif not README.is_file() or README.read_text(encoding="utf-8") != text:
        print("methods/README.md is out of date: run python -m methods.fidelity", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
