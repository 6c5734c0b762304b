"""Reference rows for comparison with coresets. None of them is a selection."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from deepcore.proxy.run import ProxyRun
from deepcore.selection.budget import Budget
from deepcore.selection.method import CoresetMethod, Facts
from deepcore.selection.selection import Selection
from deepcore.selection.training_set import TrainingSet
from methods.random import Full, Random


@dataclass(frozen=True)
class FullAtK(Full):
    """All candidates on a short schedule: the steps and learning rates of a coreset of k rows.

    Every batch is full. A coreset may have smaller batches, because k rows do not fill one or leave a short
    one at the end of an epoch. The same number of steps then makes more example passes than the coreset's;
    the row counts them.
    """

    name: ClassVar[str] = "Full@k"
    uses_fraction: ClassVar[bool] = True
    note: ClassVar[str] = "all candidates, for the steps that a coreset of this size gets"

    def training_set(
        self,
        selection: Selection,
        run: ProxyRun,
        budget: Budget,
        stream: Callable[[int], np.random.Generator],
    ) -> TrainingSet:
        """All rows, with the length of k of them."""
        return dataclasses.replace(TrainingSet.of(selection), length_of=budget.k)


@dataclass(frozen=True)
class RS2(Random):
    """A new random subset of k rows every epoch, class-balanced as Random is, for the epochs of a coreset.

    Source: Okanovic et al., "Repeated Random Sampling for Minimizing the Time-to-Accuracy of Learning", ICLR
    2024: the variant that draws every epoch's subset from all candidates.
    """

    name: ClassVar[str] = "RS2"
    paper: ClassVar[str] = "Okanovic et al., ICLR 2024"
    facts: ClassVar[Facts] = Facts(
        code="",
        rule="every epoch a new uniform draw of k candidates; epochs and steps of a coreset",
        balance="each draw in each class's quota; the paper: over the whole pool",
        anchor="tests/methods/test_reference.py::test_rs2_draws_a_balanced_subset_anew_every_epoch",
        deviations=("each epoch draws from all candidates, one of the two variants of the paper",),
    )
    is_selection: ClassVar[bool] = False

    def select(self, run: ProxyRun, budget: Budget, rng: np.random.Generator) -> Selection:
        """One such subset."""
        note = "RS2 is not a selection: a new random subset of this size every epoch"
        return dataclasses.replace(super().select(run, budget, rng), notes=(note,))

    def training_set(
        self,
        selection: Selection,
        run: ProxyRun,
        budget: Budget,
        stream: Callable[[int], np.random.Generator],
    ) -> TrainingSet:
        """Each epoch's subset is drawn from the epoch's own stream."""
        return TrainingSet(lambda epoch: np.sort(self.select(run, budget, stream(epoch)).rows), budget.k)


@dataclass(frozen=True)
class ValOnly(CoresetMethod):
    """The validation rows alone, whatever the fraction: what they are worth without any selection."""

    name: ClassVar[str] = "ValOnly"
    is_selection: ClassVar[bool] = False
    uses_fraction: ClassVar[bool] = False
    trains_on_val: ClassVar[bool] = True

    def select(self, run: ProxyRun, budget: Budget, rng: np.random.Generator) -> Selection:
        """All validation ids, sorted."""
        return Selection(np.sort(run.val_ids), notes=("ValOnly is not a selection: the held-out rows alone",))


@dataclass(frozen=True)
class RandomVal(Random):
    """Random's rows and all validation rows. It shows what validation rows add to a random subset.

    The budget k counts candidates only. The Q validation rows are added, so the target trains on k + Q rows
    for the recipe's epochs.
    """

    name: ClassVar[str] = "Random+Val"
    is_selection: ClassVar[bool] = False
    trains_on_val: ClassVar[bool] = True
    draws_as: ClassVar[str] = "Random"

    def select(self, run: ProxyRun, budget: Budget, rng: np.random.Generator) -> Selection:
        """k ids of the pool, then the validation ids."""
        rows = np.append(super().select(run, budget, rng).rows, np.sort(run.val_ids))
        note = "Random+Val is not a selection: Random's rows, and the held-out rows on top of the budget"
        return Selection(rows, notes=(note,))
