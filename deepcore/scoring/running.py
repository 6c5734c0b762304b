"""Scores that are finished while the losses come in: memory O(N), whatever the number of epochs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from deepcore.common.checks import UsageError
from deepcore.proxy.signals import Signal
from deepcore.scoring.correlation import LEAST
from deepcore.scoring.epochs import LEAST_EPOCHS
from deepcore.scoring.gaps import GapCLD, KnownForgetting, KnownMean, MeanDeviation
from deepcore.scoring.one_pass import CLDStream

WINDOW, EL2N_EPOCHS, DUAL_EPOCHS = 10, 10, 30  # the methods' defaults


class RunningScores:
    """CLD, AUM, EL2N, Forgetting, Dyn-Unc and DUAL, with their default fields, in one pass over the epochs.

    Each equals what the method of that name gives for the whole log. Memory: about 350 * N bytes with every
    signal, 270 * N with losses alone, 90 * N more with gaps; with the untrained network 30 * N more, 120 * N
    with gaps.

    Args:
        labels: (N,) int in 0..num_classes-1.
        num_classes: C.
        signals: what every epoch brings: LOSS, and any of MARGIN, MARGIN_P, EL2N, OTHER.
        gaps: rows may hold NaN.
        has_val: validation losses come too; without them there is no CLD.
        initial: the first epoch is the untrained network. CLD reads it in its published form; recorded
            online it does not.
    """

    def __init__(
        self,
        labels: np.ndarray,
        num_classes: int,
        signals: frozenset[Signal],
        *,
        gaps: bool,
        has_val: bool,
        initial: bool = False,
    ) -> None:
        count = len(labels)
        self.signals, self.num_classes = signals, num_classes
        self.rows = self.epochs = 0  # rows: the untrained network's, too
        kind = GapCLD if gaps else CLDStream
        self.cld = kind(labels, num_classes) if has_val else None
        self.has_initial = initial
        self.cld_online = kind(labels, num_classes) if has_val and initial else None  # else the same
        self.means = {name: KnownMean(count) for name in ("loss", f"p_true:{DUAL_EPOCHS}")}
        for signal, name in (
            (Signal.MARGIN, "AUM"),
            (Signal.MARGIN_P, "AUM:of=probability"),
            (Signal.EL2N, "EL2N"),
        ):
            if signal in signals:
                self.means[name] = KnownMean(count)
        self.dynunc = MeanDeviation(WINDOW, count, times_one_less_mean=False)
        self.dual = MeanDeviation(WINDOW, count, times_one_less_mean=True)
        self.forgetting = KnownForgetting(count) if Signal.MARGIN in signals else None
        self.other = _Majority(count) if Signal.OTHER in signals else None

    def update(
        self, rows: Mapping[Signal, np.ndarray], val: np.ndarray | None, *, initial: bool = False
    ) -> None:
        """Take in one epoch.

        Args:
            rows: each of `signals`, (N,).
            val: (C,) mean validation losses, or None.
            initial: it is the untrained network, which CLD alone reads.
        """
        for cld in (self.cld, None if initial else self.cld_online):
            if cld is not None:
                cld.update(rows[Signal.LOSS], np.zeros(1) if val is None else val)
        self.rows += 1
        if initial:
            return
        self.epochs += 1
        loss = np.asarray(rows[Signal.LOSS], dtype=np.float64)
        probability = np.exp(-loss)
        self.means["loss"].add(loss)
        self.dynunc.add(probability)
        if self.epochs <= DUAL_EPOCHS:
            self.dual.add(probability)
            self.means[f"p_true:{DUAL_EPOCHS}"].add(probability)
        for signal, name in ((Signal.MARGIN, "AUM"), (Signal.MARGIN_P, "AUM:of=probability")):
            if signal in self.signals:
                self.means[name].add(rows[signal])
        if Signal.EL2N in self.signals and self.epochs <= EL2N_EPOCHS:
            self.means["EL2N"].add(rows[Signal.EL2N])
        if self.forgetting is not None:
            self.forgetting.add(rows[Signal.MARGIN])
        if self.other is not None:
            self.other.add(rows[Signal.OTHER])

    def scores(self) -> dict[str, np.ndarray]:
        """What is finished, by `ScoreMethod.score_name`, (N,) float64 each; without those that need more
        epochs than there were."""
        found: dict[str, np.ndarray] = {}
        if self.cld is not None and self.rows - 1 >= LEAST:
            found["CLD"] = self.cld.score()
        if "CLD" in found and not self.has_initial:
            found["CLD:record=online"] = found["CLD"]
        if self.cld_online is not None and self.epochs - 1 >= LEAST:
            found["CLD:record=online"] = self.cld_online.score()
        for name in ("AUM", "AUM:of=probability", "EL2N"):
            if name in self.means:
                found[name] = self.means[name].value()
        if self.forgetting is not None:
            found["Forgetting"] = self.forgetting.value()
        if self.epochs >= LEAST_EPOCHS:
            found |= {"DynUnc": self.dynunc.score(), "DUAL": self.dual.score()}
        return found

    @property
    def known(self) -> np.ndarray:
        """Whether a sample had a loss in any epoch, (N,) bool."""
        return self.means["loss"].known > 0

    def summaries(self) -> dict[str, np.ndarray]:
        """What is no score of a method: see `OwnLog.summaries`."""
        found = {name: self.means[name].value() for name in ("loss", f"p_true:{DUAL_EPOCHS}")}
        return found | ({"other": self.other.candidate} if self.other is not None else {})

    def state(self) -> dict[str, np.ndarray]:
        """Everything that `update` changes, as arrays by name, for a file; read, not to be written."""
        found = {name: np.asarray(holder[key]) for name, holder, key in self._own_numbers()}
        for name, stream in self._streams().items():
            found |= {f"{name}.{key}": array for key, array in stream.state().items()}
        return found

    def load(self, state: Mapping[str, np.ndarray], where: str) -> None:
        """Go on from `state`; UsageError naming `where` when it is not of such scores. An older state has not
        what CLD recorded online needs beside an untrained network: there is no such score then."""
        state = dict(state)
        if "means.loss.known" in state:  # the same counts, and older states lack those of forgetting
            state.setdefault("forgetting.known", state["means.loss.known"])
        if not any(name.startswith("cld_online.") for name in state):
            self.cld_online = None
        try:
            for name, holder, key in self._own_numbers():
                if state[name].shape != np.shape(holder[key]):
                    raise ValueError(name)
                is_array = isinstance(holder[key], np.ndarray)
                holder[key] = state[name].copy() if is_array else int(state[name].item())
            for name, stream in self._streams().items():
                stream.load({key.removeprefix(f"{name}."): array for key, array in state.items()})
        except (KeyError, ValueError) as error:
            raise UsageError(
                f"{where}: the scores are of another log, or damaged ({error}): log into another folder"
            ) from None

    def _own_numbers(self) -> Iterator[tuple[str, dict[str, Any], str]]:
        """Every array and count but those of a `CLDStream`, which knows its own."""
        others = {name: value for name, value in vars(self).items() if not isinstance(value, CLDStream)}
        return _numbers(others, vars(self))

    def _streams(self) -> dict[str, CLDStream]:
        return {name: value for name, value in vars(self).items() if isinstance(value, CLDStream)}


class _Majority:
    """A class for each column, the one that holds a majority of its values where there is one (the vote of
    Boyer and Moore 1981); -1 for none."""

    def __init__(self, count: int) -> None:
        self.candidate = np.full(count, -1, dtype=np.int64)
        self.lead = np.zeros(count, dtype=np.int64)

    def add(self, row: np.ndarray) -> None:
        known = np.flatnonzero(row >= 0)
        values = row[known].astype(np.int64)
        new = self.lead[known] == 0
        self.candidate[known[new]] = values[new]
        self.lead[known] += np.where(self.candidate[known] == values, 1, -1)


def _numbers(
    held: dict[str, Any], home: dict[str, Any], prefix: str = ""
) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Every array and count of `held` and of the objects in it: (name, the mapping to change, its key)."""
    for key in sorted(held):
        value, name = held[key], f"{prefix}{key}"
        if isinstance(value, np.ndarray) or type(value) is int:
            yield name, home, key
        elif isinstance(value, dict):
            yield from _numbers(value, value, f"{name}.")
        elif hasattr(value, "__dict__"):
            yield from _numbers(vars(value), vars(value), f"{name}.")
