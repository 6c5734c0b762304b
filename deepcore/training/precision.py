"""The number format of a network's forward and backward passes."""

from __future__ import annotations

import contextlib

import torch

from deepcore.common.checks import UsageError
from deepcore.nets.net import Net

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}  # under autocast; fp32 is without


def check_precision(precision: str, device: torch.device) -> None:
    """UsageError where `device` cannot train in `precision`."""
    if precision == "fp16" and device.type != "cuda":
        raise UsageError(
            f"precision fp16 needs a CUDA device and this is {device.type}: bf16 runs here, with fp32's range"
        )


def autocast(precision: str, device: torch.device) -> contextlib.AbstractContextManager:
    """Matrix products and convolutions of the block in `precision`; weights stay float32.

    fp32 touches nothing, not even an autocast that the caller has opened.
    """
    if precision == "fp32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, DTYPES[precision])


def make_scaler(precision: str, device: torch.device) -> torch.amp.GradScaler:
    """The loss scaling that keeps fp16 gradients from vanishing; for the others it does nothing, and its
    state is empty."""
    return torch.amp.GradScaler(device.type, enabled=precision == "fp16")


def forward(net: Net, x: torch.Tensor, precision: str) -> tuple[torch.Tensor, torch.Tensor]:
    """(features, logits), float32 both: the body in `precision`, the last layer in float32, so that losses
    and signals have its resolution."""
    with autocast(precision, x.device):
        features = net.features(x)
    features = features.float()
    return features, net.head(features)
