"""Batch normalisation over the batch of all processes."""

from __future__ import annotations

from typing import Any

import torch
from torch import distributed as dist
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


def share_norms(net: nn.Module, device: torch.device, group: dist.ProcessGroup) -> None:
    """Let every batch normalisation of `net` take mean and variance over the batches of all processes.

    On a GPU it is torch's SyncBatchNorm; on a CPU, where torch has none, `SharedBatchNorm`. Parameters,
    running statistics and their names stay; evaluation does not change.
    """
    for parent in list(net.modules()):
        for name, child in parent.named_children():
            if not isinstance(child, _BatchNorm) or isinstance(child, (nn.SyncBatchNorm, SharedBatchNorm)):
                continue
            if device.type == "cuda":
                setattr(parent, name, nn.SyncBatchNorm.convert_sync_batchnorm(child, group))
            else:
                setattr(parent, name, SharedBatchNorm.of(child, group))


class SharedBatchNorm(_BatchNorm):
    """Batch normalisation whose mean and variance in training are those of the rows of all processes; one may
    have fewer rows than another, or none."""

    group: dist.ProcessGroup

    @classmethod
    def of(cls, norm: _BatchNorm, group: dist.ProcessGroup) -> SharedBatchNorm:
        """In place of `norm`, with its parameters and buffers."""
        shared = cls(
            norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats, device="meta"
        )
        shared._parameters, shared._buffers = norm._parameters, norm._buffers
        shared.training, shared.group = norm.training, group
        return shared

    def _check_input_dim(self, x: torch.Tensor) -> None:
        """Any (B, C, ...)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, ...) normalised per channel."""
        if not self.training and self.running_mean is not None:
            return super().forward(x)
        dims = [0, *range(2, x.dim())]
        wide = x.float()
        per_channel = (1, -1, *(1 for _ in x.shape[2:]))
        count = torch.tensor([x.numel() / x.shape[1] if x.numel() else 0.0], device=x.device)
        sums = _Sum.apply(torch.cat([wide.sum(dims), count]), self.group)
        n = sums[-1].detach()
        mean = sums[:-1] / n
        centred = wide - mean.view(per_channel)
        variance = _Sum.apply(centred.square().sum(dims), self.group) / n
        if self.training and self.running_mean is not None:
            self._track(mean.detach(), variance.detach(), n)
        y = centred * torch.rsqrt(variance + self.eps).view(per_channel)
        if self.affine:
            y = y * self.weight.view(per_channel) + self.bias.view(per_channel)
        return y.to(x.dtype)

    def _track(self, mean: torch.Tensor, variance: torch.Tensor, n: torch.Tensor) -> None:
        """Move the running statistics, as torch does: the variance by the unbiased one."""
        self.num_batches_tracked += 1
        momentum = 1.0 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, momentum)
        self.running_var.lerp_(variance * (n / (n - 1)), momentum)


class _Sum(torch.autograd.Function):
    """The sum of a tensor over all processes; its gradient is the sum of theirs."""

    @staticmethod
    def forward(ctx: Any, value: torch.Tensor, group: dist.ProcessGroup) -> torch.Tensor:
        ctx.group = group
        total = value.clone()
        dist.all_reduce(total, group=group)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        total = gradient.contiguous().clone()
        dist.all_reduce(total, group=ctx.group)
        return total, None
