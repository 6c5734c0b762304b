"""What an experiment compares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from deepcore.common.checks import UsageError, check_fraction
from deepcore.data.label_noise import LabelNoise
from deepcore.data.long_tail import check_imbalance
from deepcore.training.spec import TrainSpec

if TYPE_CHECKING:
    from deepcore.selection.method import CoresetMethod


CLEAN = LabelNoise()
MOST_SEEDS, MOST_TRAININGS = 10_000, 100_000  # more are a slip of the finger


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
        long_tail: the largest class of the candidates over the smallest, which a seed's train pool is cut
            to (`deepcore.data.long_tail`); None for all candidates.
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
    label_noise: LabelNoise = CLEAN
    long_tail: float | None = None

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
        check_imbalance(self.long_tail)
        check_seeds(len(self.seeds))
        if self.trainings > MOST_TRAININGS:
            raise UsageError(
                f"this asks for {self.trainings:,} trainings ({len(self.seeds):,} seeds, "
                f"{len(self.methods):,} methods, {len(self.fractions):,} fractions, {len(self.nets):,} "
                f"networks, and proxy runs): at most {MOST_TRAININGS:,} are planned; divide it over several "
                "commands"
            )

    @property
    def trainings(self) -> int:
        """Targets, and proxy runs with their repeats."""
        targets = sum(len(self.fractions) if method.uses_fraction else 1 for method in self.methods)
        own = {method.own_run for method in self.methods} - {None}
        proxies = max(method.repeats_needed if method.needs else 0 for method in self.methods) + len(own)
        return len(self.seeds) * (targets * len(self.nets) + proxies)


def check_seeds(count: int) -> None:
    """Raise UsageError for more seeds than anyone can mean, before they are listed."""
    if count > MOST_SEEDS:
        raise UsageError(f"num_exp is {count:,}: each is a seed of its own; at most {MOST_SEEDS:,} are run")
