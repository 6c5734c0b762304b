"""What an experiment is going to do, as plain data that is computed once and handed down.

`make_plan` splits the data, cuts a long tail or flips labels where it is asked for, and lists the proxy runs
and the cells (one target training each). Everything that follows, from the checks before the first training
to the report, reads the plan; nothing goes back to whoever runs it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from deepcore.common.identity import fingerprint, to_dict
from deepcore.data.label_noise import flip
from deepcore.data.long_tail import cut_tail
from deepcore.data.record import LabeledData
from deepcore.data.split import Split, make_split
from deepcore.experiment.rows import ResultRow
from deepcore.experiment.spec import ExperimentSpec
from deepcore.experiment.tail_record import tail_record
from deepcore.proxy.recording import Recording
from deepcore.proxy.run import ProxyRun
from deepcore.proxy.spec import ProxySpec, identity
from deepcore.proxy.use import ProxyUse
from deepcore.selection.method import CoresetMethod
from deepcore.selection.needs import (
    reads_proxy,
    recording_of,
    recording_of_own,
    recording_of_repeats,
    use_of,
)
from deepcore.selection.own_run import OwnRun
from deepcore.selection.store import selection_folder


@dataclass(frozen=True)
class Cell:
    """One planned row: a method at a fraction (None where it fixes its own size), a target network and a
    seed."""

    seed: int
    method: CoresetMethod
    fraction: float | None
    net: str


@dataclass(frozen=True)
class SeedData:
    """The data set as one seed sees it.

    Attributes:
        split: the candidates, cut to the long tail, and the validation rows.
        data: the data set with the seed's label noise; the data set itself without noise or long tail.
        flipped: ids of the candidates whose labels were flipped, sorted.
        pool: the candidates and validation rows as a run without any recording.
    """

    split: Split
    data: LabeledData
    flipped: np.ndarray
    pool: ProxyRun


# Of a seed's proxy runs: 0 for the shared one, 1, 2, ... for its short repeats, or what methods ask for
# themselves.
Which = int | OwnRun


@dataclass(frozen=True)
class ProxyTask:
    """A proxy run of the plan.

    Attributes:
        seed, which: identify it.
        spec, recording: what is trained and what is recorded.
        split: the rows that it is trained and validated on.
    """

    seed: int
    which: Which
    spec: ProxySpec
    recording: Recording
    split: Split

    @property
    def is_shared(self) -> bool:
        """Whether it is the one run of its seed that all methods may read."""
        return self.which == 0

    @property
    def title(self) -> str:
        """For lines: "proxy", "repeat 1 of the proxy", "proxy on validation"."""
        if isinstance(self.which, OwnRun):
            return f"proxy on {self.which.name}"
        return f"repeat {self.which} of the proxy" if self.which else "proxy"


@dataclass(frozen=True)
class Runtime:
    """Where and how a plan is run; none of it changes a result.

    Attributes:
        folder: everything is kept in it: `proxies/`, `selections/`, `rows/`.
        device: where networks and data live.
        proxy_folder: a stored proxy run to use instead of looking in `folder`; may contain {seed}.
        compiled: run the networks through torch.compile.
        devices: the GPUs that worker processes divide among themselves; empty for `device` alone.
    """

    folder: Path
    device: torch.device
    proxy_folder: str | None = None
    compiled: bool = False
    devices: tuple[torch.device, ...] = ()


@dataclass(frozen=True)
class Plan:
    """An experiment with everything that is fixed before it runs.

    Attributes:
        spec: the experiment.
        data: the data set, without label noise; its `test` part is read once per row.
        seeds: the data of each seed.
        proxies: every proxy run that some method reads, by (seed, which).
        cells: the rows to be, in the order in which they are run: seed by seed.
    """

    spec: ExperimentSpec
    data: LabeledData
    seeds: Mapping[int, SeedData]
    proxies: Mapping[tuple[int, Which], ProxyTask]
    cells: tuple[Cell, ...]

    def proxies_of(self, cells: Iterable[Cell]) -> list[ProxyTask]:
        """The proxy runs, repeats too, that these cells read, seed by seed in the order in which they are
        needed."""
        wanted: dict[int, dict[Which, None]] = {}
        for cell in cells:
            if runs := runs_read(cell.method):
                wanted.setdefault(cell.seed, {}).update(dict.fromkeys(runs))
        return [self.proxies[seed, which] for seed, runs in wanted.items() for which in runs]

    def read_by(self, method: CoresetMethod, seed: int) -> ProxyTask | None:
        """The proxy run that a method reads, repeats apart; None where it reads none."""
        runs = runs_read(method)
        return self.proxies[seed, runs[0]] if runs else None

    def use_of(self, method: CoresetMethod, seed: int) -> ProxyUse:
        """The part of it that the method reads."""
        use, task = use_of(method, self.spec.proxy.epochs), self.read_by(method, seed)
        rows = len(task.split.train) if task is not None and use.own == "share" else 0
        return dataclasses.replace(use, rows=rows)

    def blank_row(self, cell: Cell) -> ResultRow:
        """The row of a cell before it is run: what it is of, and its fingerprint."""
        of_seed, spec = self.seeds[cell.seed], self.spec
        method = cell.method if cell.fraction is None else cell.method.resolve(cell.fraction)
        task = self.read_by(method, cell.seed)
        what = {
            "dataset": self.data.name,
            "seed": cell.seed,
            "n": len(of_seed.split.train),
            "q": len(of_seed.split.val),
            "method_spec": method.spec(),
            "fraction": cell.fraction,
            "target_net": cell.net,
            "target_recipe": to_dict(spec.target),
        }
        proxy = identity(task.spec) if task else None
        return ResultRow(
            **what,
            fingerprint=fingerprint(what, proxy, of_seed.data.fingerprint, spec.val_fraction),
            method=method.name,
            label=cell.method.label(),
            is_selection=method.is_selection,
            proxy_net=spec.proxy_net if task else None,
            recording=method.mode if task else None,
            proxy_recipe=to_dict(task.spec.train) if task else None,
            batch=spec.target.batch,
            n_test=len(self.data.test),
            reads=self.use_of(method, cell.seed).to_dict(),
            repeats={"runs": method.repeats_needed - 1, "epochs": method.repeat_epochs},
            long_tail=tail_record(spec.long_tail, self.clean_labels(cell.seed)),
        )

    def clean_labels(self, seed: int) -> np.ndarray:
        """(N,) labels of a seed's candidates as they were before some were flipped."""
        return self.data.train.labels[self.seeds[seed].split.train]

    def selection_name(self, seed: int) -> str:
        """How the folders of a seed's selections begin."""
        return f"{self.data.name}-seed{seed}"

    def selection_folder(self, folder: Path, seed: int, method: CoresetMethod) -> Path:
        """Where the selections and scores of a method under a seed are, in the folder of the experiment."""
        identified = split_identity(self.seeds[seed].data, self.spec.val_fraction, seed)
        if task := self.read_by(method, seed):
            identified = identity(task.spec)
        return selection_folder(folder / "selections", self.selection_name(seed), method, identified)


