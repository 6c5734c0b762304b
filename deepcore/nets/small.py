"""Networks for small inputs and small machines."""

from __future__ import annotations

import math

from torch import nn

from deepcore.nets.net import Net, padded_to


def mlp(shape: tuple[int, ...], num_classes: int) -> Net:
    """One hidden layer of 256 ReLU units on the flattened input, images or vectors."""
    body = nn.Sequential(nn.Flatten(), nn.Linear(math.prod(shape), 256), nn.ReLU(inplace=True))
    return Net(body, 256, num_classes, replayable=True)


def lenet(shape: tuple[int, ...], num_classes: int) -> Net:
    """LeNet-5 (LeCun et al. 1998) with ReLU and max-pooling; 16 pixels at least.

    The first convolution pads by 2, which makes of 28x28 the 32x32 of the paper. Pooling comes before ReLU:
    the two commute, and it is less work.
    """
    (height, width), pad, notes = padded_to(16, shape, "LeNet")
    body = nn.Sequential(
        *pad,
        nn.Conv2d(shape[0], 6, 5, padding=2),
        nn.MaxPool2d(2),
        nn.ReLU(inplace=True),
        nn.Conv2d(6, 16, 5),
        nn.MaxPool2d(2),
        nn.ReLU(inplace=True),
        nn.Flatten(),
        nn.Linear(16 * ((height // 2 - 4) // 2) * ((width // 2 - 4) // 2), 120),
        nn.ReLU(inplace=True),
        nn.Linear(120, 84),
        nn.ReLU(inplace=True),
    )
    return Net(body, 84, num_classes, notes, replayable=True)


def convnet(shape: tuple[int, ...], num_classes: int) -> Net:
    """Three 3x3 convolutions with BatchNorm and pooling, 1.9 M multiply-adds at 28x28; 8 pixels at least."""
    _, pad, notes = padded_to(8, shape, "ConvNet")
    layers: list[nn.Module] = [*pad]
    channels = shape[0]
    for width in (16, 32, 64):
        layers += [
            nn.Conv2d(channels, width, 3, padding=1, bias=False),
            nn.MaxPool2d(2),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
        ]
        channels = width
    return Net(nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1)), channels, num_classes, notes, replayable=True)
