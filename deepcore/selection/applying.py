"""Chosen ids and the data sets of other libraries. Nothing is imported that the caller does not use."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from deepcore.common.checks import UsageError, check_choice

LIBRARIES = ("pandas", "polars")


def as_frame(columns: Mapping[str, np.ndarray], library: str) -> Any:
    """A data frame of named columns."""
    check_choice("library", library, LIBRARIES)
    try:
        module = importlib.import_module(library)
    except ImportError:
        raise UsageError(f"{library} is not installed: pip install {library}") from None
    return module.DataFrame(dict(columns))


def applied(chosen: np.ndarray, dataset: Any, ids: Any) -> Any:
    """The rows `chosen` (k,) of a data set; `Selection.apply` documents the rest."""
    if isinstance(dataset, Mapping) and not isinstance(ids, str):
        return {name: applied(chosen, part, ids) for name, part in dataset.items()}
    if isinstance(dataset, tuple):
        return tuple(applied(chosen, part, ids) for part in dataset)
    count = _length(dataset)
    positions = _positions(chosen, _ids_of(dataset, ids), count)
    if isinstance(dataset, Mapping):
        return {name: _rows(part, positions) for name, part in dataset.items()}
    return _rows(dataset, positions)


def _length(dataset: Any) -> int:
    try:
        return len(next(iter(dataset.values())) if isinstance(dataset, Mapping) else dataset)
    except (TypeError, StopIteration):
        raise UsageError(
            f"{type(dataset).__name__} has no length: rows can be chosen of a data set with random access"
        ) from None


def _ids_of(dataset: Any, ids: Any) -> np.ndarray | None:
    """The id of each row; None for row numbers."""
    if not isinstance(ids, str):
        return None if ids is None else np.asarray(ids)
    try:
        return np.asarray(dataset[ids])
    except (KeyError, TypeError, IndexError, ValueError):
        raise UsageError(
            f"there is no column {ids!r} of ids in the {type(dataset).__name__}: give its name, or the ids "
            "themselves"
        ) from None
    except Exception as error:  # polars has exceptions of its own
        if type(error).__name__ == "ColumnNotFoundError":
            raise UsageError(f"there is no column {ids!r} of ids in the {type(dataset).__name__}") from None
        raise


def _positions(chosen: np.ndarray, ids: np.ndarray | None, count: int) -> np.ndarray:
    """Where each chosen id is, (k,) int64."""
    if ids is None:
        outside = chosen[(chosen < 0) | (chosen >= count)]
        if outside.size:
            raise UsageError(
                f"id {outside[0]} is no row of a data set of {count} ({outside.size} such ids): if ids are "
                "not row numbers, give the id of each row as ids=..."
            )
        return chosen
    if len(ids) != count:
        raise UsageError(f"{len(ids)} ids for a data set of {count} rows: one for each is needed")
    text = chosen.dtype.kind in "UT"
    place = {(str(i) if text else i): position for position, i in enumerate(ids.tolist())}
    missing = [i for i in chosen.tolist() if i not in place]
    if missing:
        raise UsageError(
            f"the data set has no row with id {missing[0]!r} ({len(missing)} of {len(chosen)} chosen ids)"
        )
    return np.array([place[i] for i in chosen.tolist()], dtype=np.int64)


def _rows(dataset: Any, positions: np.ndarray) -> Any:
    """Rows by position, as the same kind of thing."""
    if hasattr(dataset, "iloc"):  # pandas
        return dataset.iloc[positions]
    if isinstance(dataset, torch.Tensor):
        return dataset[torch.from_numpy(positions).to(dataset.device)]
    if isinstance(dataset, np.ndarray):
        return dataset[positions]
    if isinstance(dataset, list):
        return [dataset[i] for i in positions.tolist()]
    if type(dataset).__module__.split(".")[0] == "polars":
        return dataset[positions.tolist()]
    if hasattr(dataset, "select") and hasattr(dataset, "column_names"):  # a Hugging Face Dataset
        return dataset.select(positions.tolist())
    return torch.utils.data.Subset(dataset, positions.tolist())
