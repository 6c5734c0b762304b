"""One step of a training: of this process alone, or of all processes together."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel

from deepcore.data.record import Rows
from deepcore.nets.net import Net
from deepcore.training.compiling import is_compiled
from deepcore.training.distributed import Team, share
from deepcore.training.hooks import Hook
from deepcore.training.precision import forward
from deepcore.training.shared_norm import share_norms

# buffers are the same everywhere; torch 2.14 renamed the flag that says so
_NAMES = inspect.signature(DistributedDataParallel).parameters
_SYNC_BUFFERS = "forward_sync_buffers" if "forward_sync_buffers" in _NAMES else "broadcast_buffers"
KEPT = 1 << 24  # numbers of outputs that are kept (64 MB)


@dataclass(frozen=True)
class Batch:
    """One batch, or the part of it that this process takes.

    Attributes:
        positions: of the whole batch, into the rows of the epoch, (B,).
        inputs, labels, weights: of the part; no weights for equal ones.
        lr: of the step.
    """

    positions: np.ndarray
    inputs: torch.Tensor
    labels: torch.Tensor
    weights: torch.Tensor | None
    lr: float


class Steps(Protocol):
    """What an epoch's loop asks for at each step."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(features, logits) of the part of this process."""

    def loss(self, logits: torch.Tensor, batch: Batch) -> torch.Tensor:
        """What to call `backward` on, so that the optimiser gets the gradient of the batch's mean loss."""

    def watch(self, batch: Batch, logits: torch.Tensor, features: torch.Tensor) -> None:
        """Give the step's outputs to the hooks."""

    def close(self, total: torch.Tensor) -> float:
        """The sum of the mean losses of the batches, from the sum of `loss`; the hooks get what they lack."""


class Alone:
    """The steps of one process.

    Args:
        net: on its device, and trained in `precision`.
        hooks: get each step's outputs at once.
    """

    def __init__(self, net: Net, precision: str, hooks: Sequence[Hook]) -> None:
        self.net, self.precision, self.hooks = net, precision, hooks

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """See Steps."""
        return forward(self.net, x, self.precision)

    def loss(self, logits: torch.Tensor, batch: Batch) -> torch.Tensor:
        """See Steps."""
        if batch.weights is None:
            return functional.cross_entropy(logits, batch.labels)
        return (functional.cross_entropy(logits, batch.labels, reduction="none") * batch.weights).mean()

    def watch(self, batch: Batch, logits: torch.Tensor, features: torch.Tensor) -> None:
        """See Steps."""
        for hook in self.hooks:
            hook.batch(batch.positions, logits, features)

    def close(self, total: torch.Tensor) -> float:
        """See Steps."""
        return float(total)


class Together:
    """The steps of each of several processes, by DistributedDataParallel, which averages gradients.

    A batch of B rows is shared out, in its order, without a row twice. The loss of a process is K / B times
    the sum over its rows, so that the average over the K processes is the gradient of the batch's mean loss,
    whatever the shares. Outputs are kept and go to process 0 at the end of the epoch, or when they are many;
    its hooks get each whole batch in its order.

    Args:
        team: the processes; all make this object at the same time, of networks of one architecture. Weights
            and buffers become those of process 0.
        net: on its device, and trained in `precision`.
        hooks: of process 0; none of the others.
        kept: numbers of outputs, of all processes, that are kept before process 0 gets them; 0 for a training
            that nobody watches.
    """

    def __init__(self, team: Team, net: Net, precision: str, hooks: Sequence[Hook], *, kept: int) -> None:
        self.team, self.hooks, self.kept = team, hooks, kept
        share_norms(net, team.device, team.norms)
        self._net = DistributedDataParallel(_Forward(net, precision), **{_SYNC_BUFFERS: False})
        self._widths = (net.head.out_features, net.feature_dim)
        self._outputs: list[tuple[np.ndarray, torch.Tensor]] = []
        self._numbers = 0

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """See Steps."""
        return self._net(x)

    def loss(self, logits: torch.Tensor, batch: Batch) -> torch.Tensor:
        """See Steps."""
        losses = functional.cross_entropy(logits, batch.labels, reduction="none")
        losses = losses if batch.weights is None else losses * batch.weights
        return losses.sum() * (self.team.size / len(batch.positions))

    def watch(self, batch: Batch, logits: torch.Tensor, features: torch.Tensor) -> None:
        """See Steps."""
        if not self.kept:
            return
        self._outputs.append((batch.positions, torch.cat([logits, features], dim=1)))
        self._numbers += len(batch.positions) * sum(self._widths)
        if self._numbers >= self.kept:
            self._hand_over()

    def close(self, total: torch.Tensor) -> float:
        """See Steps."""
        self._hand_over()
        return float(self.team.sum(total)) / self.team.size

    def _hand_over(self) -> None:
        """What was kept, from all processes, to the hooks of process 0."""
        if not self._outputs:
            return
        size = self.team.size
        shares = [
            [share(len(positions), rank, size) for positions, _ in self._outputs] for rank in range(size)
        ]
        counts = [[part.stop - part.start for part in of_rank] for of_rank in shares]
        outputs = torch.cat([rows for _, rows in self._outputs])
        gathered = self.team.gather(outputs, [sum(of_rank) for of_rank in counts])
        if gathered is not None:
            by_rank = [rows.split(of_rank) for rows, of_rank in zip(gathered, counts, strict=True)]
            for (positions, _), *parts in zip(self._outputs, *by_rank, strict=True):
                logits, features = torch.cat(parts).split(self._widths, dim=1)
                for hook in self.hooks:
                    hook.batch(positions, logits, features)
        self._outputs.clear()
        self._numbers = 0


