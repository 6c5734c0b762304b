"""The specification of a proxy run, and its identity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from deepcore.common import seeding
from deepcore.common.checks import UsageError, check_positive
from deepcore.common.identity import to_dict
from deepcore.training.spec import TrainSpec


@dataclass(frozen=True)
class ProxySpec:
    """Everything that fixes the weights of a proxy run. What it records is a `Recording`.

    Attributes:
        dataset, data_fingerprint: name and content of the data.
        net: name in NETS.
        train: the recipe, in whole epochs.
        val_fraction: share of the validation rows.
        seed: of the split, initialisation, order and augmentation.
        repeat: 0 for the run that all methods share; 1, 2, ... for further runs on the same split, each with
            an initialisation, order and augmentation of its own.
        stop: number of epochs to run; None for all of the recipe's. The schedule stays that of all epochs.
        rows: which rows it is trained on when they are not all candidates, as `OwnRun.rows` names them; None
            for the candidates.
    """

    dataset: str
    data_fingerprint: str
    net: str
    train: TrainSpec
    val_fraction: float
    seed: int
    repeat: int = 0
    stop: int | None = None
    rows: str | None = None

    @property
    def weights_seed(self) -> int:
        """Of the initialisation, order and augmentation."""
        return weights_seed(self.seed, self.repeat)

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


def weights_seed(seed: int, repeat: int = 0) -> int:
    """Of initialisation, order and augmentation of the runs of a seed: one for repeat 0, whatever rows they
    are trained on, and one for each further repeat."""
    return seeding.key(seed, "proxy", *([repeat] if repeat else []))


FORMAT = 1


def identity(spec: ProxySpec) -> dict[str, Any]:
    """What two runs must share to be the same run, as JSON values; a repeat's number, stop and rows where
    set."""
    value = {"format": FORMAT, **to_dict(spec)}
    return {name: v for name, v in value.items() if name not in ("repeat", "stop", "rows") or v}
