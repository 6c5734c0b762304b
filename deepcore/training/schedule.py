"""The length of a training: its batches, epochs and steps, and the learning rate of each step."""

from __future__ import annotations

import math
from dataclasses import dataclass

from deepcore.training.spec import TrainSpec


@dataclass(frozen=True)
class Schedule:
    """The length of a training: number of epochs begun, of steps, and of steps in a whole epoch."""

    epochs: int
    steps: int
    per_epoch: int

    @classmethod
    def of(cls, n: int, spec: TrainSpec) -> Schedule:
        """The schedule of n rows with recipe `spec`; a length in steps may end inside the last epoch."""
        per_epoch = len(batch_bounds(n, spec.batch)) - 1
        if spec.steps is None:
            return cls(spec.epochs, spec.epochs * per_epoch, per_epoch)
        return cls(math.ceil(spec.steps / per_epoch), spec.steps, per_epoch)

    def epochs_over(self, n: int, batch: int) -> int:
        """Number of epochs begun when these steps are made over n rows."""
        return math.ceil(self.steps / (len(batch_bounds(n, batch)) - 1))


def batch_bounds(n: int, batch: int) -> list[int]:
    """Positions at which n rows are cut into batches; a last batch of one row joins the one before it."""
    bounds = [*range(0, n, batch), n]
    if len(bounds) > 2 and n - bounds[-2] == 1:
        del bounds[-2]
    return bounds


def examples(n: int, spec: TrainSpec) -> int:
    """Example passes of a training of n rows with recipe `spec`; a single row is put into its batch twice."""
    bounds = batch_bounds(max(n, 2), spec.batch)
    epochs, steps = divmod(Schedule.of(bounds[-1], spec).steps, len(bounds) - 1)
    return epochs * bounds[-1] + bounds[steps]


def lr_at(step: int, spec: TrainSpec, schedule: Schedule) -> float:
    """The learning rate of optimiser step 0..steps-1. No milestone lies before the end of the first epoch."""
    done = step / schedule.steps
    if spec.scheduler == "MultiStepLR":
        if spec.steps is None:
            passed = sum(
                step >= max(1, round(m * schedule.epochs)) * schedule.per_epoch for m in spec.milestones
            )
        else:
            passed = sum(step >= max(1, round(m * schedule.steps)) for m in spec.milestones)
        return spec.lr * spec.gamma**passed
    if spec.scheduler == "StepLR":
        return spec.lr * spec.gamma ** (step // schedule.per_epoch // spec.step_size)
    if spec.scheduler == "CosineAnnealingLR":
        return _cosine(spec.lr, spec.min_lr, done)
    if spec.scheduler == "OneCycleLR":  # 30% up from lr / 25, then down to min_lr, both along a cosine
        if done < 0.3:
            return _cosine(spec.lr / 25, spec.lr, done / 0.3)
        return _cosine(spec.lr, spec.min_lr, (done - 0.3) / 0.7)
    return spec.lr


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2
