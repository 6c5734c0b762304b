"""Bring your own logs: the fields of a ProxyRun from arrays of losses or logits, checked.

`ProxyRun.from_losses` and `ProxyRun.from_logits` are the doors to this file.

Nothing is copied that is already float32 or float64 (memory-mapped arrays stay so), no order is assumed: row
i of the arrays is the sample `ids[i]`, and everything that comes out of a method is such an id.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from deepcore.common.checks import UsageError, check_choice, check_labels
from deepcore.proxy.own_log import MISSING, OwnLog, numbered_ids, numbered_labels
from deepcore.proxy.signals import TRAJECTORIES, Signal, signals_from_logits

MODE = "post_epoch"  # the key they are kept under; such a run answers to either mode
BLOCK = 1 << 16  # rows of logits in work at once
OF_LOGITS = (*TRAJECTORIES, Signal.OTHER)
FURTHER = tuple(signal for signal in OF_LOGITS if signal is not Signal.LOSS)


def fields_of_losses(
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
) -> dict[str, Any]:
    """The fields of `ProxyRun.from_losses`, which documents the arguments."""
    gaps = check_choice("missing", missing, MISSING) == "nan"
    losses = _floats(train_losses, "train_losses", "checkpoints", "samples")
    checkpoints, count = losses.shape
    has_classes = train_labels is not None
    train, val, names = _labels_of_losses(train_labels, val_labels, count, val_losses)
    ids, text_ids = _ids(ids, count)
    shown = ids if text_ids is None else text_ids[ids]
    _check_checkpoints(checkpoints, has_initial, "train_losses")
    _check_finite(losses, "train_losses: id", shown, gaps=gaps)
    own = OwnLog(text_ids, class_names or names, has_classes, gaps, notes=notes)
    fields = {
        "ids": ids,
        "labels": train,
        "trajectories": {
            (MODE, Signal.LOSS): losses,
            **_further(signals or {}, losses.shape, shown, gaps=gaps),
        },
        "has_initial": has_initial,
        "modes_agree": True,
        "log": own,
    }
    labels = [train] if val is None else [train, val]
    num_classes = max(len(own.class_names), *(int(part.max()) + 1 for part in labels), 1)
    return {**fields, **_validation(val_losses, val, checkpoints, num_classes), "num_classes": num_classes}


def _labels_of_losses(
    train_labels: Any, val_labels: Any, count: int, val_losses: Any
) -> tuple[np.ndarray, np.ndarray | None, tuple[str, ...]]:
    """Labels of both parts and the names of the classes; all 0 where there are no classes."""
    if train_labels is None:
        if val_labels is not None:
            raise UsageError("val_labels came without train_labels: give the labels of both parts, or none")
        rows = np.shape(to_numpy(val_losses))[1:] if val_losses is not None else ()
        return np.zeros(count, np.int64), np.zeros(rows[0], np.int64) if rows else None, ()
    train = to_numpy(train_labels)
    val = None if val_labels is None else to_numpy(val_labels)
    train, val, names = numbered_labels(train, val)
    _check_count(train, count, "train_labels")
    return train, val, names


def _further(
    signals: Mapping[Any, Any], shape: tuple[int, ...], ids: np.ndarray, *, gaps: bool
) -> dict[tuple[str, Signal], np.ndarray]:
    """Trajectories beside the loss, checked; KL_STEP has no value where there is no row before."""
    found = {}
    for name, values in signals.items():
        signal = Signal(check_choice("signal", getattr(name, "value", name), [s.value for s in FURTHER]))
        rows = _floats(values, f"signal {signal.value}", "checkpoints", "samples")
        if rows.shape != shape:
            raise UsageError(f"signal {signal.value} has shape {rows.shape}, train_losses {shape}")
        first = int(signal is Signal.KL_STEP)
        _check_finite(rows[first:], f"signal {signal.value}: id", ids, gaps=gaps)
        found[MODE, signal] = rows
    return found


def _validation(
    val_losses: Any, val_labels: np.ndarray | None, checkpoints: int, num_classes: int
) -> dict[str, Any]:
    """The fields that hold validation losses; none without them."""
    if val_losses is None:
        return {}
    if val_labels is None:
        return _val_means(val_losses, checkpoints, num_classes)
    val = _floats(val_losses, "val_losses", "checkpoints", "samples")
    _same_checkpoints(val, checkpoints, "val_losses")
    _check_count(val_labels, val.shape[1], "val_labels")
    _check_finite(val, "val_losses: row", np.arange(val.shape[1]))
    return {"val_labels": val_labels, "val_trajectories": {Signal.LOSS: val}}


def fields_of_logits(
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
) -> dict[str, Any]:
    """The fields of `ProxyRun.from_logits`, which documents the arguments."""
    logits = _floats(train_logits, "train_logits", "checkpoints", "samples", "classes")
    checkpoints, count, num_classes = logits.shape
    val = _floats(val_logits, "val_logits", "checkpoints", "samples", "classes")
    _same_checkpoints(val, checkpoints, "val_logits")
    if val.shape[2] != num_classes:
        raise UsageError(f"val_logits has {val.shape[2]} classes, train_logits {num_classes}")
    _check_checkpoints(checkpoints, has_initial, "train_logits")
    labels = _labels(train_labels, count, num_classes, "train_labels")
    val_labels = _labels(val_labels, val.shape[1], num_classes, "val_labels")
    ids, text_ids = _ids(ids, count)
    shown = ids if text_ids is None else text_ids[ids]
    features = _features(features, logits, "features")
    val_features = _features(val_features, val, "val_features")
    trajectories = _signals(logits, labels, features, "train_logits", shown)
    return {
        "ids": ids,
        "labels": labels,
        "num_classes": num_classes,
        "val_labels": val_labels,
        "trajectories": {(MODE, signal): rows for signal, rows in trajectories.items()},
        "val_trajectories": _signals(val, val_labels, val_features, "val_logits", np.arange(val.shape[1])),
        "final": _final(logits, features),
        "val_final": _final(val, val_features),
        "last_layer": _last_layer(last_layer, num_classes, features),
        "has_initial": has_initial,
        "modes_agree": True,
        "log": OwnLog(text_ids),
    }


def _signals(
    logits: np.ndarray, labels: np.ndarray, features: np.ndarray | None, what: str, ids: np.ndarray
) -> dict[Signal, np.ndarray]:
    """Every scalar signal, one checkpoint and one block of rows at a time; GRAND needs features of each."""
    checkpoints, count, _ = logits.shape
    per_checkpoint = features is not None and features.ndim == 3
    wanted = frozenset(OF_LOGITS) if per_checkpoint else frozenset(OF_LOGITS) - {Signal.GRAND}
    out = {signal: np.empty((checkpoints, count), np.float32) for signal in OF_LOGITS if signal in wanted}
    targets = torch.from_numpy(labels)
    for t in range(checkpoints):
        for start in range(0, count, BLOCK):
            block = slice(start, min(start + BLOCK, count))
            now = _tensor(logits[t, block])
            if not bool(torch.isfinite(now).all()):
                row = int(torch.nonzero(~torch.isfinite(now).all(dim=1))[0])
                raise UsageError(f"{what}: checkpoint {t} of id {ids[start + row]} is not finite")
            norm2 = _tensor(features[t, block]).square().sum(dim=1) if per_checkpoint else None
            before = _tensor(logits[t - 1, block]) if t else None
            values = signals_from_logits(now, targets[block], wanted, feature_norm2=norm2, before=before)
            for signal, value in values.items():
                out[signal][t, block] = value.numpy()
    return out


def _val_means(val_losses: Any, checkpoints: int, num_classes: int) -> dict[str, np.ndarray]:
    """Validation losses that came without labels: one mean a checkpoint, or one a class."""
    val = to_numpy(val_losses)
    if val.ndim == 1:
        val = _floats(val, "val_losses", "checkpoints")
        _same_checkpoints(val, checkpoints, "val_losses")
        _check_finite(val[:, None], "val_losses: row", np.zeros(1, np.int64))
        return {"val_mean_loss": val}
    val = _floats(val, "val_losses", "checkpoints", "classes")
    _same_checkpoints(val, checkpoints, "val_losses")
    if val.shape[1] != num_classes:
        raise UsageError(
            f"val_losses has {val.shape[1]} columns and came without val_labels: its columns are then class "
            f"means, and train_labels (0..{num_classes - 1}) need {num_classes}; otherwise pass val_labels, "
            "the class of each column"
        )
    known = np.flatnonzero(~np.isnan(val).all(axis=0))  # NaN throughout: a class without a validation row
    _check_finite(val[:, known], "val_losses: class", known)
    return {"val_class_loss": val}


def _features(features: Any, logits: np.ndarray, what: str) -> np.ndarray | None:
    """(rows, D) of the last checkpoint or (checkpoints, rows, D), checked against the logits."""
    if features is None:
        return None
    features = to_numpy(features)
    checkpoints, rows, _ = logits.shape
    if features.shape[:-1] not in ((rows,), (checkpoints, rows)):
        raise UsageError(
            f"{what} has shape {features.shape}: expected ({rows}, D) of the last checkpoint, or "
            f"({checkpoints}, {rows}, D) of all"
        )
    features = _floats(features, what, *("checkpoints", "rows", "D")[3 - features.ndim :])
    for part in features if features.ndim == 3 else features[None]:
        if not np.isfinite(part).all():
            raise UsageError(f"{what} holds values that are not finite numbers")
    return features


def _final(logits: np.ndarray, features: np.ndarray | None) -> dict[Signal, np.ndarray]:
    final = {Signal.LOGITS: np.asarray(logits[-1], dtype=np.float32)}
    if features is not None:
        last = features[-1] if features.ndim == 3 else features
        final[Signal.FEATURES] = np.asarray(last, dtype=np.float32)
    return final


def _last_layer(
    last_layer: tuple[Any, Any] | None, num_classes: int, features: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray] | None:
    if last_layer is None:
        return None
    if len(last_layer) != 2:
        raise UsageError(f"last_layer has {len(last_layer)} parts: expected (W (C, D), b (C,))")
    weight = _floats(last_layer[0], "last_layer W", "C", "D")
    bias = _floats(last_layer[1], "last_layer b", "C")
    width = weight.shape[1] if features is None else features.shape[-1]
    if weight.shape != (num_classes, width) or bias.shape != (num_classes,):
        raise UsageError(
            f"last_layer has shapes {weight.shape} and {bias.shape}: expected ({num_classes}, {width}) and "
            f"({num_classes},)"
        )
    return weight, bias


def to_numpy(values: Any) -> np.ndarray:
    """Arrays, tensors of any device, and sequences of them."""
    if isinstance(values, (list, tuple)) and values and isinstance(values[0], torch.Tensor):
        values = torch.stack(list(values))
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu()
        values = (values.float() if values.dtype == torch.bfloat16 else values).numpy()
    try:
        return np.asarray(values)
    except ValueError as error:
        raise UsageError(f"an array with rows of unequal length ({error})") from None


def _floats(values: Any, what: str, *axes: str) -> np.ndarray:
    """`values` with these axes, none of them empty, as float32 or float64 (kept as it came)."""
    array = to_numpy(values)
    if array.ndim != len(axes) or 0 in array.shape:
        raise UsageError(f"{what} has shape {array.shape}: expected ({', '.join(axes)}), no axis empty")
    if array.dtype.kind not in "fiu":
        raise UsageError(f"{what} holds {array.dtype} values: expected numbers")
    if array.dtype in (np.float32, np.float64):
        return array
    return array.astype(np.float32 if array.dtype == np.float16 else np.float64)


def _tensor(rows: np.ndarray) -> torch.Tensor:
    """A copy as float32: a memory-mapped array may not be written to, and torch would warn."""
    return torch.from_numpy(np.array(rows, dtype=np.float32))


def _labels(labels: Any, count: int, num_classes: int | None, what: str) -> np.ndarray:
    labels = check_labels(to_numpy(labels), num_classes, what)
    _check_count(labels, count, what)
    return labels


def _check_count(labels: np.ndarray, count: int, what: str) -> None:
    if len(labels) != count:
        raise UsageError(f"{what} has {len(labels)} labels for {count} rows of losses or logits")


def _ids(ids: Any, count: int) -> tuple[np.ndarray, np.ndarray | None]:
    """Ids as numbers, and their names where they are text."""
    if ids is None:
        return np.arange(count, dtype=np.int64), None
    numbers, names = numbered_ids(to_numpy(ids), "ids")
    if len(numbers) != count:
        raise UsageError(f"ids has {len(numbers)} entries for {count} rows of losses or logits")
    return numbers, names


def _check_checkpoints(checkpoints: int, has_initial: bool, what: str) -> None:
    if checkpoints - int(has_initial) < 1:
        raise UsageError(
            f"{what} holds only the untrained network: at least one checkpoint after it is needed"
        )


def _same_checkpoints(array: np.ndarray, checkpoints: int, what: str) -> None:
    if len(array) != checkpoints:
        raise UsageError(
            f"{what} has {len(array)} checkpoints, the train part {checkpoints}: they must be the same"
        )


def _check_finite(losses: np.ndarray, what: str, names: np.ndarray, *, gaps: bool = False) -> None:
    """Row by row: a mask of the whole would be large. With `gaps`, NaN stands for no value, of which every
    column must have one."""
    known = np.zeros(losses.shape[1], dtype=bool)
    for t, row in enumerate(losses):
        finite = np.isfinite(row)
        known |= finite
        bad = np.flatnonzero(~(finite | np.isnan(row)) if gaps else ~finite)
        if bad.size:
            raise UsageError(
                f"{what} {names[bad[0]]} is {row[bad[0]]} at checkpoint {t} ({bad.size} such there): losses "
                "must be finite numbers"
            )
    if gaps:
        check_known(known, names, what)


def check_known(known: np.ndarray, names: np.ndarray, what: str) -> None:
    """UsageError where a sample, (N,) bool, has no value at any checkpoint."""
    if not known.all():
        raise UsageError(
            f"{what} {names[~known][0]} has no value at any checkpoint ({(~known).sum()} such): leave such "
            "samples out"
        )
