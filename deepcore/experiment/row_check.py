"""Whether a stored row says what a row can say: rows come from elsewhere, too, and may have been edited."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from typing import Any

from deepcore.common.meter import PASSES

FIXED = (  # by the command, and so by the fingerprint that names a row's file
    *("dataset", "seed", "n", "q", "method", "method_spec", "is_selection", "fraction", "target_net"),
    *("target_recipe", "proxy_net", "proxy_recipe", "recording", "batch", "n_test"),
)


def changed_field(stored: Any, row: Any) -> str | None:
    """The first field of FIXED in which a stored row is not the planned one; None if it is."""
    return next((name for name in FIXED if getattr(stored, name) != getattr(row, name)), None)


def wrong_field(row: Any) -> str | None:
    """The first field of a row with an invalid value; None if all are valid."""
    hints = typing.get_type_hints(type(row))
    for field in dataclasses.fields(row):
        if not _is(getattr(row, field.name), hints[field.name]):
            return field.name
    done = row.status == "ok"
    valid = {
        "status": row.status in ("ok", "failed"),
        "class_accuracy": all(a is None or 0 <= a <= 1 for a in row.class_accuracy),
        "accuracy": _is_accuracy(row) if done else row.accuracy is None,
        "k": row.k >= int(done),
        "measured": not done or _is_measured(row.measured),
        "passes": not done or _is_counted(row.passes),
        "flops_per_example": not done or "target" in row.flops_per_example,
    }
    return next((name for name, holds in valid.items() if not holds), None)


def _is_accuracy(row: Any) -> bool:
    """A share of the test rows, between the lowest and the highest of the classes."""
    if row.accuracy is None or not 0 <= row.accuracy <= 1:
        return False
    hits = row.accuracy * row.n_test
    known = [a for a in row.class_accuracy if a is not None]
    return abs(hits - round(hits)) < 1e-6 * max(1, row.n_test) and (
        not known or min(known) - 1e-9 <= row.accuracy <= max(known) + 1e-9
    )


def _is_counted(passes: dict[str, dict[str, int]]) -> bool:
    """Counts of 0 or more; of the target, and of a proxy run, every kind. Scoring has kinds of its own."""
    whole = [passes.get("target", {}), *([passes["proxy"]] if "proxy" in passes else [])]
    return all(of.keys() == set(PASSES) for of in whole) and all(
        count >= 0 for of in passes.values() for count in of.values()
    )


def _is_measured(measured: dict[str, Any]) -> bool:
    """The seconds and bytes that tables add up."""
    parts = {"seconds": ("proxy", "record", "score", "select", "train", "test"),
             "peak_bytes": ("proxy", "score", "target")}  # fmt: skip
    return all(_is(measured.get(part), dict[str, float]) for part in parts) and all(
        name in measured[part] for part, names in parts.items() for name in names
    )


def _is(value: Any, hint: Any) -> bool:
    """Whether a JSON value is of an annotated type."""
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return True
    if origin in (types.UnionType, typing.Union):
        return any(_is(value, part) for part in parts)
    if origin is dict:
        return isinstance(value, dict) and all(_is(v, parts[1]) for v in value.values())
    if origin is list:
        return isinstance(value, list) and all(_is(v, parts[0]) for v in value)
    if hint is float:
        return type(value) in (int, float) and math.isfinite(value)
    return type(value) is hint
