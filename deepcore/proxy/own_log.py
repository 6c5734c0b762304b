"""What the log of somebody's own loop has that a run trained here has not: text ids, class names, gaps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from deepcore.common.checks import UsageError, check_ids, check_labels

MISSING = ("error", "nan")
SPARE = 1000  # classes beyond the number of rows: a few rows of many classes are no mistake


@dataclass(frozen=True)
class OwnLog:
    """Facts about a log that came from somebody's own loop; the defaults hold for runs trained here.

    Attributes:
        names: text ids, sorted; the row with id i of the run is `names[i]`. None where ids are numbers.
        class_names: the name of each class, where labels came as text.
        has_classes: False for losses without classes (regression, language models): every row then has label
            0 and there is one validation trajectory.
        has_gaps: a trajectory holds NaN where a sample has no value at that checkpoint.
        scores: (N,) each, finished while the losses came in, by `ScoreMethod.score_name`; nothing else was
            kept then (`mode="one_pass"`) but
        summaries: (N,) each: "loss" and "p_true:N", means (of the first N epochs), "other", the class that
            most often was the strongest other one.
        notes: what the user should know of the log, a sentence each.
    """

    names: np.ndarray | None = None
    class_names: tuple[str, ...] = ()
    has_classes: bool = True
    has_gaps: bool = False
    scores: Mapping[str, np.ndarray] = field(default_factory=dict)
    summaries: Mapping[str, np.ndarray] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def name_of(self, ids: np.ndarray) -> np.ndarray:
        """Ids as they were logged: text where the log's are."""
        return ids if self.names is None else self.names[ids]

    def class_of(self, labels: np.ndarray) -> np.ndarray:
        """Labels as they were logged: text where the log's are."""
        return np.array(self.class_names)[labels] if self.class_names else labels


def is_text(values: np.ndarray) -> bool:
    """Whether an array holds text (of numpy's types, or as Python objects)."""
    if values.dtype.kind == "O":
        return values.size > 0 and all(isinstance(value, str) for value in values.flat)
    return values.dtype.kind in "UT"


def numbered_ids(ids: np.ndarray, where: str) -> tuple[np.ndarray, np.ndarray | None]:
    """Ids as unique (N,) int64, and the sorted names behind them where they are text.

    A text id becomes its place among the sorted names, so that ties and draws do not depend on the order in
    which a log was written.
    """
    ids = np.asarray(ids)
    if not is_text(ids):
        return check_ids(ids, where), None
    if ids.ndim != 1:
        raise UsageError(f"{where}: ids have shape {ids.shape}; expected a vector (N,)")
    names, numbers, counts = np.unique(ids.astype(np.str_), return_inverse=True, return_counts=True)
    if (counts > 1).any():
        worst = counts.argmax()
        raise UsageError(
            f"{where}: id {str(names[worst])!r} occurs {counts[worst]} times; ids must be unique"
        )
    return numbers.astype(np.int64), names


def numbered_labels(
    labels: np.ndarray, val_labels: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray | None, tuple[str, ...]]:
    """Both parts' labels as int64 from 0, and the class names behind them where they are text (sorted).

    Raises:
        UsageError: labels that are neither text nor whole numbers from 0, text in one part alone, or a label
            far above the number of rows: a class costs memory, and a stray number is no class.
    """
    parts = {"train_labels": np.asarray(labels)}
    if val_labels is not None:
        parts["val_labels"] = np.asarray(val_labels)
    texts = [is_text(part) and part.ndim == 1 for part in parts.values()]
    if all(texts):
        names, numbers = np.unique(np.concatenate(list(parts.values())).astype(np.str_), return_inverse=True)
        train, val = np.split(numbers.astype(np.int64), [len(labels)])
        return train, None if val_labels is None else val, tuple(map(str, names))
    if any(texts):
        raise UsageError(
            "the labels are text in one of train_labels and val_labels and numbers in the other: give both "
            "in one form"
        )
    rows = sum(part.size for part in parts.values())
    checked = [check_label_range(check_labels(p, None, where), rows, where) for where, p in parts.items()]
    return checked[0], checked[1] if val_labels is not None else None, ()


def check_label_range(labels: np.ndarray, rows: int, where: str) -> np.ndarray:
    """No label is far above the number of rows; the error names the row."""
    if labels.max() > rows + SPARE:
        row = int(labels.argmax())
        raise UsageError(
            f"{where}: the label of row {row} is {labels[row]}, and there are {rows} rows: labels number the "
            "classes from 0 (leave the labels out where there are no classes)"
        )
    return labels
