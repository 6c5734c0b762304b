"""`select LOGS`: which samples to keep, by one method or several."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from deepcore.cli.arguments import whole
from deepcore.cli.log_flags import add_log_flags, check_outputs, read

if TYPE_CHECKING:
    import numpy as np

    from deepcore.proxy.run import ProxyRun
    from deepcore.selection.selection import Selection

SUMMARY = "Choose a coreset from the log of a training loop."


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of this verb."""
    add_log_flags(parser)
    add = parser.add_argument_group("what is chosen").add_argument
    add(
        "--method",
        nargs="+",
        default=["CLD"],
        metavar="METHOD",
        help='NAME or "NAME:field=value,..."; several give their overlap (default CLD)',
    )
    add("--fraction", type=float, metavar="F", help="fraction kept, in (0, 1] (default 0.1)")
    add("--size", type=whole, metavar="K", help="rows kept instead")
    add("--per_class", type=whole, metavar="K", help="rows kept of each class instead")
    add("--seed", type=whole, default=0, metavar="S", help="of methods that draw (default 0)")
    out = parser.add_argument_group("output").add_argument
    out(
        "--out",
        metavar="FILE",
        help="the coreset: .csv, .npz, .parquet or .json, best first; several methods write FILE-METHOD each "
        "(default: a CSV on standard output for one method)",
    )
    out("--scores", metavar="FILE", help="every sample's score and rank, in the same forms")


def run(args: argparse.Namespace) -> int:
    """Read, choose, write, print."""
    import methods
    from deepcore.common.checks import UsageError
    from deepcore.selection import select
    from deepcore.selection.files import check_path, csv_text, write_columns

    chosen_methods = list(dict.fromkeys(methods.parse(text) for text in args.method))
    for method in chosen_methods:
        if not method.is_selection:
            names = ", ".join(name for name, cls in methods.METHODS.items() if cls.is_selection)
            raise UsageError(
                f"{method.label()} is no selection, and makes no coreset: give --method one of {names}"
            )
    if args.fraction is None and args.size is None and args.per_class is None:
        args.fraction = 0.1
    for flag, path in (("--out", args.out), ("--scores", args.scores)):
        if path == "":
            raise UsageError(f"{flag} is empty: give the path of a file")
        if path is not None:
            check_path(Path(path))
    files = out_files(args.out, [method.label() for method in chosen_methods])
    outputs = [("--out", path) for path in files.values()]
    check_outputs(
        {"the log": args.logs}, outputs + ([("--scores", Path(args.scores))] if args.scores else [])
    )
    if args.seed < 0:
        raise UsageError(f"--seed is {args.seed}: it must be at least 0")
    log = read(args)
    selections = {}
    for method in chosen_methods:
        selections[method.label()] = select(
            log, method, fraction=args.fraction, size=args.size, per_class=args.per_class, seed=args.seed
        )
    for label, selection in selections.items():
        if label in files:
            write_columns(files[label], selection.columns())
    if args.scores:
        write_columns(Path(args.scores), score_columns(log, selections))
    say_what_was_chosen(log, selections, files)
    if len(selections) > 1:
        print(overlap_table(log, selections))
    elif not args.out:
        sys.stdout.write(csv_text(next(iter(selections.values())).columns()))
    return 0


def out_files(out: str | None, labels: list[str]) -> dict[str, Path]:
    """The file of each method."""
    if out is None:
        return {}
    path = Path(out)
    if len(labels) == 1:
        return {labels[0]: path}
    names = {label: re.sub(r"[^A-Za-z0-9.=,_-]+", "_", label) for label in labels}
    return {label: path.with_name(f"{path.stem}-{name}{path.suffix}") for label, name in names.items()}


def score_columns(log: ProxyRun, selections: dict[str, Selection]) -> dict[str, np.ndarray]:
    """id, label, and score and rank of every sample by each method that scores; UsageError without one."""
    from deepcore.common.checks import UsageError
    from deepcore.selection.ranking import rank

    scored = {label: s for label, s in selections.items() if s.scores is not None}
    if not scored:
        raise UsageError(f"--scores: {', '.join(selections)} gives no scores; name a method that scores")
    columns = {"id": log.log.name_of(log.ids)}
    if log.log.has_classes:
        columns["label"] = log.log.class_of(log.labels)
    for label, selection in scored.items():
        suffix = f"_{label}" if len(scored) > 1 else ""
        columns[f"score{suffix}"] = selection.scores
        columns[f"rank{suffix}"] = rank(selection.scores, log.ids, selection.keep)
    return columns


def say_what_was_chosen(log: ProxyRun, selections: dict[str, Selection], files: dict[str, Path]) -> None:
    """A line for each selection, and its notes."""
    from deepcore.common.console import say

    for note in log.log.notes:
        say(f"note: {note}")
    for label, selection in selections.items():
        count, whole = len(selection.rows), len(log.ids)
        where = f"; written to {files[label]}" if label in files else ""
        say(f"{label}: {count:,} of {whole:,} samples ({count / whole:.1%}){where}")
        for note in selection.notes:
            say(f"  {note}")


def overlap_table(log: ProxyRun, selections: dict[str, Selection]) -> str:
    """How many rows each two selections share, beside chance, and how alike their scores rank."""
    from tabulate import tabulate

    from deepcore.analysis.overlap import Scores, correlations, overlaps

    pairs = overlaps({label: s.rows for label, s in selections.items()}, len(log.ids))
    scored = {label: Scores(log.ids, s.scores) for label, s in selections.items() if s.scores is not None}
    rho = {(c.first, c.second): c.rho for c in correlations(scored)}
    rows = []
    for pair in pairs:
        alike = rho.get((pair.first, pair.second))
        rows.append(
            [
                pair.first,
                pair.second,
                f"{pair.shared:,}",
                f"{pair.jaccard:.1%}",
                f"{pair.chance:.1%}",
                "-" if alike is None else f"{alike:+.3f}",
            ]
        )
    headers = ["method", "and", "shared", "Jaccard", "by chance", "rank correlation of scores"]
    return tabulate(rows, headers, disable_numparse=True, colalign=["left"] * 2 + ["right"] * 4)
