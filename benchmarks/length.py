"""Accuracy of random coresets against the number of epochs: how long is long enough.

    python benchmarks/length.py --data_path DIR [--net MLP] [--fraction 0.002 0.01 0.05] [--publish]

Trains Fashion-MNIST's recipe, whose milestones scale with its length, on class-balanced random coresets. Rows
are kept in --save_path; a stopped command goes on. Writes length.csv there and, with --publish, adds its rows
to benchmarks/results/length.csv.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # read when torch is loaded

import torch

import methods
from benchmarks.head_to_head import without_places
from deepcore.cli.arguments import Parser
from deepcore.common.console import exit_status
from deepcore.common.files import write_bytes
from deepcore.common.progress import Progress
from deepcore.data import datasets
from deepcore.experiment.harness import Harness
from deepcore.experiment.rows import ResultRow
from deepcore.experiment.rows_csv import from_csv, to_csv
from deepcore.experiment.spec import ExperimentSpec
from deepcore.nets import networks as nets
from deepcore.training.recipes import RECIPES

RESULTS = HERE / "results"
EPOCHS = (10, 20, 41, 82, 164, 328)


def main(argv: list[str] | None = None) -> int:
    """Returns the exit status."""
    parser = Parser(description=__doc__.splitlines()[0], allow_abbrev=False)
    add = parser.add_argument
    add("--dataset", default="FashionMNIST", metavar="NAME", help="default FashionMNIST")
    add("--data_path", default="data", metavar="DIR", help="folder of the data set's files")
    add("--save_path", default="runs/length", metavar="DIR", help="default runs/length")
    add("--net", default="MLP", metavar="NET", help="default MLP")
    add("--fraction", type=float, nargs="+", default=[0.002, 0.01, 0.05], metavar="F", help="kept")
    add("--seeds", type=int, nargs="+", default=[0, 1, 2], metavar="S", help="default 0 1 2")
    add("--publish", action="store_true", help="add the rows to benchmarks/results/length.csv")
    args = parser.parse_args(argv)
    return exit_status(lambda: run(args), args.save_path)


def run(args: argparse.Namespace) -> int:
    """The command, without the handling of errors."""
    torch.set_num_threads(1)
    data = datasets.load(args.dataset, data_path=args.data_path)
    net, folder = nets.canonical(args.net), Path(args.save_path)
    rows: list[ResultRow] = []
    for epochs in EPOCHS:
        recipe = dataclasses.replace(RECIPES[data.recipe], epochs=epochs)
        spec = ExperimentSpec(
            seeds=tuple(args.seeds),
            methods=(methods.parse("Random"),),
            fractions=tuple(args.fraction),
            nets=(net,),
            proxy_net=net,
            proxy=recipe,
            target=recipe,
            val_fraction=data.val_fraction,
        )
        rows += Harness(spec, data, folder, device=torch.device("cpu"), progress=Progress()).run()
    for target in (folder, *([RESULTS] if args.publish else [])):
        path = target / "length.csv"
        write_bytes(path, to_csv(together(path, rows)).encode())
        print(path)
    return 0


def together(path: Path, rows: Sequence[ResultRow]) -> list[ResultRow]:
    """The rows of the file, if there is one, and these, which take the place of equal ones."""
    before = from_csv(path.read_text(), str(path)) if path.exists() else []
    found = {row.fingerprint: row for row in (*before, *map(without_places, rows))}
    return list(found.values())


if __name__ == "__main__":
    sys.exit(main())
