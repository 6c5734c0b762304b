"""One step of the optimiser."""

from __future__ import annotations

import contextlib
from typing import NamedTuple

import torch

from deepcore.training.together import Batch, Steps


class Outputs(NamedTuple):
    """What a step gives: the batch's mean loss, (); logits (B, C) and features (B, D) before the step."""

    loss: torch.Tensor
    logits: torch.Tensor
    features: torch.Tensor


class Update:
    """Forward pass, loss, backward pass and step of the optimiser.

    Args:
        steps: makes features, logits and the loss.
        optimizer: of the network's parameters.
        scaler: of the loss, for fp16.
    """

    def __init__(self, steps: Steps, optimizer: torch.optim.Optimizer, scaler: torch.amp.GradScaler) -> None:
        self.steps, self.optimizer, self.scaler = steps, optimizer, scaler

    def __call__(self, batch: Batch) -> Outputs:
        """Take the step; no output needs a gradient, and none changes afterwards."""
        self.set_rate(batch.lr)
        return self.step(batch)

    def set_rate(self, rate: float | torch.Tensor) -> None:
        """The learning rate of the next step."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate

    def step(self, batch: Batch) -> Outputs:
        """A step at the learning rate that is set."""
        features, logits = self.steps.forward(batch.inputs)
        loss = self.steps.loss(logits, batch)
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return Outputs(loss.detach(), logits.detach(), features.detach())

    def epoch(self) -> contextlib.AbstractContextManager[None]:
        """A block in which the steps of an epoch are taken."""
        return contextlib.nullcontext()

    def close(self) -> None:
        """After the last step, also where an error ended the training."""
