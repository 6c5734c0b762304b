"""Forward passes without training, and the accuracy of a network."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from deepcore.common.meter import Meter
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
) -> Iterator[tuple[slice, torch.Tensor, torch.Tensor]]:
    """Forward passes in eval mode, without augmentation.

    Yields (positions into rows, logits, features) per batch; logits and features are float32. The network's
    body runs in `precision`. Its training mode is restored when the iterator is exhausted. The meter counts
    the passes as `kind`. When several processes hold the network, all of them must call this.
    """
    was_training = net.training
    net.eval()
    try:
        for cut, logits, features in _passes(net, data, rows, device, precision):
            meter.count(kind, len(logits))
            yield cut, logits, features
    finally:
        net.train(was_training)


def _passes(
    net: Net, data: Rows, rows: np.ndarray, device: torch.device, precision: str
) -> Iterator[tuple[slice, torch.Tensor, torch.Tensor]]:
    team = distributed.leading(data)
    if team is not None and team.net is net:
        team.tell("pass", team.part_of(data), rows, EVAL_BATCH, precision)
        yield from shared_pass(team, net, data, rows, EVAL_BATCH, precision)
        return
    cuts = [slice(a, min(a + EVAL_BATCH, len(rows))) for a in range(0, len(rows), EVAL_BATCH)]
    for cut, x in zip(cuts, data.batches([rows[cut] for cut in cuts], device=device), strict=True):
        features, logits = forward(net, x, precision)
        yield cut, logits, features


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
