"""The recipe of a training, frozen and validated."""

from __future__ import annotations

from dataclasses import dataclass

from deepcore.common.checks import UsageError, check_choice, check_positive

SCHEDULERS = ("MultiStepLR", "CosineAnnealingLR", "OneCycleLR", "StepLR", "ConstantLR")
OPTIMIZERS = ("SGD", "Adam", "AdamW")
PRECISIONS = ("fp32", "bf16", "fp16")


@dataclass(frozen=True)
class TrainSpec:
    """The recipe of one training, proxy or target. Defaults: Appendix C of the CLD paper, CIFAR-100.

    Attributes:
        epochs: passes over the training rows.
        steps: length in optimiser steps; it replaces `epochs` when set.
        batch: rows per step; a last batch of one row joins the batch before it.
        lr, min_lr: initial and (cosine, one-cycle) final learning rate.
        milestones: where MultiStepLR multiplies by gamma, as shares of the length (81/164 and 121/164).
        step_size: epochs between StepLR's decays.
        augment: use the data set's augmentation.
        precision: number format of the network's body. Weights, the last layer, losses and recorded signals
            are float32. fp16 needs CUDA.
    """

    epochs: int = 164
    steps: int | None = None
    batch: int = 128
    optimizer: str = "SGD"
    lr: float = 0.1
    min_lr: float = 1e-4
    momentum: float = 0.9
    nesterov: bool = True
    weight_decay: float = 5e-4
    scheduler: str = "MultiStepLR"
    milestones: tuple[float, ...] = (81 / 164, 121 / 164)
    gamma: float = 0.1
    step_size: int = 50
    augment: bool = True
    precision: str = "fp32"

    def __post_init__(self) -> None:
        check_positive("epochs", self.epochs, whole=True)
        if self.steps is not None:
            check_positive("steps", self.steps, whole=True)
        check_positive("batch", self.batch, whole=True)
        check_positive("lr", self.lr, zero=True)
        check_positive("min_lr", self.min_lr, zero=True)
        check_positive("momentum", self.momentum, zero=True)
        check_positive("weight_decay", self.weight_decay, zero=True)
        check_positive("gamma", self.gamma)
        check_positive("step_size", self.step_size, whole=True)
        check_choice("optimizer", self.optimizer, OPTIMIZERS)
        check_choice("scheduler", self.scheduler, SCHEDULERS)
        check_choice("precision", self.precision, PRECISIONS)
        if self.momentum >= 1:
            raise UsageError(f"momentum is {self.momentum}: it must be below 1")
        if self.nesterov and self.optimizer == "SGD" and self.momentum == 0:
            raise UsageError("nesterov needs a momentum above 0: set --momentum, or --nesterov false")
        if self.min_lr > self.lr and self.scheduler in ("CosineAnnealingLR", "OneCycleLR"):
            raise UsageError(f"min_lr {self.min_lr} is above lr {self.lr}: {self.scheduler} goes down to it")
        if any(not 0 < m < 1 for m in self.milestones) or list(self.milestones) != sorted(self.milestones):
            raise UsageError(f"milestones are {self.milestones}: increasing shares of the length, in (0, 1)")
