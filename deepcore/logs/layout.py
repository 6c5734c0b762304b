"""The names of the arrays of a log, in an .npz or a folder of .npy, and the run that they make.

train_losses (T, N)      val_losses (T, Q), or (T, C) class means or (T,) overall means without val_labels
train_labels (N,)        val_labels (Q,)                          numbers from 0 or text; none without classes
ids (N,)                 numbers or text; 0..N-1 without
train_margin, train_margin_p, train_el2n, train_grand, train_kl_step, train_other (T, N)   further signals
has_initial ()           whether the first checkpoint is the untrained network
missing ()               "nan": NaN stands for no value
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from deepcore.common.checks import UsageError
from deepcore.proxy.logs import FURTHER
from deepcore.proxy.run import ProxyRun
from deepcore.proxy.signals import Signal

SIGNALS = {f"train_{signal.value}": signal for signal in FURTHER}
ARRAYS = ("train_losses", "train_labels", "val_losses", "val_labels", "ids", "has_initial", "missing")
LOGITS = ("train_logits", "val_logits", "features", "val_features", "weight", "bias")
IGNORED = ("format", "val_ids")


def stem_of(signal: Signal) -> str:
    """The name of a train signal's array."""
    return "train_losses" if signal is Signal.LOSS else f"train_{signal.value}"


def run_of(
    arrays: Mapping[str, np.ndarray],
    where: str,
    *,
    has_initial: bool | None = None,
    missing: str | None = None,
    notes: tuple[str, ...] = (),
) -> ProxyRun:
    """The run of arrays under the names above, or of logits under those of `ProxyRun.from_logits`.

    Args:
        arrays: by name.
        where: the file, for messages.
        has_initial, missing: None for what the arrays say themselves.
        notes: kept with the run.

    Raises:
        UsageError: no losses or logits, an unknown name, or what `from_losses` and `from_logits` refuse.
    """
    unknown = sorted(set(arrays) - {*ARRAYS, *SIGNALS, *LOGITS, *IGNORED})
    if unknown:
        known = ", ".join([*ARRAYS, *SIGNALS, *LOGITS[:4]])
        raise UsageError(f"{where}: no array of a log is called {unknown[0]!r}; known names: {known}")
    if has_initial is None:
        has_initial = bool(_scalar(arrays, "has_initial", False, where))
    if missing is None:
        missing = str(_scalar(arrays, "missing", "error", where))
    try:
        if "train_logits" in arrays and "train_losses" not in arrays:
            return _of_logits(arrays, has_initial)
        if "train_losses" not in arrays:
            held = ", ".join(arrays) or "nothing"
            raise UsageError(
                f"no train_losses (checkpoints, samples) or train_logits in it, but {held}: save the losses "
                "under that name"
            )
        signals = {SIGNALS[name]: values for name, values in arrays.items() if name in SIGNALS}
        return ProxyRun.from_losses(
            arrays["train_losses"],
            arrays.get("train_labels"),
            arrays.get("val_losses"),
            arrays.get("val_labels"),
            ids=arrays.get("ids"),
            has_initial=has_initial,
            signals=signals,
            missing=missing,
            notes=notes,
        )
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from None


def _of_logits(arrays: Mapping[str, np.ndarray], has_initial: bool) -> ProxyRun:
    for name in ("train_labels", "val_logits", "val_labels"):
        if name not in arrays:
            raise UsageError(f"train_logits came without {name}: save it beside them")
    layer = (arrays["weight"], arrays["bias"]) if {"weight", "bias"} <= set(arrays) else None
    return ProxyRun.from_logits(
        arrays["train_logits"],
        arrays["train_labels"],
        arrays["val_logits"],
        arrays["val_labels"],
        features=arrays.get("features"),
        val_features=arrays.get("val_features"),
        last_layer=layer,
        ids=arrays.get("ids"),
        has_initial=has_initial,
    )


def _scalar(arrays: Mapping[str, np.ndarray], name: str, default: object, where: str) -> object:
    if name not in arrays:
        return default
    value = np.asarray(arrays[name])
    if value.size != 1 or value.dtype.kind not in "biuU":
        raise UsageError(f"{where}: {name} has shape {value.shape}: it is one value")
    return value.reshape(()).item()
