"""`audit LOGS`: which samples disagree with their labels."""

from __future__ import annotations

import argparse
import math
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from deepcore.cli.arguments import whole
from deepcore.cli.log_flags import add_log_flags, check_outputs, read

if TYPE_CHECKING:
    import numpy as np

    from deepcore.proxy.run import ProxyRun
    from deepcore.report.audit_page import Audit

SUMMARY = "Rank the samples whose labels look wrong: one page for the browser, one CSV to relabel."
USUAL = 0.05  # share of the samples counted as suspects where their number cannot be estimated


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of this verb."""
    add_log_flags(parser)
    out = parser.add_argument_group("output").add_argument
    out("--out", default="audit.html", metavar="FILE", help="the page (default audit.html)")
    out("--csv", metavar="FILE", help="the table for the person who relabels (default: as --out, .csv)")
    out(
        "--suspects",
        type=whole,
        metavar="K",
        help="rows of the table (default: as many as may be wrong, at least 100)",
    )
    out("--show", type=whole, default=24, metavar="K", help="suspects shown one by one (default 24)")
    add = parser.add_argument_group("the data set, to show samples").add_argument
    add(
        "--data",
        metavar="PATH",
        help="an .npz with pictures x_train, a folder of pictures (ids are paths in it, or places among its "
        "sorted paths), or a .csv of texts",
    )
    add("--data_column", metavar="NAME", help="the text's column of a .csv")
    add("--data_id", default="id", metavar="NAME", help="the id's column of a .csv (default id)")


def run(args: argparse.Namespace) -> int:
    """Read, score, write."""
    from deepcore.common.checks import UsageError, check_positive
    from deepcore.common.console import say
    from deepcore.common.files import write_bytes
    from deepcore.report.audit_page import audit_columns, audit_page
    from deepcore.report.sample_views import sample_views
    from deepcore.selection.files import check_path, csv_text

    page = Path(args.out)
    table = Path(args.csv) if args.csv else page.with_suffix(".csv")
    if page.suffix not in (".html", ".htm"):
        raise UsageError(f"--out is {page}: the page's name must end in .html")
    if table.suffix != ".csv":
        raise UsageError(f"--csv is {table}: the table's name must end in .csv")
    check_path(table)
    check_path(page.with_suffix(".csv"))
    check_outputs({"the log": args.logs, "the data": args.data}, [("--out", page), ("--csv", table)])
    check_positive("--show", args.show, whole=True)
    if args.suspects is not None:
        check_positive("--suspects", args.suspects, whole=True)
    views = sample_views(Path(args.data), args.data_column, args.data_id) if args.data else None
    found = audit(read(args), args.logs)
    rows = args.suspects or _rows(found)
    text = audit_page(found, views, args.show, table.name)
    write_bytes(table, csv_text(audit_columns(found, rows)).encode())
    write_bytes(page, text.encode())
    say(_said(found))
    say(f"page: {page}; table to relabel, {min(rows, len(found.ids)):,} rows: {table}")
    return 0


def audit(log: ProxyRun, source: str) -> Audit:
    """Score a log by CLD, AUM and the loss, as far as it holds them, and rank its suspects."""
    from deepcore.analysis.label_errors import rank_suspects, wrong_share
    from deepcore.report.audit_page import Audit

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        scores, suspicious, remark = _scores(log)
    suspects = rank_suspects(scores, suspicious, log.ids)
    share = None if log.log.scores else wrong_share(log)
    estimate = USUAL if share is None else share.estimate
    count = min(len(log.ids), max(1, math.ceil(estimate * len(log.ids))))
    notes = tuple(dict.fromkeys([*remark, *(str(warning.message) for warning in said)]))
    name = "standard input" if source == "-" else Path(source).name
    return Audit(log, suspects, share, count, name, notes)


def _scores(log: ProxyRun) -> tuple[dict[str, np.ndarray], dict[str, str], list[str]]:
    """CLD and AUM where the log serves them, and the mean loss; which end of each is suspicious; remarks.

    CLD compares with the validation loss of all classes: the curve of one class is noisy where its
    validation rows are few or have wrong labels, too (docs/audit.md). One-pass logs hold CLD by class, and
    logs of class means have no curve of all classes.
    """
    from deepcore.proxy.signals import Signal
    from deepcore.scoring.epochs import mean_over_epochs
    from deepcore.selection.readable import lacking
    from methods.aum import AUM
    from methods.cld import CLD

    scores, suspicious, remarks = {}, {}, []
    for method in (CLD(trajectory="global"), CLD(), AUM()):
        if method.name not in scores and not lacking(method, log):
            scores[method.name] = method.checked_scores(log)
            suspicious[method.name] = "lowest"
            if log.log.has_classes and getattr(method, "trajectory", "") == "class":
                remarks.append(
                    "CLD compares with the validation loss of the sample's class: the log holds none of all "
                    "classes"
                )
    if "loss" in log.log.summaries:
        scores["loss"] = log.log.summaries["loss"]
    else:
        losses = log.trajectory(Signal.LOSS, "online")
        scores["loss"] = mean_over_epochs(losses, gaps=log.log.has_gaps)
    return scores, suspicious | {"loss": "highest"}, remarks


def _rows(found: Audit) -> int:
    """As many as may be wrong."""
    high = USUAL if found.share is None else found.share.high
    return max(100, math.ceil(high * len(found.ids)))


def _said(found: Audit) -> str:
    """The estimate, in a line."""
    if found.share is None:
        return f"{len(found.ids):,} samples ranked; how many are wrong cannot be told from this log"
    share = found.share
    return (
        f"{len(found.ids):,} samples ranked; an estimated {share.estimate:.1%} of the labels are wrong "
        f"(between {share.low:.1%} and {share.high:.1%})"
    )
