"""plan -> proxies -> selections -> targets -> rows."""

from __future__ import annotations

import dataclasses
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from deepcore.checks import DeepcoreError, StoredMismatch
from deepcore.compiling import check_compiler
from deepcore.config import ExperimentSpec, ProxySpec, fingerprint, to_dict
from deepcore.data.record import LabeledData
from deepcore.demand import Demand
from deepcore.files import locked, remove_leftovers
from deepcore.label_noise import flip, noise_record
from deepcore.material import Material
from deepcore.method import CoresetMethod
from deepcore.precision import check_precision
from deepcore.preflight import check_methods, check_resources
from deepcore.progress import Progress
from deepcore.proxy import ProxyRun
from deepcore.proxy_engine import identity, load_named, obtain_proxy
from deepcore.recorder import Recording
from deepcore.results import ResultRow, RowStore, provenance
from deepcore.seed_runs import SeedRuns, bare_identity, bill_of, recorded_by
from deepcore.selecting import selection_folder
from deepcore.split import make_split
from deepcore.target import Target, train_target

PARTS = ("proxies", "selections", "rows")  # of the folder of a grid


@dataclass(frozen=True)
class Cell:
    """One row to be: a method at a fraction (None where it fixes its size) on a net, under one seed."""

    seed: int
    method: CoresetMethod
    fraction: float | None
    net: str


