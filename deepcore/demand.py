"""What methods want of a proxy run, and the example passes that a run takes which gives no more than that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from deepcore.signals import FINAL, stored

if TYPE_CHECKING:
    from deepcore.method import CoresetMethod


@dataclass(frozen=True)
class Demand:
    """One proxy run in outline; all zero when none is wanted. `a | b` serves both.

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

    @classmethod
    def of(cls, method: CoresetMethod, epochs: int) -> Demand:
        """What `method` wants where a run has `epochs` epochs: no more of them than it reads."""
        wanted = stored(method.needs | method.needs_val)
        if not wanted:
            return cls()
        final = bool(wanted & set(FINAL))
        trajectories = bool(stored(method.needs) - set(FINAL))
        last = max((rows[-1] for rows in method.rows_read(epochs) if rows), default=0)
        post_epochs = last if trajectories and method.mode == "post_epoch" else 0
        return cls(epochs if final else last, post_epochs, trajectories, final)

    def __or__(self, other: Demand) -> Demand:
        return Demand(
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
