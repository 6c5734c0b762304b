"""From a score to a subset: top-k, CCS's strata, DUAL's Beta weights, for any score.

`sampler="strata"` on any ScoreMethod uses the class of that name in `SAMPLERS`; the functions behind them
work on arrays (`ranking`, `strata`, `weighted`). Random draws are made over rows sorted by id, so that
permuting the storage together with the ids changes nothing.
"""

from __future__ import annotations

import abc
import dataclasses
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from deepcore.common.checks import check_finite_scores
from deepcore.proxy.run import ProxyRun
from deepcore.proxy.signals import Signal
from deepcore.scoring.epochs import first_epochs, mean_over_epochs, p_true
from deepcore.scoring.gaps import mean_of_known
from deepcore.selection.budget import Budget
from deepcore.selection.middle import middle_ranks
from deepcore.selection.ranking import merit, top_k
from deepcore.selection.recall_quotas import recall_counts, recall_quotas
from deepcore.selection.selection import Selection
from deepcore.selection.strata import sample_strata
from deepcore.selection.weighted import beta_weights, sample_weighted


class Scorer(Protocol):
    """The attributes of a scoring method that a sampler reads."""

    @property
    def name(self) -> str: ...

    @property
    def mode(self) -> str: ...

    @property
    def keep(self) -> str: ...

    @property
    def class_balanced(self) -> bool: ...


class Sampler(abc.ABC):
    """Turns scores into a subset; samplers are frozen dataclasses whose fields are parameters."""

    needs: frozenset[Signal] = frozenset()  # read beside the score, in the method's recording
    needs_val: frozenset[Signal] = frozenset()  # the same of the validation rows

    @property
    def reads_run(self) -> bool:
        """Whether it reads anything of a run beside the score."""
        return bool(self.needs | self.needs_val)

    def checkpoints(self, epochs: int) -> range:
        """The rows of trajectories of `epochs` epochs that it reads, where it reads any."""
        return range(1, epochs + 1)

    @abc.abstractmethod
    def draw(
        self, method: Scorer, run: ProxyRun, scores: np.ndarray, budget: Budget, rng: np.random.Generator
    ) -> Selection:
        """`budget.k` rows of `run.ids`; the method says which end is kept, and whether class by class."""


class TopK(Sampler):
    """Takes the rows at the kept end of the score."""

    def draw(
        self, method: Scorer, run: ProxyRun, scores: np.ndarray, budget: Budget, rng: np.random.Generator
    ) -> Selection:
        balanced = method.class_balanced
        return top_k(scores, run.ids, run.labels, budget, keep=method.keep, class_balanced=balanced)


@dataclass(frozen=True)
class Strata(Sampler):
    """CCS's strata over the score, whichever end the method keeps; `beta` is the share cut by lowest AUM over
    probabilities (CCS sets it; other scores are not cut)."""

    strata: int = 50
    beta: float = 0.0

    @property
    def needs(self) -> frozenset[Signal]:
        return frozenset({Signal.MARGIN_P}) if self.beta > 0 else frozenset()

    def draw(
        self, method: Scorer, run: ProxyRun, scores: np.ndarray, budget: Budget, rng: np.random.Generator
    ) -> Selection:
        aum = None
        if self.beta > 0:
            margins = run.trajectory(Signal.MARGIN_P, method.mode)
            aum = mean_over_epochs(margins, gaps=run.log.has_gaps)
            check_finite_scores(aum, run.ids, f"{method.name}, AUM")
        return sample_strata(
            scores,
            run.ids,
            run.labels,
            budget,
            rng,
            strata=self.strata,
            beta=self.beta,
            aum=aum,
            class_balanced=method.class_balanced,
        )


@dataclass(frozen=True)
class BetaWeighted(Sampler):
    """DUAL's draw, weighted by the score and a Beta density of the mean true-class probability over the first
    `epochs`. Weights, score and anchor are global; the draw is within the class when balanced."""

    epochs: int | None = 30
    c_d: float = 4.0

    @property
    def needs(self) -> frozenset[Signal]:
        return frozenset({Signal.P_TRUE})

    def checkpoints(self, epochs: int) -> range:
        """Those of the epochs that m is a mean of."""
        return super().checkpoints(min(epochs, self.epochs or epochs))

    def draw(
        self, method: Scorer, run: ProxyRun, scores: np.ndarray, budget: Budget, rng: np.random.Generator
    ) -> Selection:
        means = self._means(method, run)
        check_finite_scores(means, run.ids, f"{method.name}, mean probability")
        better = merit(scores, method.keep)
        weights = beta_weights(means, better, budget.fraction, c_d=self.c_d, ids=run.ids)
        return sample_weighted(
            weights,
            scores,
            run.ids,
            run.labels,
            budget,
            rng,
            keep=method.keep,
            class_balanced=method.class_balanced,
        )

    def _means(self, method: Scorer, run: ProxyRun) -> np.ndarray:
        """m, (N,) float64; a one-pass log has summed it up while the losses came in."""
        summed = run.log.summaries.get(f"p_true:{self.epochs}")
        if summed is not None:
            return summed
        losses = first_epochs(run, Signal.LOSS, method, self.epochs)
        if run.log.has_gaps:
            return mean_of_known(p_true(losses), len(run.ids))
        return sum(p_true(losses)) / len(losses)


class Middle(Sampler):
    """Moderate's middle ranks of the score, whichever end the method keeps."""

    def draw(
        self, method: Scorer, run: ProxyRun, scores: np.ndarray, budget: Budget, rng: np.random.Generator
    ) -> Selection:
        return middle_ranks(scores, run.ids, run.labels, budget, class_balanced=method.class_balanced)


@dataclass(frozen=True)
class Drop(Sampler):
    """DRoP's class quotas, from the recall of the proxy's last checkpoint on the validation rows; within them
    the method's own way to draw.

    The quotas hold with and without `class_balanced`, which they replace.
    """

    inner: Sampler = field(default_factory=TopK)

    @property
    def needs(self) -> frozenset[Signal]:
        return self.inner.needs

    @property
    def needs_val(self) -> frozenset[Signal]:
        return self.inner.needs_val | {Signal.LOGITS}

    def checkpoints(self, epochs: int) -> range:
        """Those of the way to draw."""
        return self.inner.checkpoints(epochs)

    def draw(
        self, method: Scorer, run: ProxyRun, scores: np.ndarray, budget: Budget, rng: np.random.Generator
    ) -> Selection:
        logits = run.final_array(Signal.LOGITS, val=True)
        hits, rows = recall_counts(logits, run.val_labels, run.num_classes)
        quotas = recall_quotas(run.labels, budget.k, hits, rows)
        of_classes = dataclasses.replace(budget, quotas=tuple(quotas.tolist()))
        chosen = self.inner.draw(method, run, scores, of_classes, rng)
        recalls = hits[rows > 0] / rows[rows > 0]
        note = (
            f"DRoP: the proxy's recall is {recalls.min():.1%} to {recalls.max():.1%} on the validation rows "
            f"of a class; the quotas are {quotas.min()} to {quotas.max()} rows"
        )
        return dataclasses.replace(chosen, notes=(*chosen.notes, note))


SAMPLERS: dict[str, type[Sampler]] = {
    "top": TopK,
    "strata": Strata,
    "beta": BetaWeighted,
    "middle": Middle,
    "drop": Drop,
}
