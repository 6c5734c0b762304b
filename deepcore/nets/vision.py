"""torchvision's networks, with stems for small images."""

from __future__ import annotations

from torch import nn

from deepcore.nets.net import Net, padded_to
from deepcore.torchvision_import import torchvision

SMALL = 64  # pixels up to which images keep their resolution in the stem


def resnet18(shape: tuple[int, ...], num_classes: int) -> Net:
    """ResNet-18 (He et al. 2016); up to 64 pixels a 3x3 stride-1 stem without max-pool; 8 pixels at least."""
    _, pad, notes = padded_to(8, shape, "ResNet18")
    body = torchvision("models").resnet18(weights=None)
    small = max(shape[1:]) <= SMALL
    body.conv1 = _conv1(shape[0], 3, 1) if small else _conv1(shape[0], 7, 2)
    if small:
        body.maxpool = nn.Identity()
    features = body.fc.in_features
    body.fc = nn.Identity()
    return Net(nn.Sequential(*pad, body), features, num_classes, notes)


def _conv1(channels: int, kernel: int, stride: int) -> nn.Conv2d:
    """A ResNet's first convolution, initialised as torchvision's."""
    conv = nn.Conv2d(channels, 64, kernel, stride=stride, padding=kernel // 2, bias=False)
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    return conv
