"""The cost of each phase of a run, by formula (`here`) and as counted, from result rows."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from deepcore.analysis.measured_costs import flops
from deepcore.costs.of_method import scoring_passes
from deepcore.experiment.rows import ResultRow
from deepcore.proxy.use import ProxyUse
from deepcore.training.schedule import examples
from deepcore.training.spec import TrainSpec


@dataclass(frozen=True)
class Phase:
    """One phase of the runs.

    Attributes:
        name: what is done.
        net: the network, "" for none.
        formula: its example passes in symbols; "" for none.
        here: the same in numbers, for the actual run; 0 without a formula.
        counted: example passes that the meter counted.
        flops_here: `here` in FLOPs; a backward pass counts as two forward passes.
        flops_measured: `counted` in FLOPs; forward and backward passes as torch counts them.
        seconds: mean over the runs; None when another phase includes them.
        peak_bytes: highest of the runs; None when another phase includes it.
    """

    name: str
    net: str
    formula: str
    here: int
    counted: int
    flops_here: int
    flops_measured: int
    seconds: float | None
    peak_bytes: int | None


def phases(rows: Sequence[ResultRow]) -> list[Phase]:
    """The phases of every kind of proxy run, of each method's repeats and scoring, and of every kind of
    target training on a selection. Runs are of one kind when their counts are equal."""
    done = [row for row in rows if row.status == "ok"]
    with_proxy = [row for row in done if row.proxy_run is not None]
    out: list[Phase] = []
    for members in _groups(with_proxy, lambda r: (r.proxy_net, r.n, r.q, r.recorded, r.passes["proxy"])):
        out += _proxy_phases(members)
    for members in _groups(with_proxy, lambda r: r.label):
        out += [*_repeats(members), *_scoring(members)]
    selections = [row for row in done if row.is_selection]
    for members in _groups(selections, lambda r: (r.target_net, r.k, r.target_recipe, r.passes["target"])):
        out += _target_phases(members)
    return out


def _groups(rows: Iterable[ResultRow], key: object) -> list[list[ResultRow]]:
    """Rows of equal keys, in order of first appearance."""
    found: dict[str, list[ResultRow]] = {}
    for row in rows:
        found.setdefault(repr(key(row)), []).append(row)
    return list(found.values())


def _phase(
    name: str,
    net: str,
    formula: str,
    kind: str,
    here: int,
    counted: int,
    per_example: dict[str, int],
    seconds: Iterable[float] | None = None,
    peaks: Iterable[int] | None = None,
) -> Phase:
    by_formula = {"forward": per_example["forward"], "backward": 2 * per_example["forward"]}
    return Phase(
        name,
        net,
        formula,
        here,
        counted,
        flops({kind: here}, by_formula),
        flops({kind: counted}, per_example),
        None if seconds is None else statistics.mean(seconds),
        None if peaks is None else max(peaks),
    )


def _proxy_phases(members: Sequence[ResultRow]) -> list[Phase]:
    """The phases of proxy runs with equal counts; each run counts once."""
    runs = list({(row.seed, row.proxy_run): row for row in members}.values())
    first = runs[0]
    run = ProxyUse(**first.recorded)
    here, counted = run.passes(first.n, first.q), first.passes["proxy"]
    n = {"": "N", "validation": "Q", "share": "S"}[run.own]
    rows = " + ".join([n] * run.trajectories + [f"{n} T"] * bool(run.post_epochs))
    where = {"": "", "validation": " on validation rows", "share": f" on S = {run.rows:,} rows"}[run.own]
    texts = {
        "train": (f"proxy training{where}", f"{n} T"),
        "record": ("recording", rows),
        "validation": ("validation rows", "Q (T + 1)"),
        "encode": ("features and logits", "N"),
    }
    spent = {
        "train": [row.measured["seconds"]["proxy"] for row in runs],
        "record": [row.measured["seconds"]["record"] for row in runs],
    }
    peaks = [row.measured["peak_bytes"]["proxy"] for row in runs]
    return [
        _phase(
            name,
            first.proxy_net,
            formula,
            kind,
            here[kind],
            counted[kind],
            first.flops_per_example["proxy"],
            spent.get(kind),
            peaks if kind == "train" else None,
        )
        for kind, (name, formula) in texts.items()
        if here[kind] or counted[kind]
    ]


def _repeats(members: Sequence[ResultRow]) -> list[Phase]:
    """The extra short proxy runs of one method; they have no row 0 and no validation rows."""
    first = members[0]
    counted = first.passes.get("repeats")
    if counted is None:
        return []
    name, net, per_example = f"repeats: {first.label}", first.proxy_net, first.flops_per_example["proxy"]
    epochs = min(first.repeats["epochs"], first.recorded["epochs"])  # a repeat is no longer than the proxy
    here = first.repeats["runs"] * epochs * first.n
    spent = [row.measured["seconds"]["repeats"] for row in members]
    peaks = [row.measured["peak_bytes"]["repeats"] for row in members]
    out = [_phase(name, net, "(R - 1) N T", "train", here, counted["train"], per_example, spent, peaks)]
    if first.recording == "post_epoch":
        out.append(_phase(name, net, "(R - 1) N T", "record", here, counted["record"], per_example))
    return out


def _scoring(members: Sequence[ResultRow]) -> list[Phase]:
    """One method's scoring and selecting: a phase for each kind of passes that it makes through networks by
    itself, or one without passes. The first has the seconds and the peak of all."""
    seconds = [row.measured["seconds"]["score"] + row.measured["seconds"]["select"] for row in members]
    peaks = [row.measured["peak_bytes"]["score"] for row in members]
    first, name = members[0], f"scoring: {members[0].label}"
    counted = first.passes.get("score", {})
    if not counted:
        return [Phase(name, "", "", 0, 0, 0, 0, statistics.mean(seconds), max(peaks))]
    formula, here = "", 0
    if len(counted) == 1:  # a formula is of one kind
        formula, here = scoring_passes(first.method, first.method_spec, first.reads.get("rows") or first.n)
    per_example = first.flops_per_example["proxy"]
    out = []
    for kind, passes in counted.items():
        spent = (None, None) if out else (seconds, peaks)
        out.append(_phase(name, first.proxy_net, formula, kind, here, passes, per_example, *spent))
    return out


def _target_phases(members: Sequence[ResultRow]) -> list[Phase]:
    """The phases of target trainings with equal counts: training and test rows."""
    first = members[0]
    counted, per_example = first.passes["target"], first.flops_per_example["target"]
    here = examples(first.k, TrainSpec(**first.target_recipe))
    seconds = [row.measured["seconds"] for row in members]
    peaks = [row.measured["peak_bytes"]["target"] for row in members]
    name, net = f"target, k = {first.k:,}", first.target_net
    trained = [s["train"] for s in seconds]
    tested = [s["test"] for s in seconds]
    test = (first.n_test, counted["test"])
    return [
        _phase(name, net, "k T", "train", here, counted["train"], per_example, trained, peaks),
        _phase("test rows", net, "N_test", "test", *test, per_example, tested),
    ]
