"""Networks. To add one, write a function from (shape, num_classes) to a Net and put it into the table:

def linear(shape: tuple[int, ...], num_classes: int) -> Net:
    return Net(nn.Flatten(), math.prod(shape), num_classes)

NETS["Linear"] = linear
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from deepcore import seeding
from deepcore.checks import UsageError, check_choice
from deepcore.nets.net import Net
from deepcore.nets.small import convnet, lenet, mlp
from deepcore.nets.vision import resnet18

__all__ = ["NETS", "Net", "build", "canonical"]

NETS: dict[str, Callable[[tuple[int, ...], int], Net]] = {
    "MLP": mlp,
    "LeNet": lenet,
    "ConvNet": convnet,
    "ResNet18": resnet18,
}
VECTORS = ("MLP",)  # the nets that take vectors, too


def canonical(name: str) -> str:
    """The name in NETS that `name` means, whatever its case; UsageError lists the valid ones."""
    by_lower = {known.lower(): known for known in NETS}
    return by_lower.get(name.lower()) or check_choice("network", name, NETS)


def build(name: str, shape: tuple[int, ...], num_classes: int, *, seed: int) -> Net:
    """A new network, the same for the same arguments; torch's global generator is left as it was.

    Args:
        name: in NETS, in any case.
        shape: of one input, (C, H, W) or (D,).
        num_classes: of the labels.
        seed: of the stream "init".

    Returns:
        The network on the CPU, in training mode, with its `notes` (zero-padding and the like).

    Raises:
        UsageError: unknown name; a network for images given vectors.
    """
    name = canonical(name)
    if len(shape) == 1 and name not in VECTORS:
        raise UsageError(f"{name} takes images, and the data are vectors of {shape[0]} features: use MLP")
    with seeding.global_stream(seed, "init"):
        net = NETS[name](tuple(shape), num_classes)
    return net.to(memory_format=torch.channels_last)  # convolutions and pooling are faster so, on CPU and GPU
