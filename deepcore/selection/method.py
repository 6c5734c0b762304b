"""The base classes of coreset methods, `CoresetMethod` and `ScoreMethod`.

To add a method, write one frozen dataclass and put it into the table of `methods/__init__.py`. A method that
scores samples needs only this (it runs as it stands):

    @dataclass(frozen=True)
    class FinalLoss(ScoreMethod):
        '''Mean loss over the last `last` epochs; keep the highest. Range [0, inf).'''

        last: int = 5
        name: ClassVar[str] = "FinalLoss"
        paper: ClassVar[str] = "nobody, 2026"
        published_mode: ClassVar[str] = "online"

        @property
        def needs(self) -> frozenset[Signal]:
            return super().needs | {Signal.LOSS}

        def score(self, run: ProxyRun) -> np.ndarray:
            return run.trajectory(Signal.LOSS, self.mode)[-self.last :].mean(axis=0, dtype=np.float64)

Its fields are its parameters; `--selection "FinalLoss:last=3"` sets them. The inherited field `sampler` says
how the score becomes a subset ("FinalLoss:sampler=strata"); `super().needs` holds the signals that the
sampler reads. The harness takes care of ids, budget, class balance, files, tables and costs. A method
without a score derives from CoresetMethod and implements `select`. A method never seeds, never sorts and
never sees test data.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from deepcore.common.checks import (
    DeepcoreError,
    MissingSignal,
    UsageError,
    check_choice,
    check_finite_scores,
)
from deepcore.common.identity import to_dict
from deepcore.common.resources import Memory
from deepcore.proxy.run import ProxyRun
from deepcore.proxy.signals import Signal
from deepcore.selection.budget import Budget
from deepcore.selection.extrapolated import Spread, check_share, run_for_sampler
from deepcore.selection.facts import Facts
from deepcore.selection.own_run import OwnRun
from deepcore.selection.samplers import SAMPLERS, Drop, Sampler
from deepcore.selection.selection import Selection
from deepcore.selection.training_set import TrainingSet

__all__ = ["MODES", "CoresetMethod", "Facts", "ScoreMethod"]

MODES = ("online", "post_epoch")


@dataclass(frozen=True)
class CoresetMethod(abc.ABC):
    """Base of all methods; the module's docstring shows how to add one.

    Attributes:
        record: the recording to read, "online" or "post_epoch"; None for the one it was published with.
        class_balanced: give each class its share of the budget (the CLD paper's protocol, the default for
            every method). False drops the class quotas; CLD's paper and a few others have them, most do not.
        name: its name in tables and on the command line.
        paper: the source of the definition.
        published_mode: the recording that the method was published with.
        facts: for the generated pages; None for methods that claim no fidelity to a paper.
        keep: which end of the score is kept, "highest", "lowest" or "zero"; scores only.
        is_selection: False for reference rows (Full, RS2) that are not a selection.
        uses_fraction: False when the method fixes its own size (Full, a file): one row per seed and net.
        trains_on_val: whether the selection may hold validation rows; only for reference rows.
        draws_as: the method whose random stream it uses, to draw the same rows; None for its own.
        reads_gaps: whether it can read logs in which a sample lacks a checkpoint (NaN in its trajectory).
        reads_val_means: whether mean validation losses will do, of each class or of all rows.
    """

    record: str | None = None
    class_balanced: bool = True

    name: ClassVar[str]
    paper: ClassVar[str] = ""
    published_mode: ClassVar[str] = "online"
    facts: ClassVar[Facts | None] = None
    is_selection: ClassVar[bool] = True
    uses_fraction: ClassVar[bool] = True
    trains_on_val: ClassVar[bool] = False
    draws_as: ClassVar[str | None] = None
    reads_gaps: ClassVar[bool] = False
    reads_val_means: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.record is not None:
            check_choice("recording", self.record, MODES)

    @property
    def mode(self) -> str:
        """The recording that this instance reads: "online" or "post_epoch"."""
        return self.record or self.published_mode

    @property
    def needs(self) -> frozenset[Signal]:
        """The signals it reads of the candidates; empty when it needs no proxy run."""
        return frozenset()

    @property
    def needs_val(self) -> frozenset[Signal]:
        """The signals it reads of the validation rows."""
        return frozenset()

    def checkpoints(self, epochs: int) -> range:
        """The rows it reads of the trajectories of a run of `epochs` epochs, 0 being the untrained network.

        The default is rows 1 to `epochs`. A method that stops early or reads row 0 overrides this; its cost
        follows from it. If fields depend on the fraction, call it on the resolved instance.
        """
        return range(1, epochs + 1)

    def rows_read(self, epochs: int) -> tuple[range, ...]:
        """`checkpoints`, and the rows that its sampler reads."""
        return (self.checkpoints(epochs),)

    @property
    def repeats_needed(self) -> int:
        """Number of independently initialised proxies that it averages over. 1 is the shared run alone. For
        more, the harness trains extra short runs. They record `needs`, are in `run.repeats`, and count as
        the method's cost."""
        return 1

    @property
    def repeat_epochs(self) -> int:
        """Number of epochs that it reads of each extra run; 0 without extra runs."""
        return 0

    @property
    def own_run(self) -> OwnRun | None:
        """The training that it asks for itself; it then reads `run.own` and nothing of the shared proxy run.
        The harness trains it, and its cost is the method's."""
        return None

    def resolve(self, fraction: float) -> CoresetMethod:
        """This method with all fields set that depend on the fraction kept. It may read no signal that the
        unresolved method does not read: one proxy run serves all fractions."""
        return self

    def check(self, pool: ProxyRun, epochs: int) -> None:  # noqa: B027 (most have nothing to refuse)
        """Raise UsageError, before anything is trained, when the method cannot work. The default accepts all.

        Args:
            pool: the candidates and validation rows of a seed (ids, labels), without recordings.
            epochs: length of the planned proxy run. If fields depend on the fraction, the resolved instance
                is checked.

        Raises:
            UsageError: one sentence with the remedy.
        """

    def memory(self, pool: ProxyRun, k: int, features: int, epochs: int) -> Memory:
        """Upper estimate of the memory of scoring and selecting, used before anything is trained.

        The default is 128 bytes per candidate: a few arrays. A method that needs more overrides it.

        Args:
            pool, epochs: as for `check`.
            k: the budget, in rows.
            features: D, of the proxy network.
        """
        return Memory(128 * len(pool.ids))

    def spec(self) -> dict[str, Any]:
        """Name and fields as plain JSON values. They identify the method in rows and files.

        Fields declared with `field(compare=False)` change only how it computes and are left out.
        """
        fields = to_dict(self)
        return {"name": self.name, **{f.name: fields[f.name] for f in dataclasses.fields(self) if f.compare}}

    def label(self) -> str:
        """The name with the fields that differ from their defaults, as `--selection` accepts it."""
        return self._named(frozenset())

    def _named(self, without: frozenset[str]) -> str:
        changed = []
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.compare and field.name not in without and value != field.default:
                changed.append(f"{field.name}={value}")
        return self.name + (":" + ",".join(changed) if changed else "")

    @abc.abstractmethod
    def select(self, run: ProxyRun, budget: Budget, rng: np.random.Generator) -> Selection:
        """Choose rows of `run.ids`.

        Args:
            run: the candidates (ids, labels) and what the proxy run recorded of them.
            budget: fraction kept and number of rows k.
            rng: the only source of randomness; draw over rows sorted by id.

        Returns:
            A Selection of exactly k unique ids of the pool (except for methods with `uses_fraction` False and
            for reference rows, whose notes say what they hold).
        """

    def training_set(
        self,
        selection: Selection,
        run: ProxyRun,
        budget: Budget,
        stream: Callable[[int], np.random.Generator],
    ) -> TrainingSet:
        """The rows that a target is trained on: the selection. Reference rows may return others.

        Args:
            selection: what `select` gave.
            run, budget: as for `select`.
            stream: a generator for each epoch (0, 1, ...), for rows that change with it.
        """
        return TrainingSet.of(selection)


