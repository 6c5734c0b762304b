"""Figure 4 of the CLD paper from its printed numbers: accuracy against total compute at 10% of ImageNet-1k.

    python benchmarks/paper_figure4.py [--folder benchmarks/figures]

Nothing here is measured: accuracies come from benchmarks/paper, costs from Appendix E's formulas.
"""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from deepcore.costs.formulas import FORMULAS
from deepcore.costs.of_method import formula_cost
from deepcore.costs.scenario import Scenario
from deepcore.report.cost_figure import (
    Point,
    pareto_figure,
)
from deepcore.report.figure_files import save_figure

ACCURACIES = HERE / "paper" / "paper_table4_5_imagenet_resnet18.csv"
PERCENT = "10"
FULL_ACCURACY = 69.91  # captions of Tables 4 and 5


def paper_points() -> tuple[list[Point], list[str]]:
    """The methods with an accuracy at 10%, as points, and the names of those without."""
    with ACCURACIES.open() as file:
        rows = {row["method"]: row for row in csv.DictReader(file) if row["percent_of_train"] == PERCENT}
    points, missing = [], []
    for name, entry in FORMULAS.items():
        cost = formula_cost(name, Scenario.paper())
        row = rows.get(cost.method)
        if row is not None:
            mean, std = float(row["top1_mean"]), float(row["top1_std"])
            points.append(Point(cost.method, mean, cost.total_flops, cost.storage_bytes, cost.family, std))
        elif cost.method != "Full" and not entry.variant:
            missing.append(cost.method)
    return points, missing


def main() -> None:
    """Write the figure as PNG and SVG."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=HERE / "figures")
    points, missing = paper_points()
    full = formula_cost("Full", Scenario.paper()).total_flops
    caption = (
        "The CLD paper's numbers, none measured here. Accuracies are ResNet-18's (Tables 4 and 5, mean and "
        "standard deviation of five runs). Costs are those of Appendix E: a ResNet-18 proxy and a ResNet-50 "
        "target, FLOPs as printed (a multiply-add counts once in the proxy, twice in the target). ResNet-18 "
        f"trained on all data reaches {FULL_ACCURACY}%. The cost of CCS is AUM's. Not drawn, because the "
        f"tables give no accuracy: {', '.join(missing)}."
    )
    figure = pareto_figure(
        points,
        title="What a 10% coreset of ImageNet-1k costs and gives, by the CLD paper's numbers",
        caption=caption,
        full=("training on all data", full),
    )
    for path in save_figure(figure, parser.parse_args().folder / "paper_figure4"):
        print(path)


if __name__ == "__main__":
    main()
