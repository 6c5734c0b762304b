"""Many small networks trained at once.

The claims about influence and memorisation need hundreds of short trainings. `train_many` trains them in
groups: the weights of a group are stacked, and `torch.func.vmap` puts every network's own batch through its
own weights in one product. Each network sees the rows, order, initialisation and learning rates that
`deepcore.training.loop.train` gives it, and ends with the same weights but for rounding. Networks with
buffers (BatchNorm) and recipes with augmentation are trained one after another by `train` itself.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import nn
from torch.func import functional_call, stack_module_state, vmap
from torch.nn import functional

from deepcore.common import seeding
from deepcore.common.checks import Diverged
from deepcore.common.meter import Meter
from deepcore.data.record import Rows
from deepcore.nets import networks as nets
from deepcore.nets.net import Net
from deepcore.training.hooks import Hook
from deepcore.training.loop import train
from deepcore.training.schedule import Schedule, batch_bounds, lr_at
from deepcore.training.spec import TrainSpec

CHUNK = 1024  # rows that are put through all networks of a group at once


@dataclass(frozen=True)
class Member:
    """One of the networks: the ids of its training rows, (n,), and the seed of initialisation and order."""

    rows: np.ndarray
    seed: int


class Networks(Protocol):
    """A group of M networks of one architecture."""

    def outputs(self, data: Rows, rows: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """Features (M, n, D) and logits (M, n, C) of n rows, without gradients, in evaluation mode."""

    def nets(self) -> list[Net]:
        """The networks one by one: copies."""


Watch = Callable[[int, slice, Networks], None]  # epochs done, which members, their networks


class _Both(nn.Module):
    """Features and logits by one call, which functional_call needs."""

    def __init__(self, net: Net) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        features = self.net.features(x)
        return features, self.net.head(features)


class Stacked:
    """Networks whose weights are stacked: `weights[name]` is (M, ...).

    Args:
        members: networks of one architecture, without buffers.
        device: where they are trained.
    """

    def __init__(self, members: Sequence[Net], device: torch.device) -> None:
        self.device = device
        self._one = _Both(copy.deepcopy(members[0]))
        weights, _ = stack_module_state([_Both(net) for net in members])
        self.weights = {name: w.detach().to(device).requires_grad_() for name, w in weights.items()}
        self._forward = vmap(lambda w, x: functional_call(self._one, w, (x,)), randomness="different")
        self._shared = vmap(lambda w, x: functional_call(self._one, w, (x,)), in_dims=(0, None))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (M, B, C) of each network's own batch, x (M, B, *shape)."""
        return self._forward(self.weights, x)[1]

    @torch.no_grad()
    def outputs(self, data: Rows, rows: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """See Networks."""
        chunks = np.split(rows, range(CHUNK, len(rows), CHUNK))
        parts = [self._shared(self.weights, x) for x in data.batches(chunks, device=self.device)]
        features, logits = zip(*parts, strict=True)
        return torch.cat(features, dim=1), torch.cat(logits, dim=1)

    def nets(self) -> list[Net]:
        """See Networks."""
        found = []
        for i in range(len(next(iter(self.weights.values())))):
            one = copy.deepcopy(self._one)
            one.load_state_dict({name: w[i].detach() for name, w in self.weights.items()})
            found.append(one.net)
        return found


class Single:
    """A group of one."""

    def __init__(self, net: Net, device: torch.device) -> None:
        self.net, self.device = net, device

    @torch.no_grad()
    def outputs(self, data: Rows, rows: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """See Networks."""
        was, parts = self.net.training, []
        self.net.eval()
        for x in data.batches(np.split(rows, range(CHUNK, len(rows), CHUNK)), device=self.device):
            features = self.net.features(x)
            parts.append((features, self.net.head(features)))
        self.net.train(was)
        features, logits = zip(*parts, strict=True)
        return torch.cat(features)[None], torch.cat(logits)[None]

    def nets(self) -> list[Net]:
        """See Networks."""
        return [copy.deepcopy(self.net)]


def train_many(
    name: str,
    data: Rows,
    num_classes: int,
    members: Sequence[Member],
    spec: TrainSpec,
    *,
    device: torch.device,
    group: int = 32,
    watch: Watch | None = None,
) -> Iterator[tuple[slice, Networks]]:
    """Train all members, and yield the finished networks group by group.

    Args:
        name: in NETS.
        data: the training part of a data set; num_classes: of it.
        members: consecutive ones with as many rows share a group.
        spec: the recipe, in fp32.
        device: where they are trained.
        group: most networks of a group.
        watch: called before the first epoch (0) and after each.

    Yields:
        Which members, and their networks.

    Raises:
        Diverged: a network's losses are not finite.
    """
    can_stack = not spec.augment and spec.precision == "fp32" and spec.optimizer == "SGD"
    can_stack &= not list(nets.build(name, data.shape, num_classes, seed=0).buffers())
    start = 0
    for _, alike in itertools.groupby(members, key=lambda member: len(member.rows)):
        count = len(list(alike))
        for first in range(start, start + count, group if can_stack else 1):
            which = slice(first, min(first + group, start + count) if can_stack else first + 1)
            built = [nets.build(name, data.shape, num_classes, seed=m.seed) for m in members[which]]
            if can_stack:
                yield which, _train_stacked(Stacked(built, device), data, members, which, spec, watch)
            else:
                yield which, _train_single(built[0], data, members, which, spec, device, watch)
        start += count


def _train_stacked(
    networks: Stacked,
    data: Rows,
    members: Sequence[Member],
    which: slice,
    spec: TrainSpec,
    watch: Watch | None,
) -> Stacked:
    """Every network's own batches, step by step."""
    rows = np.stack([member.rows for member in members[which]])
    bounds = batch_bounds(rows.shape[1], spec.batch)
    schedule = Schedule.of(rows.shape[1], spec)
    used, at = np.unique(rows, return_inverse=True)
    at = at.reshape(rows.shape)
    (inputs,) = data.batches([used], device=networks.device)
    labels = torch.from_numpy(data.labels[used]).to(networks.device)
    optimizer = torch.optim.SGD(
        networks.weights.values(),
        lr=spec.lr,
        momentum=spec.momentum,
        weight_decay=spec.weight_decay,
        nesterov=spec.nesterov,
        fused=True,
    )
    if watch:
        watch(0, which, networks)
    step = 0
    for epoch in range(schedule.epochs):
        orders = [seeding.stream(m.seed, "order", epoch).permutation(bounds[-1]) for m in members[which]]
        order = torch.from_numpy(np.take_along_axis(at, np.stack(orders), axis=1)).to(networks.device)
        for a, b in itertools.pairwise(bounds):
            if step == schedule.steps:
                break
            for part in optimizer.param_groups:
                part["lr"] = lr_at(step, spec, schedule)
            batch = order[:, a:b]
            logits = networks.forward(inputs[batch])
            loss = functional.cross_entropy(logits.flatten(0, 1), labels[batch].flatten(), reduction="sum")
            optimizer.zero_grad(set_to_none=True)
            (loss / (b - a)).backward()  # each network's mean loss: their gradients do not mix
            optimizer.step()
            step += 1
        if not torch.isfinite(loss):
            raise Diverged(f"the losses of epoch {epoch + 1} are not finite: lower the learning rate")
        if watch:
            watch(epoch + 1, which, networks)
    return networks


class _Calls(Hook):
    """Gives a network to `watch` before the first epoch and after each."""

    def __init__(self, watch: Watch, which: slice, networks: Single) -> None:
        self._watch, self._which, self._networks = watch, which, networks

    def begin(self, net: Net) -> None:
        self._watch(0, self._which, self._networks)

    def epoch_end(self, net: Net, epoch: int) -> None:
        self._watch(epoch, self._which, self._networks)


def _train_single(
    net: Net,
    data: Rows,
    members: Sequence[Member],
    which: slice,
    spec: TrainSpec,
    device: torch.device,
    watch: Watch | None,
) -> Single:
    """One network by the project's own loop."""
    member = members[which.start]
    networks = Single(net, device)
    hooks = [_Calls(watch, which, networks)] if watch else []
    train(net, data, member.rows, spec, seed=member.seed, device=device, meter=Meter(device), hooks=hooks)
    return networks
