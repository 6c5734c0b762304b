"""What a method costs: by its name, or as an instance with its fields.

`formula_cost("CLD", scenario)` needs no method class. `cost_of(method, scenario)` takes an instance: how far
it reads (`checkpoints`) and its fields (EL2N's `repeats` ...) set the scenario's symbols. A method without a
formula of its own costs the proxy run that its `needs` imply.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from deepcore.common.checks import check_choice
from deepcore.costs.formula import CostFormula, Stored
from deepcore.costs.formulas import FORMULAS, NOTHING, PROXY, QUERIES, REFERENCES
from deepcore.costs.proxy_reads import ProxyReads
from deepcore.costs.scenario import Scenario
from deepcore.costs.terms import ENCODE, FLOAT32, PROTOCOLS, UNBOUNDED, Cost
from deepcore.proxy.signals import FINAL, stored
from deepcore.selection.needs import use_of

if TYPE_CHECKING:
    from deepcore.selection.method import CoresetMethod


def find(name: str) -> CostFormula:
    """The bill of a method by its registered name or as the paper prints it; UsageError lists them."""
    titles = {entry.title: key for key, entry in FORMULAS.items()}
    return FORMULAS[titles.get(name) or check_choice("method", name, [*FORMULAS, *titles])]


def formula_cost(name: str, scenario: Scenario, protocol: str = "paper") -> Cost:
    """What the method of that name costs; see `Bill.paper` and `Bill.here` for the two protocols."""
    check_choice("protocol", protocol, PROTOCOLS)
    entry = find(name)
    return entry.here(scenario) if protocol == "here" else entry.paper(scenario)


def cost_of(method: CoresetMethod, scenario: Scenario, protocol: str = "paper") -> Cost:
    """What an instance costs: how far it reads and its fields set the scenario's symbols, its needs decide
    what is recorded."""
    check_choice("protocol", protocol, PROTOCOLS)
    label, method = method.label(), method.resolve(scenario.fraction)
    entry = FORMULAS.get(method.name) or REFERENCES.get(method.name) or _own(method)
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
    cost = entry.here(scenario) if protocol == "here" else entry.paper(scenario)
    return dataclasses.replace(cost, method=label)


def _own(method: CoresetMethod) -> CostFormula:
    """The bill of a method without an entry, from what it reads: the paper's terms for such a proxy run."""
    needs, needs_val = stored(method.needs), stored(method.needs_val)
    if not needs | needs_val:
        return CostFormula(method.name, "own", (), NOTHING)
    reads = ProxyReads().by(method)
    prices = (PROXY, *([QUERIES] if needs_val else []), *([ENCODE] if needs & set(FINAL) else []))
    return CostFormula(
        method.name, "own", prices, Stored(reads.storage_text(), lambda s: reads.storage(s) / FLOAT32), reads
    )
