"""The figure of accuracy against total cost, from result rows (as Figure 4 of the CLD paper)."""

from __future__ import annotations

import importlib
import statistics
from collections.abc import Sequence
from pathlib import Path

from deepcore.analysis.measured_costs import MeasuredCost, measured_costs
from deepcore.common.checks import UsageError
from deepcore.experiment.rows import ResultRow
from deepcore.report.cost_figure import Point, pareto_figure
from deepcore.report.figure_files import save_figure


def check_matplotlib() -> None:
    """UsageError with the remedy when matplotlib is missing; called before anything is trained."""
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
        The paths written; empty without a finished row of a fraction.
    """
    costs = measured_costs(rows)
    sized = [cost for cost in costs if cost.fraction is not None]
    nets = list(dict.fromkeys(cost.net for cost in sized))
    fractions = list(dict.fromkeys(cost.fraction for cost in sized))
    written = []
    for net in nets:
        for fraction in fractions:
            name = "pareto" + (f"-{net}" if len(nets) > 1 else "")
            name += f"-f{fraction:g}" if len(fractions) > 1 else ""
            of_net = [cost for cost in costs if cost.net == net]
            written += _write(of_net, fraction, rows, folder / name)
    return written


def _write(
    costs: Sequence[MeasuredCost], fraction: float, rows: Sequence[ResultRow], stem: Path
) -> list[Path]:
    """The figure of one net at one fraction; subsets that fix their own size (files) are in every figure."""
    drawn = [b for b in costs if b.fraction == fraction or (b.fraction is None and b.is_selection)]
    if not drawn:
        return []
    points = []
    for cost in drawn:
        mean, std = _accuracy(cost, rows)
        points.append(Point(cost.method, mean, cost.total, cost.storage_bytes, cost.family, std))
    everything = "training on all data"
    for cost in costs:
        if cost.method == "Full":
            everything += f": {_accuracy(cost, rows)[0]:.1f}%"
    first = drawn[0]
    seeds = sorted({cost.seeds for cost in drawn})
    span = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    caption = (
        f"{first.dataset}, {first.n:,.0f} candidates, target {first.net}. Accuracy: test accuracy after the "
        f"last step, mean and sample standard deviation over {span} seed{'s' * (seeds[-1] > 1)}. FLOPs: "
        "selection alone (the proxy run stops where the method stops reading) plus training on the coreset; "
        "2 per multiply-add. Storage: the recordings that selection reads."
    )
    figure = pareto_figure(
        points,
        title=f"What a {100 * fraction:g}% coreset of {first.dataset} costs and gives ({first.net})",
        caption=caption,
        full=(everything, first.full),
    )
    return save_figure(figure, stem)


def _accuracy(cost: MeasuredCost, rows: Sequence[ResultRow]) -> tuple[float, float | None]:
    """Mean and sample standard deviation (None for one seed) in percent of a cost's rows."""
    cell = (cost.dataset, cost.net, cost.method, cost.fraction)
    values = [
        100 * row.accuracy
        for row in rows
        if row.status == "ok" and (row.dataset, row.target_net, row.label, row.fraction) == cell
    ]
    return statistics.mean(values), statistics.stdev(values) if len(values) > 1 else None
