"""Properties of the scores of a grid, and of the samples that its selections keep.

    python benchmarks/score_study.py fashion --data_path DIR [--save_path runs/fashion] [--publish]

Reads the proxy runs and selections that head_to_head.py left in --save_path; trains nothing. Writes
GRID_scores.csv there and, with --publish, into benchmarks/results: a line per seed, method, fraction and
measure.

Three properties of the candidates come from the same proxy run: `el2n`, the EL2N score; `first_drop`, the
loss of the untrained network minus the loss after the first epoch; `last_loss`, the loss after the last.
The measures of a score (without a fraction) are its Spearman correlations with them. The measures of a
selection are the mean percentiles of the kept rows in them, 0 to 100, 50 by chance. CLD's forms also have
`first_step`: the first difference's share of the squared deviations of a sample's loss differences from their
mean, averaged over the candidates; it is 1 / (number of differences) if all differences contribute alike.
`rho_seeds` and `kept_again` compare seeds: see benchmarks/seed_overlap.py. `kept_spread` and `val_distance`
say where the kept rows lie: see benchmarks/kept_rows.py.
"""

from __future__ import annotations

import argparse
import csv
import io
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import numpy as np
import torch
from scipy.stats import rankdata

from benchmarks.grids import grid_of
from benchmarks.kept_rows import Inputs
from benchmarks.seed_overlap import kept_again, rank_agreement
from deepcore.analysis.overlap import Scores, spearman
from deepcore.cli.arguments import Parser
from deepcore.common.checks import UsageError
from deepcore.common.console import exit_status
from deepcore.common.files import write_bytes
from deepcore.common.progress import Progress
from deepcore.experiment.harness import Harness
from deepcore.experiment.seed_runs import SeedRuns
from deepcore.proxy.run import ProxyRun
from deepcore.proxy.signals import Signal
from deepcore.selection.method import CoresetMethod
from deepcore.selection.store import file_stem
from methods.cld import CLD
from methods.el2n import EL2N

RESULTS = HERE / "results"


class Finding(NamedTuple):
    """One number; `fraction` is None for measures of a score."""

    seed: int
    method: str
    fraction: float | None
    measure: str
    value: float


def main(argv: list[str] | None = None) -> int:
    """Returns the exit status."""
    parser = Parser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("grid", metavar="GRID", help="a name")
    parser.add_argument("--data_path", default="data", metavar="DIR", help="folder of the data set's files")
    parser.add_argument("--save_path", metavar="DIR", help="of head_to_head.py (default runs/GRID)")
    parser.add_argument("--publish", action="store_true", help="write into benchmarks/results, too")
    args = parser.parse_args(argv)
    args.save_path = args.save_path or f"runs/{args.grid}"
    return exit_status(lambda: run(args), args.save_path)


def run(args: argparse.Namespace) -> int:
    """The command, without the handling of errors."""
    grid, folder = grid_of(args.grid), Path(args.save_path)
    data = grid.load(args.data_path)
    found: dict[tuple, Finding] = {}
    harnesses: dict[int, list[Harness]] = {seed: [] for seed in grid.seeds}
    for seed in grid.seeds:
        inputs = None
        for spec in grid.experiments(data, seed):
            place = folder / f"seed{seed}"
            harness = Harness(spec, data, place, device=torch.device("cpu"), progress=Progress(quiet=True))
            if harness.pending():
                raise UsageError(
                    f"{place} lacks {len(harness.pending())} rows: run head_to_head.py {grid.name}"
                )
            inputs = inputs or inputs_of(harness, seed)
            found |= {finding[:4]: finding for finding in findings(harness, seed, inputs)}
            harnesses[seed].append(harness)
    found |= {finding[:4]: finding for finding in over_seeds(harnesses)}
    text = to_csv(list(found.values()))
    for target in (folder, *([RESULTS] if args.publish else [])):
        write_bytes(target / f"{grid.name}_scores.csv", text.encode())
        print(target / f"{grid.name}_scores.csv")
    return 0


