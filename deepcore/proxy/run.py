"""ProxyRun: the candidates of one seed, and what one proxy training recorded of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from deepcore.common.checks import MissingSignal
from deepcore.common.meter import Meter
from deepcore.proxy.logs import fields_of_logits, fields_of_losses
from deepcore.proxy.network import ProxyNetwork
from deepcore.proxy.own_log import OwnLog
from deepcore.proxy.signals import Signal

# trajectories[(mode, signal)] is (T+1, N) float32, or (T, N) without the initial row
Trajectories = Mapping[tuple[str, Signal], np.ndarray]


@dataclass(frozen=True)
class ProxyRun:
    """Candidates and recordings. Arrays may be memory-mapped; do not write to them.

    Attributes:
        ids, labels: (N,) int64, original row ids (sorted for runs made here) and labels of the train pool.
        num_classes: C.
        val_ids, val_labels: (Q,) int64 of the validation rows; empty where unknown.
        total: rows of the training set that the ids are of, some of which may be neither; None where unknown.
        trajectories: {(mode, signal): (T+1, N) float32}; with `modes_agree`, the mode is ignored (own logs).
        val_trajectories: {signal: (T+1, Q) float32}.
        val_class_loss: (T+1, C) mean validation loss per class, when logs came as class means.
        val_mean_loss: (T+1,) mean validation loss, when logs came as one number per checkpoint.
        final, val_final: {LOGITS: (N, C), FEATURES: (N, D)}, after the last step.
        last_layer: (W (C, D), b (C,)) after the last step.
        rest_ids, rest_features: (M,) ids and (M, D) final features of the candidates that the network was not
            trained on, for a run on a share of them; none and None otherwise.
        has_initial: row 0 is the untrained network; without it the first row is the state after one epoch.
        repeats: further short runs of other initialisations (EL2N, GraNd).
        spec: the specification that made it; {} for own logs.
        costs: example passes, seconds and the like, as counted; {} for own logs.
        folder: where it is stored, None for own logs.
        device: where methods with large products compute; None takes CUDA when there is one.
        network: gives the run's network and the rows that it can be given, after the last step (True) or
            before the first (False); None where there is none. To use a network of your own:
            `dataclasses.replace(run, network=lambda trained: ProxyNetwork(...))`.
        meter: counts the passes that a method makes through networks by itself; None for own logs.
        own: the run that a method asked for itself (`CoresetMethod.own_run`); this one is then without
            recordings.
        log: what logs of other loops have beside: text ids, class names, gaps.
    """

    ids: np.ndarray
    labels: np.ndarray
    num_classes: int
    val_ids: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    val_labels: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    total: int | None = None
    trajectories: Trajectories = field(default_factory=dict)
    val_trajectories: Mapping[Signal, np.ndarray] = field(default_factory=dict)
    val_class_loss: np.ndarray | None = None
    val_mean_loss: np.ndarray | None = None
    final: Mapping[Signal, np.ndarray] = field(default_factory=dict)
    val_final: Mapping[Signal, np.ndarray] = field(default_factory=dict)
    last_layer: tuple[np.ndarray, np.ndarray] | None = None
    rest_ids: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    rest_features: np.ndarray | None = None
    has_initial: bool = True
    modes_agree: bool = False
    repeats: tuple[ProxyRun, ...] = ()
    spec: Mapping[str, Any] = field(default_factory=dict)
    costs: Mapping[str, Any] = field(default_factory=dict)
    folder: Path | None = None
    device: torch.device | None = None
    network: Callable[[bool], ProxyNetwork] | None = None
    meter: Meter | None = None
    own: ProxyRun | None = None
    log: OwnLog = field(default_factory=OwnLog)

    def device_for(self, wanted: str | None) -> torch.device:
        """The device that a method computes on: the one it names itself, else this run's."""
        if wanted is None and self.device is not None:
            return self.device
        return torch.device(wanted or ("cuda" if torch.cuda.is_available() else "cpu"))

    @classmethod
    def from_losses(
        cls,
        train_losses: Any,
        train_labels: Any,
        val_losses: Any,
        val_labels: Any = None,
        *,
        ids: Any = None,
        has_initial: bool = False,
        signals: Mapping[Any, Any] | None = None,
        missing: str = "error",
        class_names: tuple[str, ...] = (),
        notes: tuple[str, ...] = (),
    ) -> ProxyRun:
        """A run from your own logs: one loss per sample and checkpoint is enough for CLD, LTC, Dyn-Unc, DUAL.

            scores = CLD().score(ProxyRun.from_losses(train_losses, train_labels, val_losses, val_labels))

        Arrays may be numpy (memory-mapped too), torch or lists; float32 and float64 are kept without a copy.
        Dyn-Unc and DUAL read exp(-loss), so the loss should be the cross-entropy; CLD and LTC take any loss.

        Args:
            train_losses: (checkpoints, N), each checkpoint's loss of each sample.
            train_labels: (N,) in 0..C-1, or text; None where there are no classes (regression, language
                models): there is then one validation trajectory.
            val_losses: (checkpoints, Q) with `val_labels`; without, (checkpoints, C) class means (NaN
                throughout for a class without a row) or (checkpoints,) overall means, which do for
                `trajectory="global"`. None for none: methods that compare with validation rows then refuse.
            val_labels: (Q,).
            ids: (N,) the samples' own ids, unique, in any order, numbers or text; 0..N-1 by default.
                Selections are such ids.
            has_initial: the first checkpoint is the untrained network.
            signals: further trajectories of the candidates, {Signal or its name: (checkpoints, N)}.
            missing: "error", or "nan": NaN means that a sample has no value at that checkpoint, and scores
                use the checkpoints it has.
            class_names: of classes 0..C-1, for tables; text labels name them themselves.
            notes: kept in `log.notes`.

        Raises:
            UsageError: shapes that do not fit, losses that are not finite, labels or ids out of range or
                repeated.
        """
        fields = fields_of_losses(
            train_losses,
            train_labels,
            val_losses,
            val_labels,
            ids=ids,
            has_initial=has_initial,
            signals=signals,
            missing=missing,
            class_names=class_names,
            notes=notes,
        )
        return cls(**fields)

    @classmethod
    def from_logits(
        cls,
        train_logits: Any,
        train_labels: Any,
        val_logits: Any,
        val_labels: Any,
        *,
        features: Any = None,
        val_features: Any = None,
        last_layer: tuple[Any, Any] | None = None,
        ids: Any = None,
        has_initial: bool = False,
    ) -> ProxyRun:
        """A run from your own logits, with every signal that can be computed from them.

        Memory beyond the arrays: 24 * checkpoints * (N + Q) bytes.

        Args:
            train_logits: (checkpoints, N, C).
            train_labels: (N,) in 0..C-1.
            val_logits: (checkpoints, Q, C).
            val_labels: (Q,) in 0..C-1.
            features: penultimate features, (N, D) of the last checkpoint or (checkpoints, N, D); only the
                latter give GraNd its trajectory.
            val_features: as `features`, of the validation rows.
            last_layer: (W (C, D), b (C,)) of the last checkpoint.
            ids, has_initial: as for `from_losses`.

        Raises:
            UsageError: as for `from_losses`.
        """
        fields = fields_of_logits(
            train_logits,
            train_labels,
            val_logits,
            val_labels,
            features=features,
            val_features=val_features,
            last_layer=last_layer,
            ids=ids,
            has_initial=has_initial,
        )
        return cls(**fields)

    @property
    def epochs(self) -> int:
        """T, the number of recorded epochs (0 for a run without recordings)."""
        arrays = [*self.trajectories.values(), *self.val_trajectories.values()]
        return len(arrays[0]) - int(self.has_initial) if arrays else 0

    @property
    def seed(self) -> int | None:
        """The seed of its split and training; None for own logs."""
        return self.spec.get("identity", {}).get("seed")

    def trajectory(self, signal: Signal, mode: str, *, initial: bool = False) -> np.ndarray:
        """Rows 1..T of a signal, (T, N) float32, or rows 0..T with `initial`.

        P_TRUE and CORRECT are derived from LOSS and MARGIN (a new array; CORRECT is bool).

        Raises:
            MissingSignal: naming the signal, the mode, and what the run holds; also for `initial` on a run
                without row 0.
        """
        if signal is Signal.P_TRUE:
            return np.exp(-self.trajectory(Signal.LOSS, mode, initial=initial))
        if signal is Signal.CORRECT:
            return self.trajectory(Signal.MARGIN, mode, initial=initial) > 0
        array = self._stored(signal, mode)
        if array is None:
            held = {f"{s.value} ({'any mode' if self.modes_agree else m})" for m, s in self.trajectories}
            listed = ", ".join(sorted(held)) or "none"
            raise MissingSignal(
                f"this run has no {signal.value} trajectory recorded {mode}; it holds: {listed}"
            )
        return self._from_row(array, initial)

    def val_trajectory(self, signal: Signal, *, initial: bool = False) -> np.ndarray:
        """A validation signal per row, (T, Q) float32, or (T+1, Q) with `initial`; else MissingSignal."""
        if signal not in self.val_trajectories:
            held = ", ".join(s.value for s in self.val_trajectories) or "none"
            raise MissingSignal(f"this run has no {signal.value} of each validation row; it holds: {held}")
        return self._from_row(self.val_trajectories[signal], initial)

    def val_class_means(self, *, initial: bool = False) -> np.ndarray:
        """Mean validation loss of each class, (T, C) or (T+1, C) float64; NaN columns for classes without a
        row.

        Raises:
            MissingSignal: when only one mean over all classes was logged.
        """
        if self.val_class_loss is not None:
            return self._from_row(np.asarray(self.val_class_loss, dtype=np.float64), initial)
        if Signal.LOSS not in self.val_trajectories and self.val_mean_loss is not None:
            raise MissingSignal('only one validation loss per checkpoint is known: use trajectory="global"')
        losses = self.val_trajectory(Signal.LOSS, initial=initial)
        return class_means(losses, self.val_labels, self.num_classes)

    def val_mean(self, *, initial: bool = False) -> np.ndarray:
        """Mean validation loss over all rows, (T,) or (T+1,) float64."""
        if self.val_mean_loss is not None:
            return self._from_row(np.asarray(self.val_mean_loss, dtype=np.float64), initial)
        return np.asarray(self.val_trajectory(Signal.LOSS, initial=initial), dtype=np.float64).mean(axis=1)

    def final_array(self, signal: Signal, *, val: bool = False) -> np.ndarray:
        """LOGITS or FEATURES after the last step, of the candidates or (val) the validation rows; float32."""
        held = self.val_final if val else self.final
        if signal not in held:
            whose = "validation rows" if val else "candidates"
            raise MissingSignal(f"this run holds no final {signal.value} of the {whose}")
        return held[signal]

    def require_own(self, name: str) -> ProxyRun:
        """The run that the method of this name asked for itself; MissingSignal where there is none."""
        if self.own is None:
            raise MissingSignal(
                f"{name} reads a training of its own (its losses and weights), and this run has none: use it "
                "in this benchmark, or set `own` of the run"
            )
        return self.own

    def trained_network(self, *, trained: bool = True) -> ProxyNetwork:
        """The network after the last step, or before the first; MissingSignal where there is none."""
        if self.network is None:
            raise MissingSignal(
                "this run gives no weights of a network: logs do not have one; train the proxy here, or set "
                "`network` of the run"
            )
        return self.network(trained)

    def has(self, signal: Signal, mode: str) -> bool:
        """Whether the run holds the trajectory of this signal and mode, the final array or the network."""
        if signal is Signal.WEIGHTS:
            return self.network is not None
        if signal in (Signal.LOGITS, Signal.FEATURES):
            return signal in self.final
        return all(self._stored(stored, mode) is not None for stored in signal.stored)

    def _stored(self, signal: Signal, mode: str) -> np.ndarray | None:
        if self.modes_agree:
            return next((a for (_, s), a in self.trajectories.items() if s is signal), None)
        return self.trajectories.get((mode, signal))

    def _from_row(self, array: np.ndarray, initial: bool) -> np.ndarray:
        if initial and not self.has_initial:
            raise MissingSignal("this run has no row of the untrained network (row 0): use initial=False")
        return array if initial or not self.has_initial else array[1:]


from_losses = ProxyRun.from_losses  # the doors for people with their own training loop
from_logits = ProxyRun.from_logits


def class_means(values: np.ndarray, labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Mean over the columns of each class.

    Args:
        values: (T, Q).
        labels: (Q,) int64 in 0..num_classes-1.
        num_classes: C.

    Returns:
        (T, C) float64; NaN for a class without a column.
    """
    sizes = np.bincount(labels, minlength=num_classes)
    present = np.flatnonzero(sizes)
    by_class = values[:, np.argsort(labels, kind="stable")].astype(np.float64)
    means = np.full((len(by_class), num_classes), np.nan)
    if present.size:
        starts = (np.cumsum(sizes) - sizes)[present]
        means[:, present] = np.add.reduceat(by_class, starts, axis=1) / sizes[present]
    return means
