"""The end of an epoch: run the hooks and save a checkpoint, optionally while the next epoch trains."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from concurrent.futures import Future
from types import TracebackType

import torch

from deepcore.common.meter import Meter
from deepcore.common.threads import python_threads
from deepcore.nets.net import Net
from deepcore.training.checkpoint import Checkpoint, training_state
from deepcore.training.hooks import Hook


class EpochEnds:
    """Runs the ends of epochs one after the other.

    Overlapped, each runs in one thread of its own on a copy of the network and of the optimiser's state, so
    that the next epoch trains meanwhile; so do the beginnings of the hooks. At most one is under way. Errors
    are raised at the next `run` or `wait`.

    Args:
        hooks: watchers of the training.
        checkpoint: where to save, if anywhere.
        overlapped: use the thread.
    """

    def __init__(self, hooks: Sequence[Hook], checkpoint: Checkpoint | None, *, overlapped: bool) -> None:
        self.hooks, self.checkpoint = hooks, checkpoint
        self._thread = python_threads(1, "epoch-end") if overlapped else None
        self._under_way: Future | None = None

    def __enter__(self) -> EpochEnds:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._thread is not None:
            self._thread.shutdown(wait=True)

    def begin(self, net: Net) -> None:
        """Before the first step."""
        if self._thread is None:
            self._begin(net)
        else:
            self._under_way = self._thread.submit(self._begin, copy.deepcopy(net))

    def _begin(self, net: Net) -> None:
        for hook in self.hooks:
            hook.begin(net)

    def run(
        self,
        epoch: int,
        net: Net,
        optimizer: torch.optim.Optimizer,
        scaler: torch.amp.GradScaler,
        meter: Meter,
    ) -> None:
        """The end of epoch 1..T."""
        self.wait()
        for hook in self.hooks:
            hook.close_epoch(epoch)
        if self._thread is None:
            self._end(epoch, net, training_state(net, optimizer, scaler, meter))
            return
        still = copy.deepcopy(net)
        state = copy.deepcopy(training_state(still, optimizer, scaler, meter))
        self._under_way = self._thread.submit(self._end, epoch, still, state)

    def wait(self) -> None:
        """Until the end under way is done; raises its error."""
        if self._under_way is not None:
            ended, self._under_way = self._under_way, None
            ended.result()

    def _end(self, epoch: int, net: Net, state: dict) -> None:
        for hook in self.hooks:
            hook.epoch_end(net, epoch)
        if self.checkpoint:
            self.checkpoint.save(epoch, state, self.hooks)
