"""THE training loop, for proxy and target alike. It knows nothing of methods and sees no test data."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from deepcore.common import seeding
from deepcore.common.checks import Diverged
from deepcore.common.meter import Meter
from deepcore.data.record import Rows
from deepcore.nets.net import Net
from deepcore.training.checkpoint import Checkpoint
from deepcore.training.epoch_ends import EpochEnds
from deepcore.training.hooks import Hook
from deepcore.training.precision import check_precision, forward, make_scaler
from deepcore.training.schedule import Schedule, batch_bounds, lr_at
from deepcore.training.spec import TrainSpec

RowsOf = Callable[[int], np.ndarray]  # epoch 0, 1, ... -> (n,) ids


@dataclass(frozen=True)
class TrainResult:
    """Length of a finished training, in epochs begun and optimiser steps."""

    epochs: int
    steps: int


def train(
    net: Net,
    data: Rows,
    rows: np.ndarray | RowsOf,
    spec: TrainSpec,
    *,
    seed: int,
    device: torch.device,
    meter: Meter,
    weights: np.ndarray | None = None,
    hooks: Sequence[Hook] = (),
    length: Schedule | None = None,
    stop: int | None = None,
    checkpoint: Checkpoint | None = None,
    progress: Callable[[int], None] = lambda epoch: None,
    overlapped: bool = False,
) -> TrainResult:
    """Train `net` in place with cross-entropy on `rows` of `data`.

    Order, augmentation and dropout have a random stream each, keyed by the epoch; a run resumed from
    `checkpoint` therefore ends with the weights of an uninterrupted one, bit for bit on a CPU in fp32 with as
    many threads. In bf16 or fp16, compiled, or on CUDA it draws the same rows and crops, and its weights
    agree but for rounding: the kernels chosen there do not promise the same bits twice.

    Args:
        net: already initialised; moved to `device`.
        data: the training part of a data set.
        rows: (n,) ids to train on, sorted, or a function of the epoch (0, 1, ...) that gives n of them. A
            single row is put into its batch twice, for batch normalisation.
        spec: the recipe.
        seed: of the three streams.
        meter: counts the train passes.
        weights: (n,) of each row's loss, scaled to mean 1; None for equal weights.
        hooks: watchers.
        length: steps, and the learning rate of each, when they are not those of n rows under `spec`.
        stop: epochs after which to stop before the end, the schedule being that of the whole length.
        checkpoint: where to save after epochs, and to resume from if it holds something.
        progress: called with the number of epochs done.
        overlapped: the hooks and the checkpoint of an epoch run in a thread of their own while the next epoch
            trains; for data in memory, on a CPU. The result is the same.

    Raises:
        Diverged: an epoch's losses are not finite; the message names the epoch.
        UsageError: a precision that the device has not.
    """
    check_precision(spec.precision, device)
    net.to(device)
    rows_of = rows if callable(rows) else lambda epoch: rows
    optimizer, scaler = make_optimizer(net, spec), make_scaler(spec.precision, device)
    bounds = batch_bounds(max(len(rows_of(0)), 2), spec.batch)
    per_epoch = len(bounds) - 1
    schedule = length or Schedule.of(bounds[-1], spec)
    epochs = schedule.epochs_over(bounds[-1], spec.batch)
    epochs = epochs if stop is None else min(stop, epochs)
    source = _Batches(data, rows_of, weights, spec, schedule, bounds, seed, device)
    start = checkpoint.restore(net, optimizer, scaler, hooks, meter) if checkpoint else 0
    if start == 0:
        for hook in hooks:
            hook.begin(net)
    with EpochEnds(hooks, checkpoint, overlapped=overlapped) as ends:
        for epoch in range(start, epochs):
            with meter.timed("train"), seeding.global_stream(seed, "dropout", epoch):
                loss = _run_epoch(net, optimizer, scaler, spec.precision, source.epoch(epoch), hooks, meter)
            if not math.isfinite(loss):
                ends.wait()
                raise Diverged(
                    f"the losses of epoch {epoch + 1} are not finite: lower --lr (it is {spec.lr:g})"
                )
            ends.run(epoch + 1, net, optimizer, scaler, meter)
            progress(epoch + 1)
        ends.wait()
    return TrainResult(epochs, min(schedule.steps, epochs * per_epoch))


@dataclass(frozen=True)
class _Batch:
    positions: np.ndarray  # into rows
    inputs: torch.Tensor
    labels: torch.Tensor
    weights: torch.Tensor | None
    lr: float


class _Batches:
    """The batches of each epoch, in the order of the epoch's own stream."""

    def __init__(
        self,
        data: Rows,
        rows_of: RowsOf,
        weights: np.ndarray | None,
        spec: TrainSpec,
        schedule: Schedule,
        bounds: list[int],
        seed: int,
        device: torch.device,
    ) -> None:
        self.data, self.rows_of, self.spec, self.schedule = data, rows_of, spec, schedule
        self.bounds, self.seed, self.device = bounds, seed, device
        self.weights = None
        if weights is not None:
            share = weights / weights.max()  # first: a sum of weights near the largest float overflows
            self.weights = (share / share.mean()).astype(np.float32)

    def epoch(self, epoch: int) -> Iterator[_Batch]:
        """The batches of epoch 0..T-1; the last one may be short of a whole epoch when the length is in
        steps."""
        rows = self.rows_of(epoch)
        order = seeding.stream(self.seed, "order", epoch).permutation(self.bounds[-1])
        order %= len(rows)  # a single row twice
        first = epoch * (len(self.bounds) - 1)
        cuts = list(zip(self.bounds[:-1], self.bounds[1:], strict=True))[: self.schedule.steps - first]
        augment = seeding.key(self.seed, "augment", epoch) if self.spec.augment else None
        rows = rows[order]
        inputs = self.data.batches([rows[a:b] for a, b in cuts], device=self.device, augment_seed=augment)
        labels = torch.from_numpy(self.data.labels[rows]).to(self.device)  # one transfer, not one a step
        weights = None if self.weights is None else torch.from_numpy(self.weights[order]).to(self.device)
        for step, ((a, b), x) in enumerate(zip(cuts, inputs, strict=True)):
            w = None if weights is None else weights[a:b]
            yield _Batch(order[a:b], x, labels[a:b], w, lr_at(first + step, self.spec, self.schedule))


