"""Two effects of protocol that the harness never has: the best test epoch, and ids read as other rows.

    python benchmarks/head_to_head.py fashion_long_effects --data_path DIR
    python benchmarks/effects.py --data_path DIR [--save_path runs/fashion_long_effects] [--publish]

Reads the selections that head_to_head.py left in --save_path and trains their targets again. Writes
effects.csv there and, with --publish, into benchmarks/results: a line per seed, method, fraction and measure.

`last` and `best`: test accuracy after the last epoch, and the highest after any, both in percent. `last` is
the accuracy of the grid's row; the command stops where it is not.
`shifted`: the accuracy of another set of rows. The authors' public scripts, called without --split_path, save
positions in the train part sorted by class and later read them as rows of the unsorted data. Here the
positions are read as rows of the candidates in their own order, so that no validation row is among them.
`in_class`: the share of the shifted rows, in percent, that are of the class that was meant.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import numpy as np
import torch

from benchmarks.grids import Grid, check_seeds, grid_of
from benchmarks.score_study import Finding, selected, to_csv
from deepcore.cli.arguments import Parser
from deepcore.common import seeding
from deepcore.common.checks import UsageError
from deepcore.common.console import exit_status
from deepcore.common.files import write_bytes
from deepcore.common.meter import Meter
from deepcore.common.progress import Progress
from deepcore.common.threads import threads_for
from deepcore.data.record import LabeledData
from deepcore.experiment.harness import Harness
from deepcore.nets import networks as nets
from deepcore.nets.flops import flops_per_example
from deepcore.training.evaluation import class_accuracy
from deepcore.training.loop import train
from deepcore.training.spec import TrainSpec

RESULTS = HERE / "results"
GRID = "fashion_long_effects"
CURVES = ("Random", "CLD")  # methods whose test accuracy is followed
SHIFTED = "CLD"
CPU = torch.device("cpu")


def main(argv: list[str] | None = None) -> int:
    """Returns the exit status."""
    parser = Parser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--data_path", default="data", metavar="DIR", help="folder of the data set's files")
    parser.add_argument("--save_path", metavar="DIR", help=f"of head_to_head.py (default runs/{GRID})")
    parser.add_argument("--seeds", type=int, nargs="+", metavar="S", help="of these seeds (default all)")
    parser.add_argument("--publish", action="store_true", help="write into benchmarks/results, too")
    args = parser.parse_args(argv)
    args.save_path = args.save_path or f"runs/{GRID}"
    return exit_status(lambda: run(args), args.save_path)


def run(args: argparse.Namespace) -> int:
    """The command, without the handling of errors."""
    grid, folder = grid_of(GRID), Path(args.save_path)
    torch.set_num_threads(1)
    data = grid.load(args.data_path)
    check_seeds(grid, args.seeds or [])
    found = [
        finding for seed in args.seeds or grid.seeds for finding in seed_findings(grid, data, folder, seed)
    ]
    for target in (folder, *([RESULTS] if args.publish else [])):
        write_bytes(target / "effects.csv", to_csv(found).encode())
        print(target / "effects.csv")
    return 0


def seed_findings(grid: Grid, data: LabeledData, folder: Path, seed: int) -> Iterator[Finding]:
    """The measures of one seed, whose rows must be finished."""
    for spec in grid.experiments(data, seed):
        place = folder / f"seed{seed}"
        harness = Harness(spec, data, place, device=CPU, progress=Progress(quiet=True))
        if harness.pending():
            raise UsageError(f"{place} lacks {len(harness.pending())} rows: run head_to_head.py {grid.name}")
        rows = {(row.label, row.fraction): 100 * row.accuracy for row in harness.run()}
        by_label = {method.label(): method for method in spec.methods}
        split, labels = harness.plan.seeds[seed].split, data.train.labels
        for fraction in spec.fractions:
            for label in CURVES:
                ids = np.sort(selected(harness, seed, by_label[label], fraction))
                curve = accuracy_curve(grid.model, data, ids, spec.target, seed)
                if curve[-1] != rows[label, fraction]:
                    raise UsageError(
                        f"{label} at {fraction:g}, seed {seed}: {curve[-1]:.2f}% here, "
                        f"{rows[label, fraction]:.2f}% in its row: made by another version, or on another "
                        "machine"
                    )
                yield Finding(seed, label, fraction, "last", curve[-1])
                yield Finding(seed, label, fraction, "best", max(curve))
            ids = selected(harness, seed, by_label[SHIFTED], fraction)
            other = shifted(ids, split.train, labels)
            yield Finding(
                seed, SHIFTED, fraction, "in_class", 100 * float(np.mean(labels[other] == labels[ids]))
            )
            curve = accuracy_curve(grid.model, data, np.sort(other), spec.target, seed, every=False)
            yield Finding(seed, SHIFTED, fraction, "shifted", curve[-1])


def shifted(ids: np.ndarray, pool: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The candidates at the positions that `ids` have in the pool sorted by class.

    Args:
        ids: (k,) row ids of the pool.
        pool: (N,) sorted row ids.
        labels: of all rows, by id.

    Returns:
        (k,) row ids, in the order of `ids`.
    """
    by_class = pool[np.argsort(labels[pool], kind="stable")]
    position = np.empty(len(labels), dtype=np.int64)
    position[by_class] = np.arange(len(pool))
    return pool[position[ids]]


def accuracy_curve(
    net_name: str, data: LabeledData, rows: np.ndarray, spec: TrainSpec, seed: int, *, every: bool = True
) -> list[float]:
    """Test accuracy in percent after every epoch, or after the last alone; trained as the harness does it.

    Args:
        net_name, data, spec, seed: of the experiment.
        rows: (k,) sorted ids to train on.
        every: test after every epoch.
    """
    key = seeding.key(seed, "target")
    net = nets.build(net_name, data.train.shape, data.num_classes, seed=key)
    meter, found = Meter(CPU), []

    def test() -> None:
        found.append(100 * class_accuracy(net, data.test, data.num_classes, device=CPU, meter=meter)[0])

    def after(epoch: int) -> None:
        if every:
            test()

    with threads_for(flops_per_example(net, data.train.shape)["forward"]):
        train(net, data.train, rows, spec, seed=key, device=CPU, meter=meter, progress=after)
        if not every:
            test()
    return found


if __name__ == "__main__":
    sys.exit(main())
