"""Networks. To add one, write a function from (shape, num_classes) to a Net and put it into the table:

def linear(shape: tuple[int, ...], num_classes: int) -> Net:
    return Net(nn.Flatten(), math.prod(shape), num_classes)

NETS["Linear"] = linear
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch

from deepcore.common import seeding
from deepcore.common.checks import UsageError, check_choice
from deepcore.nets.net import Net
from deepcore.nets.resnet9 import resnet9
from deepcore.nets.small import convnet, lenet, mlp
from deepcore.nets.vision import model_names, torchvision_net

__all__ = ["NETS", "Net", "build", "canonical"]

NETS: dict[str, Callable[[tuple[int, ...], int], Net]] = {
    "MLP": mlp,
    "LeNet": lenet,
    "ConvNet": convnet,
    "ResNet9": resnet9,
    "ResNet18": functools.partial(torchvision_net, "resnet18"),
    "ResNet34": functools.partial(torchvision_net, "resnet34"),
    "ResNet50": functools.partial(torchvision_net, "resnet50"),
    "VGG19bn": functools.partial(torchvision_net, "vgg19_bn"),
    "DenseNet121": functools.partial(torchvision_net, "densenet121"),
    "SwinT": functools.partial(torchvision_net, "swin_t"),
}
VECTORS = ("MLP",)  # networks that also take vectors


def canonical(name: str) -> str:
    """The name in NETS, or of a torchvision model, for `name` in any case and with or without underscores
    (DeepCore's "InceptionV3" is torchvision's "inception_v3").

    Raises:
        UsageError: unknown name; the valid ones are listed.
    """
    for known in (NETS, None):
        spelled = {_plain(valid): valid for valid in (known or model_names())}
        if _plain(name) in spelled:
            return spelled[_plain(name)]
    return check_choice(
        "network", name, [*NETS, "any torchvision classification model (resnet101, vit_b_16, ...)"]
    )


def build(name: str, shape: tuple[int, ...], num_classes: int, *, seed: int) -> Net:
    """A new network, the same for the same arguments; torch's global generator is left as it was.

    Args:
        name: see `canonical`.
        shape: of one input, (C, H, W) or (D,).
        num_classes: of the labels.
        seed: of the stream "init".

    Returns:
        The network on the CPU, in training mode, with its `notes` (zero-padding and the like).

    Raises:
        UsageError: unknown name; a network for images given vectors, or images that it cannot take.
    """
    name = canonical(name)
    if len(shape) == 1 and name not in VECTORS:
        raise UsageError(f"{name} takes images, and the data are vectors of {shape[0]} features: use MLP")
    with seeding.global_stream(seed, "init"):
        builder = NETS.get(name) or functools.partial(torchvision_net, name)
        net = builder(tuple(shape), num_classes)
    return net.to(memory_format=torch.channels_last)  # convolutions and pooling are faster so, on CPU and GPU


def _plain(name: str) -> str:
    return name.lower().replace("_", "")
