"""From a method and a run to a checked, stored selection, with its cost."""

from __future__ import annotations

import csv
import functools
import io
import json
import re
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch

from deepcore.config import fingerprint
from deepcore.files import write_bytes, write_npz
from deepcore.material import Material
from deepcore.meter import peak_memory, reset_peak
from deepcore.method import CoresetMethod, ScoreMethod
from deepcore.proxy import ProxyRun
from deepcore.seeding import stream
from deepcore.selection import Budget, Selection, rank
from deepcore.signals import FINAL, stored

T = TypeVar("T")


class Spent(NamedTuple):
    """Seconds, peak memory by `Selected.peak_bytes`'s names, and the warnings that were given."""

    seconds: float
    peak_bytes: dict[str, int]
    said: list[str]


Cache = dict[CoresetMethod, tuple[np.ndarray, Spent]]  # scores of a resolved method


@dataclass(frozen=True)
class Selected:
    """A selection, what is trained on because of it, and what it took: seconds of scoring (once per method
    and seed) and of selecting, peak memory of both ("score", and "score_device" on a GPU), bytes read."""

    selection: Selection
    material: Material
    score_seconds: float
    select_seconds: float
    peak_bytes: dict[str, int]
    signal_bytes: int


def select_and_save(
    method: CoresetMethod,
    run: ProxyRun,
    budget: Budget,
    *,
    seed: int,
    cache: Cache,
    folder: Path,
    name: str,
    device: torch.device,
    paths: np.ndarray | None = None,
) -> Selected:
    """Score (through `cache`), select, check, and write scores and ids under `folder` (not those of reference
    rows, which are no selection).

    The files are `<name>-<method>-<fingerprint>/scores.npz|csv` and `.../f<fraction>.npz|csv`: original row
    ids, label, score and rank (1 is best), for numpy, pandas or `torch.utils.data.Subset`; and the file of
    each row, where `paths` gives those of all original rows.
    """
    resolved = method.resolve(budget.fraction) if method.uses_fraction else method
    draw = functools.partial(stream, seed, "select", method.draws_as or method.name, budget.fraction)
    rng = draw()
    scoring = Spent(0.0, {}, [])
    if isinstance(resolved, ScoreMethod):
        if resolved not in cache:
            cache[resolved] = _spending(lambda: resolved.checked_scores(run), device)
        scores, scoring = cache[resolved]
        selection, choosing = _spending(lambda: resolved.choose(scores, run, budget, rng), device)
    else:
        selection, choosing = _spending(lambda: resolved.select(run, budget, rng), device)
    if method.is_selection:
        selection.check_within(run.ids, budget.k if method.uses_fraction else None)
    else:
        selection.check_within(np.append(run.ids, run.val_ids) if method.trains_on_val else run.ids)
    notes = [*selection.notes, *dict.fromkeys([*scoring.said, *choosing.said])]
    classes = np.unique(run.labels).size
    if method.uses_fraction and budget.k < classes:
        notes.append(f"the budget of {budget.k} is below one row for each of the {classes} classes")
    selection = Selection(selection.rows, selection.weights, selection.scores, tuple(notes))
    material = Material.of(selection)
    if method.is_selection:
        _save(method, resolved, run, budget, selection, folder, name, paths)
    else:
        material = resolved.material(selection, run, budget, draw)
    peaks = {name: max(peak, scoring.peak_bytes.get(name, 0)) for name, peak in choosing.peak_bytes.items()}
    read = signal_bytes(resolved, run)
    return Selected(selection, material, scoring.seconds, choosing.seconds, peaks, read)


def _spending(work: Callable[[], T], device: torch.device) -> tuple[T, Spent]:
    """What `work` returns, and what it took."""
    places = {"score": torch.device("cpu")} | ({"score_device": device} if device.type == "cuda" else {})
    for place in places.values():
        reset_peak(place)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        start = time.perf_counter()
        result = work()
        seconds = time.perf_counter() - start
    peaks = {name: peak_memory(place) for name, place in places.items()}
    return result, Spent(seconds, peaks, [str(warning.message) for warning in said])


def signal_bytes(method: CoresetMethod, run: ProxyRun) -> int:
    """Bytes of the recordings in `run` that `method` reads: of trajectories the checkpoints it reads, of
    every repeat; final arrays whole."""
    rows = len(frozenset().union(*method.rows_read(run.epochs)))
    total = 0
    for signal in stored(method.needs):
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


def selection_folder(folder: Path, name: str, method: CoresetMethod, identity: Mapping[str, Any]) -> Path:
    """Where the files of `method` are, under `folder`, for the pool or proxy run of this identity."""
    label = re.sub(r"[^A-Za-z0-9.=,_-]+", "_", method.label())[:60]
    return folder / f"{name}-{label}-{fingerprint(method.spec(), identity)}"


def file_stem(method: CoresetMethod, fraction: float | None) -> str:
    """Name of the selection's files, without the suffix."""
    return f"f{fraction:.12g}" if method.uses_fraction else "all"


def _save(
    method: CoresetMethod,
    resolved: CoresetMethod,
    run: ProxyRun,
    budget: Budget,
    selection: Selection,
    folder: Path,
    name: str,
    paths: np.ndarray | None,
) -> None:
    """The selected ids and, where there are scores, all scores."""
    folder = selection_folder(folder, name, method, run.spec["identity"])
    folder.mkdir(parents=True, exist_ok=True)
    write_bytes(folder / "method.json", (json.dumps(method.spec(), sort_keys=True) + "\n").encode())
    label_of = dict(zip(run.ids.tolist(), run.labels.tolist(), strict=True))
    labels = np.array([label_of[i] for i in selection.rows.tolist()])
    columns = {"id": selection.rows, "label": labels}
    if selection.scores is not None:
        position = {i: p for p, i in enumerate(run.ids.tolist())}
        columns["score"] = selection.scores[[position[i] for i in selection.rows.tolist()]]
    columns["rank"] = np.arange(1, len(selection.rows) + 1)
    if selection.weights is not None:
        columns["weight"] = selection.weights
    if paths is not None:
        columns["path"] = _names(paths[selection.rows])
    stem = file_stem(method, budget.fraction)
    _write_both(folder / stem, columns)
    if selection.scores is not None:
        keep = resolved.keep if isinstance(resolved, ScoreMethod) else "highest"
        every = {
            "id": run.ids,
            "label": run.labels,
            "score": selection.scores,
            "rank": rank(selection.scores, run.ids, keep),
        }
        if paths is not None:
            every["path"] = _names(paths[run.ids])
        suffix = "" if resolved == method else f"-{stem}"
        _write_both(folder / f"scores{suffix}", every)


def _names(paths: np.ndarray) -> np.ndarray:
    """File names as text; what is not text comes out escaped."""
    return np.array([path.decode(errors="backslashreplace") for path in paths])


def _write_both(stem: Path, columns: dict[str, np.ndarray]) -> None:
    """`stem`.npz (arrays named ids, labels, ...) and `stem`.csv (a header, a line per row)."""
    write_npz(stem.with_name(stem.name + ".npz"), **{f"{name}s": column for name, column in columns.items()})
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*(column.tolist() for column in columns.values()), strict=True))
    write_bytes(stem.with_name(stem.name + ".csv"), text.getvalue().encode())
