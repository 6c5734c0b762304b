"""What is known before anything is trained: parameters that cannot work, memory and disk that will not do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from deepcore.common.checks import UsageError
from deepcore.common.resources import available_memory, free_disk
from deepcore.common.units import size
from deepcore.experiment.plan import Cell, Plan, ProxyTask, Runtime
from deepcore.nets import networks as nets
from deepcore.proxy.engine import find_stored
from deepcore.proxy.signals import Signal
from deepcore.selection.budget import Budget
from deepcore.selection.method import CoresetMethod
from deepcore.selection.needs import reads_proxy

CPU = torch.device("cpu")
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
    """Bytes that a part of the work takes at its peak, and those that there are.

    Attributes:
        what: the work, as the subject of a sentence.
        place: "memory", "memory of the GPU" or "disk".
        remedy: what can be done where it does not fit.
    """

    what: str
    place: str
    needed: int
    available: int
    remedy: str

    @property
    def fits(self) -> bool:
        """Whether there is as much as is needed."""
        return self.needed <= self.available

    def __str__(self) -> str:
        return f"{self.what} needs about {size(self.needed)} of {self.place}, {size(self.available)} are free"


def check_methods(plan: Plan) -> None:
    """Each method of the plan, at each fraction and seed, could work on a proxy run of this length; else the
    UsageError of its `check`."""
    spec = plan.spec
    for of_seed in plan.seeds.values():
        for method in spec.methods:
            fractions = spec.fractions if method.uses_fraction else ()
            for chosen in dict.fromkeys(map(method.resolve, fractions)) if fractions else (method,):
                chosen.check(of_seed.pool, spec.proxy.epochs)


def check_resources(
    plan: Plan,
    runtime: Runtime,
    pending: Sequence[Cell],
    proxies: Sequence[ProxyState],
    *,
    jobs: int = 1,
) -> None:
    """What is still to be run fits into the memory and onto the disk, by estimate; else a UsageError.

    Args:
        plan, runtime: the experiment.
        pending: cells without a row.
        proxies: the proxy runs that they read.
        jobs: tasks side by side on this machine; each may be the largest.
    """
    for need in needs(plan, runtime, pending, proxies):
        at_once = need._replace(needed=jobs * need.needed) if jobs > 1 and need.place != "disk" else need
        if not need.fits:
            raise UsageError(f"{need}: {need.remedy}")
        if not at_once.fits:
            raise UsageError(f"{jobs} at once: {at_once}: give fewer --jobs, or {need.remedy}")


def needs(
    plan: Plan, runtime: Runtime, pending: Sequence[Cell], proxies: Sequence[ProxyState]
) -> Iterator[Need]:
    """Of the recordings, then of each method at each fraction that has a pending row."""
    left = [proxy for proxy in proxies if proxy.state != "found"]
    if left:
        runs = f"recording {len(left)} proxy run{'s' if len(left) > 1 else ''}"
        disk = sum(proxy.disk for proxy in left)
        remedy = "record less (--signals needed), or give --save_path a folder on a larger disk"
        yield Need(runs, "disk", disk, free_disk(runtime.folder), remedy)
        n, classes = len(plan.seeds[left[0].task.seed].split.train), plan.data.num_classes
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
        remedy = f"{smaller} needs less; or " if smaller else ""
        remedy += f"leave {method.label()} out, or run where there is more"
        yield from _places(runtime.device, method.label(), host, device, remedy)


def proxy_states(plan: Plan, runtime: Runtime, pending: Iterable[Cell]) -> list[ProxyState]:
    """The proxy runs, repeats too, that the pending rows read."""
    tasks = plan.proxies_of(pending)
    width = head_width(plan) if tasks else 0
    return [_state(plan, runtime, task, width) for task in tasks]


def head_width(plan: Plan) -> int:
    """D, the width of the features of the proxy network."""
    shape, classes = plan.data.train.shape, plan.data.num_classes
    return nets.build(plan.spec.proxy_net, shape, classes, seed=0).head.in_features


def _state(plan: Plan, runtime: Runtime, task: ProxyTask, features: int) -> ProxyState:
    if runtime.proxy_folder is not None and not task.repeat:
        return ProxyState(task, "found", 0)
    recording = task.recording
    store = find_stored(runtime.folder / "proxies", task.spec, recording)
    if store and (store.is_done or store.has_diverged):
        return ProxyState(task, "found", 0, store.folder)
    split = plan.seeds[task.seed].split
    n, q = len(split.train), len(split.val)
    width = {Signal.LOGITS: plan.data.num_classes, Signal.FEATURES: features}
    final = (n + q) * sum(width[signal] for signal in recording.final)
    disk = 4 * (sum(recording.arrays(n, q).values()) * recording.rows(task.spec.epochs) + final)
    held = _on_disk(store.folder) if store else 0
    return ProxyState(task, "to resume" if store else "to train", max(disk - held, 0))


def _on_disk(folder: Path) -> int:
    """Bytes that the arrays of a folder take already; what was laid out and not written takes none."""
    return sum(path.stat().st_blocks * 512 for path in folder.glob("*.npy"))


def _places(device: torch.device, what: str, host: int, on_device: int, remedy: str) -> Iterator[Need]:
    """One need on a CPU; of the process and of the GPU apart."""
    if device.type != "cuda":
        yield Need(what, "memory", host + on_device, available_memory(CPU), remedy)
        return
    yield Need(what, "memory", host, available_memory(CPU), remedy)
    yield Need(what, "memory of the GPU", on_device, available_memory(device), remedy)


def _first_seeds(pending: Iterable[Cell]) -> Iterator[tuple[CoresetMethod, float | None, int]]:
    """Each method and fraction, with one seed: the pools of all are of a size."""
    seen: dict[tuple[CoresetMethod, float | None], int] = {}
    for cell in pending:
        seen.setdefault((cell.method, cell.fraction), cell.seed)
    for (method, fraction), seed in seen.items():
        yield method, fraction, seed
