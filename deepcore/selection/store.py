"""Selections and scores on disk: original row ids as .npz and .csv."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

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
    """File names as text; bytes that are not text are escaped."""
    return np.array([path.decode(errors="backslashreplace") for path in paths])


def _write_both(stem: Path, columns: dict[str, np.ndarray]) -> None:
    """`stem`.npz (arrays named ids, labels, ...) and `stem`.csv (a header, a line per row)."""
    for suffix in (".npz", ".csv"):
        write_columns(stem.with_name(stem.name + suffix), columns)
