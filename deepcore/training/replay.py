"""Steps on a GPU as CUDA graphs: captured once for each batch size, then replayed.

A step of ResNet18 is several hundred short kernels. Starting each from Python takes longer than running it;
a graph starts all of them at once. The kernels are the same, in the same order.
"""

from __future__ import annotations

import contextlib
import functools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch

from deepcore.nets.net import Net
from deepcore.training.spec import TrainSpec
from deepcore.training.together import Batch
from deepcore.training.update import Outputs, Update

WARM = 3  # steps of a size before it is captured: what libraries choose and allocate at first use is no part


def replays(net: Net, spec: TrainSpec, device: torch.device, *, compiled: bool) -> bool:
    """Whether the steps of a training can be replayed: its host takes no decision between two kernels."""
    return (
        device.type == "cuda"
        and net.replayable
        and spec.optimizer == "SGD"
        and spec.precision != "fp16"
        and not compiled
    )


@dataclass(frozen=True)
class Captured:
    """A step as a graph: the tensors that it reads, and those that it writes at each replay."""

    graph: torch.cuda.CUDAGraph
    reads: Batch
    writes: Outputs


class Replayed:
    """Takes the steps of `update`, from graphs where it has them.

    Results are those of `update`, but for the learning rate: it is a float32 on the device, so that a graph
    can read it. All steps of an epoch, their capture and the preparation of the batches share a stream of
    their own; outside an epoch the device is used as ever.

    Args:
        update: the step.
        device: of its tensors.
    """

    def __init__(self, update: Update, device: torch.device) -> None:
        self.update = update
        self._stream = _stream_of(torch.empty(0, device=device).device)
        self._rate = torch.zeros((), device=device)
        self._seen: Counter[int] = Counter()
        self._captured: dict[int, Captured] = {}

    def __call__(self, batch: Batch) -> Outputs:
        """Take the step. The outputs hold until the next one."""
        size = len(batch.labels)
        self._rate.fill_(batch.lr)
        if size not in self._captured:
            if self._seen[size] < WARM:
                self._seen[size] += 1
                return self.update.step(batch)
            self._captured[size] = self._capture(batch)
        captured = self._captured[size]
        for name in ("inputs", "labels", "weights"):
            if (value := getattr(batch, name)) is not None:
                getattr(captured.reads, name).copy_(value)
        captured.graph.replay()
        return captured.writes

    def _capture(self, batch: Batch) -> Captured:
        """The step as a graph; this takes no step."""
        weights = None if batch.weights is None else batch.weights.clone()
        reads = replace(batch, inputs=batch.inputs.clone(), labels=batch.labels.clone(), weights=weights)
        graph = torch.cuda.CUDAGraph()
        pool = next(iter(self._captured.values())).graph.pool() if self._captured else None
        with torch.cuda.graph(graph, pool=pool, stream=self._stream, capture_error_mode="thread_local"):
            writes = self.update.step(reads)
        return Captured(graph, reads, writes)

    @contextlib.contextmanager
    def epoch(self) -> Iterator[None]:
        """See Update."""
        outside = torch.cuda.current_stream(self._stream.device)
        self._stream.wait_stream(outside)
        self.update.set_rate(self._rate)
        try:
            with torch.cuda.stream(self._stream):
                yield
        finally:
            outside.wait_stream(self._stream)

    def close(self) -> None:
        """Let go of the graphs before another training captures its own: they may share work space."""
        self._captured.clear()


@functools.cache
def _stream_of(device: torch.device) -> torch.cuda.Stream:
    """One for the life of the process: libraries keep a work space for each stream that they saw."""
    return torch.cuda.Stream(device)
