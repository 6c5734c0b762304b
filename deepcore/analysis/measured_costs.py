"""The measured bill, from result rows alone: what selection cost, in three readings, and whether it pays.

A row holds what was counted (example passes, FLOPs per example, seconds, bytes) and what its method would
have needed of a proxy run. What it shares with other methods depends on which rows are looked at, so that is
worked out here: a method added to a finished grid changes it, and nothing is run again.
"""

from __future__ import annotations

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
    """The bill of one method at one fraction for one target net; means over seeds, peaks the highest of them.

    Attributes:
        dataset, net, method, fraction, k, n, seeds: whose bill it is; the method's label; k of n candidates.
        family: one of `deepcore.costs.terms.FAMILIES`.
        is_selection: False for reference rows.
        alone: FLOPs of selection as if no other method existed: a proxy run over the epochs that it reads,
            with no more recorded than it reads, its own repeats, and the passes of its scoring.
        shared: of the proxy run as it was, divided among the methods at hand that used it; and the same.
        marginal: what the other methods at hand would save without it; and the same.
        target: FLOPs of the training on the selection.
        full: FLOPs of training the same target on all candidates under the same recipe.
        storage_bytes: recordings that it reads.
        select_seconds: of selection alone: of the proxy's seconds those of the epochs that it reads, of its
            recording's the share of its passes; repeats, scoring and selecting.
        target_seconds: of the training on the selection.
        peak_bytes: by PEAKS, where known.
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
        """Selection alone, and the training on what was selected."""
        return self.alone + self.target

    @property
    def share(self) -> float:
        """The total, as a share of training on everything."""
        return self.total / self.full

    @property
    def pays_after(self) -> int | None:
        """How many trainings on the coreset it takes until selection (alone) and they together cost no more
        than as many trainings on everything; None for never: a training saves nothing."""
        saving = self.full - self.target
        if saving <= 0:
            return None
        return max(1, math.ceil(self.alone / saving - 1e-9))


def measured_costs(rows: Sequence[ResultRow]) -> list[MeasuredCost]:
    """One bill per (net, method, fraction) with a finished row, in order of first appearance; the methods at
    hand are those of `rows`."""
    done = [row for row in rows if row.status == "ok"]
    users: dict[tuple, list[ResultRow]] = {}
    groups: dict[tuple, list[ResultRow]] = {}
    for row in done:
        users.setdefault(_run_of(row), []).append(row)
        groups.setdefault((row.dataset, row.target_net, row.label, row.fraction), []).append(row)
    return [_bill(members, users) for members in groups.values()]


def _run_of(row: ResultRow) -> tuple:
    """Identifies the proxy run of a row."""
    return row.dataset, row.seed, row.proxy_run


def _bill(members: Sequence[ResultRow], users: Mapping[tuple, Sequence[ResultRow]]) -> MeasuredCost:
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
    """As in the analytic bill; rows that are no selection are references."""
    if not row.is_selection:
        return "reference"
    entry = FORMULAS.get(row.method) or LATER.get(row.method)
    return entry.family if entry else "own"


def flops(passes: Mapping[str, int], per_example: Mapping[str, int]) -> int:
    """FLOPs of example passes by the meter's names: `train` and `gradient` forward and backward, all others
    forward. A backward pass to the inputs alone is taken for a whole one."""
    forward, backward = sum(passes.values()), sum(passes.get(kind, 0) for kind in BACKWARD)
    return forward * per_example["forward"] + backward * per_example["backward"]


def selection_flops(row: ResultRow, users: Iterable[ResultRow]) -> tuple[float, float, float]:
    """FLOPs of selection alone, shared and marginal.

    Args:
        row: one finished row.
        users: the finished rows at hand that read the same proxy run, `row` among them.
    """
    if row.proxy_run is None:
        return 0.0, 0.0, 0.0
    per_example = row.flops_per_example["proxy"]
    own = sum(flops(row.passes.get(part, {}), per_example) for part in ("repeats", "score"))

    def of(demand: ProxyUse) -> int:
        return flops(demand.passes(row.n, row.q), per_example)

    reads = ProxyUse(**row.reads)
    others = functools.reduce(
        operator.or_, (ProxyUse(**user.reads) for user in users if user.label != row.label), ProxyUse()
    )
    labels = {user.label for user in users}
    counted = flops(row.passes["proxy"], per_example)
    return own + of(reads), own + counted / len(labels), own + of(reads | others) - of(others)


def _seconds_alone(row: ResultRow) -> float:
    """Seconds of selection if no other method existed, from those of the proxy run as it was."""
    seconds = row.measured["seconds"]
    total = sum(seconds.get(phase, 0.0) for phase in ("repeats", "score", "select"))
    if row.proxy_run is None:
        return total
    counted, needed = row.passes["proxy"], ProxyUse(**row.reads).passes(row.n, row.q)
    forward = [sum(passes[kind] for kind in needed if kind != "train") for passes in (needed, counted)]
    total += seconds["proxy"] * needed["train"] / counted["train"]
    return total + seconds["record"] * (forward[0] / forward[1] if forward[1] else 0.0)
