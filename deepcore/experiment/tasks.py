"""The tasks of an experiment: train a proxy run, or run a cell. One function runs either, wherever it is
called: in this process, in a worker process, or on another machine."""

from __future__ import annotations

import dataclasses
import fcntl
import functools
import itertools
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import torch

from deepcore.common.checks import DeepcoreError, StoredMismatch
from deepcore.common.files import share_lock
from deepcore.common.pools import end_without_parent
from deepcore.common.progress import Lines, Progress
from deepcore.experiment.noise_record import noise_record
from deepcore.experiment.plan import Cell, Plan, ProxyTask, Runtime
from deepcore.experiment.provenance import provenance
from deepcore.experiment.rows import CODE, NET_CODE, PROXY_CODE, ResultRow, RowStore
from deepcore.experiment.seed_runs import SeedRuns, proxy_costs, recorded_by
from deepcore.experiment.target import train_target
from deepcore.nets.networks import NETS, Net

Task = ProxyTask | Cell
_HELD: list[BinaryIO] = []  # the lock on this worker's device


@dataclass(frozen=True)
class Work:
    """What every task of an experiment needs.

    Attributes:
        plan, runtime: what is done, where and how.
        key: identifies this run of the plan.
        threads: torch's threads in a worker; networks below 1 MFLOP an example take one of them.
        nets: of the table of networks, those of the experiment: a script may have entered its own.
        codes, net_codes: `code_of` each method and network by its name, as this command has them.
    """

    plan: Plan
    runtime: Runtime
    key: str
    threads: int
    nets: Mapping[str, Callable[..., Net]]
    codes: Mapping[str, str | None]
    net_codes: Mapping[str, str | None]


@dataclass(frozen=True)
class Done:
    """What came of a task.

    Attributes:
        row: of a cell, saved already; its status says whether it failed.
        error: why a proxy run could not be had; its cells fail with it.
        stop: an error that ends the experiment: something stored is damaged, or the disk is full.
        lines: what there was to say.
        files: what a worker left that does not see the folder of the experiment, by path below it.
        wants_files: such a worker asks for the proxy runs that the cell reads.
    """

    row: ResultRow | None = None
    error: Exception | None = None
    stop: Exception | None = None
    lines: list[str] = field(default_factory=list)
    files: Mapping[str, bytes] = field(default_factory=dict)
    wants_files: bool = False


def run_in_worker(work: Work, task: Task, *, overlapped: bool = False) -> Done:
    """`run_task` in a worker process: with the threads of the parent, and lines for it to print."""
    torch.set_num_threads(work.threads)
    share_lock(work.runtime.folder)
    end_without_parent()
    if work.runtime.devices:
        device = claimed_device(work.runtime.folder, work.runtime.devices, work.key)
        work = dataclasses.replace(work, runtime=dataclasses.replace(work.runtime, device=device))
    lines = Lines()
    done = run_task(work, task, lines, overlapped=overlapped)
    return dataclasses.replace(done, lines=lines.said)


@functools.lru_cache(maxsize=1)
def claimed_device(folder: Path, devices: tuple[torch.device, ...], key: str) -> torch.device:
    """The device of this worker until it ends: the first that fewest other workers of the run `key` hold.

    A worker holds a device by a lock on a file of `folder`, which ends with the worker.
    """
    for turn in itertools.count():
        for i, device in enumerate(devices):
            handle = open(folder / f".device-{i}-{turn}-{key}.lock", "ab")  # noqa: SIM115 (held to the end)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                handle.close()
                continue
            _HELD.append(handle)
            return device
    raise AssertionError("unreachable")


def run_task(work: Work, task: Task, progress: Progress, *, overlapped: bool = False) -> Done:
    """Run one task; what goes wrong is in the answer.

    Args:
        work: shared by all tasks.
        task: a proxy run to obtain, or a cell whose proxy runs are stored.
        progress: for lines and bars.
        overlapped: a proxy run may record an epoch beside the training of the next one.
    """
    NETS.update(work.nets)
    runs = _seed_runs(work.key, work, task.seed)
    try:
        if isinstance(task, ProxyTask):
            runs.proxy(task.which, progress, overlapped=overlapped)
            return Done()
        row = run_cell(work, task, runs, progress)
    except (StoredMismatch, OSError) as error:
        return Done(stop=error)
    except Exception as error:
        if isinstance(task, ProxyTask):
            return Done(error=error)
        row = failed_row(work, task, error)
    try:
        RowStore(work.runtime.folder / "rows").save(row)
    except OSError as error:
        return Done(stop=error)
    return Done(row)


@functools.lru_cache(maxsize=2)
def _seed_runs_of(key: str, seed: int) -> list[SeedRuns]:
    return []


def _seed_runs(key: str, work: Work, seed: int) -> SeedRuns:
    """The runs of a seed that this process holds already, or new ones."""
    held = _seed_runs_of(key, seed)
    if not held:
        held.append(SeedRuns(work.plan, work.runtime, seed))
    return held[0]


def run_cell(work: Work, cell: Cell, runs: SeedRuns, progress: Progress) -> ResultRow:
    """Select, train a fresh target on the selection, test it once."""
    plan, runtime = work.plan, work.runtime
    run = runs.of(cell.method)
    selected = runs.selected(cell.method, cell.fraction)
    blank = plan.blank_row(cell)
    checkpoint = runtime.folder / f"target-{blank.fingerprint}-{selected.training_set.digest()}.pt"
    for other in set(runtime.folder.glob(f"target-{blank.fingerprint}*.pt")) - {checkpoint}:
        other.unlink()  # of another selection: the proxy was trained again, elsewhere
    target = train_target(
        cell.net,
        plan.seeds[cell.seed].data,
        selected.training_set,
        plan.spec.target,
        seed=cell.seed,
        device=runtime.device,
        checkpoint=checkpoint,
        progress=progress,
        note=progress.say,
        compiled=runtime.compiled,
    )
    read = run.own or run
    proxy = proxy_costs(read, cell.method.repeat_epochs)
    scoring = {"score": selected.passes} if selected.passes else {}
    flipped = plan.seeds[cell.seed].flipped
    return dataclasses.replace(
        blank,
        k=selected.training_set.size,
        epochs=target.length.epochs,
        steps=target.length.steps,
        accuracy=target.accuracy,
        class_accuracy=target.class_accuracy,
        passes={**proxy["passes"], **scoring, "target": target.meter.passes},
        flops_per_example={**proxy["flops_per_example"], "target": target.flops},
        proxy_run=read.folder.name if read.folder else None,
        recorded=recorded_by(read).to_dict(),
        signal_bytes=selected.signal_bytes,
        notes=list(selected.selection.notes),
        label_noise=noise_record(plan.spec.label_noise, flipped, run.ids, selected.selection),
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
            "finished": _now(),
        },
        provenance={
            **provenance(runtime.device, threads=target.threads, compiled=runtime.compiled),
            CODE: work.codes[cell.method.name],
            NET_CODE: work.net_codes.get(cell.net),
            PROXY_CODE: work.net_codes.get(blank.proxy_net),
        },
    )


def failed_row(work: Work, cell: Cell, error: Exception) -> ResultRow:
    """The row of a failed cell."""
    known = isinstance(error, DeepcoreError)
    return dataclasses.replace(
        work.plan.blank_row(cell),
        status="failed",
        error=str(error) if known else "".join(traceback.format_exception(error)).strip(),
        measured={"finished": _now()},
        provenance=provenance(work.runtime.device, compiled=work.runtime.compiled),
    )


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
