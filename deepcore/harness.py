"""plan -> proxies -> selections -> targets -> rows."""

from __future__ import annotations

import dataclasses
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from deepcore import nets, seeding
from deepcore.checkpoint import Checkpoint
from deepcore.checks import DeepcoreError, StoredMismatch
from deepcore.config import ExperimentSpec, ProxySpec, fingerprint, to_dict
from deepcore.data.record import LabeledData
from deepcore.demand import Demand
from deepcore.files import locked, remove_leftovers
from deepcore.flops import flops_per_example
from deepcore.meter import Meter
from deepcore.method import CoresetMethod
from deepcore.progress import Progress
from deepcore.proxy import ProxyRun
from deepcore.proxy_engine import identity, load_named, obtain_proxy
from deepcore.recorder import Recording
from deepcore.results import ResultRow, RowStore, provenance
from deepcore.selecting import Cache, Selected, select_and_save
from deepcore.selection import Budget
from deepcore.split import Split, make_split
from deepcore.threads import threads_for
from deepcore.train import Plan, class_accuracy, train

TARGET_CHECKPOINT_SECONDS = 60.0  # a target shorter than this is simply run again after a kill
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
    ) -> None:
        self.spec, self.data, self.folder, self.device = spec, data, folder, device
        self.progress, self.proxy_folder = progress, proxy_folder
        self.rows = RowStore(folder / "rows")
        self._said: set[str] = set()
        self.recording = Recording.of(spec.methods, everything=spec.everything)
        self.splits = {
            seed: make_split(data.train.labels, val_fraction=spec.val_fraction, seed=seed)
            for seed in spec.seeds
        }

    def cells(self, seed: int) -> Iterator[Cell]:
        """The cells of one seed, in the order they are run."""
        for method in self.spec.methods:
            for fraction in self.spec.fractions if method.uses_fraction else (None,):
                for net in self.spec.nets:
                    yield Cell(seed, method, fraction, net)

    def size(self, cell: Cell) -> int:
        """The rows that the target of a cell will train on; the whole pool where only the selection tells.

        Raises:
            UsageError: a subset that cannot be of this data.
        """
        split = self.splits[cell.seed]
        budget = Budget.of(1.0 if cell.fraction is None else cell.fraction, len(split.train))
        if cell.method.uses_fraction or cell.method.needs | cell.method.needs_val:
            return budget.k
        run = bare_run(self.data, split, self.spec.val_fraction)
        return len(cell.method.select(run, budget, np.random.default_rng(0)).rows)

    def pending(self) -> list[Cell]:
        """The cells without a finished row."""
        every = (cell for seed in self.spec.seeds for cell in self.cells(seed))
        return [cell for cell in every if self.rows.finished(self.blank(cell)) is None]

    def run(self) -> list[ResultRow]:
        """All rows of the grid, in order; those that failed carry their error.

        Raises:
            StoredMismatch: something stored is damaged or does not fit; nothing was overwritten.
            OSError: the disk is full or cannot be written; finished rows stay.
        """
        with locked(self.folder):
            remove_leftovers(self.folder, PARTS)
            rows = []
            with self.progress.bar(len(self.pending()), "targets") as advance:
                for seed in self.spec.seeds:
                    rows += self._run_seed(seed, advance)
            return rows

    def _run_seed(self, seed: int, advance: Callable[[], None]) -> list[ResultRow]:
        runs = _Runs(self, seed)
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

    def _run_cell(self, cell: Cell, runs: _Runs) -> ResultRow:
        """Select, train a fresh target on the selection, test it once."""
        run = runs.of(cell.method)
        selected = runs.selected(cell.method, cell.fraction)
        rows = np.sort(selected.selection.rows)
        weights = selected.selection.weights
        if weights is not None:
            weights = weights[np.argsort(selected.selection.rows)]
        seed = seeding.key(cell.seed, "target")
        net = nets.build(cell.net, self.data.train.shape, self.data.num_classes, seed=seed)
        self._say_notes(net.notes)
        target_flops = flops_per_example(net, self.data.train.shape)
        blank = self.blank(cell)
        meter = Meter(self.device)
        checkpoint = Checkpoint(
            self.folder / f"target-{blank.fingerprint}.pt", every_seconds=TARGET_CHECKPOINT_SECONDS
        )
        with meter.peak(), threads_for(target_flops["forward"]):
            with self.progress.bar(Plan.of(len(rows), self.spec.target).epochs, f"{cell.net} epochs") as step:
                result = train(
                    net,
                    self.data.train,
                    rows,
                    self.spec.target,
                    seed=seed,
                    device=self.device,
                    meter=meter,
                    weights=weights,
                    checkpoint=checkpoint,
                    progress=lambda epoch: step(),
                )
            with meter.timed("test"):
                accuracy, per_class = class_accuracy(
                    net, self.data.test, self.data.num_classes, device=self.device, meter=meter
                )
        proxy_costs = run.costs
        flops = {"target": target_flops}
        if proxy_costs:
            flops["proxy"] = proxy_costs["flops_per_example"]
        proxy_seconds = proxy_costs.get("seconds", {})
        row = dataclasses.replace(
            blank,
            k=len(rows),
            epochs=result.epochs,
            steps=result.steps,
            accuracy=accuracy,
            class_accuracy=per_class,
            passes={"target": meter.passes, **({"proxy": proxy_costs["passes"]} if proxy_costs else {})},
            flops_per_example=flops,
            proxy_run=run.folder.name if run.folder else None,
            recorded=dataclasses.asdict(recorded_by(run)),
            signal_bytes=selected.signal_bytes,
            notes=list(selected.selection.notes),
            measured={
                "seconds": {
                    "proxy": proxy_seconds.get("train", 0.0),
                    "record": proxy_seconds.get("record", 0.0),
                    "score": selected.score_seconds,
                    "select": selected.select_seconds,
                    **meter.seconds,
                },
                "peak_bytes": {
                    "proxy": proxy_costs.get("peak_bytes", 0),
                    **selected.peak_bytes,
                    "target": meter.peak_bytes,
                },
                "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            },
            provenance=provenance(self.device),
        )
        checkpoint.remove()
        return row

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
            fingerprint=fingerprint(what, proxy, self.data.fingerprint, self.spec.val_fraction),
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

    def proxy_spec(self, seed: int) -> ProxySpec:
        """What the proxy run of a seed is."""
        return ProxySpec(
            dataset=self.data.name,
            data_fingerprint=self.data.fingerprint,
            net=self.spec.proxy_net,
            train=self.spec.proxy,
            val_fraction=self.spec.val_fraction,
            seed=seed,
        )

    def proxy(self, seed: int) -> ProxyRun:
        """The proxy run of a seed: stored or trained now."""
        spec = self.proxy_spec(seed)
        if self.proxy_folder is not None:
            return load_named(Path(self.proxy_folder.replace("{seed}", str(seed))), spec, self.recording)
        with self.progress.bar(self.spec.proxy.epochs, f"seed {seed}: proxy epochs") as step:
            return obtain_proxy(
                self.folder / "proxies",
                self.data,
                self.splits[seed],
                spec,
                self.recording,
                device=self.device,
                say=self.progress.say,
                progress=lambda epoch: step(),
            )

    def _say_notes(self, notes: tuple[str, ...]) -> None:
        """What is to be known of a network, once per run of the grid."""
        for note in notes:
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
            provenance=provenance(self.device),
        )

    def _tell(self, row: ResultRow) -> None:
        size = "" if row.fraction is None else f" {100 * row.fraction:.10g}%"
        what = f"seed {row.seed}: {row.label}{size}, {row.target_net}"
        if row.status != "ok":
            self.progress.say(f"{what} failed: {row.error.splitlines()[-1]}")
            return
        self.progress.say(f"{what} on {row.k:,} rows: {100 * row.accuracy:.2f}%")
        for note in row.notes:
            self.progress.say(f"    {note}")


