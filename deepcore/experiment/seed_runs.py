"""What the cells of one seed share: the proxy run and its short repeats, the scores and the selections."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from deepcore.common.meter import Meter
from deepcore.common.progress import Progress
from deepcore.experiment.plan import Plan, ProxyTask, Runtime, Which, runs_read
from deepcore.proxy.engine import check_rows, load_named, obtain_proxy, restore_network
from deepcore.proxy.recording import Recording
from deepcore.proxy.run import ProxyRun
from deepcore.proxy.use import ProxyUse
from deepcore.selection.budget import Budget
from deepcore.selection.method import CoresetMethod
from deepcore.selection.scored import Scores, Selected, select_and_save

QUIET = Progress(quiet=True)


class SeedRuns:
    """The proxy runs of a seed, found or trained when first needed, and the selections made from them."""

    def __init__(self, plan: Plan, runtime: Runtime, seed: int) -> None:
        self.plan, self.runtime, self.seed = plan, runtime, seed
        self._proxies: dict[Which, ProxyRun] = {}
        self._selected: dict[tuple[CoresetMethod, float | None], Selected] = {}
        self._scores: Scores = {}

    def of(self, method: CoresetMethod) -> ProxyRun:
        """The run that `method` reads: the seed's proxy with the repeats it asks for, or the pool alone when
        it reads none; the pool with the method's own run where it asks for one."""
        pool, device = self.plan.seeds[self.seed].pool, self.runtime.device
        wanted = runs_read(method)
        if not wanted:
            return pool
        meter, data = Meter(device), self.plan.seeds[self.seed].data
        stored = self.proxy(wanted[0])
        run = dataclasses.replace(
            stored,
            repeats=tuple(self.proxy(which) for which in wanted[1:]),
            device=device,
            meter=meter,
            network=lambda trained: restore_network(
                stored, data, device=device, meter=meter, trained=trained
            ),
        )
        if method.own_run is None:
            return run
        return dataclasses.replace(pool, own=run, spec=run.spec, device=device, meter=meter)

    def proxy(self, which: Which, progress: Progress = QUIET, *, overlapped: bool = False) -> ProxyRun:
        """One of the seed's proxy runs: stored, or trained now."""
        if which not in self._proxies:
            task = self.plan.proxies[self.seed, which]
            run = proxy_run(self.plan, self.runtime, progress, task, overlapped=overlapped)
            self._proxies[which] = run
        return self._proxies[which]

    def selected(self, method: CoresetMethod, fraction: float | None) -> Selected:
        """The selection of a method at a fraction, made once for all target networks."""
        if (method, fraction) not in self._selected:
            run = self.of(method)
            budget = Budget.of(1.0 if fraction is None else fraction, len(run.ids))
            self._selected[method, fraction] = select_and_save(
                method,
                run,
                budget,
                seed=self.seed,
                scores=self._scores,
                folder=self.runtime.folder / "selections",
                name=self.plan.selection_name(self.seed),
                device=self.runtime.device,
                paths=self.plan.data.paths,
            )
        return self._selected[method, fraction]


def proxy_run(
    plan: Plan, runtime: Runtime, progress: Progress, task: ProxyTask, *, overlapped: bool = False
) -> ProxyRun:
    """A proxy run of the plan: stored, or trained now."""
    of_seed = plan.seeds[task.seed]
    if runtime.proxy_folder is not None and task.is_shared:
        folder = Path(runtime.proxy_folder.replace("{seed}", str(task.seed)))
        run = load_named(folder, task.spec, task.recording)
        remedy = "change the flags that differ, or leave out --proxy_run"
        check_rows(run, task.split, of_seed.data.train.labels, remedy)
        return run
    proxies = runtime.folder / "proxies"
    proxies.mkdir(exist_ok=True)  # not its parents: where they are gone, so is what was done before
    with progress.bar(task.spec.epochs, f"seed {task.seed}: {task.title} epochs") as step:
        run = obtain_proxy(
            proxies,
            of_seed.data,
            task.split,
            task.spec,
            task.recording,
            device=runtime.device,
            say=progress.say,
            progress=lambda epoch: step(),
            compiled=runtime.compiled,
            overlapped=overlapped,
        )
    check_rows(run, task.split, of_seed.data.train.labels)
    return run


def proxy_costs(run: ProxyRun, repeat_epochs: int) -> dict[str, dict[str, Any]]:
    """A row's entry on the proxy run that it read: passes, FLOPs per example, seconds, peak bytes.

    The shared run is given whole. Of the short repeats only the first `repeat_epochs` epochs count: those
    are the method's own; a repeat that another method made longer has the same passes in every epoch.
    """
    costs: dict[str, dict[str, Any]] = {
        "passes": {},
        "flops_per_example": {},
        "seconds": {"proxy": 0.0, "record": 0.0},
        "peak_bytes": {"proxy": 0},
    }
    if run.costs:
        costs["passes"]["proxy"] = run.costs["passes"]
        costs["flops_per_example"]["proxy"] = run.costs["flops_per_example"]
        costs["seconds"] = {"proxy": run.costs["seconds"]["train"], "record": run.costs["seconds"]["record"]}
        costs["peak_bytes"]["proxy"] = run.costs["peak_bytes"]
    if run.repeats:
        read = [(repeat.costs, min(repeat_epochs, repeat.epochs), repeat.epochs) for repeat in run.repeats]
        costs["passes"]["repeats"] = {
            kind: sum(of_run["passes"][kind] * part // whole for of_run, part, whole in read)
            for kind in run.repeats[0].costs["passes"]
        }
        costs["seconds"]["repeats"] = sum(
            sum(of_run["seconds"].values()) * part / whole for of_run, part, whole in read
        )
        costs["peak_bytes"]["repeats"] = max(of_run["peak_bytes"] for of_run, _, _ in read)
    return costs


def recorded_by(run: ProxyRun) -> ProxyUse:
    """What was recorded in a stored run, whoever reads it; nothing for the pool alone."""
    if run.folder is None:
        return ProxyUse()
    spec = run.spec["identity"]
    rows = spec.get("rows")
    if rows == "validation":
        return ProxyUse(spec["train"]["epochs"], own=rows)
    use = Recording.from_dict(run.spec["recording"]).use(run.epochs)
    return dataclasses.replace(use, own="share", rows=len(run.ids)) if rows else use