class _Forward(nn.Module):
    """The forward pass as one module, which DistributedDataParallel wants."""

    def __init__(self, net: Net, precision: str) -> None:
        super().__init__()
        self.net, self.precision = net, precision

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return forward(self.net, x, self.precision)


@torch.no_grad()
def shared_pass(
    team: Team, net: Net, data: Rows, rows: np.ndarray, batch: int, precision: str
) -> Iterator[tuple[slice, torch.Tensor, torch.Tensor]]:
    """A forward pass over `rows`; each of K processes takes every K-th batch, so that batches and outputs are
    those of one process.

    Yields:
        On process 0 (positions into rows, logits, features) of each batch in order; on the others nothing.
    """
    cuts = [slice(a, min(a + batch, len(rows))) for a in range(0, len(rows), batch)]
    own = [rows[cut] for cut in cuts[team.rank :: team.size]]
    inputs = iter(data.batches(own, device=team.device))
    widths = (net.head.out_features, net.feature_dim)
    with team.together():
        for first in range(0, len(cuts), team.size):
            turn = cuts[first : first + team.size]
            outputs = torch.zeros((0, sum(widths)), device=team.device)
            if team.rank < len(turn):
                features, logits = forward(net, next(inputs), precision)
                outputs = torch.cat([logits, features], dim=1)
            counts = [cut.stop - cut.start for cut in turn] + [0] * (team.size - len(turn))
            gathered = team.gather(outputs, counts)
            if gathered is not None:
                for cut, found in zip(turn, gathered, strict=False):
                    yield cut, *found.split(widths, dim=1)


@dataclass(frozen=True)
class Job:
    """A training as process 0 describes it to the others.

    Attributes:
        net: a copy on the CPU; part: whose rows it is trained on; labels: of all rows of the part.
        start: of the optimiser and the loss scaling, where a training goes on; None where it begins.
        kept: see Together.
        threads, compiled: as of process 0.
        given: what both give to `Batches`.
    """

    net: Net
    part: str
    labels: np.ndarray
    start: dict[str, Any] | None
    kept: int
    threads: int
    compiled: bool
    given: dict[str, Any]


def lead(
    team: Team,
    net: Net,
    data: Rows,
    hooks: Sequence[Hook],
    start: dict[str, Any] | None,
    given: dict[str, Any],
) -> Together:
    """Begin a training over all processes, from process 0."""
    job = Job(
        copy.deepcopy(net).cpu(),
        team.part_of(data),
        data.labels,
        start,
        KEPT if hooks else 0,
        torch.get_num_threads(),
        is_compiled(net),
        given,
    )
    team.tell("train", job)
    with team.together():
        steps = Together(team, net, given["spec"].precision, hooks, kept=job.kept)
    team.net = net
    return steps
