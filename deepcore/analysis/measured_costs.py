"""The measured cost of each method, from result rows alone, and whether its coreset pays.

A row holds what was counted (example passes, FLOPs per example, seconds, bytes) and the part of a proxy run
that its method reads. The cost of selection is given in three ways: alone, shared, marginal. The last two
depend on which rows are compared and are therefore computed here: a method added to a finished grid changes
them, and nothing runs again.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import operator
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from deepcore.common.meter import BACKWARD
from deepcore.costs.formulas import FORMULAS, LATER
from deepcore.experiment.rows import ResultRow
from deepcore.proxy.use import ProxyUse
from deepcore.training.schedule import examples
from deepcore.training.spec import TrainSpec

PEAKS = ("proxy", "repeats", "score", "score_device", "target")


@dataclass(frozen=True)
class MeasuredCost:
    """The cost of one method at one fraction for one target network: means over seeds, and the highest peaks.

    Attributes:
        dataset, net, fraction, seeds: what the cost is of.
        method: the method's label.
        k, n: rows kept, and candidates.
        family: one of `deepcore.costs.terms.FAMILIES`.
        is_selection: False for reference rows.
        alone: FLOPs of selection if no other method were run: a proxy run and short repeats that stop, and
            record, where the method stops reading; plus the passes of its scoring.
        shared: an equal part of the actual proxy run, and of each repeat, for each method in the rows that
            read it; plus the method's own scoring.
        marginal: FLOPs that the other methods in the rows would save without it; plus the same.
        target: FLOPs of the training on the selection.
        full: FLOPs of training the same target on all candidates with the same recipe.
        storage_bytes: size of the recordings that it reads.
        select_seconds: estimated seconds of selection alone: the proxy's in proportion to the epochs read,
            the recording's in proportion to its passes, plus repeats, scoring and selecting.
        target_seconds: seconds of the training on the selection.
        peak_bytes: {one of PEAKS: bytes}, where known.
    """

    dataset: str
    net: str
    method: str
    fraction: float | None
    k: float
    n: float
    seeds: int
    family: str
    is_selection: bool
    alone: float
    shared: float
    marginal: float
    target: float
    full: float
    storage_bytes: float
    select_seconds: float
    target_seconds: float
    peak_bytes: Mapping[str, int]

    @property
    def total(self) -> float:
        """FLOPs of selection alone and of the training on the coreset."""
        return self.alone + self.target

    @property
    def share(self) -> float:
        """The total as a share of training on all candidates."""
        return self.total / self.full

    @property
    def pays_after(self) -> int | None:
        """The number of trainings on the coreset from which selection (alone) and these trainings together
        cost no more than as many trainings on all candidates. None: a training saves nothing."""
        saving = self.full - self.target
        if saving <= 0:
            return None
        return max(1, math.ceil(self.alone / saving - 1e-9))


def measured_costs(rows: Sequence[ResultRow]) -> list[MeasuredCost]:
    """One cost per (net, method, fraction) with a finished row, in order of first appearance. Shared and
    marginal costs are relative to the methods in `rows`."""
    done = [row for row in rows if row.status == "ok"]
    users: dict[tuple, list[ResultRow]] = {}
    groups: dict[tuple, list[ResultRow]] = {}
    for row in done:
        users.setdefault(_run_of(row), []).append(row)
        groups.setdefault((row.dataset, row.target_net, row.label, row.fraction), []).append(row)
    return [_cost(members, users) for members in groups.values()]


def _run_of(row: ResultRow) -> tuple:
    """Identifies the proxy run of a row."""
    return row.dataset, row.seed, row.proxy_run


def _cost(members: Sequence[ResultRow], users: Mapping[tuple, Sequence[ResultRow]]) -> MeasuredCost:
    """The rows of one cell of the table, one a seed."""
    first = members[0]
    readings = [selection_flops(row, users[_run_of(row)]) for row in members]
    alone, shared, marginal = (statistics.mean(reading) for reading in zip(*readings, strict=True))
    targets = [row.flops_per_example["target"] for row in members]
    return MeasuredCost(
        dataset=first.dataset,
        net=first.target_net,
        method=first.label,
        fraction=first.fraction,
        k=statistics.mean(row.k for row in members),
        n=statistics.mean(row.n for row in members),
        seeds=len(members),
        family=_family(first),
        is_selection=first.is_selection,
        alone=alone,
        shared=shared,
        marginal=marginal,
        target=statistics.mean(
            flops({"train": row.passes["target"]["train"]}, per_example)
            for row, per_example in zip(members, targets, strict=True)
        ),
        full=statistics.mean(
            flops({"train": examples(row.n, TrainSpec(**row.target_recipe))}, per_example)
            for row, per_example in zip(members, targets, strict=True)
        ),
        storage_bytes=statistics.mean(row.signal_bytes for row in members),
        select_seconds=statistics.mean(_seconds_alone(row) for row in members),
        target_seconds=statistics.mean(row.measured["seconds"]["train"] for row in members),
        peak_bytes={
            name: max(row.measured["peak_bytes"].get(name, 0) for row in members)
            for name in PEAKS
            if any(name in row.measured["peak_bytes"] for row in members)
        },
    )


def _family(row: ResultRow) -> str:
    """The family of its cost formula; reference rows have the family "reference"."""
    if not row.is_selection:
        return "reference"
    entry = FORMULAS.get(row.method) or LATER.get(row.method)
    return entry.family if entry else "own"


def flops(passes: Mapping[str, int], per_example: Mapping[str, int]) -> int:
    """FLOPs of example passes by the meter's names: `train` and `gradient` forward and backward, all others
    forward. A backward pass to the inputs alone is taken for a whole one."""
    forward, backward = sum(passes.values()), sum(passes.get(kind, 0) for kind in BACKWARD)
    return forward * per_example["forward"] + backward * per_example["backward"]


def selection_flops(row: ResultRow, users: Sequence[ResultRow]) -> tuple[float, float, float]:
    """FLOPs of selection alone, shared and marginal.

    Args:
        row: one finished row.
        users: the finished rows that read the same proxy run, `row` among them.
    """
    if row.proxy_run is None:
        return 0.0, 0.0, 0.0
    per_example = row.flops_per_example["proxy"]
    own = flops(row.passes.get("score", {}), per_example)

    def of(demand: ProxyUse) -> int:
        return flops(demand.passes(row.n, row.q), per_example)

    reads = ProxyUse(**row.reads)
    others = _union(ProxyUse(**user.reads) for user in users if user.label != row.label)
    labels = {user.label for user in users}
    counted = flops(row.passes["proxy"], per_example)
    alone, shared, marginal = _repeat_flops(row, users)
    return (
        own + of(reads) + alone,
        own + counted / len(labels) + shared,
        own + of(reads | others) - of(others) + marginal,
    )


def _repeat_flops(row: ResultRow, users: Sequence[ResultRow]) -> tuple[float, float, float]:
    """FLOPs of the short repeats that a method averages over: alone, shared and marginal, as
    `selection_flops`. Methods read the same first ones; their rows' fields say how many, and how far."""
    per_example = row.flops_per_example["proxy"]

    def of(demand: ProxyUse) -> int:
        return flops(demand.passes(row.n, 0), per_example)  # a repeat has no validation rows

    reads = _of_a_repeat(row)
    alone = shared = marginal = 0.0
    for number in range(row.repeats.get("runs", 0)):
        readers = [user for user in users if user.repeats.get("runs", 0) > number]
        others = _union(_of_a_repeat(user) for user in readers if user.label != row.label)
        both = reads | others
        made = dataclasses.replace(both, post_epochs=both.epochs if both.post_epochs else 0)
        alone += of(reads)
        shared += of(made) / len({user.label for user in readers})
        marginal += of(both) - of(others)
    return alone, shared, marginal


def _of_a_repeat(row: ResultRow) -> ProxyUse:
    """The part of each short repeat that a row's method reads: trajectories without row 0."""
    epochs = min(row.repeats["epochs"], row.recorded["epochs"])
    return ProxyUse(epochs, epochs if row.reads["post_epochs"] else 0)


def _union(demands: Iterable[ProxyUse]) -> ProxyUse:
    return functools.reduce(operator.or_, demands, ProxyUse())


def _seconds_alone(row: ResultRow) -> float:
    """Seconds of selection if no other method were run, estimated from the actual proxy run."""
    seconds = row.measured["seconds"]
    total = sum(seconds.get(phase, 0.0) for phase in ("repeats", "score", "select"))
    if row.proxy_run is None:
        return total
    counted, needed = row.passes["proxy"], ProxyUse(**row.reads).passes(row.n, row.q)
    forward = [sum(passes[kind] for kind in needed if kind != "train") for passes in (needed, counted)]
    total += seconds["proxy"] * needed["train"] / counted["train"]
    return total + seconds["record"] * (forward[0] / forward[1] if forward[1] else 0.0)
