"""What the cells of one seed share: the pool, the proxy run and its short repeats, the selections."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from deepcore.checks import DeepcoreError
from deepcore.data.record import LabeledData
from deepcore.demand import Demand
from deepcore.method import CoresetMethod
from deepcore.proxy import ProxyRun
from deepcore.recorder import Recording
from deepcore.selecting import Cache, Selected, select_and_save
from deepcore.selection import Budget
from deepcore.split import Split

if TYPE_CHECKING:
    from deepcore.harness import Harness


class SeedRuns:
    """The proxy runs of a seed, each trained when first needed, and the selections made from them."""

    def __init__(self, harness: Harness, seed: int) -> None:
        self.harness, self.seed = harness, seed
        self._proxies: dict[int, ProxyRun | DeepcoreError] = {}
        self._selected: dict[tuple[CoresetMethod, float | None], Selected] = {}
        self._scores: Cache = {}

    def of(self, method: CoresetMethod) -> ProxyRun:
        """The run that `method` reads: the seed's proxy with the repeats asked for, or the bare pool when it
        reads none."""
        if not (method.needs | method.needs_val):
            data = self.harness.data_of(self.seed)
            return bare_run(data, self.harness.splits[self.seed], self.harness.spec.val_fraction)
        run = self._proxy(0)
        repeats = tuple(self._proxy(r) for r in range(1, method.repeats_needed))
        return dataclasses.replace(run, repeats=repeats, device=self.harness.device)

    def _proxy(self, repeat: int) -> ProxyRun:
        """One divergence fails every row that needs the run, without another try."""
        if repeat not in self._proxies:
            try:
                self._proxies[repeat] = self.harness.proxy(self.seed, repeat)
            except DeepcoreError as error:
                self._proxies[repeat] = error
        run = self._proxies[repeat]
        if isinstance(run, DeepcoreError):
            raise run
        return run

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
                name=self.harness.selection_name(self.seed),
                device=self.harness.device,
                paths=self.harness.data.paths,
            )
        return self._selected[method, fraction]


def bill_of(run: ProxyRun, repeat_epochs: int) -> dict[str, dict[str, Any]]:
    """What a row says of the proxy run that it read: passes, FLOPs per example, seconds, peak bytes.

    The shared run is given whole. Of the short repeats it is the first `repeat_epochs` epochs, since they are
    the method's own; a repeat that another method made longer has the same passes in every epoch.
    """
    bill: dict[str, dict[str, Any]] = {
        "passes": {},
        "flops_per_example": {},
        "seconds": {"proxy": 0.0, "record": 0.0},
        "peak_bytes": {"proxy": 0},
    }
    if run.costs:
        bill["passes"]["proxy"] = run.costs["passes"]
        bill["flops_per_example"]["proxy"] = run.costs["flops_per_example"]
        bill["seconds"] = {"proxy": run.costs["seconds"]["train"], "record": run.costs["seconds"]["record"]}
        bill["peak_bytes"]["proxy"] = run.costs["peak_bytes"]
    if run.repeats:
        read = [(repeat.costs, min(repeat_epochs, repeat.epochs), repeat.epochs) for repeat in run.repeats]
        bill["passes"]["repeats"] = {
            kind: sum(costs["passes"][kind] * part // whole for costs, part, whole in read)
            for kind in run.repeats[0].costs["passes"]
        }
        bill["seconds"]["repeats"] = sum(
            sum(costs["seconds"].values()) * part / whole for costs, part, whole in read
        )
        bill["peak_bytes"]["repeats"] = max(costs["peak_bytes"] for costs, _, _ in read)
    return bill


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
        spec={"identity": bare_identity(data, val_fraction, split.seed)},
    )


def bare_identity(data: LabeledData, val_fraction: float, seed: int) -> dict[str, Any]:
    """What two splits must share to be the same."""
    return {
        "dataset": data.name,
        "data_fingerprint": data.fingerprint,
        "val_fraction": val_fraction,
        "seed": seed,
    }
