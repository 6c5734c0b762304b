"""A Lightning callback: what the steps return is logged, an epoch is closed after its validation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

try:
    from lightning.pytorch.callbacks import Callback
except ImportError:  # the package's older name
    from pytorch_lightning.callbacks import Callback

from deepcore.common.checks import UsageError
from deepcore.logs.recorder import LossRecorder
from deepcore.logs.with_ids import WithIds

__all__ = ["LossLog", "WithIds"]

STEP = (
    'return {"loss": loss, "ids": ids, "logits": logits, "labels": labels} from it, or "losses" for the last '
    "two"
)


class LossLog(Callback):
    """Logs the training batches ("online") and the validation batches.

        log = LossLog()
        Trainer(callbacks=[log], ...).fit(model, DataLoader(WithIds(train), ...), DataLoader(val))
        run = log.recorder.run()

    `training_step` returns a dictionary with "loss" (as always) and "ids" of its samples, and either "logits"
    and "labels" or "losses", one per sample. `validation_step` returns the same, "ids" where it is sharded or
    shuffled. The recorder closes an epoch when Lightning does, after validation; the sanity check is not
    logged.

    Args:
        recorder: where to; None for one in memory that learns ids and labels from what is logged.
    """

    def __init__(self, recorder: LossRecorder | None = None) -> None:
        self.recorder = LossRecorder() if recorder is None else recorder

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Log a training batch."""
        found = _found(outputs, "training_step")
        if "ids" not in found:
            raise UsageError(f"training_step gave no ids of its samples: {STEP}")
        self.recorder.log(found.pop("ids"), **found)

    def on_validation_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Log a validation batch."""
        if not trainer.sanity_checking:
            self.recorder.log_val(**_found(outputs, "validation_step"))

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Close the epoch."""
        self.recorder.end_epoch()


def _found(outputs: Any, step: str) -> dict[str, Any]:
    """What a step returned for the recorder."""
    known = ("ids", "losses", "logits", "labels")
    found = {name: outputs[name] for name in known if isinstance(outputs, Mapping) and name in outputs}
    if not {"losses", "logits"} & set(found):
        raise UsageError(f"{step} gave neither losses nor logits of its samples: {STEP}")
    return found