@dataclass(frozen=True)
class ScoreMethod(CoresetMethod):
    """A method that gives each candidate one number; `deepcore.selection.samplers` makes the selection.

    Attributes:
        sampler: "top", "strata", "beta", "middle" or "drop", how the score is turned into a subset; None for
            the method's own. "drop" sets the class quotas and leaves the rest to the method's own.
        extrapolate: score this random share of the candidates, in (0, 1), with a proxy that is trained on
            them alone; the others get weighted means of their nearest scored neighbours in feature space
            (`deepcore.selection.extrapolated`). None to score all.
        own_sampler: the published one.
        chooses: fields that change what becomes of the score, never the score.
    """

    sampler: str | None = None
    extrapolate: float | None = None

    own_sampler: ClassVar[str] = "top"
    chooses: ClassVar[frozenset[str]] = frozenset({"record", "class_balanced", "sampler", "keep"})

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.sampler is not None:
            check_choice("sampler", self.sampler, SAMPLERS)
            own = self.own_run
            if own is not None and own.rows == "validation" and self.make_sampler().reads_run:
                valid = ", ".join(name for name, sampler in SAMPLERS.items() if not sampler().reads_run)
                raise UsageError(
                    f"sampler is {self.sampler!r}: {self.name} reads a training on the validation rows "
                    f"alone, which records nothing for it; valid: {valid}"
                )
        if self.extrapolate is not None:
            check_share(self.extrapolate)
            if self.repeats_needed > 1:
                raise UsageError(
                    f"{self.name}: extrapolate={self.extrapolate} trains one proxy, on a share of the "
                    f"candidates, and {self.repeats_needed} are to be averaged: leave out one of the two"
                )

    @property
    def keep(self) -> str:
        """Which end of the score is kept: "highest", "lowest", or "zero" (the values closest to 0)."""
        return "highest"

    @property
    def needs(self) -> frozenset[Signal]:
        """The signals that the sampler reads; a method adds its own with `super().needs | {...}`."""
        return self.make_sampler().needs

    @property
    def needs_val(self) -> frozenset[Signal]:
        """The same of the validation rows."""
        return self.make_sampler().needs_val

    def rows_read(self, epochs: int) -> tuple[range, ...]:
        """The rows that the score reads, and those that the sampler reads."""
        sampler = self.make_sampler()
        own = super().rows_read(epochs)
        return (*own, sampler.checkpoints(epochs)) if sampler.needs else own

    def make_sampler(self) -> Sampler:
        """The sampler with default parameters; a method that has fields for them overrides this."""
        if self.sampler == "drop":
            return Drop(dataclasses.replace(self, sampler=None).make_sampler())
        return SAMPLERS[self.sampler or self.own_sampler]()

    @property
    def own_run(self) -> OwnRun | None:
        """A training on a share of the candidates, with `extrapolate`."""
        return None if self.extrapolate is None else OwnRun("share", self.extrapolate)

    def spec(self) -> dict[str, Any]:
        """Without `extrapolate` where it is not set: rows finished before the field existed keep their
        identity."""
        values = super().spec()
        return {name: v for name, v in values.items() if name != "extrapolate" or v is not None}

    @abc.abstractmethod
    def score(self, run: ProxyRun) -> np.ndarray:
        """The scores, (N,) float64, aligned with `run.ids`."""

    @property
    def score_name(self) -> str:
        """Name and fields of the score alone; logs that hold finished scores name them so."""
        return self._named(self.chooses)

    def checked_scores(self, run: ProxyRun) -> np.ndarray:
        """`score(run)`, refused where it is not one finite number per candidate.

        With `extrapolate`, the scores of the run on a share and what follows from them for the others; of a
        log that was made in one pass, the finished score.
        """
        held = run.log.scores
        if held and self.score_name not in held:
            raise MissingSignal(
                f"{self.label()}: the log was made in one pass and holds finished scores only: "
                f'{", ".join(held)}; record with mode="log" for others'
            )
        if held:
            scores = np.asarray(held[self.score_name], dtype=np.float64)
        elif self.extrapolate is None:
            scores = np.asarray(self.score(run), dtype=np.float64)
        else:
            own = run.require_own(self.name)
            spread = Spread.of(run, own, run.device_for(None))
            scores = spread.over(np.asarray(self.score(own), dtype=np.float64))
        if scores.shape != run.ids.shape:
            raise DeepcoreError(f"{self.name}: scores of shape {scores.shape} for {len(run.ids)} candidates")
        check_finite_scores(scores, run.ids, self.name)
        return scores

    def choose(
        self, scores: np.ndarray, run: ProxyRun, budget: Budget, rng: np.random.Generator
    ) -> Selection:
        """Choose `budget.k` candidates with the sampler, per class when `class_balanced`."""
        sampler = self.make_sampler()
        if self.extrapolate is not None:
            own, device = run.require_own(self.name), run.device_for(None)
            run = run_for_sampler(run, own, sampler.needs, self.mode, device)
        return sampler.draw(self, run, scores, budget, rng)

    def select(self, run: ProxyRun, budget: Budget, rng: np.random.Generator) -> Selection:
        """Resolve for the fraction, score, choose."""
        resolved = self.resolve(budget.fraction)
        return resolved.choose(resolved.checked_scores(run), run, budget, rng)
