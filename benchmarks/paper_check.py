"""Facts about the accuracies that the CLD paper prints, computed from the tables in benchmarks/paper.

    python benchmarks/paper_check.py

It prints what the numbers say and no more: fractions at which another method has the highest mean, methods
with the same standard deviation in many rows, equal rows, means above that of the whole training set, and
means that fall when more is kept. docs/results.md has the same list.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from benchmarks.paper_numbers import PAPER, Printed

OFTEN = 3  # rows that are equal
MANY = 0.5  # share of the rows in which two methods have the same standard deviation


@dataclass(frozen=True)
class PaperTable:
    """One of the paper's comparisons.

    Attributes:
        title: as it is named here.
        file: in benchmarks/paper.
        full: accuracy with the whole training set, from the captions, in percent.
    """

    title: str
    file: str
    full: Printed

    def rows(self) -> dict[float, dict[str, Printed]]:
        """{percent kept: {method as printed: accuracy}}, ascending."""
        found: dict[float, dict[str, Printed]] = {}
        with (PAPER / self.file).open() as lines:
            for line in csv.DictReader(lines):
                accuracy = Printed(float(line["top1_mean"]), float(line["top1_std"]))
                found.setdefault(float(line["percent_of_train"]), {})[line["method"]] = accuracy
        return dict(sorted(found.items()))


TABLES = (
    PaperTable("Tables 2 and 3 (CIFAR-100)", "paper_table2_3_cifar100_resnet18.csv", Printed(70.95, 0.68)),
    PaperTable("Tables 4 and 5 (ImageNet)", "paper_table4_5_imagenet_resnet18.csv", Printed(69.91, 0.01)),
)
Rows = Mapping[float, Mapping[str, Printed]]


def facts() -> list[str]:
    """A sentence each."""
    return [sentence for table in TABLES for sentence in table_facts(table.title, table.rows(), table.full)]


def table_facts(title: str, rows: Rows, full: Printed) -> Iterator[str]:
    """The sentences about one comparison."""
    better = not_best(rows, "CLD")
    listed = ", ".join(f"{name} at {percent:g}%" for percent, name in better.items())
    yield f"{title}: at {len(better)} of {len(rows)} fractions another method's mean is above CLD's" + (
        f" ({listed})." if better else "."
    )
    spread = {
        pair: n
        for pair, n in pairs_in_common(rows, lambda a, b: a.std == b.std).items()
        if n >= MANY * len(rows)
    }
    yield f"{title}: same standard deviation in at least half of the rows: {_pairs(spread, len(rows))}."
    same = pairs_in_common(rows, lambda a, b: a == b)
    often = {pair: n for pair, n in same.items() if n >= OFTEN}
    rarely = (
        f"; other pairs in fewer than {OFTEN}: {len(same) - len(often)}" if len(same) > len(often) else ""
    )
    yield f"{title}: same mean and standard deviation: {_pairs(often, len(rows))}{rarely}."
    above = over_full(rows, full)
    top = max((mean for *_, mean in above), default=0.0)
    yield f"{title}: means above that of the whole training set ({full.mean:.2f}%): {len(above)}" + (
        f", from {above[0][0]:g}% kept on; {sum(mean == top for *_, mean in above)} of them are {top:.2f}%."
        if above
        else "."
    )
    steps = falls(rows)
    m, a, b, x, y = max(steps, key=lambda step: step[3] - step[4], default=("", 0, 0, 0, 0))
    yield f"{title}: means that fall when more is kept: {len(steps)}" + (
        f", most of all {m}'s from {a:g}% to {b:g}%, by {x - y:.2f} points." if steps else "."
    )
    levels = ", ".join(f"{rows[p]['Random'].mean:.2f}% at {p:g}%" for p in sorted(rows)[-3:])
    yield f"{title}: Random has {levels}, and all data give {full.mean:.2f}%."


def not_best(rows: Rows, name: str) -> dict[float, str]:
    """{percent: the method of the highest mean} where that mean is above that of `name`."""
    best = {percent: max(of, key=lambda m: of[m].mean) for percent, of in rows.items()}
    return {percent: m for percent, m in best.items() if rows[percent][m].mean > rows[percent][name].mean}


def pairs_in_common(rows: Rows, equal: Callable[[Printed, Printed], bool]) -> dict[tuple[str, str], int]:
    """{pair of methods: rows in which they are equal}, those with any, the most first."""
    methods = list(next(iter(rows.values())))
    counts = {
        (a, b): sum(equal(of[a], of[b]) for of in rows.values() if a in of and b in of)
        for a, b in combinations(methods, 2)
    }
    return dict(sorted(((pair, n) for pair, n in counts.items() if n), key=lambda item: -item[1]))


def over_full(rows: Rows, full: Printed) -> list[tuple[float, str, float]]:
    """(percent, method, mean) of means above all data's."""
    return [(p, m, of[m].mean) for p, of in rows.items() for m in of if of[m].mean > full.mean]


def falls(rows: Rows) -> list[tuple[str, float, float, float, float]]:
    """(method, percent, next percent, mean, next mean) where the mean falls."""
    found = []
    for (a, of), (b, then) in zip(list(rows.items())[:-1], list(rows.items())[1:], strict=True):
        found += [(m, a, b, of[m].mean, then[m].mean) for m in of if m in then and then[m].mean < of[m].mean]
    return found


def _pairs(counts: Mapping[tuple[str, str], int], rows: int) -> str:
    return ", ".join(f"{a} and {b} in {n} of {rows}" for (a, b), n in counts.items()) or "none"


def main(argv: Sequence[str] | None = None) -> int:
    """Print the facts."""
    from deepcore.cli.arguments import Parser

    Parser(description=__doc__.splitlines()[0]).parse_args(argv)
    print("\n".join(facts()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
