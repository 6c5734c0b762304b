"""The training loop, used for proxy and target networks. It gets no method and no test data."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from deepcore.common import seeding
from deepcore.common.checks import Diverged
from deepcore.common.meter import Meter
from deepcore.data.record import Rows
from deepcore.nets.net import Net
from deepcore.training import distributed
from deepcore.training.checkpoint import Checkpoint
from deepcore.training.compiling import is_compiled
from deepcore.training.deterministic import deterministic
from deepcore.training.epoch_ends import EpochEnds
from deepcore.training.hooks import Hook
from deepcore.training.precision import check_precision, make_scaler
from deepcore.training.replay import Replayed, replays
from deepcore.training.schedule import Schedule, batch_bounds, lr_at
from deepcore.training.spec import TrainSpec
from deepcore.training.together import Alone, Batch, Steps, lead
from deepcore.training.update import Update

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
    agree but for rounding: not all kernels used there promise the same bits twice. Where this process
    leads a team (`distributed.joined`) and `data` is a part of its data set, all processes train, each its
    share of every batch; the result is that of one process but for rounding.

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
    given = {"weights": weights, "spec": spec, "schedule": schedule, "bounds": bounds, "seed": seed}
    start = checkpoint.restore(net, optimizer, scaler, hooks, meter) if checkpoint else 0
    resumed = {"optimizer": optimizer.state_dict(), "scaler": scaler.state_dict()} if start else None
    team = distributed.leading(data)
    steps = (
        Alone(net, spec.precision, hooks) if team is None else lead(team, net, data, hooks, resumed, given)
    )
    update: Update | Replayed = Update(steps, optimizer, scaler)
    if team is None and replays(net, spec, device, compiled=is_compiled(net)):
        update = Replayed(update, device)
    source = Batches(data, device=device, team=team, **given)
    with (
        deterministic(device),
        contextlib.closing(update),
        EpochEnds(hooks, checkpoint, overlapped=overlapped) as ends,
    ):
        if start == 0:
            ends.begin(net)
        for epoch in range(start, epochs):
            rows_now = rows_of(epoch)
            with contextlib.ExitStack() as stack:
                stack.enter_context(meter.timed("train"))
                stack.enter_context(seeding.global_stream(seed, "dropout", epoch))
                if team is not None:
                    team.tell("epoch", epoch, rows_now)
                    stack.enter_context(team.together())
                loss = _run_epoch(net, update, steps, source.epoch(epoch, rows_now), meter)
            if not math.isfinite(loss):
                ends.wait()
                raise Diverged(
                    f"the losses of epoch {epoch + 1} are not finite: lower --lr (it is {spec.lr:g})"
                )
            ends.run(epoch + 1, net, optimizer, scaler, meter)
            progress(epoch + 1)
        ends.wait()
    return TrainResult(epochs, min(schedule.steps, epochs * per_epoch))


class Batches:
    """The batches of each epoch, in the order of the epoch's own stream.

    Args:
        data: whose rows are trained on.
        weights: of the rows, or None.
        spec: the recipe.
        schedule: the length of the training.
        bounds: where the rows of an epoch are cut into batches.
        seed: of order and augmentation.
        device: where the tensors are wanted.
        team: shares out each batch; None for whole batches.
    """

    def __init__(
        self,
        data: Rows,
        *,
        weights: np.ndarray | None,
        spec: TrainSpec,
        schedule: Schedule,
        bounds: list[int],
        seed: int,
        device: torch.device,
        team: distributed.Team | None,
    ) -> None:
        self.data, self.spec, self.schedule = data, spec, schedule
        self.bounds, self.seed, self.device, self.team = bounds, seed, device, team
        self.weights = None
        if weights is not None:
            share = weights / weights.max()  # first: a sum of weights near the largest float overflows
            self.weights = (share / share.mean()).astype(np.float32)

    def epoch(self, epoch: int, rows: np.ndarray) -> Iterator[Batch]:
        """The batches of epoch 0..T-1 over `rows`, (n,) ids; a length in steps may end within an epoch."""
        order = seeding.stream(self.seed, "order", epoch).permutation(self.bounds[-1])
        order %= len(rows)  # a single row twice
        first = epoch * (len(self.bounds) - 1)
        cuts = list(zip(self.bounds[:-1], self.bounds[1:], strict=True))[: self.schedule.steps - first]
        rows = rows[order]
        labels = torch.from_numpy(self.data.labels[rows]).to(self.device)  # one transfer, not one a step
        weights = None if self.weights is None else torch.from_numpy(self.weights[order]).to(self.device)
        parts = [self._part(a, b) for a, b in cuts]
        for step, ((a, b), part, x) in enumerate(
            zip(cuts, parts, self._inputs(rows, parts, epoch), strict=True)
        ):
            w = None if weights is None else weights[part]
            yield Batch(order[a:b], x, labels[part], w, lr_at(first + step, self.spec, self.schedule))

    def _part(self, a: int, b: int) -> slice:
        """What this process takes of the batch a..b-1."""
        if self.team is None:
            return slice(a, b)
        share = self.team.share(b - a)
        return slice(a + share.start, a + share.stop)

    def _inputs(self, rows: np.ndarray, parts: list[slice], epoch: int) -> Iterator[torch.Tensor]:
        options: dict[str, Any] = {"device": self.device}
        if self.spec.augment:
            options["augment_seed"] = seeding.key(self.seed, "augment", epoch)
            if self.team is not None:
                options["positions"] = [np.arange(part.start, part.stop) for part in parts]
        return self.data.batches([rows[part] for part in parts], **options)


def _run_epoch(
    net: Net, update: Update | Replayed, steps: Steps, batches: Iterator[Batch], meter: Meter
) -> float:
    """One pass; returns the sum of the batches' losses. They are read from the device once, and nothing else
    is: a GPU is never waited for within an epoch, but for the capture of its first steps."""
    net.train()
    total = None
    with update.epoch():
        for batch in batches:
            loss, logits, features = update(batch)
            meter.count("train", len(batch.positions))
            steps.watch(batch, logits, features)
            total = loss.clone() if total is None else total + loss
    return steps.close(total)


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
