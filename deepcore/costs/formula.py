"""The cost formula of one method, for the paper's protocol and for this harness."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from deepcore.common.checks import check_choice
from deepcore.costs.proxy_reads import ProxyReads
from deepcore.costs.scenario import Scenario
from deepcore.costs.terms import CORESET, FAMILIES, FLOAT32, TEST, Cost, Price


@dataclass(frozen=True)
class Stored:
    """What selection stores: `numbers(scenario)` float32 values; `text` is the formula as in Table 1."""

    text: str
    numbers: Callable[[Scenario], float]


@dataclass(frozen=True)
class CostFormula:
    """The formulas of one method.

    Attributes:
        title: printed name; may hold symbols of the scenario, such as {s.T_first}.
        family: one of FAMILIES.
        prices: the terms of selection in the paper's protocol.
        stored: storage of selection in the paper's protocol.
        reads: what the method reads of this harness's proxy run; None without a proxy run.
        target, target_here: the training on the coreset, in the paper's protocol and in this harness.
        negligible: big-O terms that the paper gives no number for.
        early: the symbols of the scenario that are set when a method stops reading early.
        fields: a method's field -> the symbols of the scenario that it sets when it is not None.
        note: remark on the paper's formula.
        printed: remark where the paper prints another number than its formula gives; shown for the paper's
            scenario only.
        variant: another reading of the paper's protocol, which is no method of its own in this harness.
    """

    title: str
    family: str
    prices: tuple[Price, ...]
    stored: Stored
    reads: ProxyReads | None = None
    target: Price = CORESET
    target_here: Price = CORESET
    negligible: str = ""
    early: tuple[str, ...] = ("T_proxy",)
    fields: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    note: str = ""
    printed: str = ""
    variant: bool = False

    def __post_init__(self) -> None:
        check_choice("family", self.family, FAMILIES)

    def paper(self, s: Scenario) -> Cost:
        """The paper's protocol."""
        prices = (*self.prices, self.target)
        texts = [*(price.text for price in self.prices), self.negligible, self.target.text]
        notes = [self.note, self.printed if s.consistent() == Scenario.paper().consistent() else ""]
        return Cost(
            method=self.title.format(s=s),
            family=self.family,
            protocol="paper",
            terms=tuple(price.of(s) for price in prices),
            formula=" + ".join(text for text in texts if text),
            storage_bytes=FLOAT32 * self.stored.numbers(s),
            storage_text=self.stored.text,
            notes=tuple(note.format(s=s, cache=FLOAT32 * s.N * s.F / 1e9) for note in notes if note),
        )

    def here(self, s: Scenario) -> Cost:
        """The cost in this harness for the method alone: the proxy run over the epochs that it reads, the
        target's training, and one pass over the test rows."""
        run = self.reads.prices() if self.reads else ()
        prices = (*run, self.target_here, TEST)
        return Cost(
            method=self.title.format(s=s),
            family=self.family,
            protocol="here",
            terms=tuple(price.of(s) for price in prices),
            formula=" + ".join(price.text for price in prices),
            storage_bytes=self.reads.storage(s) if self.reads else 0,
            storage_text=self.reads.storage_text() if self.reads else "0",
        )
