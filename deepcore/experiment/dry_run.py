"""The dry run: trainings, steps, disk, and an estimate of the time."""

from __future__ import annotations

import dataclasses
import functools
import time
from collections import Counter
from typing import NamedTuple

import numpy as np
import torch

from deepcore.common import seeding
from deepcore.common.files import check_folder
from deepcore.common.meter import Meter
from deepcore.common.threads import threads_for
from deepcore.common.units import size
from deepcore.data.cache import PictureCache
from deepcore.data.record import LabeledData
from deepcore.experiment.harness import Harness
from deepcore.experiment.plan import Cell, Plan, ProxyTask
from deepcore.experiment.preflight import ProxyState, needs, proxy_states
from deepcore.experiment.tail_record import tail_line, tail_record
from deepcore.nets import networks as nets
from deepcore.nets.flops import flops_per_example
from deepcore.selection.budget import Budget
from deepcore.selection.needs import reads_proxy
from deepcore.training.evaluation import evaluate
from deepcore.training.loop import train
from deepcore.training.schedule import Schedule, batch_bounds
from deepcore.training.spec import TrainSpec

PROBE_STEPS = 20


def describe(harness: Harness) -> list[str]:
    """The lines of the dry run. The time is estimated from a few measured steps of each network, which takes
    a second or two."""
    plan, runtime = harness.plan, harness.runtime
    check_folder(runtime.folder)
    spec, data = plan.spec, plan.data
    pending = harness.pending()
    finished = len(plan.cells) - len(pending)
    lines = [f"{len(plan.cells)} rows, {finished} of them finished, into {runtime.folder}"]
    if spec.long_tail is not None:
        lines.append(tail_line(tail_record(spec.long_tail, plan.clean_labels(spec.seeds[0]))))
    seconds, disk = 0.0, 0
    if data.cache and pending:
        lines.append(_cache(data.cache))
        if not data.cache.finished:  # it is not built for a probe
            data = dataclasses.replace(data, train=data.train.from_files())
    timed = functools.cache(functools.partial(probe, data, runtime.device))
    proxies = proxy_states(plan, runtime, pending)
    for proxy in proxies:
        run = _proxy(proxy)
        lines.append(run.line)
        if proxy.state != "found":
            step, row = timed(spec.proxy_net, spec.proxy, len(proxy.task.split.train))
            seconds += run.steps * step + run.sweeps * row
            disk += proxy.disk
    by_size = Counter((cell.net, *size_and_schedule(plan, cell)) for cell in pending)
    for (net, rows, schedule), count in by_size.items():
        trainings = f"{count} target training" + ("s" if count > 1 else "")
        epochs, batch = schedule.epochs_over(rows, spec.target.batch), spec.target.batch
        lines.append(
            f"{trainings}: {net} on {rows:,} rows, {epochs} epochs, {schedule.steps:,} steps of {batch}"
        )
        step, row = timed(net, spec.target, rows)
        seconds += count * (schedule.steps * step + row * len(data.test))
    lines.append(
        f"disk for the recordings: {disk / 1e6:,.1f} MB; time: about {_duration(seconds)} on this machine"
    )
    found = list(needs(plan, runtime, pending, proxies))
    of_memory = [need for need in found if need.place != "disk"]
    if of_memory:
        lines.append(f"memory: {max(of_memory, key=lambda need: need.needed / max(need.available, 1))}")
    lines += [f"this would be refused: {need}: {need.remedy}" for need in found if not need.fits]
    return lines


def _cache(cache: PictureCache) -> str:
    if cache.finished:
        return f"cache of {len(cache):,} pictures found in {cache.folder}"
    missing = size(cache.missing_bytes())
    return f"cache of {len(cache):,} pictures to build in {cache.folder}: about {missing} to write"


class _Proxy(NamedTuple):
    """The line of a proxy run, and its number of steps and forward passes."""

    line: str
    steps: int
    sweeps: int


def _proxy(proxy: ProxyState) -> _Proxy:
    """The proxy run of a seed, one of its short repeats, or one that a method asks for itself."""
    task, split = proxy.task, proxy.task.split
    spec = task.spec
    n, q = len(split.train), len(split.val)
    steps = spec.epochs * Schedule.of(n, spec.train).per_epoch
    line = (
        f"seed {task.seed}: {task.title} {spec.net} {proxy.state}: {spec.epochs} epochs, {steps:,} steps of "
        f"{spec.train.batch}, {n:,} candidates, {q:,} validation rows"
    )
    return _Proxy(line, steps, proxy_passes(task)[1])


def proxy_passes(task: ProxyTask) -> tuple[int, int]:
    """Examples that a proxy run passes through its network: in training, and forward alone to record."""
    split, epochs, recording = task.split, task.spec.epochs, task.recording
    n, q = len(split.train), len(split.val)
    row0 = recording.initial and bool(recording.online | recording.post_epoch)
    sweeps = row0 + (epochs if recording.post_epoch else bool(recording.final_arrays))
    recorded = sweeps * n + (recording.rows(epochs) * q if recording.val else 0) + len(split.rest)
    return epochs * n, recorded


def size_and_schedule(plan: Plan, cell: Cell) -> tuple[int, Schedule]:
    """Rows of an epoch and length of a cell's target training. A method that reads the proxy run is taken to
    fill its budget. UsageError for a subset (file) that does not fit the data."""
    method, target = cell.method, plan.spec.target
    pool = plan.seeds[cell.seed].pool
    budget = Budget.of(1.0 if cell.fraction is None else cell.fraction, len(pool.ids))
    if reads_proxy(method):
        return budget.k, Schedule.of(budget.k, target)
    stream = functools.partial(seeding.stream, cell.seed, "size")
    training_set = method.training_set(method.select(pool, budget, stream()), pool, budget, stream)
    return training_set.size, training_set.schedule(target)


def probe(
    data: LabeledData, device: torch.device, net_name: str, spec: TrainSpec, rows: int
) -> tuple[float, float]:
    """Seconds of a training step and of a row's forward pass, measured on up to PROBE_STEPS steps after as
    many that warm up, without torch.compile."""
    net = nets.build(net_name, data.train.shape, data.num_classes, seed=0)
    ids = np.arange(min(rows, len(data.train), PROBE_STEPS * spec.batch))
    steps = len(batch_bounds(len(ids), spec.batch)) - 1
    short = dataclasses.replace(spec, steps=None, epochs=2)
    meter = Meter(device)
    seconds: list[float] = []  # of training, after each epoch
    with threads_for(flops_per_example(net, data.train.shape)["forward"]):
        train(
            net,
            data.train,
            ids,
            short,
            seed=0,
            device=device,
            meter=meter,
            progress=lambda epoch: seconds.append(meter.seconds["train"]),
        )
        start = time.perf_counter()
        for _ in evaluate(
            net, data.train, ids, device=device, meter=meter, kind="record", precision=spec.precision
        ):
            pass
    return (seconds[1] - seconds[0]) / steps, (time.perf_counter() - start) / len(ids)


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
