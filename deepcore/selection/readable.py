"""Whether a method can read a log, and if not what the log lacks and how to log it."""

from __future__ import annotations

import numpy as np

from deepcore.common.checks import UsageError
from deepcore.proxy.run import ProxyRun
from deepcore.proxy.signals import FINAL, Signal, stored
from deepcore.selection.method import CoresetMethod, ScoreMethod

OF_LOGITS = "log(ids, logits=..., labels=...) instead of losses"
HOW = {  # to log a signal
    Signal.LOSS: "log(ids, losses), or a column loss",
    Signal.MARGIN: f"{OF_LOGITS}, or a column margin",
    Signal.MARGIN_P: f"{OF_LOGITS}, or a column margin_p",
    Signal.EL2N: f"{OF_LOGITS}, or a column el2n",
    Signal.GRAND: "from_logits with features of every checkpoint, or a column grand",
    Signal.KL_STEP: "from_logits, or a column kl_step",
    Signal.LOGITS: "from_logits",
    Signal.FEATURES: "from_logits with features=...",
    Signal.WEIGHTS: "dataclasses.replace(run, network=...), or train the proxy with main.py",
}
VAL = "log_val(...) every epoch, or rows with split val"


def lacking(method: CoresetMethod, run: ProxyRun) -> list[str]:
    """What a log lacks for a method, each with the way to log it; empty where it can be read.

    A log that was made in one pass serves the methods whose scores it holds, and those that read nothing.
    """
    if not method.needs | method.needs_val and method.own_run is None:
        return []
    if run.log.scores:
        held = isinstance(method, ScoreMethod) and method.score_name in run.log.scores
        return [] if held else ['the log itself (this one was made in one pass): record with mode="log"']
    if method.own_run is not None:
        return ["a training of its own: run main.py"]
    found = [
        f"{signal.value}: {HOW.get(signal, 'main.py records it')}"
        for signal in sorted(stored(method.needs), key=lambda signal: signal.value)
        if not run.has(signal, method.mode)
    ]
    found += _of_validation(method, run)
    if method.repeats_needed > 1 + len(run.repeats):
        found.append(f"{method.repeats_needed - 1 - len(run.repeats)} more trainings: run main.py")
    if run.log.has_gaps and not method.reads_gaps:
        found.append("every sample in every epoch: no drop_last, no drawing with replacement")
    return found or _by_check(method, run)


def _of_validation(method: CoresetMethod, run: ProxyRun) -> list[str]:
    needed = stored(method.needs_val)
    of_classes = run.val_class_loss is not None and not _is_global(method)
    means = of_classes or run.val_mean_loss is not None
    if not needed or (needed == {Signal.LOSS} and means and method.reads_val_means):
        return []
    absent = [s for s in needed if s not in run.val_trajectories and s not in run.val_final]
    return [
        f"validation {signal.value}: {VAL if signal not in FINAL else 'from_logits with those of validation'}"
        for signal in sorted(absent, key=lambda signal: signal.value)
    ]


def _is_global(method: CoresetMethod) -> bool:
    """Whether it compares with the validation loss of all classes."""
    return getattr(method, "trajectory", "class") == "global"


def _by_check(method: CoresetMethod, run: ProxyRun) -> list[str]:
    """What the method itself refuses before it begins; a class that has no validation row."""
    try:
        method.check(run, run.epochs)
    except UsageError as error:
        return [str(error)]
    if not method.needs_val or _is_global(method):
        return []
    if run.val_labels.size:
        without = np.setdiff1d(run.labels, run.val_labels)
        if without.size:
            return [f"a validation row of class {run.log.class_of(without)[0]} ({without.size} such classes)"]
    if run.val_mean_loss is not None and not run.val_labels.size:
        return ["labels of the validation rows: log_val(losses, labels=...), or use CLD:trajectory=global"]
    return []
