"""What a coreset costs, in symbols and in numbers: priced terms, and the bill of one method.

Section 7, Table 1 and Appendix E of the CLD paper. One backward pass counts as two forward passes unless it
was measured, so a training step is 3 forwards per example. `deepcore.bills` holds each method's formulas.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from deepcore.checks import check_choice
from deepcore.demand import Demand
from deepcore.scenario import NETS, Scenario
from deepcore.signals import FINAL, Signal, stored

if TYPE_CHECKING:
    from deepcore.method import CoresetMethod

PROTOCOLS = ("paper", "here")
FAMILIES = ("reference", "score-based", "optimisation-based", "training-property", "CLD", "own")
# In the order of the tables. "proxy" is the training that selection needs (of the large network for the
# methods that the paper runs so); "record" and "validation" are forward passes that log candidates and query
# rows.
STAGES = ("proxy", "record", "validation", "encode", "score", "target", "test")
FLOAT32 = 4  # bytes
UNBOUNDED = 1 << 40  # epochs of a run without an end: a method that reads fewer stops early by itself


@dataclass(frozen=True)
class Term:
    """One term of a bill.

    Attributes:
        stage: one of STAGES; net: "proxy" or "large".
        text: the formula, such as "3 N T_proxy f".
        forward, backward: example passes.
        flops: what they come to.
    """

    stage: str
    net: str
    text: str
    forward: float
    backward: float
    flops: float


@dataclass(frozen=True)
class Price:
    """A term in symbols: `passes(scenario)` example passes, each forward only or (`backward`) forward and
    backward; `text` is the same in words."""

    stage: str
    text: str
    passes: Callable[[Scenario], float]
    net: str = "proxy"
    backward: bool = False

    def __post_init__(self) -> None:
        check_choice("stage", self.stage, STAGES)
        check_choice("net", self.net, NETS)

    def of(self, scenario: Scenario) -> Term:
        """The term's numbers in a scenario."""
        forward = self.passes(scenario)
        backward = forward if self.backward else 0
        flops = scenario.flops(self.net, forward, backward)
        return Term(self.stage, self.net, self.text, forward, backward, flops)


@dataclass(frozen=True)
class Cost:
    """The bill of one method in one scenario: selection and the training on what was selected.

    Attributes:
        method, family: as printed; one of FAMILIES.
        protocol: "paper", or "here" for what this harness does.
        terms: in the order of STAGES.
        formula: as text, with the big-O terms that no number is given for.
        storage_bytes: what selection keeps beyond the networks' weights, in float32.
        storage_text: the same as a formula.
        notes: what the reader must know of these numbers, a sentence each.
    """

    method: str
    family: str
    protocol: str
    terms: tuple[Term, ...]
    formula: str
    storage_bytes: float
    storage_text: str
    notes: tuple[str, ...] = ()

    def stage_flops(self, stage: str) -> float:
        """FLOPs of one of STAGES."""
        check_choice("stage", stage, STAGES)
        return sum(term.flops for term in self.terms if term.stage == stage)

    @property
    def selection_flops(self) -> float:
        """FLOPs of everything before the training on the coreset."""
        return sum(term.flops for term in self.terms if term.stage not in ("target", "test"))

    @property
    def training_flops(self) -> float:
        """FLOPs of the training on the coreset."""
        return self.stage_flops("target")

    @property
    def total_flops(self) -> float:
        """Selection and training. The test rows are listed in `terms` but not in here: they price nothing."""
        return self.selection_flops + self.training_flops


CORESET = Price("target", "3 k T f_large", lambda s: s.k * s.T, "large", backward=True)
EVERYTHING = Price("target", "3 N T f_large", lambda s: s.N * s.T, "large", backward=True)
TEST = Price("test", "N_test f_large", lambda s: s.n_test, "large")
ENCODE = Price("encode", "N f", lambda s: s.N)


def proxy_prices(
    *, trajectories: bool, post_epoch: bool, final: bool, epochs: str = "T_proxy", repeats: bool = False
) -> tuple[Price, ...]:
    """The passes of a proxy run as this harness makes it: 3 N T, and forward only N for row 0, N T for
    post_epoch, Q (T + 1), N for the final arrays; for each repeat 3 N T, and N T for post_epoch.

    Args:
        trajectories: some signal of the candidates is recorded every epoch (row 0 comes with it).
        post_epoch: some of them in that mode; its last pass gives the final arrays, too.
        final: logits or features after the last step are kept.
        epochs: the Scenario's symbol for T; never more than T_proxy.
        repeats: R_early runs, the shared one included, each of which is billed for these epochs.
    """

    def passes(kind: str) -> Callable[[Scenario], float]:
        def of(s: Scenario) -> float:
            length = min(getattr(s, epochs), s.T_proxy)
            run = Demand(length, length if post_epoch else 0, trajectories, final)
            further = s.R_early - 1 if repeats else 0
            of_one = {"train": s.N * run.epochs, "record": s.N * run.post_epochs}
            return run.passes(s.N, s.Q)[kind] + further * of_one.get(kind, 0)

        return of

    r = "R " if repeats else ""
    prices = [Price("proxy", f"3 {r}N {epochs} f", passes("train"), backward=True)]
    if post_epoch:
        prices.append(Price("record", f"N ({r}{epochs} + 1) f", passes("record")))
    elif trajectories:
        prices.append(Price("record", "N f", passes("record")))
    prices.append(Price("validation", f"Q ({epochs} + 1) f", passes("validation")))
    if final and not post_epoch:
        prices.append(Price("encode", "N f", passes("encode")))
    return tuple(prices)