class Harness:
    """Runs a grid on one data set into one folder: `proxies/`, `selections/`, `rows/`.

    Args:
        spec: the grid.
        data: its `test` part is read once per row, after the target's last step.
        folder: everything is kept here; finished parts are not run again.
        device: where networks and data live.
        progress: lines and bars for the user.
        proxy_folder: a stored proxy run to use instead of looking in `folder`; may contain {seed}.
        compiled: run the networks through torch.compile; rows do not depend on it, and say it.

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
        self.spec, self.data, self.folder, self.device = spec, data, folder, device
        self.progress, self.proxy_folder, self.compiled = progress, proxy_folder, compiled
        self.rows = RowStore(folder / "rows")
        self._said: set[str] = set()
        check_precision(spec.target.precision, device)
        if compiled:
            check_compiler(device)
        self.recording = Recording.of(spec.methods, everything=spec.everything)
        self.splits = {
            seed: make_split(data.train.labels, val_fraction=spec.val_fraction, seed=seed)
            for seed in spec.seeds
        }
        self.flipped = {seed: flip(data, split, spec.label_noise) for seed, split in self.splits.items()}
        check_methods(self)

    def data_of(self, seed: int) -> LabeledData:
        """The data set as a seed sees it, with its label noise."""
        return self.flipped[seed].data

    def cells(self, seed: int) -> Iterator[Cell]:
        """The cells of one seed, in the order they are run."""
        for method in self.spec.methods:
            for fraction in self.spec.fractions if method.uses_fraction else (None,):
                for net in self.spec.nets:
                    yield Cell(seed, method, fraction, net)

    def pending(self) -> list[Cell]:
        """The cells without a finished row."""
        every = (cell for seed in self.spec.seeds for cell in self.cells(seed))
        return [cell for cell in every if self.rows.finished(self.blank(cell)) is None]

    def run(self) -> list[ResultRow]:
        """All rows of the grid, in order; those that failed carry their error.

        Raises:
            StoredMismatch: something stored is damaged or does not fit; nothing was overwritten.
            UsageError: memory or disk would not do; nothing was begun.
            OSError: the disk is full or cannot be written; finished rows stay.
        """
        with locked(self.folder):
            remove_leftovers(self.folder, PARTS)
            pending = self.pending()
            check_resources(self, pending)
            rows = []
            with self.progress.bar(len(pending), "targets") as advance:
                for seed in self.spec.seeds:
                    rows += self._run_seed(seed, advance)
            return rows

    def _run_seed(self, seed: int, advance: Callable[[], None]) -> list[ResultRow]:
        runs = SeedRuns(self, seed)
        rows = []
        for cell in self.cells(seed):
            row = self.rows.finished(self.blank(cell))
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
        blank = self.blank(cell)
        target = self._train_target(cell, selected.material, f"target-{blank.fingerprint}")
        proxy = bill_of(run, cell.method.repeat_epochs)
        return dataclasses.replace(
            blank,
            k=selected.material.size,
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
            label_noise=noise_record(
                self.spec.label_noise, self.flipped[cell.seed].rows, run.ids, selected.selection
            ),
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
            provenance=provenance(self.device, threads=target.threads, compiled=self.compiled),
        )

    def _train_target(self, cell: Cell, material: Material, name: str) -> Target:
        """A fresh target on `material`; `name` is of its checkpoint."""
        return train_target(
            cell.net,
            self.data_of(cell.seed),
            material,
            self.spec.target,
            seed=cell.seed,
            device=self.device,
            checkpoint=self.folder / f"{name}.pt",
            progress=self.progress,
            note=self._say_once,
            compiled=self.compiled,
        )

    def blank(self, cell: Cell) -> ResultRow:
        """The row of a cell before it is run: what it is of, and its fingerprint."""
        split = self.splits[cell.seed]
        method = cell.method if cell.fraction is None else cell.method.resolve(cell.fraction)
        reads = Demand.of(method, self.spec.proxy.epochs)
        uses_proxy = bool(method.needs | method.needs_val)
        what = {
            "dataset": self.data.name,
            "seed": cell.seed,
            "n": len(split.train),
            "q": len(split.val),
            "method_spec": method.spec(),
            "fraction": cell.fraction,
            "target_net": cell.net,
            "target_recipe": to_dict(self.spec.target),
        }
        proxy = identity(self.proxy_spec(cell.seed)) if uses_proxy else None
        return ResultRow(
            **what,
            fingerprint=fingerprint(what, proxy, self.data_of(cell.seed).fingerprint, self.spec.val_fraction),
            method=method.name,
            label=cell.method.label(),
            is_selection=method.is_selection,
            proxy_net=self.spec.proxy_net if uses_proxy else None,
            recording=method.mode if uses_proxy else None,
            proxy_recipe=to_dict(self.spec.proxy) if uses_proxy else None,
            batch=self.spec.target.batch,
            n_test=len(self.data.test),
            reads=dataclasses.asdict(reads),
            repeats={"runs": method.repeats_needed - 1, "epochs": method.repeat_epochs},
        )

    def proxy_spec(self, seed: int, repeat: int = 0) -> ProxySpec:
        """What the proxy run of a seed is, or one of its short repeats (1, 2, ...)."""
        stop = max(method.repeat_epochs for method in self._repeating(repeat)) if repeat else None
        return ProxySpec(
            dataset=self.data.name,
            data_fingerprint=self.data_of(seed).fingerprint,
            net=self.spec.proxy_net,
            train=self.spec.proxy,
            val_fraction=self.spec.val_fraction,
            seed=seed,
            repeat=repeat,
            stop=stop,
        )

    def recording_of(self, repeat: int = 0) -> Recording:
        """What the proxy run remembers, or one of its short repeats."""
        return Recording.of_repeats(self._repeating(repeat)) if repeat else self.recording

    def _repeating(self, repeat: int) -> list[CoresetMethod]:
        """The methods that read the repeat of this number."""
        return [method for method in self.spec.methods if method.repeats_needed > repeat]

    def proxy(self, seed: int, repeat: int = 0) -> ProxyRun:
        """The proxy run of a seed, or one of its short repeats: stored or trained now."""
        spec, recording = self.proxy_spec(seed, repeat), self.recording_of(repeat)
        if self.proxy_folder is not None and not repeat:
            return load_named(Path(self.proxy_folder.replace("{seed}", str(seed))), spec, recording)
        what = f"repeat {repeat}" if repeat else "proxy"
        with self.progress.bar(spec.epochs, f"seed {seed}: {what} epochs") as step:
            return obtain_proxy(
                self.folder / "proxies",
                self.data_of(seed),
                self.splits[seed],
                spec,
                recording,
                device=self.device,
                say=self.progress.say,
                progress=lambda epoch: step(),
                compiled=self.compiled,
            )

    def selection_name(self, seed: int) -> str:
        """How the folders of a seed's selections begin."""
        return f"{self.data.name}-seed{seed}"

    def selection_folder(self, seed: int, method: CoresetMethod) -> Path:
        """Where the selections and scores of a method under a seed are."""
        identified = bare_identity(self.data_of(seed), self.spec.val_fraction, seed)
        if method.needs | method.needs_val:
            identified = identity(self.proxy_spec(seed))
        return selection_folder(self.folder / "selections", self.selection_name(seed), method, identified)

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
            self.blank(cell),
            status="failed",
            error=detail,
            measured={"finished": finished},
            provenance=provenance(self.device, compiled=self.compiled),
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
