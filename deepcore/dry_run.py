"""What a command would do: trainings, steps, disk, and an estimate of the time."""

from __future__ import annotations

import dataclasses
import time

import numpy as np
import torch

from deepcore import nets
from deepcore.config import TrainSpec
from deepcore.data.record import LabeledData
from deepcore.files import check_folder
from deepcore.flops import flops_per_example
from deepcore.harness import Harness
from deepcore.meter import Meter
from deepcore.proxy_engine import find_stored
from deepcore.signals import Signal
from deepcore.threads import threads_for
from deepcore.train import Plan, batch_bounds, evaluate, train

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
    seeds = [
        s for s in spec.seeds if any(c.seed == s and (c.method.needs | c.method.needs_val) for c in pending)
    ]
    widths = 0  # of the final arrays, which hold one row per candidate and validation row
    if seeds:
        head = nets.build(spec.proxy_net, data.train.shape, data.num_classes, seed=0).head
        of = {Signal.LOGITS: head.out_features, Signal.FEATURES: head.in_features}
        widths = sum(of[signal] for signal in harness.recording.final)
    for seed in seeds:
        split = harness.splits[seed]
        store = find_stored(harness.folder / "proxies", harness.proxy_spec(seed), harness.recording)
        state = "found" if store and store.is_done else "to resume" if store else "to train"
        n, q = len(split.train), len(split.val)
        plan = Plan.of(n, spec.proxy)
        lines.append(
            f"seed {seed}: proxy {spec.proxy_net} {state}: {plan.epochs} epochs, {plan.steps:,} steps of "
            f"{spec.proxy.batch}, {n:,} candidates, {q:,} validation rows"
        )
        if state != "found":
            columns = sum(harness.recording.arrays(n, q).values())
            disk += 4 * (columns * (plan.epochs + 1) + (n + q) * widths)
            step, row = probe(spec.proxy_net, data, spec.proxy, n, harness.device)
            sweeps = 2 + (plan.epochs if harness.recording.post_epoch else 0)
            seconds += plan.steps * step + row * (sweeps * n + (plan.epochs + 1) * q)
    by_size: dict[tuple[str, int], int] = {}
    for cell in pending:
        k = harness.size(cell)
        by_size[cell.net, k] = by_size.get((cell.net, k), 0) + 1
    for (net, k), count in by_size.items():
        plan = Plan.of(k, spec.target)
        trainings = f"{count} target training" + ("s" if count > 1 else "")
        lines.append(
            f"{trainings}: {net} on {k:,} rows, {plan.epochs} epochs, "
            f"{plan.steps:,} steps of {spec.target.batch}"
        )
        step, row = probe(net, data, spec.target, k, harness.device)
        seconds += count * (plan.steps * step + row * len(data.test))
    lines.append(
        f"disk for the recordings: {disk / 1e6:,.1f} MB; time: about {_duration(seconds)} on this machine"
    )
    return lines


def probe(
    net_name: str, data: LabeledData, spec: TrainSpec, rows: int, device: torch.device
) -> tuple[float, float]:
    """Seconds of a training step and of a row's forward pass, measured on up to PROBE_STEPS steps after a
    warm-up."""
    net = nets.build(net_name, data.train.shape, data.num_classes, seed=0)
    ids = np.arange(min(rows, len(data.train), PROBE_STEPS * spec.batch))
    steps = len(batch_bounds(len(ids), spec.batch)) - 1
    short = dataclasses.replace(spec, steps=None, epochs=1)
    with threads_for(flops_per_example(net, data.train.shape)["forward"]):
        for _ in range(2):
            meter = Meter(device)
            train(net, data.train, ids, short, seed=0, device=device, meter=meter)
        start = time.perf_counter()
        for _ in evaluate(net, data.train, ids, device=device, meter=meter, kind="record"):
            pass
    return meter.seconds["train"] / steps, (time.perf_counter() - start) / len(ids)


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
