"""One call from a run and a method to a selection, for people with logs of their own."""

from __future__ import annotations

import dataclasses
import warnings

import numpy as np

from deepcore.common.checks import UsageError, check_positive
from deepcore.common.seeding import stream
from deepcore.proxy.run import ProxyRun
from deepcore.proxy.signals import FINAL, Signal, stored
from deepcore.selection.budget import Budget
from deepcore.selection.method import CoresetMethod, ScoreMethod
from deepcore.selection.ranking import interleave
from deepcore.selection.selection import Selection


def select(
    run: ProxyRun,
    method: CoresetMethod,
    *,
    fraction: float | None = None,
    size: int | None = None,
    per_class: int | None = None,
    seed: int = 0,
) -> Selection:
    """Choose rows of a run, its size given in one of three ways.

        selection = deepcore.select(deepcore.read_logs("log.csv"), CLD(), fraction=0.1)
        selection.to_frame()  # id, label, score, rank
        subset = selection.apply(dataset)

    Args:
        run: the candidates, and what was logged of them.
        method: from `methods`.
        fraction: kept, in (0, 1].
        size: rows kept.
        per_class: rows kept of each class; all of a class that has no more. Scores are of the whole pool;
            what a method makes of them (DUAL's anchor, InfoMax's scale) is then of the class alone.
        seed: of the methods that draw.

    Returns:
        The selection, with its pool; what methods warn of is in its `notes`.

    Raises:
        UsageError: no size, or two; more rows than there are; signals that the run does not hold; classes
            where there are none.
    """
    budget = _budget(run, fraction, size, per_class)
    if run.log.has_gaps and method.needs and not method.reads_gaps:
        raise UsageError(
            f"{method.label()} reads complete logs, and in this one samples lack checkpoints: log every "
            "sample in every epoch, or take a method that can: CLD, AUM, EL2N, Forgetting, DynUnc, DUAL"
        )
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        resolved = method.resolve(budget.fraction) if method.uses_fraction else method
        rng = stream(seed, "select", method.draws_as or method.name, budget.fraction)
        if per_class is None:
            selection = resolved.select(run, budget, rng)
        else:
            selection = _per_class(run, resolved, budget, per_class, rng)
    notes = tuple(dict.fromkeys([*selection.notes, *(str(warning.message) for warning in said)]))
    keep = resolved.keep if isinstance(resolved, ScoreMethod) else None
    return dataclasses.replace(selection, notes=notes, pool=run, keep=keep)


def _budget(run: ProxyRun, fraction: float | None, size: int | None, per_class: int | None) -> Budget:
    given = {"fraction": fraction, "size": size, "per_class": per_class}
    named = [name for name, value in given.items() if value is not None]
    count = len(run.ids)
    if len(named) != 1:
        found = " and ".join(named) or "none"
        raise UsageError(
            f"give the size of the coreset as one of fraction, size and per_class: this is {found}"
        )
    if fraction is not None:
        return Budget.of(fraction, count)
    check_positive(named[0], given[named[0]], whole=True)
    if size is not None:
        if size > count:
            raise UsageError(f"size is {size}: there are {count} rows to choose from")
        return Budget(size / count, int(size))
    if not run.log.has_classes:
        raise UsageError("per_class needs classes, and this log has no labels: give fraction or size")
    kept = int(np.minimum(np.bincount(run.labels), per_class).sum())
    return Budget(kept / count, kept)


def _per_class(
    run: ProxyRun, method: CoresetMethod, budget: Budget, per_class: int, rng: np.random.Generator
) -> Selection:
    """Each class as a pool of its own, with scores of the whole pool; the classes take turns."""
    scores = method.checked_scores(run) if isinstance(method, ScoreMethod) else None
    picks, weights, notes = [], [], []
    for c in np.unique(run.labels):
        mask = run.labels == c
        part = Budget(budget.fraction, min(per_class, int(mask.sum())))
        if scores is not None:
            reads = stored(method.make_sampler().needs)
            chosen = method.choose(scores[mask], _restricted(run, mask, reads), part, rng)
        else:
            reads = stored(method.needs)
            chosen = method.select(_restricted(run, mask, reads), part, rng)
        picks.append(chosen.rows)
        weights.append(chosen.weights)
        notes += chosen.notes
    rows = interleave(picks)
    whole = None
    if all(of_class is not None for of_class in weights):
        weight_of = dict(zip(np.concatenate(picks).tolist(), np.concatenate(weights).tolist(), strict=True))
        whole = np.array([weight_of[row] for row in rows.tolist()])
    return Selection(rows, whole, scores, tuple(notes))


def _restricted(run: ProxyRun, mask: np.ndarray, reads: frozenset[Signal]) -> ProxyRun:
    """Some of the candidates, with the signals that are read."""
    own = dataclasses.replace(
        run.log, scores={}, summaries={name: values[mask] for name, values in run.log.summaries.items()}
    )
    return dataclasses.replace(
        run,
        ids=run.ids[mask],
        labels=run.labels[mask],
        trajectories={key: a[:, mask] for key, a in run.trajectories.items() if key[1] in reads},
        final={signal: a[mask] for signal, a in run.final.items() if signal in reads & set(FINAL)},
        repeats=tuple(_restricted(repeat, mask, reads) for repeat in run.repeats),
        log=own,
    )
