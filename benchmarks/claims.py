"""What the scripts of the paper's claims share. Each script has one `CLAIM` and ends with `main(CLAIM)`:

    python benchmarks/transfer.py --quick                          under a minute, no files needed
    python benchmarks/transfer.py --data_path DIR [--publish]      the size that was run here
    python benchmarks/transfer.py --full --data_path DIR           the paper's size, or a larger one
    python benchmarks/transfer.py --full --dry_run                 its command and GPU hours, nothing else

A stopped command goes on where it was. It leaves NAME.csv and the figure NAME.png in --save_path and prints
the verdicts, which are computed from the CSV alone. --publish commits both to benchmarks/results/claims and
benchmarks/figures; `claims_page.py` writes docs/claims.md from there.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import torch

import methods as known_methods
from benchmarks.claim_records import Record, Value, digest, from_csv, to_csv
from benchmarks.gpu_hours import Load, hours_line, stand_in
from deepcore.cli.arguments import Parser
from deepcore.common.checks import DeepcoreError, UsageError
from deepcore.common.console import exit_status
from deepcore.common.files import read_json, write_bytes, write_json
from deepcore.common.identity import fingerprint
from deepcore.common.progress import Progress
from deepcore.data import datasets
from deepcore.data.record import LabeledData
from deepcore.experiment.harness import Harness
from deepcore.experiment.provenance import provenance
from deepcore.experiment.rows import ResultRow
from deepcore.experiment.spec import ExperimentSpec
from deepcore.nets import networks as nets
from deepcore.report.figure_files import save_figure
from deepcore.report.text_table import TextTable
from deepcore.training.recipes import RECIPES
from deepcore.training.spec import TrainSpec

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RESULTS = HERE / "results" / "claims"
FIGURES = HERE / "figures"
HOLDS, FAILS, UNTOLD = "holds", "does not hold", "cannot be told"


@dataclass(frozen=True)
class Size:
    """How large a claim is tested. A script may add fields in a subclass.

    Attributes:
        dataset, nets: names.
        fractions: kept, of the train pool.
        seeds: number of them.
        epochs: of the data set's recipe; None for the recipe's own.
    """

    dataset: str
    nets: tuple[str, ...]
    fractions: tuple[float, ...]
    seeds: int
    epochs: int | None = None

    @property
    def recipe(self) -> TrainSpec:
        """Of proxies and targets."""
        recipe = RECIPES[stand_in(self.dataset).recipe]
        return dataclasses.replace(recipe, epochs=self.epochs or recipe.epochs)

    def experiment(
        self, methods: Sequence[str], *, proxy: str | None = None, targets: Sequence[str] | None = None
    ) -> ExperimentSpec:
        """The methods at all fractions and seeds; the first of `nets` is proxy and target unless others are
        named. `dataclasses.replace` changes the rest."""
        targets = targets or self.nets[:1]
        return ExperimentSpec(
            seeds=tuple(range(self.seeds)),
            methods=tuple(known_methods.parse(text) for text in methods),
            fractions=self.fractions,
            nets=tuple(nets.canonical(net) for net in targets),
            proxy_net=nets.canonical(proxy or self.nets[0]),
            proxy=self.recipe,
            target=self.recipe,
            val_fraction=stand_in(self.dataset).val_fraction,
            everything=True,  # one proxy run then serves every script
        )


@dataclass(frozen=True)
class Setting:
    """A size, where its data are, where results are kept, and how it is run."""

    size: Size
    data_path: str
    folder: Path
    device: torch.device
    progress: Progress
    jobs: int | None = 1

    @functools.cached_property
    def data(self) -> LabeledData:
        """The data set, loaded when it is first needed."""
        return datasets.load(self.size.dataset, data_path=self.data_path)

    def harness(self, spec: ExperimentSpec) -> Harness:
        """On this folder, where finished rows are not run again."""
        return Harness(
            spec, self.data, self.folder, device=self.device, progress=self.progress, jobs=self.jobs
        )

    def rows(self, spec: ExperimentSpec) -> list[ResultRow]:
        """All rows of an experiment; DeepcoreError names the first that failed."""
        rows = self.harness(spec).run()
        for row in rows:
            if row.status != "ok":
                raise DeepcoreError(f"{row.label} at {row.fraction}, seed {row.seed}: {row.error}")
        return rows

    def once(self, what: str, of: object, work: Callable[[], list[Record]]) -> list[Record]:
        """The records of a step, kept in a file: computed when they are not there yet.

        Args:
            what: a word for the file's name.
            of: JSON of everything that fixes the records.
            work: computes them.
        """
        path = self.folder / "steps" / f"{what}-{fingerprint(what, of, self.data.fingerprint)}.json"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_json(path, work())
        return read_json(path, "the records")

    def seed_by_seed(self, what: str, work: Callable[[int], list[Record]]) -> list[Record]:
        """The records of all seeds, each a step of its own: more seeds go on from those that are there."""
        records: list[Record] = []
        for seed in range(self.size.seeds):
            of = {**dataclasses.asdict(self.size), "seeds": seed}
            records += self.once(what, of, lambda seed=seed: work(seed))
        return records


@dataclass(frozen=True)
class Verdict:
    """One of the three words, of what, and the numbers behind it.

    Attributes:
        word: HOLDS, FAILS or UNTOLD.
        what: the statement that was tested, a sentence without its full stop.
        measured: the estimate with its interval, such as "-0.3 points [-0.8, +0.2]".
    """

    word: str
    what: str
    measured: str

    def __str__(self) -> str:
        return f"{self.word}: {self.what}. Measured: {self.measured}"


@dataclass(frozen=True)
class Claim:
    """One claim of the paper, or a few of one figure.

    Attributes:
        name: of the script, the CSV and the figure.
        paper: where it stands, such as "Figure 3, Table 6".
        sizes: "quick", "reduced" (run here) and "full" (the paper's, or a larger one).
        loads: the passes of examples of a size, for the estimate of GPU hours.
        measure: does the work and returns the records.
        judge: the verdicts, from the records alone.
        table: what docs/claims.md shows.
        draw: the figure.
        remarks: sentences for the page, each behind `benchmarks.wording.claim`.
        in_paper: whether "full" is a size that the paper names.
    """

    name: str
    paper: str
    sizes: Mapping[str, Size]
    loads: Callable[[Size], list[Load]]
    measure: Callable[[Setting], list[Record]]
    judge: Callable[[Sequence[Record]], list[Verdict]]
    table: Callable[[Sequence[Record]], TextTable]
    draw: Callable[[Sequence[Record]], Figure]
    remarks: Callable[[Sequence[Record]], list[str]] = lambda records: []
    in_paper: bool = True


def verdict_by(holds: bool | None, what: str, measured: str) -> Verdict:
    """None: cannot be told."""
    return Verdict({True: HOLDS, False: FAILS, None: UNTOLD}[holds], what, measured)


def measured(estimate: float, low: float | None, high: float | None, unit: str = "points") -> str:
    """An estimate with its interval."""
    between = "no interval" if low is None or high is None else f"[{signed(low)}, {signed(high)}]"
    return " ".join(word for word in (signed(estimate), unit, between) if word)


def signed(value: float) -> str:
    """With its sign and two decimals; no minus before zero."""
    return f"{round(value, 2) + 0.0:+.2f}"


def published(claim: Claim) -> list[dict[str, Value]] | None:
    """The committed records; None before there are any."""
    path = RESULTS / f"{claim.name}.csv"
    return from_csv(path.read_text()) if path.exists() else None


def save(claim: Claim, text: str, csv_folder: Path, figure_folder: Path) -> None:
    """Write the CSV and the figure drawn from it."""
    records = from_csv(text)
    csv_folder.mkdir(parents=True, exist_ok=True)
    write_bytes(csv_folder / f"{claim.name}.csv", text.encode())
    save_figure(
        claim.draw(records), figure_folder / claim.name, about=f"records {digest(records)}", svg=False
    )


def full_command(claim: Claim) -> str:
    """The command of the paper's size."""
    return f"python benchmarks/{claim.name}.py --full --data_path DIR"


def main(claim: Claim, argv: list[str] | None = None) -> int:
    """The command line of a claim's script; returns the exit status."""
    args = make_parser(claim).parse_args(argv)
    size = "quick" if args.quick else "full" if args.full else "reduced"
    args.save_path = args.save_path or f"runs/claims/{size}"
    return exit_status(lambda: run(claim, size, args), None if args.dry_run else args.save_path)


def make_parser(claim: Claim) -> Parser:
    """The flags."""
    parser = Parser(description=f"{claim.paper}: {claim.name}", allow_abbrev=False)
    add = parser.add_argument
    add("--quick", action="store_true", help="a tiny version on data without files, under a minute")
    add("--full", action="store_true", help="the paper's size, or one larger than here; needs a GPU")
    add("--dry_run", action="store_true", help="print the command and an estimate of GPU hours, run nothing")
    add("--data_path", default="data", metavar="DIR", help="folder of the data set's files")
    add(
        "--save_path",
        metavar="DIR",
        help="of all scripts together (default runs/claims/SIZE)",
    )
    add("--jobs", type=int, metavar="N", help="trainings side by side (default: as pays)")
    add("--publish", action="store_true", help="write CSV and figure into benchmarks/, too")
    return parser


def run(claim: Claim, size: str, args: argparse.Namespace) -> int:
    """The command, without the handling of errors."""
    if args.quick and args.full:
        raise UsageError("--quick and --full are two sizes: give one of them")
    if args.publish and size != "reduced":
        raise UsageError(f"--publish is of the size that docs/claims.md shows: leave out --{size}")
    chosen = claim.sizes[size]
    if args.dry_run:
        command = full_command(claim) if size == "full" else f"python benchmarks/{claim.name}.py"
        print(f"{command}\n{hours_line(claim.loads(chosen))}")
        return 0
    torch.set_num_threads(1)
    device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    folder = Path(args.save_path)
    setting = Setting(chosen, args.data_path, folder, device, Progress(), args.jobs)
    of = provenance(device)
    about = {
        "claim": f"{claim.paper}, {size} size",
        "command": f"python benchmarks/{claim.name}.py",
        "size": json.dumps(dataclasses.asdict(chosen)),
        "machine": f"{of['device']}, torch {of['torch']}",
    }
    text = to_csv(claim.measure(setting), about)
    save(claim, text, folder, folder)
    if args.publish:
        save(claim, text, RESULTS, FIGURES)
    records = from_csv(text)
    print(claim.table(records).render("table"), *claim.judge(records), sep="\n")
    return 0
