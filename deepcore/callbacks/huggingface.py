"""A mixin for Hugging Face's Trainer: losses of its batches by an id column."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional
from transformers import TrainerCallback

from deepcore.common.checks import UsageError
from deepcore.logs.recorder import LossRecorder

BCE = functional.binary_cross_entropy_with_logits
IGNORED = -100  # the label of tokens that have no loss


class LossLogMixin:
    """Logs the training batches ("online") and the evaluation batches of every epoch.

        class LoggingTrainer(LossLogMixin, Trainer): ...

    The data sets have a column "id" of whole numbers. Classifiers are logged by their logits; models with
    logits per token by the mean loss of each sequence's tokens (shifted by one for causal models): override
    `sample_losses` for anything else. With `eval_strategy="epoch"` the evaluation of each epoch is logged as
    validation rows; with "no" there are none. "steps" and `eval_on_start` are refused.

    Attributes:
        recorder: where to; a class or a caller may set another than the one in memory.
        id_column: its name.
    """

    recorder: LossRecorder | None = None
    id_column = "id"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.recorder = LossRecorder() if self.recorder is None else self.recorder
        if str(getattr(self.args.eval_strategy, "value", self.args.eval_strategy)) == "steps":
            raise UsageError('eval_strategy is "steps": losses are logged by epoch, take "epoch" or "no"')
        if getattr(self.args, "eval_on_start", False):  # not in all versions
            raise UsageError("eval_on_start is True: no epoch has begun then; set eval_on_start=False")
        self.add_callback(_EpochEnd(self))

    def _set_signature_columns_if_needed(self) -> None:
        super()._set_signature_columns_if_needed()
        if self.id_column not in self._signature_columns:
            self._signature_columns = [*self._signature_columns, self.id_column]

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, **kwargs: Any
    ) -> Any:
        """As the Trainer's, and log the samples."""
        ids, labels = inputs.pop(self.id_column, None), inputs.get("labels")
        loss, outputs = super().compute_loss(model, inputs, return_outputs=True, **kwargs)
        if self.is_in_train and labels is not None:
            if ids is None:
                raise UsageError(f"the data set needs a column {self.id_column!r} of row numbers")
            logits = outputs["logits"] if isinstance(outputs, dict) else outputs[1]
            if labels.is_floating_point() or logits.ndim > 2:
                found = {"losses": self.sample_losses(model, logits.detach(), labels)}
            else:
                found = {"logits": logits, "labels": labels}
            if model.training:
                self.recorder.log(ids, **found)
            else:
                self.recorder.log_val(ids=ids, **found)
        return (loss, outputs) if return_outputs else loss

    def sample_losses(self, model: Any, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """One loss per sample, (batch,): mean over tokens, over several labels (BCE), or squared error."""
        while inner := getattr(model, "module", getattr(model, "_orig_mod", None)):  # distributed, compiled
            model = inner
        if labels.is_floating_point():
            kind = getattr(getattr(model, "config", None), "problem_type", None)
            loss = BCE if kind == "multi_label_classification" else functional.mse_loss
            given = (values.reshape(len(labels), -1).float() for values in (logits, labels))
            return loss(*given, reduction="none").mean(dim=1)
        if type(model).__name__.endswith(("ForCausalLM", "LMHeadModel")):
            logits, labels = logits[:, :-1], labels[:, 1:]
        losses = functional.cross_entropy(
            logits.flatten(0, 1).float(), labels.flatten(), ignore_index=IGNORED, reduction="none"
        )
        counted = (labels != IGNORED).sum(dim=1).clamp(min=1)
        return losses.view(labels.shape).sum(dim=1) / counted


class _EpochEnd(TrainerCallback):
    """Closes the recorder's epoch: after the evaluation where there is one."""

    def __init__(self, trainer: LossLogMixin) -> None:
        self.trainer = trainer

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if not control.should_evaluate:
            self.trainer.recorder.end_epoch()

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self.trainer.recorder.is_open:
            self.trainer.recorder.end_epoch()
