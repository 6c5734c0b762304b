"""How much of a proxy run is used, and how many example passes such a run takes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ProxyUse:
    """The part of a proxy run that a method reads, or that was recorded; all zero for none. `a | b` covers
    both.

    Attributes:
        epochs: it is trained for.
        post_epochs: the first so many are each followed by a pass over the candidates.
        trajectories: some signal of the candidates is recorded every epoch; row 0, the untrained network, is
            recorded with it in a pass of its own.
        final: logits or features after the last step are kept.
    """

    epochs: int = 0
    post_epochs: int = 0
    trajectories: bool = False
    final: bool = False

    def __or__(self, other: ProxyUse) -> ProxyUse:
        return ProxyUse(
            max(self.epochs, other.epochs),
            max(self.post_epochs, other.post_epochs),
            self.trajectories or other.trajectories,
            self.final or other.final,
        )

    def passes(self, n: int, q: int) -> dict[str, int]:
        """Example passes over n candidates and q validation rows, by the meter's names; only "train" has
        backward passes.

        The validation rows are evaluated before the first epoch and after each. The last pass over the
        candidates gives the final arrays too; without one they cost a pass.
        """
        if not self.epochs:
            return dict.fromkeys(("train", "record", "validation", "encode"), 0)
        return {
            "train": n * self.epochs,
            "record": n * (self.trajectories + self.post_epochs),
            "validation": q * (self.epochs + 1),
            "encode": n if self.final and self.post_epochs < self.epochs else 0,
        }
