"""What a coreset method is.

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

Its fields are its typed hyper-parameters (`--selection "FinalLoss:last=3"` sets them); `sampler`, inherited,
is how its score becomes a subset ("FinalLoss:sampler=strata"; `super().needs` holds what that reads). Its
ids, budget, class balance, files, tables and costs are the harness's business. A method that does not score
derives from CoresetMethod and implements `select`. Methods never seed, never sort, never see test data.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from deepcore.common.checks import DeepcoreError, MissingSignal, check_choice, check_finite_scores
from deepcore.common.identity import to_dict
from deepcore.common.resources import Memory
from deepcore.proxy.run import ProxyRun
from deepcore.proxy.signals import Signal
from deepcore.selection.budget import Budget
from deepcore.selection.samplers import SAMPLERS, Sampler
from deepcore.selection.selection import Selection
from deepcore.selection.training_set import TrainingSet

MODES = ("online", "post_epoch")


@dataclass(frozen=True)
class Facts:
    """What the fidelity table (methods/README.md) says of a method beyond what its class states already.

    Attributes:
        code: the authors' implementation, where known.
        rule: what is implemented, in a line.
        balance: what budget and class balance mean for it, and its paper's own form.
        anchor: the test that holds it to its definition, "tests/test_x.py::test_y".
        deviations: from the paper or from its authors' code, one sentence each.
    """

    code: str
    rule: str
    balance: str
    anchor: str
    deviations: tuple[str, ...] = ()


@dataclass(frozen=True)
class CoresetMethod(abc.ABC):
    """Base of all methods; the module's docstring shows how to add one.

    Attributes:
        record: "online" or "post_epoch" to read the other recording than the published one; None for the
            published.
        class_balanced: give each class its share of the budget (the CLD paper's protocol, the default for
            every method); False is each paper's own form.
        name, paper: as printed; the source of the definition.
        published_mode: the recording that the method was published with.
        facts: for the fidelity table; None where nothing is claimed.
        keep: which end of the score is kept, "highest" or "lowest"; None for methods that do not score.
        is_selection: False for reference rows (Full, RS2) that are not a selection.
        uses_fraction: False when the method fixes its own size (Full, a file): one row per seed and net.
        trains_on_val: a reference row whose `select` may hold validation rows; no selection may.
        draws_as: the name of the method whose random stream it draws from, to draw the same rows; None for
            its own.
        reads_gaps: whether it can read logs in which a sample lacks a checkpoint (NaN in its trajectory).
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

        All but 0 here. A method that stops early, or reads row 0, says so by overriding this: its cost counts
        no more than it reads. With fields that depend on the fraction, those of the resolved instance.
        """
        return range(1, epochs + 1)

    def rows_read(self, epochs: int) -> tuple[range, ...]:
        """`checkpoints`, and whatever else reads trajectories on its behalf."""
        return (self.checkpoints(epochs),)

    @property
    def repeats_needed(self) -> int:
        """Independently initialised proxies it averages over: 1 is the shared one, more are extra short runs,
        which the harness trains, records as `needs` says, puts into `run.repeats` and bills to the method."""
        return 1

    @property
    def repeat_epochs(self) -> int:
        """How many epochs of each extra run it reads; 0 when it needs none."""
        return 0

    def resolve(self, fraction: float) -> CoresetMethod:
        """This method with every field set that depends on the fraction kept. It reads no signal that the
        unresolved one does not: a proxy run is recorded for all fractions at once."""
        return self

    def check(self, pool: ProxyRun, epochs: int) -> None:  # noqa: B027 (most have nothing to refuse)
        """Refuse, before anything is trained, what is known not to work: nothing here.

        Args:
            pool: the candidates and validation rows of a seed (ids, labels), without recordings.
            epochs: of the proxy run to be. With fields that depend on the fraction, the resolved instance is
                asked.

        Raises:
            UsageError: one sentence with the remedy.
        """

    def memory(self, pool: ProxyRun, k: int, features: int, epochs: int) -> Memory:
        """What scoring and selecting take at most, for those who must know before they begin.

        128 bytes a candidate here: a few arrays of numbers and their order. A method that holds more says so.

        Args:
            pool, epochs: as for `check`.
            k: the budget, in rows.
            features: D, of the proxy network.
        """
        return Memory(128 * len(pool.ids))

    def spec(self) -> dict[str, Any]:
        """Name and fields, as plain JSON values: what identifies the method in rows and files.

        Fields declared with `field(compare=False)` change how it computes, never what: they are left out.
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
        """What a target is trained on: the selection. Only reference rows are asked, and may say otherwise.

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
        sampler: "top", "strata" or "beta", how the score is turned into a subset; None for the method's own.
        own_sampler: the published one.
        chooses: fields that change what becomes of the score, never the score.
    """

    sampler: str | None = None

    own_sampler: ClassVar[str] = "top"
    chooses: ClassVar[frozenset[str]] = frozenset({"record", "class_balanced", "sampler", "keep"})

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.sampler is not None:
            check_choice("sampler", self.sampler, SAMPLERS)

    @property
    def keep(self) -> str:
        """The only statement of direction: "highest", "lowest", or "zero" (the values closest to 0)."""
        return "highest"

    @property
    def needs(self) -> frozenset[Signal]:
        """What the sampler reads; a method adds its own signals with `super().needs | {...}`."""
        return self.make_sampler().needs

    def rows_read(self, epochs: int) -> tuple[range, ...]:
        """The rows that the score reads, and those that the sampler reads."""
        sampler = self.make_sampler()
        own = super().rows_read(epochs)
        return (*own, sampler.checkpoints(epochs)) if sampler.needs else own

    def make_sampler(self) -> Sampler:
        """The sampler in force, with default parameters; a method that has fields for them overrides this."""
        return SAMPLERS[self.sampler or self.own_sampler]()

    @abc.abstractmethod
    def score(self, run: ProxyRun) -> np.ndarray:
        """The scores, (N,) float64, aligned with `run.ids`."""

    @property
    def score_name(self) -> str:
        """Name and fields of the score alone; logs that hold finished scores name them so."""
        return self._named(self.chooses)

    def checked_scores(self, run: ProxyRun) -> np.ndarray:
        """`score(run)`, refused where it is not one finite number per candidate; of a log that was made in
        one pass, the finished score."""
        held = run.own.scores
        if held and self.score_name not in held:
            raise MissingSignal(
                f"{self.label()}: the log was made in one pass and holds finished scores only: "
                f'{", ".join(held)}; record with mode="log" for others'
            )
        scores = np.asarray(held[self.score_name] if held else self.score(run), dtype=np.float64)
        if scores.shape != run.ids.shape:
            raise DeepcoreError(f"{self.name}: scores of shape {scores.shape} for {len(run.ids)} candidates")
        check_finite_scores(scores, run.ids, self.name)
        return scores

    def choose(
        self, scores: np.ndarray, run: ProxyRun, budget: Budget, rng: np.random.Generator
    ) -> Selection:
        """`budget.k` candidates by the sampler in force, per class when `class_balanced`."""
        return self.make_sampler().draw(self, run, scores, budget, rng)

    def select(self, run: ProxyRun, budget: Budget, rng: np.random.Generator) -> Selection:
        """Resolve for the fraction, score, choose."""
        resolved = self.resolve(budget.fraction)
        return resolved.choose(resolved.checked_scores(run), run, budget, rng)
