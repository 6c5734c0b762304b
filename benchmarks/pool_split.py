"""Experiments whose validation rows are chosen by hand.

The proxy run holds out a whole pool and records the loss of each of its rows at every checkpoint. A
validation set is any part of the pool: `narrowed` leaves its columns in the run. So one proxy run serves all
validation sets, and every one of them is compared on the same candidates and the same proxy.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from benchmarks.claims import Setting, Size
from deepcore.common.checks import UsageError
from deepcore.common.identity import fingerprint
from deepcore.common.seeding import stream
from deepcore.data.label_noise import LabelNoise, flip
from deepcore.data.record import LabeledData
from deepcore.data.split import Split
from deepcore.experiment.target import train_target
from deepcore.proxy.engine import obtain_proxy
from deepcore.proxy.recording import Recording
from deepcore.proxy.run import ProxyRun
from deepcore.proxy.signals import Signal
from deepcore.proxy.spec import ProxySpec
from deepcore.selection.budget import Budget
from deepcore.selection.method import CoresetMethod
from deepcore.selection.training_set import TrainingSet
from deepcore.training.spec import TrainSpec


@dataclass(frozen=True)
class PoolSize(Size):
    """A size whose recipe may have another learning rate, and no augmentation: an MLP on some thousand rows
    learns better so."""

    lr: float | None = None
    augment: bool = True

    @property
    def recipe(self) -> TrainSpec:
        """Of proxies and targets."""
        recipe = super().recipe
        return dataclasses.replace(recipe, lr=self.lr or recipe.lr, augment=self.augment and recipe.augment)


LOSSES = Recording(post_epoch=frozenset({Signal.LOSS}))


def pool_split(
    labels: np.ndarray, *, train: int, pool: int, seed: int, among: np.ndarray | None = None
) -> Split:
    """Two disjoint class-wise draws: `train` candidates and a `pool` of held-out rows.

    Args:
        labels: (N,) of the whole training set.
        train, pool: rows of each; every class gives an equal number of both, rounded down.
        seed: of the draw.
        among: ids to draw from; None for all.

    Raises:
        UsageError: a class has too few rows.
    """
    rng, classes = stream(seed, "pool_split"), np.unique(labels)
    among = np.arange(len(labels)) if among is None else among
    parts: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    for c in classes:
        rows = rng.permutation(among[labels[among] == c])
        a, b = train // len(classes), pool // len(classes)
        if a + b > len(rows):
            raise UsageError(f"class {c} has {len(rows)} rows: {a + b} were asked for; lower the sizes")
        parts[0].append(rows[:a])
        parts[1].append(rows[a : a + b])
    return Split(*(np.sort(np.concatenate(part)) for part in parts), seed)


def pool_run(
    setting: Setting,
    split: Split,
    *,
    noise: LabelNoise | None = None,
    recording: Recording = LOSSES,
) -> tuple[LabeledData, ProxyRun]:
    """The proxy run of a split with the losses of all its held-out rows, stored or trained; and the data,
    with the labels flipped that `noise` asks for."""
    size, data = setting.size, flip(setting.data, split, noise or LabelNoise()).data
    spec = ProxySpec(
        dataset=data.name,
        data_fingerprint=data.fingerprint,
        net=size.nets[0],
        train=size.recipe,
        val_fraction=len(split.val) / (len(split.train) + len(split.val)),
        seed=split.seed,
        rows=f"split{fingerprint(split.train.tolist(), split.val.tolist())[:8]}",
    )
    with setting.progress.bar(spec.epochs, f"seed {split.seed}: proxy epochs") as step:
        run = obtain_proxy(
            setting.folder / "proxies",
            data,
            split,
            spec,
            recording,
            device=setting.device,
            say=setting.progress.say,
            progress=lambda epoch: step(),
        )
    return data, run


def narrowed(run: ProxyRun, ids: np.ndarray) -> ProxyRun:
    """The run with these validation rows alone.

    Raises:
        UsageError: one of them is not in the run.
    """
    if not np.isin(ids, run.val_ids).all():
        raise UsageError("a validation row is not held out in this run: choose from its val_ids")
    at = np.flatnonzero(np.isin(run.val_ids, ids))
    return dataclasses.replace(
        run,
        val_ids=run.val_ids[at],
        val_labels=run.val_labels[at],
        val_trajectories={s: np.asarray(rows)[:, at] for s, rows in run.val_trajectories.items()},
        val_final={s: np.asarray(rows)[at] for s, rows in run.val_final.items()},
    )


def chosen(method: CoresetMethod, run: ProxyRun, fraction: float, *, seed: int) -> np.ndarray:
    """Sorted ids that a method keeps."""
    budget = Budget.of(fraction, len(run.ids))
    rng = stream(seed, "select", method.name, budget.fraction)
    return np.sort(method.resolve(fraction).select(run, budget, rng).rows)


def accuracy_of(setting: Setting, data: LabeledData, rows: np.ndarray, *, seed: int) -> float:
    """Test accuracy, in percent, of the first network trained on these rows by the size's recipe.

    Its checkpoint is named by all of these, so that no other training goes on from it.
    """
    net, recipe, rows = setting.size.nets[0], setting.size.recipe, np.sort(rows)
    identity = fingerprint(net, dataclasses.asdict(recipe), data.fingerprint, rows.tolist(), seed)
    target = train_target(
        net,
        data,
        TrainingSet(rows, len(rows)),
        recipe,
        seed=seed,
        device=setting.device,
        checkpoint=setting.folder / f"target-{identity}.pt",
        progress=setting.progress,
        note=lambda line: None,
        compiled=False,
    )
    return 100 * target.accuracy
