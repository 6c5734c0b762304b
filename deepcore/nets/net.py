"""The network class: a body that gives features, and one linear layer."""

from __future__ import annotations

import torch
from torch import nn


class Net(nn.Module):
    """logits = head(features(x)).

    Args:
        body: (B, *shape) to (B, D), or (B, D, 1, 1).
        feature_dim: D.
        num_classes: C.
        notes: sentences for the user on how it was built.
        replayable: in training mode the body starts the same kernels on the same tensors for every batch of a
            size: nothing that the host decides, draws or counts changes them, what it keeps from step to step
            is changed in place, and no tensor comes from the host. A GPU then replays its steps
            (training/replay.py).
    """

    def __init__(
        self,
        body: nn.Module,
        feature_dim: int,
        num_classes: int,
        notes: tuple[str, ...] = (),
        *,
        replayable: bool = False,
    ) -> None:
        super().__init__()
        self.body = body
        self.feature_dim = feature_dim
        self.head = nn.Linear(feature_dim, num_classes)
        self.notes = notes
        self.replayable = replayable

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """Penultimate features h, (B, D)."""
        return self.body(x).flatten(1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits, (B, C)."""
        return self.head(self.features(x))


def padded_to(
    least: int, shape: tuple[int, int, int], name: str
) -> tuple[tuple[int, int], list[nn.Module], tuple[str, ...]]:
    """Zero-padding for images that are smaller than a network needs.

    Args:
        least: smallest height and width that the network takes.
        shape: (channels, height, width) of the inputs.
        name: of the net, for the note.

    Returns:
        Height and width after padding; a list with the padding layer and a tuple with the note, both empty
        without padding.
    """
    height, width = shape[1:]
    taller, wider = max(0, least - height), max(0, least - width)
    if not taller and not wider:
        return (height, width), [], ()
    size = (height + taller, width + wider)
    layer = nn.ZeroPad2d((wider // 2, wider - wider // 2, taller // 2, taller - taller // 2))
    note = f"{name} needs {least} pixels: images of {height}x{width} are zero-padded to {size[0]}x{size[1]}"
    return size, [layer], (note,)
