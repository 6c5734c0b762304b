"""What is known before anything is trained: parameters that cannot work, memory and disk that will not do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch

from deepcore import nets
from deepcore.checks import UsageError
from deepcore.config import ProxySpec
from deepcore.method import CoresetMethod
from deepcore.proxy import ProxyRun
from deepcore.proxy_engine import find_stored
from deepcore.recorder import Recording
from deepcore.resources import available_memory, free_disk
from deepcore.seed_runs import bare_run
from deepcore.selection import Budget
from deepcore.sheet import size
from deepcore.signals import Signal

if TYPE_CHECKING:
    from deepcore.harness import Cell, Harness

CPU = torch.device("cpu")
LIBRARIES = 32 << 20  # bytes that the first use of a library's kernels takes (not what malloc keeps)
SAVING = 640  # bytes a candidate while a selection and its scores are written


class ProxyPlan(NamedTuple):
    """A proxy run that pending rows read: "found", "to resume" or "to train"; bytes that it is still to
    write."""

    seed: int
    repeat: int
    spec: ProxySpec
    recording: Recording
    state: str
    disk: int


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


def check_methods(harness: Harness) -> None:
    """Each method of the grid, at each fraction and seed, could work on a proxy run of this length; else the
    UsageError of its `check`."""
    spec = harness.spec
    for seed in spec.seeds:
        pool = _pool(harness, seed)
        for method in spec.methods:
            fractions = spec.fractions if method.uses_fraction else ()
            for chosen in dict.fromkeys(map(method.resolve, fractions)) if fractions else (method,):
                chosen.check(pool, spec.proxy.epochs)


def check_resources(harness: Harness, pending: Sequence[Cell]) -> None:
    """What is still to be run fits into the memory and onto the disk, by estimate; else a UsageError."""
    for need in needs(harness, pending, proxy_plans(harness, pending)):
        if not need.fits:
            raise UsageError(f"{need}: {need.remedy}")


def needs(harness: Harness, pending: Sequence[Cell], plans: Sequence[ProxyPlan]) -> Iterator[Need]:
    """Of the recordings, then of each method at each fraction that has a pending row."""
    left = [plan for plan in plans if plan.state != "found"]
    if left:
        runs = f"recording {len(left)} proxy run{'s' if len(left) > 1 else ''}"
        disk = sum(plan.disk for plan in left)
        remedy = "record less (--signals needed), or give --save_path a folder on a larger disk"
        yield Need(runs, "disk", disk, free_disk(harness.folder), remedy)
        n, classes = len(harness.splits[left[0].seed].train), harness.data.num_classes
        buffers = max(plan.recording.memory(n, classes) for plan in left)
        remedy = "record less (--signals needed), or run where there is more"
        yield from _places(harness, "recording a proxy run", 0, buffers, remedy)
    features = head_width(harness) if any(_reads(cell.method) for cell in pending) else 0
    pools: dict[int, ProxyRun] = {}
    for method, fraction, seed in _first_seeds(pending):
        if seed not in pools:
            pools[seed] = _pool(harness, seed)
        pool = pools[seed]
        budget = Budget.of(1.0 if fraction is None else fraction, len(pool.ids))
        resolved = method if fraction is None else method.resolve(fraction)
        host, device, smaller = resolved.memory(pool, budget.k, features, harness.spec.proxy.epochs)
        host += LIBRARIES + SAVING * len(pool.ids)
        remedy = f"{smaller} needs less; or " if smaller else ""
        remedy += f"leave {method.label()} out, or run where there is more"
        yield from _places(harness, method.label(), host, device, remedy)


def proxy_plans(harness: Harness, pending: Iterable[Cell]) -> list[ProxyPlan]:
    """The proxy runs, repeats too, that the pending rows read."""
    repeats: dict[int, int] = {}
    for cell in pending:
        if _reads(cell.method):
            repeats[cell.seed] = max(repeats.get(cell.seed, 0), cell.method.repeats_needed)
    width = head_width(harness) if repeats else 0
    return [_plan(harness, seed, repeat, width) for seed, runs in repeats.items() for repeat in range(runs)]


def head_width(harness: Harness) -> int:
    """D, the width of the features of the proxy network."""
    shape, classes = harness.data.train.shape, harness.data.num_classes
    return nets.build(harness.spec.proxy_net, shape, classes, seed=0).head.in_features


def _plan(harness: Harness, seed: int, repeat: int, features: int) -> ProxyPlan:
    spec, recording = harness.proxy_spec(seed, repeat), harness.recording_of(repeat)
    if harness.proxy_folder is not None and not repeat:
        return ProxyPlan(seed, repeat, spec, recording, "found", 0)
    store = find_stored(harness.folder / "proxies", spec, recording)
    if store and (store.is_done or store.has_diverged):
        return ProxyPlan(seed, repeat, spec, recording, "found", 0)
    split = harness.splits[seed]
    n, q = len(split.train), len(split.val)
    width = {Signal.LOGITS: harness.data.num_classes, Signal.FEATURES: features}
    final = (n + q) * sum(width[signal] for signal in recording.final)
    disk = 4 * (sum(recording.arrays(n, q).values()) * recording.rows(spec.epochs) + final)
    held = _on_disk(store.folder) if store else 0
    return ProxyPlan(seed, repeat, spec, recording, "to resume" if store else "to train", max(disk - held, 0))


def _on_disk(folder: Path) -> int:
    """Bytes that the arrays of a folder take already; what was laid out and not written takes none."""
    return sum(path.stat().st_blocks * 512 for path in folder.glob("*.npy"))


def _places(harness: Harness, what: str, host: int, device: int, remedy: str) -> Iterator[Need]:
    """One need on a CPU; of the process and of the GPU apart."""
    if harness.device.type != "cuda":
        yield Need(what, "memory", host + device, available_memory(CPU), remedy)
        return
    yield Need(what, "memory", host, available_memory(CPU), remedy)
    yield Need(what, "memory of the GPU", device, available_memory(harness.device), remedy)


def _first_seeds(pending: Iterable[Cell]) -> Iterator[tuple[CoresetMethod, float | None, int]]:
    """Each method and fraction, with one seed: the pools of all are of a size."""
    seen: dict[tuple[CoresetMethod, float | None], int] = {}
    for cell in pending:
        seen.setdefault((cell.method, cell.fraction), cell.seed)
    for (method, fraction), seed in seen.items():
        yield method, fraction, seed


def _reads(method: CoresetMethod) -> bool:
    return bool(method.needs | method.needs_val)


def _pool(harness: Harness, seed: int) -> ProxyRun:
    return bare_run(harness.data_of(seed), harness.splits[seed], harness.spec.val_fraction)