def to_csv(found: list[Finding]) -> str:
    """A header and a line per finding, six digits of each value."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(Finding._fields)
    writer.writerows((*f[:4], f"{f.value:.6g}") for f in found)
    return text.getvalue()


def from_csv(text: str) -> list[Finding]:
    """The counterpart of `to_csv`."""
    return [
        Finding(
            int(line["seed"]),
            line["method"],
            float(line["fraction"]) if line["fraction"] else None,
            line["measure"],
            float(line["value"]),
        )
        for line in csv.DictReader(io.StringIO(text))
    ]


def study_mean(
    study: Sequence[Finding], method: str, measure: str, fraction: float | None = None
) -> float | None:
    """Mean over seeds of a measure; None where the study has no value."""
    values = [f.value for f in study if (f.method, f.measure, f.fraction) == (method, measure, fraction)]
    return statistics.mean(values) if values else None


def findings(harness: Harness, seed: int, inputs: Inputs) -> Iterator[Finding]:
    """The measures of every selection method of a harness for one seed, from stored files."""
    run = run_of(harness, seed)
    properties = properties_of(run)
    percentiles = {name: 100 * (rankdata(value) - 0.5) / len(value) for name, value in properties.items()}
    for method in selections_of(harness):
        label = method.label()
        if isinstance(method, CLD):
            yield Finding(seed, label, None, "first_step", first_step(method, run))
        scores = scores_of(harness, seed, method, run.ids)
        if scores is not None:
            for name, value in properties.items():
                rho = spearman(scores, value)
                if rho is not None:
                    yield Finding(seed, label, None, f"rho_{name}", rho)
        for fraction in harness.plan.spec.fractions:
            kept = selected(harness, seed, method, fraction)
            at = np.searchsorted(run.ids, kept)
            for name, value in percentiles.items():
                yield Finding(seed, label, fraction, f"kept_{name}", float(value[at].mean()))
            shared = np.isin(kept, selected(harness, seed, CLD(), fraction))
            yield Finding(seed, label, fraction, "in_cld", float(shared.mean()))
            for name, value in inputs.measures(kept).items():
                yield Finding(seed, label, fraction, name, value)


def over_seeds(harnesses: Mapping[int, Sequence[Harness]]) -> Iterator[Finding]:
    """What the methods do again under the other seeds, from stored files."""
    ids = {seed: run_of(of[0], seed).ids for seed, of in harnesses.items() if of}
    scores: dict[str, dict[int, Scores]] = {}
    kept: dict[tuple[str, float], dict[int, np.ndarray]] = {}
    for seed, of in harnesses.items():
        for harness in of:
            for method in selections_of(harness):
                column = scores_of(harness, seed, method, ids[seed])
                if column is not None:
                    scores.setdefault(method.label(), {})[seed] = Scores(ids[seed], column)
                for fraction in harness.plan.spec.fractions:
                    kept.setdefault((method.label(), fraction), {})[seed] = selected(
                        harness, seed, method, fraction
                    )
    for label, by_seed in scores.items():
        yield from (Finding(seed, label, None, "rho_seeds", v) for seed, v in rank_agreement(by_seed))
    for (label, fraction), rows in kept.items():
        yield from (Finding(seed, label, fraction, "kept_again", v) for seed, v in kept_again(rows, ids))


def inputs_of(harness: Harness, seed: int) -> Inputs:
    """The inputs of the candidates and of the validation rows."""
    of_seed = harness.plan.seeds[seed]
    return Inputs.of(of_seed.data.train, of_seed.split)


def run_of(harness: Harness, seed: int) -> ProxyRun:
    """The stored proxy run that CLD reads."""
    return SeedRuns(harness.plan, harness.runtime, seed).of(CLD())


def selections_of(harness: Harness) -> list[CoresetMethod]:
    """The methods that keep a share of the candidates."""
    return [m for m in harness.plan.spec.methods if m.is_selection and m.uses_fraction]


def scores_of(harness: Harness, seed: int, method: CoresetMethod, ids: np.ndarray) -> np.ndarray | None:
    """The stored scores of all candidates, in the order of `ids`; None for a method without."""
    path = harness.plan.selection_folder(harness.runtime.folder, seed, method) / "scores.npz"
    return _column(path, "scores", ids) if path.exists() else None


def selected(harness: Harness, seed: int, method: CoresetMethod, fraction: float) -> np.ndarray:
    """The stored ids of a selection; UsageError where its row alone is there."""
    path = (
        harness.plan.selection_folder(harness.runtime.folder, seed, method)
        / f"{file_stem(method, fraction)}.npz"
    )
    if not path.exists():
        raise UsageError(
            f"{path} is missing, as it is for rows taken over with --from_published: run the grid into "
            "another --save_path without that flag"
        )
    with np.load(path, allow_pickle=False) as stored:
        return stored["ids"]


def properties_of(run: ProxyRun) -> dict[str, np.ndarray]:
    """The three properties, (N,) each."""
    losses = run.trajectory(Signal.LOSS, "post_epoch", initial=True)
    return {
        "el2n": EL2N().score(run),
        "first_drop": np.asarray(losses[0], np.float64) - losses[1],
        "last_loss": np.asarray(losses[-1], np.float64),
    }


def first_step(method: CLD, run: ProxyRun) -> float:
    """Mean over candidates of (d[1] - mean d)^2 / sum_t (d[t] - mean d)^2, d being the differences of the
    losses at the checkpoints that the method reads."""
    rows = method.checkpoints(run.epochs)
    losses = run.trajectory(Signal.LOSS, method.mode, initial=True)
    steps = np.diff(np.asarray(losses[rows.start : rows.stop : rows.step], np.float64), axis=0)
    squares = (steps - steps.mean(axis=0)) ** 2
    total = squares.sum(axis=0)
    return float((squares[0][total > 0] / total[total > 0]).mean())


def _column(path: Path, name: str, ids: np.ndarray) -> np.ndarray:
    """A column of a stored file of all candidates, in the order of `ids`."""
    with np.load(path, allow_pickle=False) as stored:
        if not np.array_equal(stored["ids"], ids):
            raise UsageError(f"{path} is of other candidates: move it away and run the grid again")
        return stored[name]


if __name__ == "__main__":
    sys.exit(main())
