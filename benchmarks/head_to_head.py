"""Run, resume, collect and verify the named grids.

    python benchmarks/head_to_head.py digits
    python benchmarks/head_to_head.py fashion --data_path DIR [--seeds 0 1]
    python benchmarks/head_to_head.py fashion --data_path DIR --verify
    python benchmarks/head_to_head.py fashion --data_path DIR --from_published

Every seed has a folder of its own, so that commands with other --seeds may run side by side; a stopped one
goes on where it was. A training runs on one thread, so that results do not depend on the number of cores;
--jobs trainings run side by side.
Finished rows go into GRID.csv in --save_path; --publish writes the committed file in benchmarks/results;
--from_published begins with what that file holds.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import random
import re
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # read when torch is loaded

import torch

from benchmarks.grids import GRIDS, Grid, check_seeds, grid_of
from benchmarks.paper_numbers import paper_table
from deepcore.analysis.comparison import (
    compare_rows,
    rank_table,
)
from deepcore.cli.arguments import Parser
from deepcore.common.checks import UsageError
from deepcore.common.console import exit_status
from deepcore.common.files import locked, write_bytes
from deepcore.common.progress import Progress
from deepcore.data.record import LabeledData
from deepcore.experiment.harness import (
    Cell,
    Harness,
)
from deepcore.experiment.rows import CODES, ResultRow
from deepcore.experiment.rows_csv import from_csv, to_csv
from deepcore.report.accuracy_tables import (
    overview_table,
    ranks_table,
    verdict_lines,
    worst_table,
)
from deepcore.report.cells import percent
from deepcore.report.noise_report import noise_table

RESULTS = HERE / "results"
SAME_MACHINE = ("device", "torch", "numpy", "threads")  # of the provenance
COUNTED = ("status", "fingerprint", "n", "q", "k", "epochs", "steps", "reads", "passes", "flipped")
SPREAD = 4.0  # sample standard deviations over seeds
FLOOR = 0.01  # of accuracy: three seeds may agree by chance
PLACE = re.compile(r"(?<![\w.])/[^=:]*")


def make_parser() -> argparse.ArgumentParser:
    """The flags."""
    parser = Parser(
        description=__doc__.splitlines()[0], epilog=f"grids: {', '.join(GRIDS)}", allow_abbrev=False
    )
    parser.add_argument("grid", metavar="GRID", help="a name")
    parser.add_argument("--data_path", default="data", metavar="DIR", help="folder of the data set's files")
    parser.add_argument("--download", action="store_true", help="fetch missing files into --data_path")
    parser.add_argument("--workers", type=int, metavar="N", help="processes that read image folders")
    parser.add_argument("--save_path", metavar="DIR", help="rows and proxy runs (default runs/GRID)")
    parser.add_argument("--jobs", type=int, metavar="N", help="trainings side by side (default: as pays)")
    parser.add_argument("--seeds", type=int, nargs="+", metavar="S", help="run these (default all)")
    parser.add_argument(
        "--from_published",
        action="store_true",
        help="take the published rows over (no selections, no proxy runs) and run what is missing",
    )
    parser.add_argument("--collect", action="store_true", help="run nothing; print and write what is there")
    parser.add_argument("--publish", action="store_true", help="write the rows into benchmarks/results")
    parser.add_argument(
        "--verify", action="store_true", help="run a random committed row again and compare; run nothing else"
    )
    parser.add_argument("--row", type=int, metavar="N", help="verify this one, 0 being the first")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Returns the exit status: 0, 1 when a row failed or did not verify, 2 for bad input, 130 after
    Ctrl-C."""
    args = make_parser().parse_args(argv)
    args.save_path = args.save_path or f"runs/{args.grid}"
    return exit_status(lambda: run(args), args.save_path)


def run(args: argparse.Namespace) -> int:
    """The command, without the handling of errors."""
    if args.row is not None and not args.verify:
        raise UsageError("--row belongs to --verify: add --verify, or leave out --row")
    if args.verify and (args.seeds or args.collect or args.publish or args.from_published):
        raise UsageError("--verify runs a committed row and nothing else: leave out the other flags")
    if args.collect and args.seeds:
        raise UsageError("--collect takes every seed that is there: leave out --seeds")
    torch.set_num_threads(1)
    grid = grid_of(args.grid)
    check_seeds(grid, args.seeds or [])
    data = grid.load(args.data_path, download=args.download, workers=args.workers)
    device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    progress = Progress()
    if args.verify:
        return verify(grid, data, device, progress, args.row)
    folder = Path(args.save_path)
    if args.from_published:
        take_over(grid, data, folder, device, progress)
    if not args.collect:
        for seed in args.seeds or grid.seeds:
            for harness in harnesses(grid, data, folder, device, progress, seed, args.jobs):
                harness.run()
    rows, missing, failed = collect(grid, data, folder, device, progress)
    for error in failed:
        print(f"failed: {error}", file=sys.stderr)
    print(report(grid, rows))
    write(grid, rows, missing, folder, publish=args.publish)
    return 1 if failed else 0


