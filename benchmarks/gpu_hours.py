"""GPU hours of experiments that are too large for this machine, from counted operations.

A plan is made for a data set of the real size without its pictures, so nothing has to be there. The rate is
an assumption, not a measurement: give the rate of your own GPU as `flops_per_second`.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

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


def _stand_in(
    name: str, train: int, test: int, shape: tuple[int, ...], classes: int, recipe: str, val: float = 0.1
) -> LabeledData:
    rows = [_NoPictures(np.arange(n) % classes, shape) for n in (train, test)]
    return LabeledData(name, *rows, classes, "stand-in", "ResNet18", recipe, val)


STAND_INS = {
    data.name: data
    for data in (
        _stand_in("Digits", 1_437, 360, (1, 8, 8), 10, "digits"),
        _stand_in("FashionMNIST", 60_000, 10_000, (1, 28, 28), 10, "small-images"),
        _stand_in("CIFAR10", 50_000, 10_000, (3, 32, 32), 10, "paper-cifar"),
        _stand_in("CIFAR100", 50_000, 10_000, (3, 32, 32), 100, "paper-cifar"),
        _stand_in("ImageNet", 1_281_167, 50_000, (3, 224, 224), 1000, "paper-imagenet", 0.01),
    )
}


@dataclass(frozen=True)
class Load:
    """Examples that pass a network: `train` forward and backward, `forward` forward alone."""

    dataset: str
    net: str
    train: float
    forward: float = 0.0


def stand_in(dataset: str) -> LabeledData:
    """The data set's size, shape and recipe, without its pictures."""
    return STAND_INS[check_choice("data set", dataset, STAND_INS)]


def loads_of(spec: ExperimentSpec, dataset: str) -> list[Load]:
    """The proxy runs and targets of an experiment, all seeds."""
    plan = make_plan(dataclasses.replace(spec, seeds=spec.seeds[:1]), stand_in(dataset))
    loads = []
    for task in plan.proxies.values():
        train, forward = proxy_passes(task)
        loads.append(Load(dataset, task.spec.net, train, forward))
    for cell in plan.cells:
        rows, _ = size_and_schedule(plan, cell)
        loads.append(Load(dataset, cell.net, examples(rows, spec.target), len(plan.data.test)))
    return [
        Load(load.dataset, load.net, load.train * len(spec.seeds), load.forward * len(spec.seeds))
        for load in loads
    ]


def gpu_hours(loads: Iterable[Load], flops_per_second: float = GPU_FLOPS) -> float:
    """Hours of one GPU for all of them, one after another."""
    total = 0.0
    for load in loads:
        forward, backward = _flops(load.dataset, load.net)
        total += load.train * (forward + backward) + load.forward * forward
    return total / flops_per_second / 3600


def hours_line(loads: Sequence[Load]) -> str:
    """The estimate as a sentence."""
    hours = gpu_hours(loads)
    said = f"{hours:,.0f}" if hours >= 10 else f"{hours:.1g}"
    return f"about {said} GPU hours (one GPU at an assumed {GPU_FLOPS / 1e12:.0f} TFLOP/s)"


@functools.cache
def _flops(dataset: str, net: str) -> tuple[int, int]:
    data = stand_in(dataset)
    found = flops_per_example(nets.build(net, data.train.shape, data.num_classes, seed=0), data.train.shape)
    return found["forward"], found["backward"]
