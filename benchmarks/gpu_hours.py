"""GPU hours of experiments that are too large for this machine, from counted operations.

A plan is made for a data set without its pictures, so nothing has to be there. The rate is an assumption,
not a measurement: give the rate of your own GPU as `flops_per_second`.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from deepcore.common.checks import check_choice
from deepcore.data.record import LabeledData
from deepcore.experiment.dry_run import proxy_passes, size_and_schedule
from deepcore.experiment.plan import make_plan
from deepcore.experiment.spec import ExperimentSpec
from deepcore.nets import networks as nets
from deepcore.nets.flops import flops_per_example
from deepcore.training.schedule import examples

GPU_FLOPS = 20e12  # a second; assumed of one A100-class GPU with TF32 (a multiply-add is 2)


@dataclass(frozen=True)
class _NoPictures:
    """The rows of a data set whose labels and shape are all that is known."""

    labels: np.ndarray
    shape: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class StandIn:
    """What is known of a data set without its files.

    Attributes:
        rows: of the train and the test part.
        shape, classes, recipe, val_fraction: as of a LabeledData.
        scale: plans are made for so many times fewer rows and classes, and their passes multiplied.
    """

    rows: tuple[int, int]
    shape: tuple[int, ...]
    classes: int
    recipe: str
    val_fraction: float = 0.1
    scale: int = 1

    def data(self, name: str, scale: int) -> LabeledData:
        """The record, `scale` times smaller, without pictures."""
        classes = min(self.classes, max(10, self.classes // scale))
        train, test = (_NoPictures(np.arange(n // scale) % classes, self.shape) for n in self.rows)
        return LabeledData(name, train, test, classes, "stand-in", "ResNet18", self.recipe, self.val_fraction)


_CIFAR = ((50_000, 10_000), (3, 32, 32))
STAND_INS = {
    "Digits": StandIn((1_437, 360), (1, 8, 8), 10, "digits"),
    "Synthetic": StandIn((2_000, 500), (32,), 10, "vectors"),
    "letter.npz": StandIn((16_000, 4_000), (16,), 26, "vectors"),
    "satellite.npz": StandIn((4_435, 2_000), (36,), 6, "vectors"),
    "spam.npz": StandIn((4_837, 1_209), (2_048,), 2, "vectors"),
    "FashionMNIST": StandIn((60_000, 10_000), (1, 28, 28), 10, "small-images", scale=10),
    "CIFAR10": StandIn(*_CIFAR, 10, "paper-cifar", scale=10),
    "CIFAR100": StandIn(*_CIFAR, 100, "paper-cifar", scale=10),
    "ImageNet": StandIn((1_281_167, 50_000), (3, 224, 224), 1000, "paper-imagenet", 0.01, scale=100),
}


@dataclass(frozen=True)
class Load:
    """Examples that pass a network: `train` forward and backward, `forward` forward alone."""

    dataset: str
    net: str
    train: float
    forward: float = 0.0


@functools.cache
def stand_in(dataset: str) -> LabeledData:
    """The data set's size, shape and recipe, without its pictures."""
    return _known(dataset).data(dataset, 1)


def _known(dataset: str) -> StandIn:
    return STAND_INS[check_choice("data set", dataset, STAND_INS)]


def loads_of(spec: ExperimentSpec, dataset: str) -> list[Load]:
    """The proxy runs and targets of an experiment, all seeds."""
    known = _known(dataset)
    plan = make_plan(dataclasses.replace(spec, seeds=spec.seeds[:1]), known.data(dataset, known.scale))
    found = [(task.spec.net, *proxy_passes(task)) for task in plan.proxies_of(plan.cells)]
    for cell in plan.cells:
        rows, _ = size_and_schedule(plan, cell)
        found.append((cell.net, examples(rows, spec.target), len(plan.data.test)))
    times = known.scale * len(spec.seeds)
    return [Load(dataset, net, times * train, times * forward) for net, train, forward in found]


def gpu_hours(loads: Iterable[Load], flops_per_second: float = GPU_FLOPS) -> float:
    """Hours of one GPU for all of them, one after another."""
    total = 0.0
    for load in loads:
        forward, backward = _flops(load.dataset, load.net)
        total += load.train * (forward + backward) + load.forward * forward
    return total / flops_per_second / 3600


def hours_line(loads: Sequence[Load]) -> str:
    """The estimate as a sentence."""
    return f"{hours_words(gpu_hours(loads))} GPU hours (one GPU at an assumed {GPU_FLOPS / 1e12:.0f} TFLOP/s)"


def hours_words(hours: float) -> str:
    """With two digits, as the rate is an assumption."""
    return "less than 0.1" if hours < 0.1 else f"about {float(f'{hours:.2g}'):,g}"


@functools.cache
def _flops(dataset: str, net: str) -> tuple[int, int]:
    known = _known(dataset)
    shape = known.shape
    with torch.device("meta"):  # no weights are drawn
        built = nets.build(net, shape, known.classes, seed=0)
    found = flops_per_example(built, shape)
    return found["forward"], found["backward"]
