"""The bill of every method: Table 1 of the CLD paper as data, and what this harness does instead.

`bill("CLD", scenario)` needs no method class. `CoresetMethod.cost` comes here with an instance: how far it
reads (`checkpoints`) and its fields (EL2N's `repeats` ...) then set the scenario's symbols. A method without
an entry is billed for the proxy run that its `needs` imply.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

from deepcore.checks import check_choice
from deepcore.cost import (
    ENCODE,
    EVERYTHING,
    FLOAT32,
    PROTOCOLS,
    UNBOUNDED,
    Bill,
    Cost,
    Price,
    Reads,
    Stored,
)
from deepcore.demand import Demand
from deepcore.scenario import Scenario
from deepcore.signals import FINAL, Signal, stored

if TYPE_CHECKING:
    from deepcore.method import CoresetMethod

CORESET_LATE = Price("target", "3 k T_late f_large", lambda s: s.k * s.T_late, "large", backward=True)
HELD_OUT = Price("target", "3 Q T f_large", lambda s: s.Q * s.T, "large", backward=True)
WITH_VAL = Price("target", "3 (k + Q) T f_large", lambda s: (s.k + s.Q) * s.T, "large", backward=True)
PROXY = Price("proxy", "3 N T_proxy f", lambda s: s.N * s.T_proxy, backward=True)
PROXY_ON_K = Price("proxy", "3 k T_proxy f", lambda s: s.k * s.T_proxy, backward=True)
PROXY_EARLY = Price("proxy", "3 N T_proxy_early f", lambda s: s.N * s.T_proxy_early, backward=True)
PROXY_FIRST = Price("proxy", "3 N T_first f", lambda s: s.N * s.T_first, backward=True)
LARGE = Price("proxy", "3 N T_early f_large", lambda s: s.N * s.T_early, "large", backward=True)
LARGE_R = Price(
    "proxy", "3 N T_early R f_large", lambda s: s.N * s.T_early * s.R_early, "large", backward=True
)
QUERIES = Price("validation", "Q T_proxy f", lambda s: s.Q * s.T_proxy)
QUERIES_FIRST = Price("validation", "Q T_first f", lambda s: s.Q * s.T_first)
RECORD = Price("record", "N T_proxy f", lambda s: s.N * s.T_proxy)
ENCODE_POOL = Price("encode", "U f", lambda s: s.N)
GRAND_SWEEPS = Price("score", LARGE_R.text, LARGE_R.passes, "large", backward=True)
TDDS_SWEEPS = Price("score", PROXY.text, PROXY.passes, backward=True)
CURVATURE = Price("score", "3 N (R + 1) f", lambda s: s.N * (s.R_curv + 1), backward=True)
PGD = Price("score", "3 N K_max f", lambda s: s.N * s.K_max, backward=True)
RESELECTION = Price(
    "score",
    "(k Q + N log(1/epsilon)) f_large T/gamma",
    lambda s: (s.k * s.Q + s.N * math.log(1 / s.epsilon)) * s.T / s.gamma,
    "large",
)


NOTHING = Stored("0", lambda s: 0)
SCORES = Stored("O(N) [scores]", lambda s: s.N)
FEATURES = Stored("O(N d) [features]", lambda s: s.N * s.d)
WINDOWS = Stored("O(N J) [windowed logs]", lambda s: s.N * s.J)
LOGS = Stored("O((N + Q) T_proxy) [loss logs]", lambda s: (s.N + s.Q) * s.T_proxy)


def _loss(epochs: str) -> Reads:
    loss = frozenset({Signal.LOSS})
    return Reads(loss, loss, mode="post_epoch", epochs=epochs, first_row=0)


def _online(*signals: Signal, **fields: object) -> Reads:
    return Reads(frozenset(signals), **fields)


_FINAL = _online(*FINAL)
_FEATURES = _online(Signal.FEATURES)

_CACHE = (
    "Herding, Cal, Moderate, D2: the paper's feature caches hold d = {s.d:,} numbers a sample, as many as an "
    "input has; penultimate features (F = {s.F}) would take {cache:,.3f} GB."
)
_CAL = (
    "Cal, Moderate: the paper prints 763.739 GB, which does not follow from its N d 4 bytes; computed here."
)
_KERNEL = (
    "GraphCut: the paper prints 6,434.944 GB, and 3,217.493 for half the kernel, which do not follow from "
    "its N N 4 bytes; computed here."
)
_EARLY = "Forgetting, GraNd, EL2N: the training to select is T_early epochs of the large network itself."
_SWEEPS = "TDDS: the paper bills a gradient sweep per epoch; its authors' code makes none."
_PASS = "CLD: the paper bills no forward pass over the candidates; its authors' code makes one per epoch."
_CCS = "CCS is not in the paper's cost tables: billed as the AUM score that it stratifies."
_LTC = (
    "LTC is not in the paper's cost tables: CLD's passes, and a correlation with each query row of the class."
)
_PGD = "BoundarySet-CCS: every sample is taken to need all K_max steps, as in the paper's numbers."
_GLISTER = (
    "Glister: the paper's big-O of re-selection, taken at face value with natural log; here it selects once."
)

BILLS: dict[str, Bill] = {
    "Random": Bill("Random", "reference", (), NOTHING),
    "Full": Bill("Full", "reference", (), NOTHING, target=EVERYTHING, target_here=EVERYTHING),
    "Herding": Bill(
        "Herding",
        "score-based",
        (PROXY, ENCODE),
        Stored("O(N d) [features] + O(k^2) [optional Gram]", FEATURES.numbers),
        _FEATURES,
        negligible="O(N d k)",
        note=_CACHE,
    ),
    "Forgetting": Bill(
        "Forgetting",
        "score-based",
        (LARGE,),
        Stored("O(N) [counters]", SCORES.numbers),
        _online(Signal.MARGIN),
        target=CORESET_LATE,
        early=("T_early", "T_proxy"),
        note=_EARLY,
    ),
    "AUM": Bill(
        "AUM", "score-based", (PROXY,), Stored("O(N) [running sums]", SCORES.numbers), _online(Signal.MARGIN)
    ),
    "Cal": Bill(
        "Cal",
        "score-based",
        (PROXY_ON_K, ENCODE_POOL),
        Stored("O(U d) [features]", FEATURES.numbers),
        _FINAL,
        negligible="O(U kappa d)",
        note=_CACHE,
        printed=_CAL,
    ),
    "GraNd": Bill(
        "GraNd",
        "score-based",
        (LARGE_R, GRAND_SWEEPS),
        SCORES,
        _online(Signal.GRAND, epochs="T_early"),
        target=CORESET_LATE,
        early=("T_early",),
        fields={"repeats": ("R_early",)},
        note=_EARLY,
    ),
    "EL2N": Bill(
        "EL2N",
        "score-based",
        (LARGE_R,),
        SCORES,
        _online(Signal.EL2N, epochs="T_early"),
        target=CORESET_LATE,
        early=("T_early",),
        fields={"repeats": ("R_early",)},
        note=_EARLY,
    ),
    "Moderate": Bill(
        "Moderate",
        "score-based",
        (PROXY, ENCODE),
        FEATURES,
        _FEATURES,
        negligible="O(N d + N log N)",
        note=_CACHE,
        printed=_CAL,
    ),
    "D2": Bill(
        "D2",
        "score-based",
        (PROXY, ENCODE),
        Stored("O(N d) [features] + O(N kappa) [graph]", FEATURES.numbers),
        _online(Signal.MARGIN, Signal.MARGIN_P, Signal.FEATURES),
        negligible="O(N kappa d) + O(H N kappa)",
        note=_CACHE,
    ),
    "CCS": Bill("CCS", "score-based", (PROXY,), SCORES, _online(Signal.MARGIN_P), note=_CCS),
    "CRAIG": Bill(
        "CRAIG",
        "optimisation-based",
        (PROXY,),
        Stored("O(N (F + c)) [embeddings]", lambda s: s.N * (s.F + s.num_classes)),
        _FINAL,
        negligible="O(A (N k + N log(1/epsilon)) D_eff)",
    ),
    "Glister": Bill(
        "Glister",
        "optimisation-based",
        (RESELECTION,),
        Stored("O(Q) [validation cache]", lambda s: s.Q),
        Reads(frozenset(FINAL), frozenset(FINAL)),
        note=_GLISTER,
    ),
    "GraphCut": Bill(
        "GraphCut",
        "optimisation-based",
        (PROXY, ENCODE),
        Stored("O(N^2) [similarities]", lambda s: s.N * s.N),
        _FINAL,
        negligible="O(N^2 k)",
        printed=_KERNEL,
    ),
    "BoundarySet-CCS": Bill(
        "BoundarySet-CCS",
        "optimisation-based",
        (PROXY, PGD),
        Stored("O(N) [distances]", SCORES.numbers),
        Reads(sweeps=(PGD,)),
        note=_PGD,
    ),
    "SloCurv": Bill(
        "SloCurv",
        "training-property",
        (PROXY, CURVATURE),
        Stored("O(N) + O(R d) [statistics, probes]", lambda s: s.N + s.R_curv * s.d),
        Reads(sweeps=(CURVATURE,)),
    ),
    "TDDS": Bill(
        "TDDS",
        "training-property",
        (PROXY, TDDS_SWEEPS),
        WINDOWS,
        _online(Signal.KL_STEP, first_row=2),
        fields={"window": ("J",)},
        note=_SWEEPS,
    ),
    "TDDS (no sweep)": Bill(
        "TDDS (no sweep)",
        "training-property",
        (PROXY,),
        WINDOWS,
        _online(Signal.KL_STEP, first_row=2),
        variant=True,
    ),
    "DynUnc": Bill(
        "Dyn-Unc",
        "training-property",
        (PROXY,),
        WINDOWS,
        _online(Signal.LOSS),
        fields={"window": ("J",)},
    ),
    "DUAL": Bill(
        "DUAL",
        "training-property",
        (PROXY_EARLY,),
        WINDOWS,
        _online(Signal.LOSS, epochs="T_proxy_early"),
        early=("T_proxy_early",),
        fields={"window": ("J",)},
    ),
    "LTC": Bill(
        "LTC",
        "training-property",
        (PROXY, QUERIES),
        LOGS,
        _loss("T_proxy"),
        negligible="O(N Q T_proxy / c)",
        note=_LTC,
    ),
    "CLD": Bill("CLD", "CLD", (PROXY, QUERIES), LOGS, _loss("T_proxy")),
    "CLD (first)": Bill(
        "CLD (first {s.T_first} epochs)",
        "CLD",
        (PROXY_FIRST, QUERIES_FIRST),
        Stored("O((N + Q) T_first) [loss logs]", lambda s: (s.N + s.Q) * s.T_first),
        _loss("T_first"),
    ),
    "CLD (authors' code)": Bill(
        "CLD (authors' code)",
        "CLD",
        (PROXY, RECORD, QUERIES),
        LOGS,
        _loss("T_proxy"),
        note=_PASS,
        variant=True,
    ),
}

# Reference rows that the paper's tables do not have. Full@k and RS2 make the steps of a coreset.
REFERENCES: dict[str, Bill] = {
    "Full@k": Bill("Full@k", "reference", (), NOTHING),
    "RS2": Bill("RS2", "reference", (), NOTHING),
    "ValOnly": Bill("ValOnly", "reference", (), NOTHING, target=HELD_OUT, target_here=HELD_OUT),
    "Random+Val": Bill("Random+Val", "reference", (), NOTHING, target=WITH_VAL, target_here=WITH_VAL),
}


def find(name: str) -> Bill:
    """The bill of a method by its registered name or as the paper prints it; UsageError lists them."""
    titles = {entry.title: key for key, entry in BILLS.items()}
    return BILLS[titles.get(name) or check_choice("method", name, [*BILLS, *titles])]


def bill(name: str, scenario: Scenario, protocol: str = "paper") -> Cost:
    """What the method of that name costs; see `Bill.paper` and `Bill.here` for the two protocols."""
    check_choice("protocol", protocol, PROTOCOLS)
    entry = find(name)
    return entry.here(scenario) if protocol == "here" else entry.paper(scenario)


def cost_of(method: CoresetMethod, scenario: Scenario, protocol: str = "paper") -> Cost:
    """What an instance costs: how far it reads and its fields set the scenario's symbols, its needs decide
    what is recorded."""
    check_choice("protocol", protocol, PROTOCOLS)
    label, method = method.label(), method.resolve(scenario.fraction)
    entry = BILLS.get(method.name) or REFERENCES.get(method.name) or _own(method)
    symbols: dict[str, float] = {}
    for name, set_by_it in entry.fields.items():
        value = getattr(method, name, None)
        if value is not None:
            symbols |= dict.fromkeys(set_by_it, value)
    if protocol == "here" and entry.reads:
        reads = dataclasses.replace(entry.reads.by(method), repeats=symbols.get("R_early", 1) > 1)
        entry = dataclasses.replace(entry, reads=reads)
        if last := Demand.of(method, scenario.T_proxy).epochs:
            symbols[reads.epochs] = last
    elif 0 < (last := Demand.of(method, UNBOUNDED).epochs) < UNBOUNDED:
        symbols |= dict.fromkeys(entry.early, last)
    scenario = scenario.with_symbols(**symbols)
    cost = entry.here(scenario) if protocol == "here" else entry.paper(scenario)
    return dataclasses.replace(cost, method=label)


def _own(method: CoresetMethod) -> Bill:
    """The bill of a method without an entry, from what it reads: the paper's terms for such a proxy run."""
    needs, needs_val = stored(method.needs), stored(method.needs_val)
    if not needs | needs_val:
        return Bill(method.name, "own", (), NOTHING)
    reads = Reads().by(method)
    prices = (PROXY, *([QUERIES] if needs_val else []), *([ENCODE] if needs & set(FINAL) else []))
    return Bill(
        method.name, "own", prices, Stored(reads.storage_text(), lambda s: reads.storage(s) / FLOAT32), reads
    )
