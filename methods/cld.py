"""CLD: Correlation of Loss Differences (arXiv 2508.20230), and its pairwise form."""

from __future__ import annotations

import dataclasses
import warnings
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from deepcore.common.checks import UsageError, check_choice, check_positive
from deepcore.common.resources import Memory
from deepcore.proxy.run import ProxyRun
from deepcore.proxy.signals import Signal
from deepcore.scoring.correlation import CORRELATIONS, FLAT, check_length, correlate, standardise
from deepcore.scoring.gaps import GapCLD
from deepcore.selection.method import Facts, ScoreMethod

TRAJECTORIES = ("class", "global")
KEEP = ("highest", "lowest", "zero")


@dataclass(frozen=True)
class CLD(ScoreMethod):
    """Keep the samples whose loss falls and rises together with their class's validation loss.

    With l_m[t] the loss of sample m at checkpoint t = 0..T (Eq. 4-10, Algorithm 1 of the paper):

        d_m[t]  = l_m[t] - l_m[t-1]                                                      (Eq. 4)
        v_c[t]  = mean over validation rows q of class c of d_q[t]                        (Eq. 7, 8)
        score_m = Pearson(d_m, v_{y_m})  in [-1, 1]; the highest of each class are kept   (Eq. 9, 10)

    A sample, or a class mean, whose differences do not vary (max - min <= 1e-6 * max|l|) has no correlation:
    it scores 0.0, and a warning counts it. Memory beyond the run: 80 * batch + 9 * N bytes; the trajectories
    are read once. `CLDStream` (deepcore.scoring.one_pass) is the same without stored trajectories.

    Deviations: the score of what does not vary. The authors' code drops checkpoint 0: `initial=False`.

    Attributes:
        initial: begin at the untrained network, checkpoint 0, as the definition does. None: yes for
            post_epoch recordings that hold it; no online, where row 0 and row 1 are measured in different
            ways.
        first: use the first n epochs only (the paper shows 30 and 45 of 90); None for all.
        every: use each m-th checkpoint (the paper: 2 and 3), counted from the first.
        correlation: "pearson", or "spearman" (of the ranks of the differences).
        trajectory: "class", or "global": one mean over all validation rows (Definition 1, Eq. 5, 6).
        keep: "highest", or for Figure 1 "lowest" or "zero" (the closest to 0).
        batch: samples handled at once; changes memory and speed, never a score.
    """

    initial: bool | None = None
    first: int | None = None
    every: int = 1
    correlation: str = "pearson"
    trajectory: str = "class"
    keep: str = "highest"
    batch: int = field(default=32768, compare=False)

    name: ClassVar[str] = "CLD"
    paper: ClassVar[str] = "Nagaraj et al. 2025, arXiv 2508.20230"
    published_mode: ClassVar[str] = "post_epoch"
    reads_gaps: ClassVar[bool] = True
    reads_val_means: ClassVar[bool] = True
    facts: ClassVar[Facts] = Facts(
        code="manishnagaraj.github.io/projects/cld",
        rule="Pearson correlation of a sample's loss differences with its class's mean ones in validation",
        balance="top k within each class's quota, as in the paper",
        anchor="tests/methods/test_cld.py::test_equals_the_definition",
        deviations=(
            "the untrained network's row is used, as in Eq. 4; the authors' code drops it (`initial=false`)",
            "a trajectory that does not vary has no correlation and scores 0",
        ),
        family="trajectory",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.initial is not None and not isinstance(self.initial, bool):
            raise UsageError(
                f"initial is {self.initial!r}: valid: true, false, none (true where it is recorded)"
            )
        if self.first is not None:
            check_positive("first", self.first, whole=True)
        check_positive("every", self.every, whole=True)
        check_choice("correlation", self.correlation, CORRELATIONS)
        check_choice("trajectory", self.trajectory, TRAJECTORIES)
        check_choice("keep", self.keep, KEEP)
        check_positive("batch", self.batch, whole=True)

    @property
    def score_name(self) -> str:
        """Name and fields of the score; without row 0 it is that of `record=online`."""
        if self._uses_initial(recorded=True):
            return super().score_name
        online = dataclasses.replace(self, record="online", initial=None)
        return online._named(self.chooses - {"record"})

    @property
    def needs(self) -> frozenset[Signal]:
        """Losses of the candidates, and what the sampler reads."""
        return super().needs | {Signal.LOSS}

    @property
    def needs_val(self) -> frozenset[Signal]:
        """Losses of the validation rows (means will do for CLD), and what the sampler reads."""
        return super().needs_val | {Signal.LOSS}

    def checkpoints(self, epochs: int) -> range:
        """Each `every`-th up to `first`, from row 0 with `initial`, else from row 1."""
        return self._checkpoints(epochs, self._uses_initial(recorded=True))

    def check(self, pool: ProxyRun, epochs: int) -> None:
        """UsageError where `first` and `every` leave fewer than 3 differences, or a log with gaps is no log
        for these fields."""
        check_length(len(self.checkpoints(epochs)) - 1, self.label())
        self._check_gaps(pool)

    def _check_gaps(self, run: ProxyRun) -> None:
        """With gaps there is no Spearman correlation in one pass, and `keep=zero` would take the samples of
        few losses, which count as 0.0."""
        reads = self.reads_gaps and self.correlation == "pearson" and self.keep != "zero"
        if run.log.has_gaps and not reads:
            raise UsageError(
                f"{self.label()} reads complete logs, and in this one samples lack checkpoints: log every "
                "sample in every epoch, or use CLD with correlation=pearson and another keep than zero"
            )

    def memory(self, pool: ProxyRun, k: int, features: int, epochs: int) -> Memory:
        """Blocks of the candidates, and the validation losses in float64."""
        batch = min(self.batch, len(pool.ids))
        block = 40 * (epochs + 1) * min(batch, 2048) if self.correlation == "spearman" else 80 * batch
        val = 32 * (epochs + 1) * (len(pool.val_ids) + pool.num_classes)
        return Memory(super().memory(pool, k, features, epochs).host + block + val)

    def checked_scores(self, run: ProxyRun) -> np.ndarray:
        """As of every method; a log with gaps is refused where these fields read complete ones."""
        self._check_gaps(run)
        return super().checked_scores(run)

    def score(self, run: ProxyRun) -> np.ndarray:
        """The correlations, (N,) float64 in [-1, 1].

        Raises:
            MissingSignal: no losses in this recording, or no row 0 with `initial=True`.
            UsageError: fewer than 3 differences, or a class of the pool without a validation row.
        """
        initial = self._uses_initial(run.has_initial)
        losses = run.trajectory(Signal.LOSS, self.mode, initial=initial)
        rows = self._rows(len(losses) - initial, initial)
        losses = losses[rows]
        check_length(len(losses) - 1, self.label())
        if run.log.has_gaps:
            self._check_gaps(run)
            return self._score_gaps(run, losses, rows, initial=initial)
        reference, flat_reference = self.reference(run, rows, initial=initial)
        labels = run.labels
        if self.trajectory == "global":
            labels = np.zeros_like(labels)
        else:
            _check_covered(reference, labels, self.name)
        scores, flat = correlate(losses, reference, labels, correlation=self.correlation, batch=self.batch)
        self._report_flat(flat, flat_reference)
        return scores

    def _score_gaps(self, run: ProxyRun, losses: np.ndarray, rows: slice, *, initial: bool) -> np.ndarray:
        """Each sample at the checkpoints it has, (N,) float64."""
        labels, means = run.labels, self._means(run, initial=initial)[rows]
        if self.trajectory == "global":
            labels = np.zeros_like(labels)
        else:
            _check_covered(means, labels, self.name)
        scores = GapCLD(labels, means.shape[1])
        for loss, mean in zip(losses, means, strict=True):
            scores.update(loss, mean)
        self._report_flat(scores.flat(), np.zeros(means.shape[1], dtype=bool))
        if scores.few().any():
            warnings.warn(
                f"{self.label()}: {scores.few().sum()} of {len(labels)} samples have fewer than half as many "
                "losses as the median sample: chance decides such correlations, and they count as 0.0",
                stacklevel=3,
            )
        return scores.score()

    def _means(self, run: ProxyRun, *, initial: bool) -> np.ndarray:
        """Mean validation losses, (T, C), or (T, 1) with the global trajectory."""
        if self.trajectory == "global":
            return run.val_mean(initial=initial)[:, None]
        return run.val_class_means(initial=initial)

    def reference(self, run: ProxyRun, rows: slice, *, initial: bool) -> tuple[np.ndarray, np.ndarray]:
        """The trajectories that samples are correlated with: standardised mean validation differences.

        Args:
            run: with validation losses.
            rows: the checkpoints used, of rows 0..T with `initial`, else 1..T.
            initial: whether row 0 is among them.

        Returns:
            (differences, C) float64, one column with the global trajectory, NaN for a class without a row;
            and which of the validation trajectories behind them do not vary, a bool vector.
        """
        return standardise(self._means(run, initial=initial)[rows], self.correlation)

    def _uses_initial(self, recorded: bool) -> bool:
        return self.mode == "post_epoch" and recorded if self.initial is None else self.initial

    def _checkpoints(self, epochs: int, initial: bool) -> range:
        return range(0 if initial else 1, min(self.first or epochs, epochs) + 1, self.every)

    def _rows(self, epochs: int, initial: bool) -> slice:
        """The checkpoints used, in an array that begins at checkpoint 0 (`initial`) or 1."""
        if self.first is not None and self.first > epochs:
            warnings.warn(
                f"{self.label()}: first is {self.first}, but {epochs} epochs are recorded: all of them are "
                "used",
                stacklevel=3,
            )
        used = self._checkpoints(epochs, initial)
        return slice(0, used.stop - used.start, used.step)

    def _report_flat(self, samples: np.ndarray, validation: np.ndarray) -> None:
        if samples.any() or validation.any():
            warnings.warn(
                f"{self.label()}: the loss differences of {samples.sum()} of {samples.size} samples and of "
                f"{validation.sum()} of {validation.size} validation trajectories do not vary "
                f"(max - min <= {FLAT:g} * max|loss|): their correlations count as 0.0",
                stacklevel=3,
            )


def _check_covered(reference: np.ndarray, labels: np.ndarray, method: str) -> None:
    """Every class of the pool has a validation trajectory."""
    present = np.bincount(labels, minlength=reference.shape[1]) > 0
    missing = np.flatnonzero(present & np.isnan(reference[0]))
    if missing.size:
        raise UsageError(
            f"{method}: class {missing[0]} of the train pool has no validation row ({missing.size} such "
            "classes): split class-wise with at least one validation row per class (a larger validation "
            'fraction), or use trajectory="global"'
        )


def cld_influence(
    train_losses: np.ndarray, val_losses: np.ndarray, *, correlation: str = "pearson", batch: int = 32768
) -> np.ndarray:
    """Influence of each train sample on each validation sample: Pearson(d_m, d_q) (Eq. 64).

    Memory beyond the result: about 24 * T * (batch + Q) bytes.

    Args:
        train_losses: (T+1, N) losses at the same checkpoints as the validation losses.
        val_losses: (T+1, Q).
        correlation: "pearson" or "spearman".
        batch: train samples handled at once.

    Returns:
        (N, Q) float64 in [-1, 1]; 0.0 where either does not vary. Positive: they are learned together.

    Raises:
        UsageError: shapes that do not fit, or fewer than 3 differences.
    """
    check_choice("correlation", correlation, CORRELATIONS)
    check_positive("batch", batch, whole=True)
    train_losses, val_losses = np.asarray(train_losses), np.asarray(val_losses)
    if train_losses.ndim != 2 or val_losses.ndim != 2 or len(train_losses) != len(val_losses):
        raise UsageError(
            f"losses of shape {train_losses.shape} and {val_losses.shape}: expected (T+1, N) and (T+1, Q), "
            "the same checkpoints in both"
        )
    check_length(len(train_losses) - 1, "cld_influence")
    queries, _ = standardise(val_losses, correlation)
    influence = np.empty((train_losses.shape[1], val_losses.shape[1]))
    for start in range(0, len(influence), batch):
        samples, _ = standardise(train_losses[:, start : start + batch], correlation)
        influence[start : start + batch] = samples.T @ queries
    return np.clip(influence, -1.0, 1.0, out=influence)
