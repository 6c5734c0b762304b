"""The number format of a network's forward and backward passes."""

from __future__ import annotations

import contextlib

import torch

from deepcore.common.checks import UsageError
from deepcore.nets.net import Net

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}  # used with autocast; fp32 uses none


def check_precision(precision: str, device: torch.device) -> None:
    """Raise UsageError when `device` cannot train in `precision`."""
    if precision == "fp16" and device.type != "cuda":
        raise UsageError(
            f"precision fp16 needs a CUDA device and this is {device.type}: bf16 runs here, with fp32's range"
        )


def autocast(precision: str, device: torch.device) -> contextlib.AbstractContextManager:
    """Run matrix products and convolutions of the block in `precision`; weights stay float32.

    fp32 changes nothing, not even an autocast that the caller has opened.
    """
    if precision == "fp32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, DTYPES[precision])


def make_scaler(precision: str, device: torch.device) -> torch.amp.GradScaler:
    """Loss scaling for fp16, which keeps its gradients from vanishing. For other precisions it does nothing,
    and its state is empty."""
    return torch.amp.GradScaler(device.type, enabled=precision == "fp16")


def forward(net: Net, x: torch.Tensor, precision: str) -> tuple[torch.Tensor, torch.Tensor]:
    """(features, logits), both float32. The body runs in `precision`, the last layer in float32, so that
    losses and signals have float32 resolution."""
    with autocast(precision, x.device):
        features = net.features(x)
    features = features.float()
    return features, net.head(features)
