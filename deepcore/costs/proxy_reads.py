"""The part of the proxy run that a method reads, and its cost in this harness."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from deepcore.costs.scenario import Scenario
from deepcore.costs.terms import FLOAT32, UNBOUNDED, Price
from deepcore.proxy.signals import FINAL, TRAJECTORIES, Signal, stored
from deepcore.proxy.use import ProxyUse

if TYPE_CHECKING:
    from deepcore.selection.method import CoresetMethod


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
        repeats: R_early runs, the shared one included, each for these epochs.
    """

    def passes(kind: str) -> Callable[[Scenario], float]:
        def of(s: Scenario) -> float:
            length = min(getattr(s, epochs), s.T_proxy)
            run = ProxyUse(length, length if post_epoch else 0, trajectories, final)
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
class ProxyReads:
    """What one method reads of the proxy run.

    Attributes:
        needs, needs_val: stored signals of the candidates and of the validation rows.
        mode: the recording, "online" or "post_epoch".
        epochs: the Scenario's symbol for how many epochs it reads.
        first_row: of the trajectories: 0 for the untrained network, 2 for steps from one epoch to the next.
        repeats: R_early proxies are trained instead of one.
        sweeps: passes through the trained proxy that are the score itself.
        own: the training that the method makes for itself instead of reading the proxy run; () for none.
    """

    needs: frozenset[Signal] = frozenset()
    needs_val: frozenset[Signal] = frozenset()
    mode: str = "online"
    epochs: str = "T_proxy"
    first_row: int = 1
    repeats: bool = False
    sweeps: tuple[Price, ...] = ()
    own: tuple[Price, ...] = ()

    def by(self, method: CoresetMethod) -> ProxyReads:
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
        if self.own:
            return (*self.own, *self.sweeps)
        trajectories = bool(self.needs & set(TRAJECTORIES))
        run = proxy_prices(
            trajectories=trajectories,
            post_epoch=trajectories and self.mode == "post_epoch",
            final=bool((self.needs | self.needs_val) & set(FINAL)),
            epochs=self.epochs,
            repeats=self.repeats,
        )
        return (*run, *self.sweeps)

    def storage(self, s: Scenario) -> float:
        """Bytes of the signals read: a float32 per row and checkpoint of a trajectory, final arrays once; the
        networks' weights are not counted, nor is a run of the method's own recorded."""
        if self.own:
            return 0
        runs = s.R_early if self.repeats else 1
        rows = runs * (min(getattr(s, self.epochs), s.T_proxy) + 1 - self.first_row)
        width = {Signal.LOGITS: s.num_classes, Signal.FEATURES: s.F, Signal.WEIGHTS: 0}
        of_rows = ((self.needs, s.N), (self.needs_val, s.Q))
        return FLOAT32 * sum(n * width.get(signal, rows) for signals, n in of_rows for signal in signals)

    def storage_text(self) -> str:
        """The same as a formula, in numbers kept."""
        if self.own:
            return "0"
        rows = (f"({self.epochs} + 1)", self.epochs, f"({self.epochs} - 1)")[self.first_row]
        width = {Signal.LOGITS: "c", Signal.FEATURES: "F"}
        runs = "R " if self.repeats else ""
        of_rows = ((self.needs, "N"), (self.needs_val, "Q"))
        parts = [
            f"{n} {width.get(signal, runs + rows)}"
            for signals, n in of_rows
            for signal in sorted(signals - {Signal.WEIGHTS})
        ]
        return " + ".join(parts) or "0"
