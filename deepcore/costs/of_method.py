"""What a method costs: by its name, or as an instance with its fields.

`formula_cost("CLD", scenario)` needs no method class. `cost_of(method, scenario)` takes an instance: how far
it reads (`checkpoints`) and its fields (EL2N's `repeats` ...) set the scenario's symbols. A method without a
formula of its own costs the proxy run that its `needs` imply.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from deepcore.common.checks import check_choice
from deepcore.costs.formula import CostFormula, Stored
from deepcore.costs.formulas import FORMULAS, LATER, NOTHING, PROXY, QUERIES, REFERENCES
from deepcore.costs.proxy_reads import ProxyReads
from deepcore.costs.scenario import Scenario
from deepcore.costs.terms import ENCODE, FLOAT32, PROTOCOLS, STAGES, UNBOUNDED, Cost, Price
from deepcore.proxy.signals import FINAL, Signal, stored
from deepcore.selection.budget import Budget
from deepcore.selection.needs import use_of

if TYPE_CHECKING:
    from deepcore.selection.method import CoresetMethod


def find(name: str) -> CostFormula:
    """The cost formula of a method by its name here or in the paper; UsageError lists the valid names."""
    titles = {entry.title: key for key, entry in FORMULAS.items()}
    return FORMULAS[titles.get(name) or check_choice("method", name, [*FORMULAS, *titles])]


def formula_cost(name: str, scenario: Scenario, protocol: str = "paper") -> Cost:
    """The cost of the method of that name; `CostFormula.paper` and `.here` are the two protocols."""
    check_choice("protocol", protocol, PROTOCOLS)
    entry = find(name)
    return entry.here(scenario) if protocol == "here" else entry.paper(scenario)


def cost_of(method: CoresetMethod, scenario: Scenario, protocol: str = "paper") -> Cost:
    """What an instance costs: how far it reads and its fields set the scenario's symbols, its needs decide
    what is recorded."""
    check_choice("protocol", protocol, PROTOCOLS)
    label, method = method.label(), method.resolve(scenario.fraction)
    tables = (FORMULAS, REFERENCES, LATER)
    entry = next((table[method.name] for table in tables if method.name in table), None) or _own(method)
    symbols: dict[str, float] = {}
    for name, set_by_it in entry.fields.items():
        value = getattr(method, name, None)
        if value is not None:
            symbols |= dict.fromkeys(set_by_it, value)
    if protocol == "here" and entry.reads:
        reads = dataclasses.replace(entry.reads.by(method), repeats=symbols.get("R_early", 1) > 1)
        entry = dataclasses.replace(entry, reads=reads)
        if last := use_of(method, scenario.T_proxy).epochs:
            symbols[reads.epochs] = last
    elif 0 < (last := use_of(method, UNBOUNDED).epochs) < UNBOUNDED:
        symbols |= dict.fromkeys(entry.early, last)
    scenario = scenario.with_symbols(**symbols)
    own = method.own_run
    if own is not None and own.rows == "share":
        cost = _extrapolated(entry, scenario, own.share, protocol)
    else:
        cost = entry.here(scenario) if protocol == "here" else entry.paper(scenario)
    return dataclasses.replace(cost, method=label)


def scoring_passes(name: str, fields: Mapping[str, Any], n: int) -> tuple[str, int]:
    """The example passes that scoring makes through the trained proxy: as a formula, and for n candidates;
    ("", 0) for a method without a formula for them.

    Args:
        name: of the method.
        fields: of the instance, by name.
        n: candidates that are scored.
    """
    entry = FORMULAS.get(name) or LATER.get(name)
    if entry is None or entry.reads is None or len(entry.reads.sweeps) != 1:
        return "", 0
    symbols = {symbol: fields[field] for field, of in entry.fields.items() for symbol in of}
    (sweep,) = entry.reads.sweeps
    text = sweep.text.removesuffix(" f")
    return text.removeprefix("3 "), round(sweep.passes(SimpleNamespace(N=n, **symbols)))


def _extrapolated(entry: CostFormula, scenario: Scenario, share: float, protocol: str) -> Cost:
    """With scores of a share S of the candidates: every term of selection on S, a forward pass over the
    others, the target as it was."""
    rows = Budget.of(share, scenario.N).k
    small = dataclasses.replace(scenario, N=rows, k=min(scenario.k, rows))
    if protocol == "here" and entry.reads:
        features = entry.reads.needs | {Signal.FEATURES}
        entry = dataclasses.replace(entry, reads=dataclasses.replace(entry.reads, needs=features))
    of_share, whole = ((entry.here(s) if protocol == "here" else entry.paper(s)) for s in (small, scenario))
    after = ("target", "test")
    terms = [
        dataclasses.replace(term, text=_of_share(term.text))
        for term in of_share.terms
        if term.stage not in after
    ]
    encoded = protocol == "here" or any(term.stage == "encode" for term in terms)  # those of the share
    others = Price("encode", "(N - S) f" if encoded else "N f", lambda s: s.N - rows * encoded)
    terms += [others.of(scenario), *(term for term in whole.terms if term.stage in after)]
    terms.sort(key=lambda term: STAGES.index(term.stage))
    stored = "(N - S) F" if protocol == "here" else "O(N F) [features]"
    kept = FLOAT32 * (scenario.N - rows * (protocol == "here")) * scenario.F
    return dataclasses.replace(
        whole,
        terms=tuple(terms),
        formula=" + ".join(term.text for term in terms),
        storage_bytes=of_share.storage_bytes + kept,
        storage_text=f"{_of_share(of_share.storage_text)} + {stored}",
        notes=(*whole.notes, f"S = {rows:,} candidates are scored, the others from their neighbours."),
    )


def _own(method: CoresetMethod) -> CostFormula:
    """The cost formula of a method without an entry, from the proxy run that it reads."""
    needs, needs_val = stored(method.needs), stored(method.needs_val)
    if not needs | needs_val:
        return CostFormula(method.name, "own", (), NOTHING)
    reads = ProxyReads().by(method)
    prices = (PROXY, *([QUERIES] if needs_val else []), *([ENCODE] if needs & set(FINAL) else []))
    return CostFormula(
        method.name, "own", prices, Stored(reads.storage_text(), lambda s: reads.storage(s) / FLOAT32), reads
    )


def _of_share(text: str) -> str:
    """A formula with S for the number of candidates."""
    return re.sub(r"\b[NU]\b", "S", text)
