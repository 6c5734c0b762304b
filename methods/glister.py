"""Glister: greedy on the validation loss after one step on the subset."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from deepcore.common.checks import UsageError, check_choice, check_device, check_positive
from deepcore.common.resources import Memory
from deepcore.common.threads import threads_for
from deepcore.proxy.run import ProxyRun
from deepcore.proxy.signals import Signal
from deepcore.scoring.last_layer import Argmax, LastLayer, MovedGradient
from deepcore.selection.budget import Budget
from deepcore.selection.method import CoresetMethod, Facts
from deepcore.selection.ranking import groups, interleave
from deepcore.selection.selection import Selection


@dataclass(frozen=True)
class Glister(CoresetMethod):
    """Pick after pick, the candidate whose gradient step lowers the validation loss most (Killamsetty et al.
    2021, "GLISTER: Generalization based Data Subset Selection for Efficient and Robust Learning"), over the
    last layer, by Taylor expansion.

    With h the penultimate features, p = softmax(logits), r = p - onehot(y), the gradient of a row's own loss
    in the last layer is `g_i = r_i outer [1, h_i]`, C x (D+1). With S the picks so far, the layer moves by
    `-eta * step(S)`, the validation logits with it, and

        v = mean over validation rows j of  r'_j outer [1, h_j],     r' from the moved logits;
        next pick = argmax over the unpicked i of  <g_i, v>,         ties: the lowest row id.

    Class-balanced: each class for itself, with its quota and the validation rows of that class; otherwise all
    candidates against all validation rows. The picks come class by class in turn, first picks first.
    The gains are not submodular, so nothing is lazy. One selection from the proxy's last checkpoint, as in
    DeepCore; the paper selects again during training.

    Computed in float64, through `<g_i, v> = r_i . (v [1, h_i])`, and only for the candidates that can be the
    best (`Argmax` in `deepcore.scoring.last_layer`): a pick costs at most 2 n C (D+1) + 4 Q C (D+1) FLOPs for
    n candidates and Q validation rows. Gains within 1e-12 of max ||g_i|| ||v|| count as equal, so that
    duplicates go by id whatever the rounding of a matrix product. Memory: at most 20 (n + Q)(D + 1 + 3 C)
    bytes, n and Q of the largest class (all N without class balance) (`memory`); never n x C x (D+1), never
    N x N.

    Needs no last layer, since only its move counts. DeepCore's typing error (v never moves) is
    `refresh=False`; CORDS is `step="sum"` with `picks_per_refresh=ceil(k / 15)`.

    Attributes:
        eta: length of the step.
        step: "mean" (DeepCore's design) or "sum" (CORDS) of the picked gradients.
        picks_per_refresh: picks between two computations of v.
        refresh: False never moves the layer: the k largest <g_i, v_0>.
        device: where it is computed, as torch names it; None for the run's (`--gpu`).
    """

    eta: float = 0.1
    step: str = "mean"
    picks_per_refresh: int = 1
    refresh: bool = True
    device: str | None = field(default=None, compare=False)

    name: ClassVar[str] = "Glister"
    paper: ClassVar[str] = "Killamsetty et al., AAAI 2021"
    facts: ClassVar[Facts] = Facts(
        code="decile-team/cords",
        rule="greedy argmax of <g_i, v>, v the validation gradient after the last layer's step on the picks",
        balance="each class for itself, with its quota and validation rows; the paper: over the whole pool",
        anchor="tests/methods/test_glister.py::test_gain_is_an_autograd_step_of_the_last_layer",
        deviations=(
            "one selection from the last checkpoint, as in DeepCore; the paper selects again during training",
            "step=mean is DeepCore's design; CORDS sums the gradients (`step=sum`) and refreshes 15 times in "
            "all (`picks_per_refresh`)",
            "the split's validation rows; DeepCore passes the train set, and never moves the layer "
            "(`refresh=false`)",
        ),
        family="gradient",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive("eta", self.eta)
        check_choice("step", self.step, ("mean", "sum"))
        check_positive("picks_per_refresh", self.picks_per_refresh, whole=True)
        check_device(self.device)

    @property
    def needs(self) -> frozenset[Signal]:
        """Logits and features after the last step."""
        return frozenset({Signal.LOGITS, Signal.FEATURES})

    @property
    def needs_val(self) -> frozenset[Signal]:
        """The same of the validation rows."""
        return self.needs

    def memory(self, pool: ProxyRun, k: int, features: int, epochs: int) -> Memory:
        """By the formula above."""
        rows = len(pool.ids) + len(pool.val_ids)
        if self.class_balanced:
            rows = int(np.bincount(pool.labels).max() + np.bincount(pool.val_labels).max())
        size = 20 * rows * (features + 1 + 3 * pool.num_classes)
        smaller = "" if self.class_balanced else "class_balanced=true"
        return Memory(super().memory(pool, k, features, epochs).host, size, smaller)

    def select(self, run: ProxyRun, budget: Budget, rng: np.random.Generator) -> Selection:
        """The greedy picks; `rng` is not used.

        Raises:
            UsageError: no validation row (of a class with a share of the budget, when class-balanced).
        """
        picks = []  # positions by id: of equal gains the first is the lowest id
        for rows, quota in groups(np.argsort(run.ids), run.labels, budget.k, self.class_balanced):
            val_rows, whose = np.arange(len(run.val_labels)), ""
            if self.class_balanced:
                c = run.labels[rows[0]]
                val_rows, whose = np.flatnonzero(run.val_labels == c), f" of class {c}"
            if len(val_rows) == 0:
                raise UsageError(
                    f"Glister: no validation row{whose}: hold out more with --val_fraction, "
                    "or set class_balanced=false for one choice over all classes"
                )
            picks.append(rows[self._pick(run, rows, val_rows, quota)])
        return Selection(run.ids[interleave(picks)])

    def _pick(self, run: ProxyRun, rows: np.ndarray, val_rows: np.ndarray, k: int) -> np.ndarray:
        """The first k greedy picks among the positions `rows`, as indices into them, in order of picking."""
        device = run.device_for(self.device)
        candidates = LastLayer.of(run, rows, device, val=False)
        validation = MovedGradient(LastLayer.of(run, val_rows, device, val=True), self.eta, self.step)
        argmax = Argmax(candidates)
        picks = np.empty(k, dtype=np.int64)
        with threads_for(2 * candidates.errors.shape[1] * candidates.inputs.shape[1]):
            for t in range(k):
                if t == 0 or (self.refresh and t % self.picks_per_refresh == 0):
                    v = validation.gradient()
                picks[t] = argmax.pick(v)
                validation.add(candidates.errors[picks[t]], candidates.inputs[picks[t]])
        return picks
