"""The part of a proxy run that is read or recorded, and the example passes that it takes."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class ProxyUse:
    """The part of a proxy run that a method reads, or that was recorded. All fields are zero when no run is
    needed. `a | b` covers both parts.

    Attributes:
        epochs: number of epochs of training.
        post_epochs: number of first epochs that are each followed by a pass over the candidates.
        trajectories: some signal of the candidates is recorded every epoch; row 0, the untrained network, is
            recorded with it in a pass of its own.
        final: logits or features after the last step are kept.
        own: "" for the run that methods share; "validation" for a training on the validation rows, "share"
            for one on `rows` of the candidates, after which the others are put through the network once.
        rows: candidates that it is trained on, for "share".
    """

    epochs: int = 0
    post_epochs: int = 0
    trajectories: bool = False
    final: bool = False
    own: str = ""
    rows: int = 0

    def to_dict(self) -> dict[str, Any]:
        """For rows; `own` and `rows` only where they say something."""
        values = dataclasses.asdict(self)
        return {name: value for name, value in values.items() if name not in ("own", "rows") or value}

    def __or__(self, other: ProxyUse) -> ProxyUse:
        return ProxyUse(
            max(self.epochs, other.epochs),
            max(self.post_epochs, other.post_epochs),
            self.trajectories or other.trajectories,
            self.final or other.final,
            self.own or other.own,
            max(self.rows, other.rows),
        )

    def passes(self, n: int, q: int) -> dict[str, int]:
        """Example passes over n candidates and q validation rows, by the meter's names; only "train" has
        backward passes.

        The validation rows are evaluated before the first epoch and after each. The last pass over the
        candidates gives the final arrays too; without one they cost a pass.
        """
        if not self.epochs:
            return dict.fromkeys(("train", "record", "validation", "encode"), 0)
        if self.own == "validation":
            return {"train": q * self.epochs, "record": 0, "validation": 0, "encode": 0}
        rest = 0
        if self.own == "share":
            n, rest = self.rows, n - self.rows
        return {
            "train": n * self.epochs,
            "record": n * (self.trajectories + self.post_epochs),
            "validation": q * (self.epochs + 1),
            "encode": rest + (n if self.final and self.post_epochs < self.epochs else 0),
        }
