"""Runs a plan: proxy runs, selections, target trainings, rows."""

from __future__ import annotations

import dataclasses
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import torch

from deepcore.common.checks import DeepcoreError, StoredMismatch
from deepcore.common.files import locked, remove_leftovers
from deepcore.common.progress import Progress
from deepcore.data.record import LabeledData
from deepcore.experiment.noise_record import noise_record
from deepcore.experiment.plan import Cell, Runtime, make_plan
from deepcore.experiment.preflight import check_methods, check_resources
from deepcore.experiment.provenance import provenance
from deepcore.experiment.rows import ResultRow, RowStore
from deepcore.experiment.seed_runs import SeedRuns, proxy_costs, recorded_by
from deepcore.experiment.spec import ExperimentSpec
from deepcore.experiment.target import Target, train_target
from deepcore.selection.training_set import TrainingSet
from deepcore.training.compiling import check_compiler
from deepcore.training.precision import check_precision

PARTS = ("proxies", "selections", "rows")  # of the folder of an experiment


class Harness:
    """Runs an experiment on one data set into one folder: `proxies/`, `selections/`, `rows/`.

    Args:
        spec: the experiment.
        data: its `test` part is read once per row, after the target's last step.
        folder: everything is kept here; finished parts are not run again.
        device: where networks and data live.
        progress: lines and bars for the user.
        proxy_folder: a stored proxy run to use instead of looking in `folder`; may contain {seed}.
        compiled: run the networks through torch.compile; rows do not depend on it, and say it.

    Attributes:
        plan: what will be done, computed once.
        runtime: where and how.
        rows: the folder of rows.

    Raises:
        UsageError: a method, a precision or a compiler that could not work here.
    """

    def __init__(
        self,
        spec: ExperimentSpec,
        data: LabeledData,
        folder: Path,
        *,
        device: torch.device,
        progress: Progress,
        proxy_folder: str | None = None,
        compiled: bool = False,
    ) -> None:
        check_precision(spec.target.precision, device)
        if compiled:
            check_compiler(device)
        self.plan = make_plan(spec, data)
        self.runtime = Runtime(folder, device, proxy_folder, compiled)
        self.progress = progress
        self.rows = RowStore(folder / "rows")
        self._said: set[str] = set()
        check_methods(self.plan)

    def pending(self) -> list[Cell]:
        """The cells without a finished row."""
        return [cell for cell in self.plan.cells if self.rows.finished(self.plan.blank_row(cell)) is None]

    def run(self) -> list[ResultRow]:
        """All rows of the experiment, in order; those that failed carry their error.

        Raises:
            StoredMismatch: something stored is damaged or does not fit; nothing was overwritten.
            UsageError: memory or disk would not do; nothing was begun.
            OSError: the disk is full or cannot be written; finished rows stay.
        """
        with locked(self.runtime.folder):
            remove_leftovers(self.runtime.folder, PARTS)
            pending = self.pending()
            check_resources(self.plan, self.runtime, pending)
            rows = []
            with self.progress.bar(len(pending), "targets") as advance:
                for seed in self.plan.spec.seeds:
                    rows += self._run_seed(seed, advance)
            return rows

    def _run_seed(self, seed: int, advance: Callable[[], None]) -> list[ResultRow]:
        runs = SeedRuns(self.plan, self.runtime, self.progress, seed)
        rows = []
        for cell in self.plan.cells:
            if cell.seed != seed:
                continue
            row = self.rows.finished(self.plan.blank_row(cell))
            if row is None:
                try:
                    row = self._run_cell(cell, runs)
                except (StoredMismatch, OSError):
                    raise
                except Exception as error:
                    row = self._failed(cell, error)
                self.rows.save(row)
                self._tell(row)
                advance()
            rows.append(row)
        return rows

    def _run_cell(self, cell: Cell, runs: SeedRuns) -> ResultRow:
        """Select, train a fresh target on the selection, test it once."""
        run = runs.of(cell.method)
        selected = runs.selected(cell.method, cell.fraction)
        blank = self.plan.blank_row(cell)
        target = self._train_target(cell, selected.training_set, f"target-{blank.fingerprint}")
        proxy = proxy_costs(run, cell.method.repeat_epochs)
        flipped = self.plan.seeds[cell.seed].flipped
        return dataclasses.replace(
            blank,
            k=selected.training_set.size,
            epochs=target.length.epochs,
            steps=target.length.steps,
            accuracy=target.accuracy,
            class_accuracy=target.class_accuracy,
            passes={**proxy["passes"], "target": target.meter.passes},
            flops_per_example={**proxy["flops_per_example"], "target": target.flops},
            proxy_run=run.folder.name if run.folder else None,
            recorded=dataclasses.asdict(recorded_by(run)),
            signal_bytes=selected.signal_bytes,
            notes=list(selected.selection.notes),
            label_noise=noise_record(self.plan.spec.label_noise, flipped, run.ids, selected.selection),
            measured={
                "seconds": {
                    **proxy["seconds"],
                    "score": selected.score_seconds,
                    "select": selected.select_seconds,
                    **target.meter.seconds,
                },
                "peak_bytes": {
                    **proxy["peak_bytes"],
                    **selected.peak_bytes,
                    "target": target.meter.peak_bytes,
                },
                "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            },
            provenance=provenance(
                self.runtime.device, threads=target.threads, compiled=self.runtime.compiled
            ),
        )

    def _train_target(self, cell: Cell, training_set: TrainingSet, name: str) -> Target:
        """A fresh target network on `training_set`; `name` is of its checkpoint."""
        return train_target(
            cell.net,
            self.plan.seeds[cell.seed].data,
            training_set,
            self.plan.spec.target,
            seed=cell.seed,
            device=self.runtime.device,
            checkpoint=self.runtime.folder / f"{name}.pt",
            progress=self.progress,
            note=self._say_once,
            compiled=self.runtime.compiled,
        )

    def _say_once(self, note: str) -> None:
        """A line that need not be read twice."""
        if note not in self._said:
            self._said.add(note)
            self.progress.say(note)

    def _failed(self, cell: Cell, error: Exception) -> ResultRow:
        """The row of a cell that did not come to an end."""
        known = isinstance(error, DeepcoreError)
        detail = str(error) if known else "".join(traceback.format_exception(error)).strip()
        finished = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        return dataclasses.replace(
            self.plan.blank_row(cell),
            status="failed",
            error=detail,
            measured={"finished": finished},
            provenance=provenance(self.runtime.device, compiled=self.runtime.compiled),
        )

    def _tell(self, row: ResultRow) -> None:
        size = "" if row.fraction is None else f" {100 * row.fraction:.10g}%"
        what = f"seed {row.seed}: {row.label}{size}, {row.target_net}"
        if row.status != "ok":
            self.progress.say(f"{what} failed: {row.error.splitlines()[-1]}")
            return
        self.progress.say(f"{what} on {row.k:,} rows: {100 * row.accuracy:.2f}%")
        for note in row.notes:
            self._say_once(f"    {note}")
