"""Run a method on a proxy run: check and store the selection, and measure its cost."""

from __future__ import annotations

import functools
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import torch

from deepcore.common.meter import Meter, peak_memory, reset_peak
from deepcore.common.seeding import stream
from deepcore.proxy.run import ProxyRun
from deepcore.proxy.signals import FINAL, Signal, stored
from deepcore.selection.budget import Budget
from deepcore.selection.method import CoresetMethod, ScoreMethod
from deepcore.selection.selection import Selection
from deepcore.selection.store import save_selection
from deepcore.selection.training_set import TrainingSet

T = TypeVar("T")


class Spent(NamedTuple):
    """Seconds, peak memory by `Selected.peak_bytes`'s names, the warnings that were given, and the example
    passes through networks that the method made by itself."""

    seconds: float
    peak_bytes: dict[str, int]
    said: list[str]
    passes: dict[str, int]


Scores = dict[CoresetMethod, tuple[np.ndarray, Spent]]  # scores of a resolved method


@dataclass(frozen=True)
class Selected:
    """A selection, what is trained on because of it, and what it took: seconds of scoring (once per method
    and seed) and of selecting, peak memory of both ("score", and "score_device" on a GPU), bytes read, and
    the example passes that both made through networks by themselves."""

    selection: Selection
    training_set: TrainingSet
    score_seconds: float
    select_seconds: float
    peak_bytes: dict[str, int]
    signal_bytes: int
    passes: dict[str, int]


def select_and_save(
    method: CoresetMethod,
    run: ProxyRun,
    budget: Budget,
    *,
    seed: int,
    scores: Scores,
    folder: Path,
    name: str,
    device: torch.device,
    paths: np.ndarray | None = None,
) -> Selected:
    """Score, select, check, and write scores and ids under `folder`.

    A resolved method is scored once; `scores` keeps what it gave. Reference rows are no selections: nothing
    is written for them.

    The files are `<name>-<method>-<fingerprint>/scores.npz|csv` and `.../f<fraction>.npz|csv`: original row
    ids, label, score and rank (1 is best), for numpy, pandas or `torch.utils.data.Subset`; and the file of
    each row, where `paths` gives those of all original rows.
    """
    resolved = method.resolve(budget.fraction) if method.uses_fraction else method
    draw = functools.partial(stream, seed, "select", method.draws_as or method.name, budget.fraction)
    rng = draw()
    scoring = Spent(0.0, {}, [], {})
    if isinstance(resolved, ScoreMethod):
        if resolved not in scores:
            scores[resolved] = _spending(lambda: resolved.checked_scores(run), device, run.meter)
        values, scoring = scores[resolved]
        selection, choosing = _spending(lambda: resolved.choose(values, run, budget, rng), device, run.meter)
    else:
        selection, choosing = _spending(lambda: resolved.select(run, budget, rng), device, run.meter)
    if method.is_selection:
        selection.check_within(run.ids, budget.k if method.uses_fraction else None)
    else:
        selection.check_within(np.append(run.ids, run.val_ids) if method.trains_on_val else run.ids)
    notes = [*selection.notes, *dict.fromkeys([*scoring.said, *choosing.said])]
    classes = np.unique(run.labels).size
    if method.uses_fraction and budget.k < classes:
        notes.append(f"the budget of {budget.k} is below one row for each of the {classes} classes")
    selection = Selection(selection.rows, selection.weights, selection.scores, tuple(notes))
    training_set = TrainingSet.of(selection)
    if method.is_selection:
        save_selection(method, resolved, run, budget, selection, folder, name, paths)
    else:
        training_set = resolved.training_set(selection, run, budget, draw)
    peaks = {name: max(peak, scoring.peak_bytes.get(name, 0)) for name, peak in choosing.peak_bytes.items()}
    read = signal_bytes(resolved, run)
    passes = {
        kind: scoring.passes.get(kind, 0) + choosing.passes.get(kind, 0)
        for kind in sorted(scoring.passes.keys() | choosing.passes.keys())
    }
    return Selected(selection, training_set, scoring.seconds, choosing.seconds, peaks, read, passes)


def _spending(work: Callable[[], T], device: torch.device, meter: Meter | None) -> tuple[T, Spent]:
    """What `work` returns, and what it took; `meter` counts its passes through networks."""
    before = dict(meter.passes) if meter else {}
    places = {"score": torch.device("cpu")} | ({"score_device": device} if device.type == "cuda" else {})
    for place in places.values():
        reset_peak(place)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        start = time.perf_counter()
        result = work()
        seconds = time.perf_counter() - start
    peaks = {name: peak_memory(place) for name, place in places.items()}
    counted = {kind: n - before.get(kind, 0) for kind, n in (meter.passes if meter else {}).items()}
    passes = {kind: n for kind, n in counted.items() if n}
    return result, Spent(seconds, peaks, [str(warning.message) for warning in said], passes)


def signal_bytes(method: CoresetMethod, run: ProxyRun) -> int:
    """Bytes of the recordings in `run` that `method` reads: of trajectories the checkpoints it reads, of
    every repeat; final arrays whole; a network's weights are not counted. With `extrapolate` the features of
    all candidates are read."""
    total, needs = 0, stored(method.needs) - {Signal.WEIGHTS}
    if method.own_run is not None:
        run = run.require_own(method.name)
        total += 0 if run.rest_features is None else run.rest_features.nbytes
        if method.own_run.rows == "validation":
            return total
        needs |= {Signal.FEATURES}
    rows = len(frozenset().union(*method.rows_read(run.epochs)))
    for signal in needs:
        if signal in FINAL:
            total += run.final_array(signal).nbytes
        else:
            total += rows * run.trajectory(signal, method.mode)[0].nbytes * method.repeats_needed
    for signal in stored(method.needs_val):
        final = signal in FINAL
        total += (
            run.final_array(signal, val=True).nbytes if final else rows * run.val_trajectory(signal)[0].nbytes
        )
    return total
