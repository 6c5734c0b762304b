"""Hooks: the protocol for watching a training."""

from __future__ import annotations

import numpy as np
import torch

from deepcore.nets.net import Net


class Hook:
    """Watches a training. It must not change the network, the optimiser or any random state."""

    def begin(self, net: Net) -> None:
        """Called before the first step; not called when a checkpoint is resumed. In an overlapped training
        the first epoch may be under way already, and `net` is a copy of the network as it was."""

    def batch(self, positions: np.ndarray, logits: torch.Tensor, features: torch.Tensor) -> None:
        """Called after each step with its outputs: positions into the epoch's rows (B,), logits (B, C),
        features (B, D), both float32 on the device. They hold until the next step: copy what is to be kept.
        Reading their values here would block a GPU's queue."""

    def close_epoch(self, epoch: int) -> None:
        """After the last step of epoch 1..T: take over what its steps gave, before the next epoch begins."""

    def epoch_end(self, net: Net, epoch: int) -> None:
        """After epoch 1..T. In an overlapped training the next epoch may be under way already, and `net` is a
        copy of the network as it was."""

    def state(self) -> dict:
        """What the hook needs to go on after `epoch_end`: tensors and plain values. Asked after `epoch_end`,
        for the epoch that it was called with."""
        return {}

    def load(self, state: dict) -> None:
        """Restore what `state` returned."""