@dataclass(frozen=True)
class Reads:
    """One method's demands on the proxy run.

    Attributes:
        needs, needs_val: stored signals of the candidates and of the validation rows.
        mode: the recording, "online" or "post_epoch".
        epochs: the Scenario's symbol for how many epochs it reads.
        first_row: of the trajectories: 0 for the untrained network, 2 for steps from one epoch to the next.
        repeats: R_early proxies are trained, not one (the default of EL2N and GraNd here).
        sweeps: passes through the trained proxy that are the score itself.
    """

    needs: frozenset[Signal] = frozenset()
    needs_val: frozenset[Signal] = frozenset()
    mode: str = "online"
    epochs: str = "T_proxy"
    first_row: int = 1
    repeats: bool = False
    sweeps: tuple[Price, ...] = ()

    def by(self, method: CoresetMethod) -> Reads:
        """What an instance reads, with the same symbol for its epochs, the same repeats and sweeps."""
        return dataclasses.replace(
            self,
            needs=stored(method.needs),
            needs_val=stored(method.needs_val),
            mode=method.mode,
            first_row=min(rows[0] for rows in method.rows_read(UNBOUNDED)),
        )

    def prices(self) -> tuple[Price, ...]:
        """The passes through the proxy when only this is recorded (`--signals needed`)."""
        trajectories = bool(self.needs - set(FINAL))
        run = proxy_prices(
            trajectories=trajectories,
            post_epoch=trajectories and self.mode == "post_epoch",
            final=bool((self.needs | self.needs_val) & set(FINAL)),
            epochs=self.epochs,
            repeats=self.repeats,
        )
        return (*run, *self.sweeps)

    def storage(self, s: Scenario) -> float:
        """Bytes of the signals read: a float32 per row and checkpoint of a trajectory, final arrays once."""
        runs = s.R_early if self.repeats else 1
        rows = runs * (min(getattr(s, self.epochs), s.T_proxy) + 1 - self.first_row)
        width = {Signal.LOGITS: s.num_classes, Signal.FEATURES: s.F}
        of_rows = ((self.needs, s.N), (self.needs_val, s.Q))
        return FLOAT32 * sum(n * width.get(signal, rows) for signals, n in of_rows for signal in signals)

    def storage_text(self) -> str:
        """The same as a formula, in numbers kept."""
        rows = (f"({self.epochs} + 1)", self.epochs, f"({self.epochs} - 1)")[self.first_row]
        width = {Signal.LOGITS: "c", Signal.FEATURES: "F"}
        runs = "R " if self.repeats else ""
        of_rows = ((self.needs, "N"), (self.needs_val, "Q"))
        parts = [
            f"{n} {width.get(signal, runs + rows)}" for signals, n in of_rows for signal in sorted(signals)
        ]
        return " + ".join(parts) or "0"


@dataclass(frozen=True)
class Stored:
    """Method-specific extras of selection: `numbers(scenario)` float32 values; `text` as in Table 1."""

    text: str
    numbers: Callable[[Scenario], float]


@dataclass(frozen=True)
class Bill:
    """The formulas of one method.

    Attributes:
        title: as printed; may hold symbols of the scenario, as {s.T_first}.
        family: one of FAMILIES.
        prices: the terms of selection in the paper's protocol.
        stored: the selection-stage storage of the paper.
        reads: what this harness records for it; None for no proxy run.
        target, target_here: the training that follows, in the paper's protocol and in this harness.
        negligible: big-O terms that the paper gives no number for.
        early: the symbols of the scenario that an instance sets which stops reading early.
        fields: a method's field -> the symbols of the scenario that it sets when it is not None.
        note: what the reader must know of the paper's formula.
        printed: where the paper's own figure differs from its formula; shown for the paper's scenario.
        variant: only another reading of the paper's protocol: in this harness it is no method of its own.
    """

    title: str
    family: str
    prices: tuple[Price, ...]
    stored: Stored
    reads: Reads | None = None
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
        """What this harness does for the method alone: the proxy run over the epochs it reads, T epochs of
        the target, the test rows once."""
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
