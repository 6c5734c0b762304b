"""Selections and scores on disk: original row ids as .npz and .csv."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from deepcore.common.checks import StoredMismatch, UsageError, check_ids, read_npz
from deepcore.common.files import write_bytes
from deepcore.common.identity import fingerprint
from deepcore.proxy.run import ProxyRun
from deepcore.selection.budget import Budget
from deepcore.selection.files import write_columns
from deepcore.selection.method import CoresetMethod, ScoreMethod
from deepcore.selection.ranking import rank
from deepcore.selection.selection import Selection


def selection_folder(folder: Path, name: str, method: CoresetMethod, identity: Mapping[str, Any]) -> Path:
    """Where the files of `method` are, under `folder`, for the pool or proxy run of this identity."""
    label = re.sub(r"[^A-Za-z0-9.=,_-]+", "_", method.label())[:60]
    return folder / f"{name}-{label}-{fingerprint(method.spec(), identity)}"


def file_stem(method: CoresetMethod, fraction: float | None) -> str:
    """Name of the selection's files, without the suffix."""
    return f"f{fraction:.12g}" if method.uses_fraction else "all"


def save_selection(
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
    folder.mkdir(exist_ok=True)
    folder = selection_folder(folder, name, method, run.spec["identity"])
    folder.mkdir(exist_ok=True)
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


def read_selected(path: Path, pool: ProxyRun, k: int | None) -> np.ndarray:
    """The ids of a stored selection, (k,), best first; StoredMismatch unless it is one of `k` rows of `pool`
    (None for any number) with their labels."""
    arrays = _read(path, pool)
    if k is not None and len(arrays["ids"]) != k:
        raise _changed(path, f"it holds {len(arrays['ids'])} rows where {k} belong")
    return arrays["ids"]


def read_scores(path: Path, pool: ProxyRun) -> np.ndarray:
    """The stored scores of all candidates, (N,) float64; StoredMismatch unless they are those of `pool`."""
    arrays = _read(path, pool)
    scores = arrays.get("scores")
    if not np.array_equal(arrays["ids"], pool.ids):
        raise _changed(path, "its rows are not the candidates of this command")
    if scores is None or scores.shape != pool.ids.shape or scores.dtype.kind != "f":
        raise _changed(path, "it does not hold one score of each candidate")
    if not np.isfinite(scores).all():
        raise _changed(path, "its scores are not all finite numbers")
    return scores


def _read(path: Path, pool: ProxyRun) -> dict[str, np.ndarray]:
    """The arrays of a stored selection or of scores, whose ids are unique candidates with their labels."""
    try:
        arrays = read_npz(path, str(path))
        ids = check_ids(arrays["ids"], str(path))
    except UsageError as error:
        raise _changed(path, str(error)) from None
    except KeyError:
        raise _changed(path, "it holds no ids") from None
    order = np.argsort(pool.ids)
    places = order[np.searchsorted(pool.ids, ids, sorter=order).clip(max=len(order) - 1)]
    outside = ids[pool.ids[places] != ids]
    if outside.size:
        raise _changed(path, f"row {outside[0]} is no candidate of this command")
    if not np.array_equal(arrays.get("labels"), pool.labels[places]):
        raise _changed(path, "its labels are not those of its rows")
    return arrays


def _changed(path: Path, what: str) -> StoredMismatch:
    return StoredMismatch(
        f"{path} was changed, or comes from elsewhere: {what}; delete its folder and the rows of its "
        "method, and run the command again"
    )


def _names(paths: np.ndarray) -> np.ndarray:
    """File names as text; bytes that are not text are escaped."""
    return np.array([path.decode(errors="backslashreplace") for path in paths])


def _write_both(stem: Path, columns: dict[str, np.ndarray]) -> None:
    """`stem`.npz (arrays named ids, labels, ...) and `stem`.csv (a header, a line per row)."""
    for suffix in (".npz", ".csv"):
        write_columns(stem.with_name(stem.name + suffix), columns)
