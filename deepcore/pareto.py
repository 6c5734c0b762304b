"""Accuracy against the whole cost, drawn from result rows (Figure 4 of the CLD paper, for one's own runs)."""

from __future__ import annotations

import importlib
import statistics
from collections.abc import Sequence
from pathlib import Path

from deepcore.checks import UsageError
from deepcore.figures import Point, pareto_figure, save_figure
from deepcore.measured import MeasuredBill, measured_bills
from deepcore.results import ResultRow


def check_matplotlib() -> None:
    """UsageError with the remedy where it is missing, so that nobody waits for a figure in vain."""
    try:
        importlib.import_module("matplotlib")
    except ImportError:
        raise UsageError(
            "--figures needs matplotlib: pip install matplotlib, or leave out --figures"
        ) from None


def pareto_files(rows: Sequence[ResultRow], folder: Path) -> list[Path]:
    """Draw and write one figure per target net and fraction: `pareto.png` and `.svg`, with net and fraction
    in the name where there are several.

    Args:
        rows: of any number of methods, fractions, nets and seeds; failed ones are left out.
        folder: of the files.

    Returns:
        What was written; nothing without a finished row of a fraction.
    """
    bills = measured_bills(rows)
    sized = [bill for bill in bills if bill.fraction is not None]
    nets = list(dict.fromkeys(bill.net for bill in sized))
    fractions = list(dict.fromkeys(bill.fraction for bill in sized))
    written = []
    for net in nets:
        for fraction in fractions:
            name = "pareto" + (f"-{net}" if len(nets) > 1 else "")
            name += f"-f{fraction:g}" if len(fractions) > 1 else ""
            of_net = [bill for bill in bills if bill.net == net]
            written += _write(of_net, fraction, rows, folder / name)
    return written


def _write(
    bills: Sequence[MeasuredBill], fraction: float, rows: Sequence[ResultRow], stem: Path
) -> list[Path]:
    """The figure of one net at one fraction; subsets of a size of their own (files) are drawn in each."""
    drawn = [b for b in bills if b.fraction == fraction or (b.fraction is None and b.is_selection)]
    if not drawn:
        return []
    points = []
    for bill in drawn:
        mean, std = _accuracy(bill, rows)
        points.append(Point(bill.method, mean, bill.total, bill.storage_bytes, bill.family, std))
    everything = "training on everything"
    for bill in bills:
        if bill.method == "Full":
            everything += f": {_accuracy(bill, rows)[0]:.1f}%"
    first = drawn[0]
    seeds = sorted({bill.seeds for bill in drawn})
    span = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    caption = (
        f"{first.dataset}, {first.n:,.0f} candidates, target {first.net}. Accuracy: on the test set after "
        f"the last step, mean and sample standard deviation over {span} seed{'s' * (seeds[-1] > 1)}. FLOPs: "
        "of selection alone (a proxy run no longer than the method reads) and of training on the coreset; "
        "passes as counted, FLOPs of each as measured, 2 per multiply-add. Storage: the recordings that "
        "selection reads."
    )
    figure = pareto_figure(
        points,
        title=f"What a {100 * fraction:g}% coreset of {first.dataset} costs and gives ({first.net})",
        caption=caption,
        full=(everything, first.full),
    )
    return save_figure(figure, stem)


def _accuracy(bill: MeasuredBill, rows: Sequence[ResultRow]) -> tuple[float, float | None]:
    """Mean and sample standard deviation (None for one seed) in percent of a bill's rows."""
    cell = (bill.dataset, bill.net, bill.method, bill.fraction)
    values = [
        100 * row.accuracy
        for row in rows
        if row.status == "ok" and (row.dataset, row.target_net, row.label, row.fraction) == cell
    ]
    return statistics.mean(values), statistics.stdev(values) if len(values) > 1 else None
