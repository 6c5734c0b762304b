"""Checks before anything is trained: parameters that cannot work, too little memory or disk."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from deepcore.common.checks import UsageError, check_choice
from deepcore.common.resources import available_memory, free_disk
from deepcore.common.units import size
from deepcore.experiment.plan import Cell, Plan, ProxyTask, Runtime
from deepcore.nets import networks as nets
from deepcore.proxy.engine import find_stored
from deepcore.proxy.signals import Signal
from deepcore.selection.budget import Budget
from deepcore.selection.extrapolated import spread_memory
from deepcore.selection.method import CoresetMethod, ScoreMethod
from deepcore.selection.needs import reads_proxy
from deepcore.selection.ranking import ENDS

CPU = torch.device("cpu")
GPU = "memory of the GPU"  # as a place
LIBRARIES = 32 << 20  # bytes that the first use of a library's kernels takes (not what malloc keeps)
SAVING = 640  # bytes a candidate while a selection and its scores are written


class ProxyState(NamedTuple):
    """A proxy run that pending rows read, and its state: "found", "to resume" or "to train"; `disk` is the
    bytes that it is still to write; `folder` is where it is, if it was found."""

    task: ProxyTask
    state: str
    disk: int
    folder: Path | None = None


class Need(NamedTuple):
    """Bytes that a part of the work needs at its peak, and the bytes available.

    Attributes:
        what: the work, as the subject of a sentence.
        place: "memory", "memory of the GPU" or "disk".
        remedy: what the user can do when it does not fit.
    """

    what: str
    place: str
    needed: int
    available: int
    remedy: str

    @property
    def fits(self) -> bool:
        """Whether enough is available."""
        return self.needed <= self.available

    def __str__(self) -> str:
        return f"{self.what} needs about {size(self.needed)} of {self.place}, {size(self.available)} are free"


def check_methods(plan: Plan) -> None:
    """Call `check` of each method of the plan, at each fraction and seed, and check which end of a score it
    keeps; UsageError when one cannot work."""
    spec = plan.spec
    for of_seed in plan.seeds.values():
        for method in spec.methods:
            fractions = spec.fractions if method.uses_fraction else ()
            for chosen in dict.fromkeys(map(method.resolve, fractions)) if fractions else (method,):
                if isinstance(chosen, ScoreMethod):
                    check_choice(f"keep of {chosen.name}", chosen.keep, ENDS)
                chosen.check(of_seed.pool, spec.proxy.epochs)


def check_resources(
    plan: Plan,
    runtime: Runtime,
    pending: Sequence[Cell],
    proxies: Sequence[ProxyState],
    *,
    jobs: int = 1,
) -> None:
    """Check that the pending work fits into memory and onto the disk, by estimate; UsageError otherwise.

    Args:
        plan, runtime: the experiment.
        pending: cells without a row.
        proxies: the proxy runs that they read.
        jobs: tasks side by side on this machine; each may be the largest. Several GPUs share them
            evenly; the one with the least free memory must hold the most that are on one.
    """
    devices = runtime.devices[:jobs]
    for need in needs(plan, runtime, pending, proxies):
        if not need.fits:
            raise UsageError(f"{need}: {need.remedy}")
        at_once = need
        if need.place == GPU and len(devices) > 1:
            most, least = math.ceil(jobs / len(devices)), min(map(available_memory, devices))
            at_once = need._replace(needed=most * need.needed, available=least)
        elif need.place != "disk":
            at_once = need._replace(needed=jobs * need.needed)
        if not at_once.fits:
            raise UsageError(f"{jobs} at once: {at_once}: give fewer --jobs, or {need.remedy}")


def needs(
    plan: Plan, runtime: Runtime, pending: Sequence[Cell], proxies: Sequence[ProxyState]
) -> Iterator[Need]:
    """The needs of a picture cache, of the recordings, and of each method at each fraction with a pending
    row."""
    cache = plan.data.cache
    if cache is not None and pending and not cache.finished:
        what = f"writing a cache of {len(cache):,} pictures into {cache.folder}"
        remedy = "give --cache a folder on a larger disk, lower --resize, or leave --cache out"
        yield Need(what, "disk", cache.missing_bytes(), free_disk(cache.folder), remedy)
    left = [proxy for proxy in proxies if proxy.state != "found"]
    if left:
        runs = f"recording {len(left)} proxy run{'s' if len(left) > 1 else ''}"
        disk = sum(proxy.disk for proxy in left)
        remedy = "record less (--signals needed), or give --save_path a folder on a larger disk"
        yield Need(runs, "disk", disk, free_disk(runtime.folder), remedy)
        n, classes = max(len(proxy.task.split.train) for proxy in left), plan.data.num_classes
        buffers = max(proxy.task.recording.memory(n, classes) for proxy in left)
        remedy = "record less (--signals needed), or run where there is more"
        yield from _places(runtime.device, "recording a proxy run", 0, buffers, remedy)
    features = head_width(plan) if any(reads_proxy(cell.method) for cell in pending) else 0
    for method, fraction, seed in _first_seeds(pending):
        pool = plan.seeds[seed].pool
        budget = Budget.of(1.0 if fraction is None else fraction, len(pool.ids))
        resolved = method if fraction is None else method.resolve(fraction)
        host, device, smaller = resolved.memory(pool, budget.k, features, plan.spec.proxy.epochs)
        host += LIBRARIES + SAVING * len(pool.ids)
        if resolved.own_run is not None and resolved.own_run.rows == "share":
            spread = spread_memory(len(pool.ids), features)
            host, device = host + spread.host, max(device, spread.device)
        remedy = f"{smaller} needs less; or " if smaller else ""
        remedy += f"leave {method.label()} out, or run where there is more"
        yield from _places(runtime.device, method.label(), host, device, remedy)


def proxy_states(plan: Plan, runtime: Runtime, pending: Iterable[Cell]) -> list[ProxyState]:
    """The state of each proxy run, repeats included, that the pending rows read."""
    tasks = plan.proxies_of(pending)
    width = head_width(plan) if tasks else 0
    return [_state(plan, runtime, task, width) for task in tasks]


def head_width(plan: Plan) -> int:
    """D, the width of the features of the proxy network."""
    shape, classes = plan.data.train.shape, plan.data.num_classes
    return nets.build(plan.spec.proxy_net, shape, classes, seed=0).head.in_features


def _state(plan: Plan, runtime: Runtime, task: ProxyTask, features: int) -> ProxyState:
    if runtime.proxy_folder is not None and task.is_shared:
        return ProxyState(task, "found", 0)
    recording = task.recording
    store = find_stored(runtime.folder / "proxies", task.spec, recording)
    if store and (store.is_done or store.has_diverged):
        return ProxyState(task, "found", 0, store.folder)
    n, q = len(task.split.train), len(task.split.val)
    width = {Signal.LOGITS: plan.data.num_classes, Signal.FEATURES: features}
    final = (n + q) * sum(width[signal] for signal in recording.final_arrays)
    final += len(task.split.rest) * features
    final += _weights(plan) if recording.final else 0
    disk = 4 * (sum(recording.arrays(n, q).values()) * recording.rows(task.spec.epochs) + final)
    held = _on_disk(store.folder) if store else 0
    return ProxyState(task, "to resume" if store else "to train", max(disk - held, 0))


def _weights(plan: Plan) -> int:
    """Number of the proxy network's parameters and buffers."""
    shape, classes = plan.data.train.shape, plan.data.num_classes
    net = nets.build(plan.spec.proxy_net, shape, classes, seed=0)
    return sum(value.numel() for value in net.state_dict().values())


def _on_disk(folder: Path) -> int:
    """Bytes on disk of the arrays in a folder; sparse parts that were not written take none."""
    return sum(path.stat().st_blocks * 512 for path in folder.glob("*.npy"))


def _places(device: torch.device, what: str, host: int, on_device: int, remedy: str) -> Iterator[Need]:
    """On a CPU one need; on a GPU one of the process and one of the device."""
    if device.type != "cuda":
        yield Need(what, "memory", host + on_device, available_memory(CPU), remedy)
        return
    yield Need(what, "memory", host, available_memory(CPU), remedy)
    yield Need(what, GPU, on_device, available_memory(device), remedy)


def _first_seeds(pending: Iterable[Cell]) -> Iterator[tuple[CoresetMethod, float | None, int]]:
    """Each method and fraction with one seed; all seeds have pools of the same size."""
    seen: dict[tuple[CoresetMethod, float | None], int] = {}
    for cell in pending:
        seen.setdefault((cell.method, cell.fraction), cell.seed)
    for (method, fraction), seed in seen.items():
        yield method, fraction, seed
