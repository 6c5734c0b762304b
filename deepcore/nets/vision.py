"""torchvision's classification networks, with stems for small images where the architecture allows."""

from __future__ import annotations

import torch
from torch import nn

from deepcore.common.checks import UsageError
from deepcore.common.torchvision_import import torchvision
from deepcore.nets.net import Net, padded_to

SMALL = 64  # pixels up to which the stem keeps the resolution
LEAST = (8, 16, 32, 64, 96, 128, 224)  # sizes tried for images that are too small for a network
REPLAYABLE = ("ResNet",)  # see Net; the others were not tried
# without auxiliary classifiers, which have no place in a one-headed network
EXTRA = {name: {"aux_logits": False, "init_weights": True} for name in ("googlenet", "inception_v3")}


def model_names() -> list[str]:
    """The names of torchvision's classification models."""
    models = torchvision("models")
    return models.list_models(module=models)


def torchvision_net(name: str, shape: tuple[int, ...], num_classes: int) -> Net:
    """torchvision's model `name`, untrained, its last linear layer as the head.

    Up to 64 pixels the stem is made for small images: 3x3 stride 1 without max-pool (ResNet, DenseNet),
    patches of 2 (Swin), stride 1 (Inception, MobileNetV3), global pooling before one linear layer (VGG);
    otherwise, and for the other architectures, it is torchvision's. Another number of channels than 3 changes
    the first convolution. Images too small for the network are zero-padded to the first size of LEAST that
    runs.

    Raises:
        UsageError: no linear last layer, or images that it cannot take.
    """
    model = torchvision("models").get_model(
        name, weights=None, num_classes=num_classes, **EXTRA.get(name, {})
    )
    if max(shape[1:]) <= SMALL and type(model).__name__ in STEMS:
        STEMS[type(model).__name__](model, num_classes)
    path, first = next((p, m) for p, m in model.named_modules() if isinstance(m, nn.Conv2d))
    if first.in_channels != shape[0]:
        model.set_submodule(path, _conv_like(first, in_channels=shape[0]))
    features = _cut_head(model, name)
    for least in (1, *LEAST):
        size, pad, notes = padded_to(least, shape, name)
        if _runs(model, (shape[0], *size), features):
            replayable = type(model).__name__ in REPLAYABLE
            return Net(nn.Sequential(*pad, model), features, num_classes, notes, replayable=replayable)
    raise UsageError(
        f"{name} does not run on images of {shape[1]}x{shape[2]} pixels: resize them or take another"
    )


def _conv_like(conv: nn.Conv2d, **changes: int) -> nn.Conv2d:
    """A convolution as `conv` but for the changes, initialised as torchvision's ResNets are."""
    names = ("in_channels", "out_channels", "kernel_size", "stride", "padding")
    settings = {name: getattr(conv, name) for name in names} | changes
    new = nn.Conv2d(**settings, bias=conv.bias is not None)
    nn.init.kaiming_normal_(new.weight, mode="fan_out", nonlinearity="relu")
    if new.bias is not None:
        nn.init.zeros_(new.bias)
    return new


def _cut_head(model: nn.Module, name: str) -> int:
    """Replace the last linear layer by the identity; the size of the features that went into it."""
    linear = [(path, m) for path, m in model.named_modules() if isinstance(m, nn.Linear)]
    if not linear:
        raise UsageError(
            f"{name} does not end in a linear layer, whose input the features are: take another network"
        )
    path, head = linear[-1]
    model.set_submodule(path, nn.Identity())
    return head.in_features


@torch.no_grad()
def _runs(model: nn.Module, shape: tuple[int, ...], features: int) -> bool:
    """Whether one input of this shape goes through the headless `model`."""
    model.eval()
    try:
        return model(torch.zeros(1, *shape)).shape == (1, features)
    except (RuntimeError, ValueError, AssertionError):  # what layers raise for too small an input
        return False
    finally:
        model.train()


def _resnet(model: nn.Module, num_classes: int) -> None:
    model.conv1 = _conv_like(model.conv1, kernel_size=3, stride=1, padding=1)
    model.maxpool = nn.Identity()


def _densenet(model: nn.Module, num_classes: int) -> None:
    model.features.conv0 = _conv_like(model.features.conv0, kernel_size=3, stride=1, padding=1)
    model.features.pool0 = nn.Identity()


def _vgg(model: nn.Module, num_classes: int) -> None:
    model.avgpool = nn.AdaptiveAvgPool2d(1)
    model.classifier = nn.Linear(512, num_classes)


def _swin(model: nn.Module, num_classes: int) -> None:
    model.features[0][0] = _conv_like(model.features[0][0], kernel_size=2, stride=2)


def _inception(model: nn.Module, num_classes: int) -> None:
    model.Conv2d_1a_3x3.conv.stride = (1, 1)
    model.maxpool1 = model.maxpool2 = nn.Identity()


def _mobilenet(model: nn.Module, num_classes: int) -> None:
    model.features[0][0].stride = (1, 1)


STEMS = {
    "ResNet": _resnet,
    "DenseNet": _densenet,
    "VGG": _vgg,
    "SwinTransformer": _swin,
    "Inception3": _inception,
    "MobileNetV3": _mobilenet,
}
