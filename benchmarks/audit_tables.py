"""Write the tables and sentences of docs/audit.md from benchmarks/results/audit_quality.csv.

    python benchmarks/audit_tables.py [--check]

--check writes nothing and fails when the page is out of date.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from tabulate import tabulate

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))  # runs from a clone without installation

from benchmarks.generated_parts import filled, write_or_check
from benchmarks.wording import claim, listed
from deepcore.cli.arguments import Parser

RESULTS = HERE / "results" / "audit_quality.csv"
PAGE = HERE.parent / "docs" / "audit.md"
AUDITS = ("audit of batches", "audit of passes")
CLEANLAB = "cleanlab: self-confidence"
UNSEEN = "letter.npz-6000"  # docs/audit.md says what was chosen before a look at it

TITLES = {
    "FashionMNIST-6000": "Fashion-MNIST",
    "letter.npz-6000": "Letter",
}

Row = dict[str, str]


def read(path: Path) -> list[Row]:
    """The rows of a file of results; none where there is no file."""
    if not path.exists():
        return []
    with open(path, newline="", encoding="utf-8") as handle:
        return list(csv.DictReader(handle))


def tables(rows: Sequence[Row]) -> dict[str, str]:
    """The generated parts of the page but for the sentences."""
    names = dict.fromkeys(row["data"] for row in rows)
    by_data = {name: [row for row in rows if row["data"] == name] for name in names}
    return {
        "settings": "\n".join(_setting(of_data) for of_data in by_data.values()),
        "quality": "\n\n".join(_quality(of_data) for of_data in by_data.values()),
        "shares": "\n\n".join(_shares(of_data) for of_data in by_data.values()),
    }


def title(data: str) -> str:
    """A data set's name on the page."""
    return TITLES.get(data, data)


def _setting(rows: Sequence[Row]) -> str:
    first = rows[0]
    sizes = sorted({int(row["rows"]) for row in rows})
    count = f"{sizes[0]:,}" if len(sizes) == 1 else f"{sizes[0]:,} to {sizes[-1]:,}"
    seeds = len({row["seed"] for row in rows})
    return (
        f"- {title(first['data'])}: {count} candidates, {first['net']}, {first['epochs']} epochs, "
        f"{seeds} seed{'s' if seeds > 1 else ''}"
    )


def _settings_of(rows: Sequence[Row]) -> list[tuple[str, str]]:
    """Rate and kind of each setting with flips, the uniform ones first."""
    found = {(row["kind"], row["rate"]) for row in rows if row["kind"] != "none"}
    return [(rate, kind) for kind, rate in sorted(found, key=lambda s: (s[0] != "uniform", float(s[1])))]


def _of(rows: Sequence[Row], setting: tuple[str, str]) -> list[Row]:
    return [row for row in rows if (row["rate"], row["kind"]) == setting]


def _name(setting: tuple[str, str]) -> str:
    return "none" if setting[1] == "none" else f"{float(setting[0]):.0%} {setting[1]}"


def mean_of(rows: Sequence[Row], name: str) -> float:
    """The mean of a column over rows."""
    return float(np.mean([float(row[name]) for row in rows]))


def _quality(rows: Sequence[Row]) -> str:
    """AUROC and precision of each score, means over seeds; the last column over all settings."""
    settings = _settings_of(rows)
    body = []
    for score in sorted(dict.fromkeys(row["score"] for row in rows), key=_place):
        of_score = [row for row in rows if row["score"] == score and row["auroc"]]
        cells = [_cell(_of(of_score, setting)) for setting in settings]
        body.append([score, of_score[0]["trainings"], *cells, _cell(of_score)])
    headers = ["score", "trainings", *map(_name, settings), "mean"]
    return f"**{title(rows[0]['data'])}: AUROC / precision**\n\n{_table(headers, body)}"


def _place(score: str) -> int:
    """The audits first, cleanlab last, in the tables."""
    return 0 if score in AUDITS else 2 if score == CLEANLAB else 1


def _cell(rows: Sequence[Row]) -> str:
    return f"{mean_of(rows, 'auroc'):.3f} / {mean_of(rows, 'precision'):.2f}" if rows else ""


def _shares(rows: Sequence[Row]) -> str:
    """A line a setting: the true share, the audits' estimates, how often their intervals held it, and
    cleanlab's count."""
    body = []
    for setting in [("0", "none"), *_settings_of(rows)]:
        here = _of(rows, setting)
        if not here:
            continue
        line = [_name(setting), f"{mean_of(here, 'wrong'):.1%}"]
        for name in AUDITS:
            of_audit = [row for row in here if row["score"] == name]
            line += [_interval(of_audit), f"{held(of_audit)} of {len(of_audit)}"] if of_audit else ["", ""]
        counted = [row for row in here if row["score"] == CLEANLAB]
        body.append([*line, f"{mean_of(counted, 'estimate'):.1%}" if counted else ""])
    headers = ["flipped", "wrong labels", "audit of batches", "holds it", "audit of passes", "holds it",
               "cleanlab's count"]  # fmt: skip
    return f"**{title(rows[0]['data'])}: estimated share**\n\n{_table(headers, body)}"


