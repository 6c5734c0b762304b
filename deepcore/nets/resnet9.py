"""ResNet-9, the fast CIFAR network."""

from __future__ import annotations

import torch
from torch import nn

from deepcore.nets.net import Net, padded_to


def resnet9(shape: tuple[int, ...], num_classes: int) -> Net:
    """Page's DAWNBench network (2018): widths 64 to 512, two residual blocks; 8 pixels at least.

    Global max-pooling and an ordinary linear layer at the end (no fixed scaling of the logits), so that every
    method sees the logits that the loss sees.
    """
    _, pad, notes = padded_to(8, shape, "ResNet9")
    body = nn.Sequential(
        *pad,
        _conv(shape[0], 64),
        *(_conv(64, 128), nn.MaxPool2d(2), _Residual(128)),
        *(_conv(128, 256), nn.MaxPool2d(2)),
        *(_conv(256, 512), nn.MaxPool2d(2), _Residual(512)),
        nn.AdaptiveMaxPool2d(1),
    )
    return Net(body, 512, num_classes, notes, replayable=True)


class _Residual(nn.Module):
    """x + two convolutions of x."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.block = nn.Sequential(_conv(width, width), _conv(width, width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.block(x)


def _conv(channels: int, width: int) -> nn.Sequential:
    """3x3 convolution, BatchNorm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)
    )
