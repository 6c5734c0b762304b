"""Forward passes without training, and the accuracy of a network."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future

import numpy as np
import torch

from deepcore.common.meter import Meter
from deepcore.common.threads import python_threads
from deepcore.data.record import Rows
from deepcore.nets.net import Net
from deepcore.training import distributed
from deepcore.training.precision import forward
from deepcore.training.together import shared_pass

EVAL_BATCH = 512  # rows per batch; fixed, so that results do not depend on --batch


@torch.no_grad()
def evaluate(
    net: Net,
    data: Rows,
    rows: np.ndarray,
    *,
    device: torch.device,
    meter: Meter,
    kind: str,
    precision: str = "fp32",
    side_by_side: int = 1,
) -> Iterator[tuple[slice, torch.Tensor, torch.Tensor]]:
    """Forward passes in eval mode, without augmentation.

    Yields (positions into rows, logits, features) per batch; logits and features are float32. The network's
    body runs in `precision`. Its training mode is restored when the iterator is exhausted. The meter counts
    the passes as `kind`. When several processes hold the network, all of them must call this. On a CPU with
    cores to spare, `side_by_side` batches may be under way at a time, each in a thread; results are the same.
    """
    was_training = net.training
    net.eval()
    try:
        for cut, logits, features in _passes(net, data, rows, device, precision, side_by_side):
            meter.count(kind, len(logits))
            yield cut, logits, features
    finally:
        net.train(was_training)


def _passes(
    net: Net, data: Rows, rows: np.ndarray, device: torch.device, precision: str, side_by_side: int
) -> Iterator[tuple[slice, torch.Tensor, torch.Tensor]]:
    team = distributed.leading(data)
    if team is not None and team.net is net:
        team.tell("pass", team.part_of(data), rows, EVAL_BATCH, precision)
        yield from shared_pass(team, net, data, rows, EVAL_BATCH, precision)
        return
    cuts = [slice(a, min(a + EVAL_BATCH, len(rows))) for a in range(0, len(rows), EVAL_BATCH)]
    inputs = zip(cuts, data.batches([rows[cut] for cut in cuts], device=device), strict=True)
    if side_by_side > 1:
        yield from _side_by_side(net, inputs, precision, side_by_side)
        return
    for cut, x in inputs:
        features, logits = forward(net, x, precision)
        yield cut, logits, features


def _side_by_side(
    net: Net, inputs: Iterator[tuple[slice, torch.Tensor]], precision: str, threads: int
) -> Iterator[tuple[slice, torch.Tensor, torch.Tensor]]:
    """The same passes, in order, with as many under way as there are threads."""
    under_way: deque[tuple[slice, Future]] = deque()
    with python_threads(threads, "pass") as pool:
        for cut, x in inputs:
            under_way.append((cut, pool.submit(torch.no_grad()(forward), net, x, precision)))
            if len(under_way) > threads:
                yield _done(*under_way.popleft())
        while under_way:
            yield _done(*under_way.popleft())


def _done(cut: slice, passed: Future) -> tuple[slice, torch.Tensor, torch.Tensor]:
    features, logits = passed.result()
    return cut, logits, features


def class_accuracy(
    net: Net, data: Rows, num_classes: int, *, device: torch.device, meter: Meter, precision: str = "fp32"
) -> tuple[float, list[float | None]]:
    """Accuracy on `data` in [0, 1]: over all rows, and per class (None for a class without rows)."""
    labels = torch.from_numpy(data.labels).to(device)
    right = torch.zeros(len(data), dtype=torch.bool, device=device)
    passes = evaluate(
        net, data, np.arange(len(data)), device=device, meter=meter, kind="test", precision=precision
    )
    for cut, logits, _ in passes:
        right[cut] = logits.argmax(dim=1) == labels[cut]
    hits = torch.bincount(labels[right], minlength=num_classes).tolist()
    sizes = torch.bincount(labels, minlength=num_classes).tolist()
    return sum(hits) / len(data), [h / n if n else None for h, n in zip(hits, sizes, strict=True)]
