"""What a command would do: trainings, steps, disk, and an estimate of the time."""

from __future__ import annotations

import dataclasses
import functools
import time
from collections import Counter
from typing import NamedTuple

import numpy as np
import torch

from deepcore import nets, seeding
from deepcore.config import TrainSpec
from deepcore.data.record import LabeledData
from deepcore.evaluation import evaluate
from deepcore.files import check_folder
from deepcore.flops import flops_per_example
from deepcore.harness import Cell, Harness
from deepcore.meter import Meter
from deepcore.preflight import ProxyPlan, needs, proxy_plans
from deepcore.seed_runs import bare_run
from deepcore.selection import Budget
from deepcore.threads import threads_for
from deepcore.train import Plan, batch_bounds, train

PROBE_STEPS = 20


def describe(harness: Harness) -> list[str]:
    """Lines for the user. The time is measured on a few steps of each net here, so it takes a second or
    two."""
    check_folder(harness.folder)
    spec, data = harness.spec, harness.data
    pending = harness.pending()
    total = sum(1 for seed in spec.seeds for _ in harness.cells(seed))
    lines = [f"{total} rows, {total - len(pending)} of them finished, into {harness.folder}"]
    seconds, disk = 0.0, 0
    timed = functools.cache(functools.partial(probe, data, harness.device))
    plans = proxy_plans(harness, pending)
    for plan in plans:
        run = _proxy(harness, plan)
        lines.append(run.line)
        if plan.state != "found":
            step, row = timed(spec.proxy_net, spec.proxy, len(harness.splits[plan.seed].train))
            seconds += run.steps * step + run.sweeps * row
            disk += plan.disk
    by_size = Counter((cell.net, *_size_and_plan(harness, cell)) for cell in pending)
    for (net, size, plan), count in by_size.items():
        trainings = f"{count} target training" + ("s" if count > 1 else "")
        epochs, batch = plan.epochs_over(size, spec.target.batch), spec.target.batch
        lines.append(f"{trainings}: {net} on {size:,} rows, {epochs} epochs, {plan.steps:,} steps of {batch}")
        step, row = timed(net, spec.target, size)
        seconds += count * (plan.steps * step + row * len(data.test))
    lines.append(
        f"disk for the recordings: {disk / 1e6:,.1f} MB; time: about {_duration(seconds)} on this machine"
    )
    found = list(needs(harness, pending, plans))
    of_memory = [need for need in found if need.place != "disk"]
    if of_memory:
        lines.append(f"memory: {max(of_memory, key=lambda need: need.needed / max(need.available, 1))}")
    lines += [f"this would be refused: {need}: {need.remedy}" for need in found if not need.fits]
    return lines


class _Proxy(NamedTuple):
    """A line on a proxy run, and what it takes: steps, forward passes."""

    line: str
    steps: int
    sweeps: int


def _proxy(harness: Harness, plan: ProxyPlan) -> _Proxy:
    """The proxy run of a seed, or one of its short repeats."""
    spec, recording, split = plan.spec, plan.recording, harness.splits[plan.seed]
    n, q = len(split.train), len(split.val)
    steps = spec.epochs * Plan.of(n, spec.train).per_epoch
    which = f"repeat {plan.repeat} of the proxy" if plan.repeat else "proxy"
    line = (
        f"seed {plan.seed}: {which} {spec.net} {plan.state}: {spec.epochs} epochs, {steps:,} steps of "
        f"{spec.train.batch}, {n:,} candidates, {q:,} validation rows"
    )
    sweeps = recording.initial + (spec.epochs if recording.post_epoch else bool(recording.final))
    passes = sweeps * n + (recording.rows(spec.epochs) * q if recording.val else 0)
    return _Proxy(line, steps, passes)


def _size_and_plan(harness: Harness, cell: Cell) -> tuple[int, Plan]:
    """Rows of an epoch and the length of a cell's target; those of the budget where only the proxy run could
    tell. UsageError for a subset that cannot be of this data."""
    method, split, target = cell.method, harness.splits[cell.seed], harness.spec.target
    budget = Budget.of(1.0 if cell.fraction is None else cell.fraction, len(split.train))
    if method.needs | method.needs_val:
        return budget.k, Plan.of(budget.k, target)
    run = bare_run(harness.data_of(cell.seed), split, harness.spec.val_fraction)
    stream = functools.partial(seeding.stream, cell.seed, "size")
    material = method.material(method.select(run, budget, stream()), run, budget, stream)
    return material.size, material.plan(target)


def probe(
    data: LabeledData, device: torch.device, net_name: str, spec: TrainSpec, rows: int
) -> tuple[float, float]:
    """Seconds of a training step and of a row's forward pass, measured on up to PROBE_STEPS steps after a
    warm-up; never compiled."""
    net = nets.build(net_name, data.train.shape, data.num_classes, seed=0)
    ids = np.arange(min(rows, len(data.train), PROBE_STEPS * spec.batch))
    steps = len(batch_bounds(len(ids), spec.batch)) - 1
    short = dataclasses.replace(spec, steps=None, epochs=1)
    with threads_for(flops_per_example(net, data.train.shape)["forward"]):
        for _ in range(2):
            meter = Meter(device)
            train(net, data.train, ids, short, seed=0, device=device, meter=meter)
        start = time.perf_counter()
        for _ in evaluate(
            net, data.train, ids, device=device, meter=meter, kind="record", precision=spec.precision
        ):
            pass
    return meter.seconds["train"] / steps, (time.perf_counter() - start) / len(ids)


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
