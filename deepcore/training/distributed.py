"""One training over several processes, as torchrun starts them: shares, sums, gathers, and who decides.

Process 0 runs the whole command. It alone decides what is to be done, reads and writes the files of the
experiment, and prints. The others wait for its orders (`follower.follow`) and take their share of every batch
of an epoch and of every pass. What goes wrong on process 0 between two orders does not concern them; what
goes wrong while all compute leaves them out of step, and ends all (`TeamLost`).
"""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import distributed as dist

from deepcore.common.checks import first_line
from deepcore.common.launch import local_rank
from deepcore.data.record import Rows
from deepcore.nets.net import Net

PATIENCE = datetime.timedelta(days=30)  # for an order: process 0 may score and select as long as it takes

_current: Team | None = None


class TeamLost(ConnectionError):
    """The processes are out of step, or one of them is gone: none can go on."""


class Team:
    """The processes that train one network together.

    Attributes:
        rank: of this process, 0..size-1.
        size: how many there are.
        device: of this process.
        parts: "train" and "test" rows of the data set, once they are loaded.
        net: that all processes hold a copy of; None before the first training.
        in_step: whether all wait for an order, or carry out the same one to its end.
    """

    def __init__(self, device: torch.device) -> None:
        self.rank, self.size, self.device = dist.get_rank(), dist.get_world_size(), device
        self.parts: Mapping[str, Rows] = {}
        self.net: Net | None = None
        self.norms = dist.new_group()  # of batch normalisation, beside the gradients of the default group
        self._orders = dist.new_group(backend="gloo", timeout=PATIENCE)
        self.in_step = True

    def share(self, n: int) -> slice:
        """This process's part of n rows; parts differ by one row at most, and may be empty."""
        return share(n, self.rank, self.size)

    def part_of(self, rows: Rows) -> str | None:
        """The name of a part, whatever its labels; None for other rows."""
        rows = getattr(rows, "rows", rows)
        return next((name for name, part in self.parts.items() if part is rows), None)

    def tell(self, order: str, *details: Any) -> None:
        """Of process 0: an order to all others."""
        if not self.in_step:
            raise TeamLost("the processes of this training are out of step; the same command goes on")
        with self.together():
            dist.broadcast_object_list([(order, *details)], src=0, group=self._orders)

    def hear(self) -> tuple[Any, ...]:
        """Of the others: wait for an order, (name, details...)."""
        heard: list[Any] = [None]
        dist.broadcast_object_list(heard, src=0, group=self._orders)
        return heard[0]

    def sum(self, value: torch.Tensor) -> torch.Tensor:
        """The sum over all processes, in place."""
        dist.all_reduce(value)
        return value

    def gather(self, rows: torch.Tensor, counts: Sequence[int]) -> list[torch.Tensor] | None:
        """The rows of each process for process 0; None for the others.

        Args:
            rows: (m, W) of this process.
            counts: m of each process.
        """
        padded = rows.new_zeros((max(counts), rows.shape[1]))
        padded[: len(rows)] = rows
        found = [torch.empty_like(padded) for _ in counts] if self.rank == 0 else None
        dist.gather(padded, found, dst=0)
        return None if found is None else [part[:count] for part, count in zip(found, counts, strict=True)]

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """A block that all processes go through: what goes wrong in it, here or elsewhere, is a TeamLost."""
        self.in_step = False
        try:
            yield
        except TeamLost:
            raise
        except Exception as error:
            raise TeamLost(f"a training over {self.size} processes ended: {first_line(error)}") from error
        self.in_step = True


def share(n: int, rank: int, size: int) -> slice:
    """The part of n rows that process `rank` of `size` takes."""
    return slice(rank * n // size, (rank + 1) * n // size)


def device_of_process(devices: Sequence[torch.device]) -> torch.device:
    """The device of this process among those of the machine: a GPU each, or the CPU for all."""
    if devices[0].type == "cpu":
        return devices[0]
    at = local_rank()
    if len(devices) > 1 or torch.cuda.device_count() <= at:
        return devices[at % len(devices)]
    return torch.device("cuda", at)


def current() -> Team | None:
    """The team of this process; None where it trains alone."""
    return _current


def leading(rows: Rows) -> Team | None:
    """The team that shares out `rows`, if this process leads one; None where it reads them alone."""
    return _current if _current is not None and _current.part_of(rows) is not None else None


@contextlib.contextmanager
def joined(device: torch.device) -> Iterator[Team]:
    """Meet the other processes that torchrun started, for the block.

    The end of the block tells the others to end, if this is process 0. An error that leaves the block does
    not: this process then ends, and torchrun ends the others.
    """
    global _current
    if device.type == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    _current = Team(device)
    try:
        yield _current
        if _current.rank == 0:
            _current.tell("end")
        dist.destroy_process_group()
    finally:
        _current = None