def _interval(rows: Sequence[Row]) -> str:
    estimate, low, high = (mean_of(rows, name) for name in ("estimate", "low", "high"))
    return f"{estimate:.1%} ({low:.1%} to {high:.1%})"


def held(rows: Sequence[Row]) -> int:
    """In how many rows the interval holds the true share."""
    return sum(float(row["low"]) <= float(row["wrong"]) <= float(row["high"]) for row in rows)


def _table(headers: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    return tabulate(body, headers, "github", disable_numparse=True)


def findings(rows: Sequence[Row]) -> str:
    """What the rows say, in sentences; ValueError where they do not support one."""
    names = list(dict.fromkeys(row["data"] for row in rows))
    scores = list(dict.fromkeys(row["score"] for row in rows))
    found = {
        (data, score): mean_of(_flipped(rows, data=data, score=score), "precision")
        for data in names
        for score in scores
    }
    unseen = {score: 100 * found[UNSEEN, score] for score in scores}
    of_class, of_all = "CLD", "CLD:trajectory=global"
    batches, passes, cleanlab, loss, aum = (
        100 * mean_of(_flipped(rows, score=score), "precision")
        for score in (*AUDITS, CLEANLAB, "loss", "AUM")
    )
    even, next_class = (
        100 * mean_of(_flipped(rows, score=AUDITS[0], rate="0.2", kind=kind), "precision")
        for kind in ("uniform", "neighbour")
    )
    return "\n".join(
        [
            f"- Of as many suspects as there are flips, {batches:.0f}% are flips in the audit of batches and "
            f"{passes:.0f}% in that of passes, after one training. cleanlab's self-confidence after five "
            f"reaches {cleanlab:.0f}%. The mean loss of the batches alone reaches {loss:.0f}%, AUM alone "
            f"{aum:.0f}%. These are means over all data sets and settings.",
            f"- The audit's choices were made without a look at {title(UNSEEN)}. There the audit of batches "
            f"reaches {unseen[AUDITS[0]]:.0f}%, that of passes {unseen[AUDITS[1]]:.0f}%, the loss "
            f"{unseen['loss']:.0f}%, AUM {unseen['AUM']:.0f}%, cleanlab {unseen[CLEANLAB]:.0f}%.",
            "- CLD compared with the validation loss of all classes, as the audit does it, instead of the "
            f"sample's own class: {_sides(found, names, of_all, of_class)}.",
            claim(
                next_class < even,
                f"- Flips to the next class are harder: with 20% of them the audit of batches finds "
                f"{next_class:.0f}%, of uniform ones {even:.0f}%.",
            ),
        ]
    )


def _sides(found: Mapping[tuple[str, str], float], names: Sequence[str], score: str, other: str) -> str:
    """On which data sets a score is more precise than another one, and on which less."""
    more = [data for data in names if found[data, score] > found[data, other]]
    sides = {"more are found": more, "fewer": [data for data in names if data not in more]}
    return "; ".join(
        f"{what} on "
        + listed([f"{title(d)} ({found[d, score]:.2f} against {found[d, other]:.2f})" for d in of_side])
        for what, of_side in sides.items()
        if of_side
    )


def share_findings(rows: Sequence[Row]) -> str:
    """How good the estimated share is, in sentences."""
    lines = []
    for name in AUDITS:
        of_audit = [row for row in rows if row["score"] == name]
        lines.append(
            f"- {name}: {_off(of_audit)}. The interval held the true share in {held(of_audit)} of "
            f"{len(of_audit)} logs."
        )
    lines.append(f"- cleanlab's count: {_off([row for row in rows if row['score'] == CLEANLAB])}.")
    none = [row for row in rows if row["score"] == AUDITS[0] and row["kind"] == "none"]
    counted = {title(row["data"]): _of_data(none, row["data"]) for row in none}
    lines.append(
        "- Where nothing was flipped, the audit of batches counts "
        + ", ".join(f"{mean_of(of_data, 'estimate'):.1%} on {name}" for name, of_data in counted.items())
        + ": samples that the network finds hard, or labels that are wrong in the data."
    )
    return "\n".join(lines)


def _of_data(rows: Sequence[Row], data: str) -> list[Row]:
    return [row for row in rows if row["data"] == data]


def _off(rows: Sequence[Row]) -> str:
    off = 100 * np.array([float(row["estimate"]) - float(row["wrong"]) for row in rows])
    size = f"off by {abs(off).mean():.1f} points on average, by {abs(off).max():.1f} at most"
    return f"{size}; the mean of estimate minus truth is {off.mean():+.1f}"


def _flipped(rows: Sequence[Row], **wanted: str) -> list[Row]:
    """The rows of settings with flips that hold these values."""
    return [row for row in rows if row["auroc"] and all(row[name] == value for name, value in wanted.items())]


def main(argv: Sequence[str] | None = None) -> int:
    """Write, or check; returns the exit status."""
    parser = Parser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="fail when the page is out of date")
    check = parser.parse_args(argv).check
    rows = read(RESULTS)
    files = {
        PAGE: filled(
            PAGE,
            "audit",
            {**tables(rows), "findings": findings(rows), "share_findings": share_findings(rows)},
        )
    }
    return write_or_check(files, check=check, command="python benchmarks/audit_tables.py")


if __name__ == "__main__":
    sys.exit(main())
