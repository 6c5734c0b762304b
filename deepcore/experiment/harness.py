"""Runs a plan: its proxy runs and cells as tasks, side by side where there is room, into result rows."""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import functools
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path

import torch

from deepcore.common.files import REPORT_LOCK, locked, remove_leftovers
from deepcore.common.pools import LokyPool, Pool, SerialPool
from deepcore.common.progress import Progress
from deepcore.data.record import LabeledData
from deepcore.experiment.far import TOKEN, proxy_files, run_far, take_back
from deepcore.experiment.jobs import jobs_that_pay
from deepcore.experiment.plan import Cell, ProxyTask, Runtime, make_plan
from deepcore.experiment.preflight import ProxyState, check_methods, check_resources, proxy_states
from deepcore.experiment.provenance import code_of, module_of
from deepcore.experiment.rows import CODE, NET_CODE, PROXY_CODE, ResultRow, RowStore
from deepcore.experiment.spec import ExperimentSpec
from deepcore.experiment.tasks import Done, Task, Work, failed_row, run_in_worker, run_task
from deepcore.experiment.waiting import Waiting
from deepcore.nets.networks import NETS
from deepcore.training.compiling import check_compiler
from deepcore.training.precision import check_precision

PARTS = ("proxies", "selections", "rows", "tables")  # of the folder of an experiment
PRELOAD = ("deepcore.experiment.tasks", "methods")  # what a worker imports as it starts


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
        jobs: trainings that run side by side, each in a process of its own; None for as many as pay; 1 for
            this process alone. Rows do not depend on it.
        pool: worker processes that were started already, or those of a cluster; closed when the run ends.
        devices: GPUs that worker processes divide among themselves.
        meanwhile: called once, as soon as a worker process has nothing to do: for what the caller will need.

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
        jobs: int | None = 1,
        pool: Pool | None = None,
        devices: tuple[torch.device, ...] = (),
        meanwhile: Callable[[], object] = lambda: None,
    ) -> None:
        check_precision(spec.target.precision, device)
        if compiled:
            check_compiler(device)
        self.plan = make_plan(spec, data)
        self.runtime = Runtime(folder, device, proxy_folder, compiled, devices)
        self.progress = progress
        self.rows = RowStore(folder / "rows")
        self._jobs, self._pool, self._meanwhile = jobs, pool, meanwhile
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
            WorkerLost: a worker process was killed; finished rows stay.
            OSError: the disk is full or cannot be written; finished rows stay.
        """
        with contextlib.ExitStack() as stack:
            if self._pool is not None:
                stack.callback(self._pool.close)
            stack.enter_context(locked(self.runtime.folder))
            with locked(self.runtime.folder, name=REPORT_LOCK):  # another command may write its report
                remove_leftovers(self.runtime.folder, PARTS)
            stack.callback(remove_leftovers, self.runtime.folder, ())
            rows = {cell: self.rows.finished(self.plan.blank_row(cell)) for cell in self.plan.cells}
            twins: dict[str, list[Cell]] = {}  # cells whose resolved fields give the same row
            for cell, row in rows.items():
                if row is None:
                    twins.setdefault(self.plan.blank_row(cell).fingerprint, []).append(cell)
            self._say_changed(rows)
            pending = [cells[0] for cells in twins.values()]
            states = proxy_states(self.plan, self.runtime, pending)
            proxies = [state.task for state in states if state.state != "found"]
            self._say_found(states)
            pool = self._choose_pool(pending, proxies)
            stack.callback(pool.close)
            check_resources(self.plan, self.runtime, pending, states, jobs=pool.slots)
            if pending and self.plan.data.cache:
                self.plan.data.cache.build(self.progress)
            with self.progress.bar(len(pending), "targets") as advance:
                for row in self._run_tasks(pool, pending, proxies):
                    for twin in twins[row.fingerprint]:
                        rows[twin] = dataclasses.replace(row, label=twin.method.label())
                    self._tell(row)
                    advance()
            return [row for row in rows.values() if row is not None]

    def _choose_pool(self, cells: Sequence[Cell], proxies: Sequence[ProxyTask]) -> Pool:
        """The workers at hand, new ones, or this process."""
        jobs = self._jobs
        if jobs is None:
            jobs = jobs_that_pay(self.plan, cells, proxies) if self.runtime.device.type == "cpu" else 1
        if not cells or (jobs == 1 and (self._pool is None or self._jobs is None)):
            return SerialPool()
        pool = self._pool or LokyPool(jobs, PRELOAD)
        self.progress.say(f"{pool.slots} trainings side by side (--jobs)")
        return pool

    def _run_tasks(
        self, pool: Pool, cells: Sequence[Cell], proxies: Sequence[ProxyTask]
    ) -> Iterator[ResultRow]:
        """The rows of `cells` as they are finished. A cell is begun when the proxy runs that it reads are
        there; it fails with the error of one that could not be had."""
        used = {self.plan.spec.proxy_net, *self.plan.spec.nets} & NETS.keys()
        nets = {name: NETS[name] for name in sorted(used)}
        codes = {cell.method.name: code_of(type(cell.method)) for cell in cells}
        net_codes = {name: code_of(net) for name, net in nets.items()}
        key = uuid.uuid4().hex
        work = Work(self.plan, self.runtime, key, torch.get_num_threads(), nets, codes, net_codes)
        handle = pool.share(work)
        if pool.is_far:
            (self.runtime.folder / (TOKEN + work.key)).touch()
        waiting = Waiting(cells, proxies, longest_first=not pool.is_here)
        running: dict[Future, Task] = {}
        meanwhile = None if pool.is_here else self._meanwhile
        while waiting or running:
            while len(running) < pool.slots and (task := waiting.next(seed_by_seed=pool.is_here)) is not None:
                running[self._submit(pool, handle, task, waiting, len(running))] = task
            if len(running) < pool.slots and meanwhile is not None:
                meanwhile()
                meanwhile = None
            finished, _ = concurrent.futures.wait(running, return_when=concurrent.futures.FIRST_COMPLETED)
            stop = None
            for future in finished:
                task, done = running.pop(future), future.result()
                if done.wants_files:
                    files = proxy_files(self.runtime.folder, self.plan.proxies_of([task]))
                    running[pool.submit(run_far, handle, task, files)] = task
                    continue
                take_back(self.runtime.folder, done.files)
                for line in done.lines:
                    self._say_once(line)
                if done.stop is not None:  # after the others that are finished, whose rows are kept
                    stop = done.stop
                    continue
                if isinstance(task, Cell):
                    yield done.row
                    continue
                for cell in waiting.release(task, failed=done.error is not None):
                    row = failed_row(work, cell, done.error)
                    self.rows.save(row)
                    yield row
            if stop is not None:
                raise stop

    def _submit(self, pool: Pool, handle: object, task: Task, waiting: Waiting, others: int) -> Future[Done]:
        if pool.is_here:
            return pool.submit(run_task, handle, task, self.progress)
        spare = isinstance(task, ProxyTask) and waiting.leaves_room(task, others, pool.slots)
        run = run_far if pool.is_far else run_in_worker
        return pool.submit(functools.partial(run, overlapped=spare), handle, task)

    def _say_found(self, states: Sequence[ProxyState]) -> None:
        for task, _, _, folder in states:
            if folder is not None:
                self.progress.say(f"seed {task.seed}: {task.title} found in {folder}")

    def _say_changed(self, rows: Mapping[Cell, ResultRow | None]) -> None:
        """Which finished rows come from other code of their method or network: a row is identified by names
        and fields."""
        for cell, row in rows.items():
            if row is None:
                continue
            made_by = {
                CODE: (row.method, type(cell.method)),
                NET_CODE: (row.target_net, NETS.get(row.target_net)),
                PROXY_CODE: (row.proxy_net, NETS.get(row.proxy_net)),
            }
            for kind, (name, code) in made_by.items():
                held = row.provenance.get(kind)
                if held is not None and held != code_of(code):
                    self._say_once(
                        f"{name}: {module_of(code)} has changed since its stored rows were made, and they "
                        "are shown as they are; for new ones give another --save_path"
                    )

    def _say_once(self, note: str) -> None:
        """A line that need not be read twice."""
        if note not in self._said:
            self._said.add(note)
            self.progress.say(note)

    def _tell(self, row: ResultRow) -> None:
        size = "" if row.fraction is None else f" {100 * row.fraction:.10g}%"
        what = f"seed {row.seed}: {row.label}{size}, {row.target_net}"
        if row.status != "ok":
            self.progress.say(f"{what} failed: {row.error.splitlines()[-1]}")
            return
        self.progress.say(f"{what} on {row.k:,} rows: {100 * row.accuracy:.2f}%")
        for note in row.notes:
            self._say_once(f"    {note}")