def harnesses(
    grid: Grid,
    data: LabeledData,
    folder: Path,
    device: torch.device,
    progress: Progress,
    seed: int,
    jobs: int | None = 1,
) -> Iterator[Harness]:
    """The harness of each part of the grid under a seed, all on the seed's folder."""
    for spec in grid.experiments(data, seed):
        yield Harness(spec, data, folder / f"seed{seed}", device=device, progress=progress, jobs=jobs)


def take_over(grid: Grid, data: LabeledData, folder: Path, device: torch.device, progress: Progress) -> None:
    """Put the published rows into the folders of their seeds, where those have none: a grid goes on with more
    seeds, methods or fractions on a machine that has nothing but the repository. Rows only: selections and
    proxy runs are not published."""
    published = {row.fingerprint: row for row in committed(grid)}
    taken = 0
    for seed in grid.seeds:
        for harness in harnesses(grid, data, folder, device, progress, seed):
            missing = {harness.plan.blank_row(cell).fingerprint for cell in harness.pending()}
            found = missing & published.keys()
            if found:
                with locked(harness.runtime.folder):  # another command may be at this seed
                    for name in found:
                        harness.rows.save(published[name])
            taken += len(found)
    progress.say(f"{taken} published rows taken over into {folder}")


def collect(
    grid: Grid, data: LabeledData, folder: Path, device: torch.device, progress: Progress
) -> tuple[list[ResultRow], int, list[str]]:
    """The grid's finished rows, each once; how many are missing; what is known of those that failed."""
    found, failed = {}, {}
    for seed in grid.seeds:
        for harness in harnesses(grid, data, folder, device, progress, seed):
            for cell in harness.plan.cells:  # those of this seed
                blank = harness.plan.blank_row(cell)
                key = (blank.label, blank.fraction, seed)
                found[key] = harness.rows.finished(blank)
                if found[key] is None and (error := harness.rows.error(blank)):
                    failed[key] = f"seed {seed}: {blank.label}, {percent(blank.fraction)}: {error}"
    rows = [row for row in found.values() if row is not None]
    return rows, len(found) - len(rows), list(failed.values())


def report(grid: Grid, rows: Sequence[ResultRow]) -> str:
    """Tables of accuracies, ranks, worst classes, flipped labels and, beside ours, the paper's numbers."""
    if not rows:
        return f"{grid.name}: no row is finished"
    comparisons, net = compare_rows(rows), rows[0].target_net
    ranks = rank_table(rows, net)
    tables = [overview_table(comparisons, net), worst_table(comparisons, net)]
    tables += [ranks_table(ranks)] if ranks else []
    tables += [noise_table(rows)] if grid.noise else []
    tables += [paper_table(grid, comparisons)] if grid.paper else []
    return "\n\n".join([*(table.render("table") for table in tables), *verdict_lines(comparisons)])


def write(grid: Grid, rows: Sequence[ResultRow], missing: int, folder: Path, *, publish: bool) -> None:
    """GRID.csv into the folder and, with `publish`, into benchmarks/results, which takes whole grids only."""
    path = folder / f"{grid.name}.csv"
    if rows:
        write_bytes(path, to_csv([without_places(row) for row in rows]).encode())
        print(f"{len(rows)} rows in {path}, {missing} to run", file=sys.stderr)
    if publish and (missing or not rows):
        raise UsageError(f"{missing} rows of {grid.name} are not finished: a published grid is whole")
    if publish:
        write_bytes(RESULTS / path.name, path.read_bytes())
        print(f"published: {RESULTS / path.name}", file=sys.stderr)


def without_places(row: ResultRow) -> ResultRow:
    """The row with absolute paths in its command cut to their last part: they are of one machine. Its commit
    says which code its method and network had."""
    command = [PLACE.sub(lambda path: f"PATH/{Path(path[0]).name}", w) for w in row.provenance["command"]]
    kept = {name: value for name, value in row.provenance.items() if name not in CODES}
    return dataclasses.replace(row, provenance={**kept, "command": command})


