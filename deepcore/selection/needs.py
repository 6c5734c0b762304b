"""The part of a proxy run that methods read, and what the run must record for them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from deepcore.proxy.recording import Recording
from deepcore.proxy.signals import FINAL, TRAJECTORIES, Signal, stored
from deepcore.proxy.use import ProxyUse
from deepcore.selection.method import MODES, CoresetMethod
from deepcore.selection.own_run import OwnRun


def reads_proxy(method: CoresetMethod) -> bool:
    """Whether `method` reads a proxy run at all."""
    return bool(method.needs | method.needs_val)


def use_of(method: CoresetMethod, epochs: int) -> ProxyUse:
    """The part of a run of `epochs` epochs that `method` reads. For a run of its own, the kind is set and the
    number of rows is not."""
    own = method.own_run
    if own is not None and own.rows == "validation":
        return ProxyUse(own.epochs or epochs, own=own.rows)
    wanted = stored(method.needs | method.needs_val)
    if not wanted:
        return ProxyUse()
    final = bool(wanted & set(FINAL))
    trajectories = bool(stored(method.needs) & set(TRAJECTORIES))
    last = max((rows[-1] for rows in method.rows_read(epochs) if rows), default=0)
    post_epochs = last if trajectories and method.mode == "post_epoch" else 0
    if own is not None:
        return ProxyUse(epochs, post_epochs, trajectories, final=True, own=own.rows)
    whole = final or Signal.WEIGHTS in wanted
    return ProxyUse(epochs if whole else last, post_epochs, trajectories, final)


def recording_of(methods: Iterable[CoresetMethod], *, everything: bool) -> Recording:
    """What a proxy run must record for `methods`.

    Args:
        methods: the methods that read it.
        everything: record also what a method added later may read: every online trajectory, the final arrays,
            and the post_epoch loss, which costs a forward pass over the candidates per epoch. Otherwise
            post_epoch is recorded only when some method reads it; it then holds the loss at least.
    """
    asked: dict[str, set[Signal]] = {
        "online": set(),
        "post_epoch": set(),
        "val": {Signal.LOSS},
        "final": set(),
    }
    for method in methods:
        needs, needs_val = stored(method.needs), stored(method.needs_val)
        asked["final"] |= (needs | needs_val) & {*FINAL, Signal.WEIGHTS}
        asked[method.mode] |= needs & set(TRAJECTORIES)
        asked["val"] |= needs_val & set(TRAJECTORIES)
    if asked["post_epoch"] or everything:
        asked["post_epoch"].add(Signal.LOSS)
    if everything:
        asked["online"] |= set(TRAJECTORIES)
        asked["final"] |= set(FINAL)
    return Recording(**{name: frozenset(signals) for name, signals in asked.items()})


def recording_of_repeats(methods: Iterable[CoresetMethod]) -> Recording:
    """What the short repeats of the proxy must record for `methods`: trajectories alone, from row 1 on."""
    asked: dict[str, set[Signal]] = {mode: set() for mode in MODES}
    for method in methods:
        asked[method.mode] |= stored(method.needs) & set(TRAJECTORIES)
    modes = {mode: frozenset(signals) for mode, signals in asked.items()}
    return Recording(**modes, val=frozenset(), initial=False)


def recording_of_own(methods: Iterable[CoresetMethod], own: OwnRun) -> Recording:
    """What a run of their own must record for the `methods` that ask for it."""
    weights = frozenset({Signal.WEIGHTS})
    if own.rows == "validation":
        return Recording(val=frozenset(), final=weights, initial=False)
    recording = recording_of(methods, everything=False)
    return dataclasses.replace(recording, final=recording.final | weights | {Signal.FEATURES})