class _Runs:
    """What the cells of one seed share: the pool, the proxy run (trained when first needed), the
    selections."""

    def __init__(self, harness: Harness, seed: int) -> None:
        self.harness, self.seed = harness, seed
        self._proxy: ProxyRun | DeepcoreError | None = None
        self._selected: dict[tuple[CoresetMethod, float | None], Selected] = {}
        self._scores: Cache = {}

    def of(self, method: CoresetMethod) -> ProxyRun:
        """The run that `method` reads: the seed's proxy, or the bare pool when it reads none."""
        if not (method.needs | method.needs_val):
            return bare_run(self.harness.data, self.harness.splits[self.seed], self.harness.spec.val_fraction)
        if self._proxy is None:
            try:
                self._proxy = self.harness.proxy(self.seed)
            except (
                DeepcoreError
            ) as error:  # one divergence fails every row that needed it, without another try
                self._proxy = error
        if isinstance(self._proxy, DeepcoreError):
            raise self._proxy
        return self._proxy

    def selected(self, method: CoresetMethod, fraction: float | None) -> Selected:
        """The selection of a method at a fraction, made once for all target nets."""
        if (method, fraction) not in self._selected:
            run = self.of(method)
            budget = Budget.of(1.0 if fraction is None else fraction, len(run.ids))
            self._selected[method, fraction] = select_and_save(
                method,
                run,
                budget,
                seed=self.seed,
                cache=self._scores,
                folder=self.harness.folder / "selections",
                name=f"{self.harness.data.name}-seed{self.seed}",
                device=self.harness.device,
                paths=self.harness.data.paths,
            )
        return self._selected[method, fraction]


def recorded_by(run: ProxyRun) -> Demand:
    """What a stored run went through, whoever reads it; nothing for the bare pool."""
    if run.folder is None:
        return Demand()
    return Recording.from_dict(run.spec["recording"]).demand(run.epochs)


def bare_run(data: LabeledData, split: Split, val_fraction: float) -> ProxyRun:
    """The pool of a split without any recording."""
    return ProxyRun(
        ids=split.train,
        labels=data.train.labels[split.train],
        num_classes=data.num_classes,
        val_ids=split.val,
        val_labels=data.train.labels[split.val],
        spec={
            "identity": {
                "dataset": data.name,
                "data_fingerprint": data.fingerprint,
                "val_fraction": val_fraction,
                "seed": split.seed,
            }
        },
    )