def _run_epoch(
    net: Net,
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
    precision: str,
    batches: Iterator[_Batch],
    hooks: Sequence[Hook],
    meter: Meter,
) -> float:
    """One pass; returns the sum of the batches' losses. They are read from the device once, and nothing else
    is: a GPU is never waited for within an epoch."""
    net.train()
    total = None
    for batch in batches:
        for group in optimizer.param_groups:
            group["lr"] = batch.lr
        features, logits = forward(net, batch.inputs, precision)
        if batch.weights is None:
            loss = functional.cross_entropy(logits, batch.labels)
        else:
            loss = (functional.cross_entropy(logits, batch.labels, reduction="none") * batch.weights).mean()
        optimizer.zero_grad(set_to_none=True)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        meter.count("train", len(batch.positions))
        for hook in hooks:
            hook.batch(batch.positions, logits.detach(), features.detach())
        total = loss.detach() if total is None else total + loss.detach()
    return float(total)


def make_optimizer(net: Net, spec: TrainSpec) -> torch.optim.Optimizer:
    """The recipe's optimiser over all parameters."""
    parameters = list(net.parameters())
    if spec.optimizer == "SGD":
        return torch.optim.SGD(
            parameters,
            lr=spec.lr,
            momentum=spec.momentum,
            weight_decay=spec.weight_decay,
            nesterov=spec.nesterov,
            fused=True,
        )
    kind = {"Adam": torch.optim.Adam, "AdamW": torch.optim.AdamW}[spec.optimizer]
    return kind(parameters, lr=spec.lr, weight_decay=spec.weight_decay, fused=True)