def verify(
    grid: Grid, data: LabeledData, device: torch.device, progress: Progress, number: int | None
) -> int:
    """Run a committed row again, with the proxy run that it reads, and compare; 0 when it holds."""
    rows = committed(grid)
    number = random.SystemRandom().randrange(len(rows)) if number is None else number
    if not 0 <= number < len(rows):
        raise UsageError(f"--row {number}: {grid.name} has rows 0 to {len(rows) - 1}")
    row = rows[number]
    print(f"row {number} of {grid.name}: {row.label}, {percent(row.fraction)}, seed {row.seed}", flush=True)
    spec = next(s for s in grid.experiments(data, row.seed) if row.label in {m.label() for m in s.methods})
    method = next(m for m in spec.methods if m.label() == row.label)
    fractions = spec.fractions if row.fraction is None else (row.fraction,)
    spec = dataclasses.replace(spec, methods=(method,), fractions=fractions, everything=False)
    with tempfile.TemporaryDirectory() as folder:
        harness = Harness(spec, data, Path(folder), device=device, progress=progress)
        blank = harness.plan.blank_row(Cell(row.seed, method, row.fraction, row.target_net))
        if blank.fingerprint != row.fingerprint:
            raise UsageError(
                f"row {number} of {grid.name} is of fingerprint {row.fingerprint}, this command would run "
                f"{blank.fingerprint}: other data files, another recipe or another split"
            )
        again = next(r for r in harness.run() if r.fingerprint == blank.fingerprint)
    lines, holds = compared(row, again, rows)
    print("\n".join(lines))
    return 0 if holds else 1


def compared(row: ResultRow, again: ResultRow, rows: Sequence[ResultRow]) -> tuple[list[str], bool]:
    """The differences between a committed row and its repetition, and whether it is verified.

    Counts must be equal. On the same machine and versions, accuracies and the record of flipped labels must
    be equal too. Elsewhere sums are rounded differently, which makes the training another repeat: its
    accuracy must be within SPREAD sample standard deviations of the seeds' accuracies, or within FLOOR.
    """
    counted = [name for name in COUNTED if counts(row)[name] != counts(again)[name]]
    lines = [f"{name}: {counts(row)[name]} committed, {counts(again)[name]} now" for name in counted]
    if again.status != "ok":
        return [*lines, again.error], False
    found = f"accuracy: {100 * row.accuracy:.2f}% committed, {100 * again.accuracy:.2f}% now"
    if outcome(again) == outcome(row):
        return [*lines, f"{found}, every class equal"], not counted
    here = [name for name in SAME_MACHINE if row.provenance.get(name) != again.provenance.get(name)]
    if not here:
        lines += [
            f"{a} committed, {b} now" for a, b in zip(outcome(row), outcome(again), strict=True) if a != b
        ]
        return [*lines, f"{found}; on the same machine and versions all of it must be equal"], False
    like = [r.accuracy for r in rows if (r.label, r.fraction) == (row.label, row.fraction)]
    allowed = max(FLOOR, SPREAD * statistics.stdev(like) if len(like) > 1 else 0.0)
    other = "; ".join(
        f"{name} {row.provenance.get(name)}, here {again.provenance.get(name)}" for name in here
    )
    lines.append(f"{found}; {100 * allowed:.2f} points are allowed on another machine ({other})")
    return lines, not counted and abs(row.accuracy - again.accuracy) <= allowed


def counts(row: ResultRow) -> dict[str, object]:
    """The values that rounding does not change. Of the passes only the target's: the proxy run of a grid
    records more than one method reads."""
    values = {name: getattr(row, name) for name in COUNTED if name not in ("passes", "flipped")}
    return values | {"passes": row.passes.get("target"), "flipped": row.label_noise.get("flipped")}


def outcome(row: ResultRow) -> tuple[object, ...]:
    """The values that rounding may change."""
    return row.accuracy, row.class_accuracy, row.label_noise


def committed(grid: Grid) -> list[ResultRow]:
    """The published rows of a grid."""
    path = RESULTS / f"{grid.name}.csv"
    if not path.exists():
        raise UsageError(f"{path} does not exist: no rows of {grid.name} are published")
    return from_csv(path.read_text(), str(path))


if __name__ == "__main__":
    sys.exit(main())