def make_plan(spec: ExperimentSpec, data: LabeledData) -> Plan:
    """Split the data for each seed and list the proxy runs and the cells of an experiment.

    Raises:
        UsageError: a split, a long tail or label noise that cannot be made.
    """
    seeds = {seed: _seed_data(spec, data, seed) for seed in spec.seeds}
    readers = [method for method in spec.methods if reads_proxy(method) and method.own_run is None]
    runs = max((method.repeats_needed for method in readers), default=1)
    proxies: dict[tuple[int, Which], ProxyTask] = {
        (seed, repeat): _proxy_task(spec, readers, seeds[seed], seed, repeat)
        for seed in spec.seeds
        for repeat in range(runs)
    }
    for own in dict.fromkeys(method.own_run for method in spec.methods if method.own_run is not None):
        proxies |= {(seed, own): _own_task(spec, seeds[seed], seed, own) for seed in spec.seeds}
    cells = tuple(
        Cell(seed, method, fraction, net)
        for seed in spec.seeds
        for method in spec.methods
        for fraction in (spec.fractions if method.uses_fraction else (None,))
        for net in spec.nets
    )
    return Plan(spec, data, seeds, proxies, cells)


def runs_read(method: CoresetMethod) -> tuple[Which, ...]:
    """The proxy runs of a seed that a method reads: its own; or the shared one and its repeats; or none."""
    if method.own_run is not None:
        return (method.own_run,)
    return tuple(range(method.repeats_needed)) if reads_proxy(method) else ()


def _seed_data(spec: ExperimentSpec, data: LabeledData, seed: int) -> SeedData:
    split = make_split(data.train.labels, val_fraction=spec.val_fraction, seed=seed)
    data, split = cut_tail(data, split, spec.long_tail)
    flipped = flip(data, split, spec.label_noise)
    pool = pool_of(flipped.data, split, spec.val_fraction)
    return SeedData(split, flipped.data, flipped.rows, pool)


def _proxy_task(
    spec: ExperimentSpec, readers: Sequence[CoresetMethod], of_seed: SeedData, seed: int, repeat: int
) -> ProxyTask:
    repeating = [method for method in readers if method.repeats_needed > repeat]
    stop = max(method.repeat_epochs for method in repeating) if repeat else None
    proxy = ProxySpec(
        dataset=of_seed.data.name,
        data_fingerprint=of_seed.data.fingerprint,
        net=spec.proxy_net,
        train=spec.proxy,
        val_fraction=spec.val_fraction,
        seed=seed,
        repeat=repeat,
        stop=stop,
    )
    recording = recording_of(readers, everything=spec.everything)
    if repeat:
        recording = recording_of_repeats(repeating)
    return ProxyTask(seed, repeat, proxy, recording, of_seed.split)


def _own_task(spec: ExperimentSpec, of_seed: SeedData, seed: int, own: OwnRun) -> ProxyTask:
    data = of_seed.data
    recipe = spec.proxy if own.epochs is None else dataclasses.replace(spec.proxy, epochs=own.epochs)
    proxy = ProxySpec(
        dataset=data.name,
        data_fingerprint=data.fingerprint,
        net=spec.proxy_net,
        train=recipe,
        val_fraction=spec.val_fraction,
        seed=seed,
        rows=own.name,
    )
    asking = [method for method in spec.methods if method.own_run == own]
    split = own.split(of_seed.split, data.train.labels, data.num_classes)
    return ProxyTask(seed, own, proxy, recording_of_own(asking, own), split)


def pool_of(data: LabeledData, split: Split, val_fraction: float) -> ProxyRun:
    """The candidates and validation rows of a split, as a run without any recording."""
    return ProxyRun(
        ids=split.train,
        labels=data.train.labels[split.train],
        num_classes=data.num_classes,
        val_ids=split.val,
        val_labels=data.train.labels[split.val],
        total=len(data.train),
        spec={"identity": split_identity(data, val_fraction, split.seed)},
    )


def split_identity(data: LabeledData, val_fraction: float, seed: int) -> dict[str, Any]:
    """What two splits must share to be the same."""
    return {
        "dataset": data.name,
        "data_fingerprint": data.fingerprint,
        "val_fraction": val_fraction,
        "seed": seed,
    }
