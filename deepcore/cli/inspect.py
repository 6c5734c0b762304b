"""`inspect LOGS`: what is in a log, which methods can read it, and what is missing for the others."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from deepcore.cli.log_flags import add_log_flags, read

if TYPE_CHECKING:
    from deepcore.proxy.run import ProxyRun

SUMMARY = "Say what is in a log, which methods can read it, and how to log what the others need."


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of this verb."""
    add_log_flags(parser)


def run(args: argparse.Namespace) -> int:
    """Read, print."""
    log = read(args)
    print("\n".join(f"{name:<13} {text}" for name, text in facts(log)))
    print(f"\n{methods_table(log)}")
    return 0


def facts(log: ProxyRun) -> list[tuple[str, str]]:
    """What is in the log, as names and values."""
    found = [("samples", f"{len(log.ids):,}, ids {_ids(log)}"), ("classes", _classes(log))]
    found += [("validation", _validation(log)), ("checkpoints", _checkpoints(log))]
    signals = sorted({signal.value for _, signal in log.trajectories})
    if log.log.scores:
        found.append(("scores", ", ".join(log.log.scores) + " (made in one pass; the log was not kept)"))
    else:
        found.append(("signals", ", ".join(signals)))
    found += [("note", note) for note in log.log.notes]
    return found


def _ids(log: ProxyRun) -> str:
    names = log.log.name_of(log.ids[[log.ids.argmin(), log.ids.argmax()]])
    return f"{names[0]} to {names[1]}"


def _classes(log: ProxyRun) -> str:
    import numpy as np

    if not log.log.has_classes:
        return "none: one validation trajectory for all samples"
    classes, sizes = np.unique(log.labels, return_counts=True)
    shown = ", ".join(map(str, log.log.class_of(classes[:8]))) + (", ..." if len(classes) > 8 else "")
    return f"{len(classes)} ({shown}), {sizes.min():,} to {sizes.max():,} samples each"


def _validation(log: ProxyRun) -> str:
    if log.val_trajectories:
        rows = next(iter(log.val_trajectories.values())).shape[1]
        return f"{rows:,} rows"
    if log.val_class_loss is not None:
        return "the mean loss of each class"
    return "one mean loss a checkpoint" if log.val_mean_loss is not None else "none"


def _checkpoints(log: ProxyRun) -> str:
    if log.log.scores:
        return "not kept"
    first = "the untrained network and " if log.has_initial else ""
    hint = "" if log.has_initial else " (is the first one the untrained network? then say --initial true)"
    return f"{first}{log.epochs} epochs{hint}"


def methods_table(log: ProxyRun) -> str:
    """Which methods can read the log, and what the others lack."""
    from tabulate import tabulate

    import methods
    from deepcore.selection.readable import lacking

    rows = []
    for name, cls in methods.METHODS.items():
        method = cls()
        if method.is_selection:
            missing = lacking(method, log)
            rows.append([name, "no" if missing else "yes", "; ".join(missing)])
    rows.sort(key=lambda row: row[1] == "no")
    return tabulate(rows, ["method", "can read it", "lacks: how to log it"], maxcolwidths=[None, None, 80])
