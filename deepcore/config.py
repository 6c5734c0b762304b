"""Frozen, validated specifications: what is trained, how, and what is compared with what."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from deepcore.checks import UsageError, check_choice, check_fraction, check_positive

if TYPE_CHECKING:
    from deepcore.method import CoresetMethod

SCHEDULERS = ("MultiStepLR", "CosineAnnealingLR", "OneCycleLR", "StepLR", "ConstantLR")
OPTIMIZERS = ("SGD", "Adam", "AdamW")
PRECISIONS = ("fp32", "bf16", "fp16")


@dataclass(frozen=True)
class TrainSpec:
    """The recipe of one training, proxy or target. Defaults: Appendix C of the CLD paper, CIFAR-100.

    Attributes:
        epochs: passes over the training rows.
        steps: if set, the length in optimiser steps, and `epochs` plays no part.
        batch: rows per step; a last batch of one row joins the batch before it.
        lr, min_lr: initial and (cosine, one-cycle) final learning rate.
        milestones: where MultiStepLR multiplies by gamma, as shares of the length (81/164 and 121/164).
        step_size: epochs between StepLR's decays.
        augment: use the data set's augmentation.
        precision: of the network's body under autocast; weights, the last layer, losses and recorded signals
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


@dataclass(frozen=True)
class ProxySpec:
    """What fixes the weights of a proxy run, and so its identity; what it records is apart (`Recording`).

    Attributes:
        dataset, data_fingerprint: the data and their content.
        net: name in NETS.
        train: the recipe, in whole epochs.
        val_fraction, seed: of the split; the seed also fixes initialisation, order and augmentation.
        repeat: 0 for the run that all methods share; 1, 2, ... for further runs on the same split, each with
            an initialisation, order and augmentation of its own.
        stop: epochs that are run of the recipe's; None for all. The schedule stays that of all.
    """

    dataset: str
    data_fingerprint: str
    net: str
    train: TrainSpec
    val_fraction: float
    seed: int
    repeat: int = 0
    stop: int | None = None

    @property
    def epochs(self) -> int:
        """Epochs that are run."""
        return self.train.epochs if self.stop is None else min(self.stop, self.train.epochs)

    def __post_init__(self) -> None:
        check_positive("repeat", self.repeat, zero=True, whole=True)
        if self.stop is not None:
            check_positive("stop", self.stop, whole=True)
        if self.train.steps is not None:
            raise UsageError(
                "the proxy runs whole epochs: give --selection_epochs, --steps is for the target"
            )


@dataclass(frozen=True)
class LabelNoise:
    """Shares of labels that are flipped, in [0, 1): of the train pool's, and of the validation rows'. Test
    labels are never touched."""

    train: float = 0.0
    val: float = 0.0

    def __post_init__(self) -> None:
        for name, rate in (("label_noise", self.train), ("label_noise_val", self.val)):
            if not 0 <= rate < 1:
                raise UsageError(f"{name} is {rate}: the share of labels to flip, at least 0 and below 1")

    def __bool__(self) -> bool:
        return bool(self.train or self.val)


@dataclass(frozen=True)
class ExperimentSpec:
    """A grid: seeds x methods x fractions x target nets, and the recipes of proxy and target.

    Attributes:
        seeds: one split, one proxy run, one target initialisation and order each.
        methods: instances of CoresetMethod.
        fractions: kept, of the train pool.
        nets: target networks; proxy_net scores for all of them.
        everything: record what methods added later may read, not only what these do.
        label_noise: labels that are flipped.
    """

    seeds: tuple[int, ...]
    methods: tuple[CoresetMethod, ...]
    fractions: tuple[float, ...]
    nets: tuple[str, ...]
    proxy_net: str
    proxy: TrainSpec
    target: TrainSpec
    val_fraction: float = 0.1
    everything: bool = True
    label_noise: LabelNoise = LabelNoise()

    def __post_init__(self) -> None:
        if not (self.seeds and self.methods and self.fractions and self.nets):
            raise UsageError("an experiment needs at least one seed, method, fraction and net")
        for name in ("seeds", "methods", "fractions", "nets"):
            if len(set(getattr(self, name))) < len(getattr(self, name)):
                raise UsageError(f"one of the {name} is given twice: its rows would count twice")
        for fraction in self.fractions:
            check_fraction(fraction)
        if not 0 < self.val_fraction < 1:
            raise UsageError(f"val_fraction is {self.val_fraction}: it must be in (0, 1)")


# Named recipes: Appendix C of the CLD paper, and what suits the small data sets that every machine has.
RECIPES: dict[str, TrainSpec] = {
    "paper-cifar": TrainSpec(),
    "paper-imagenet": TrainSpec(epochs=90, batch=256, weight_decay=1e-4, milestones=(30 / 90, 60 / 90)),
    "digits": TrainSpec(lr=0.05, augment=False),
    "small-images": TrainSpec(epochs=30),
    "vectors": TrainSpec(epochs=60, lr=0.05, augment=False),
}


def to_dict(spec: Any) -> dict[str, Any]:
    """A dataclass as plain JSON values (tuples become lists), keys sorted."""
    return json.loads(json.dumps(dataclasses.asdict(spec), sort_keys=True))


def fingerprint(*parts: Any) -> str:
    """Sixteen hex digits that identify the JSON content of `parts`."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
