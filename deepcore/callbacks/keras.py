"""A Keras callback: a pass over all samples after each epoch, and over the untrained network if wanted."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from deepcore.common.checks import UsageError
from deepcore.logs.recorder import LossRecorder

LEAST = 1e-12  # of a probability


class LossLog(keras.callbacks.Callback):
    """Logs train and validation samples by predictions after each epoch ("post_epoch").

        recorder = LossRecorder(y_train, y_val, has_initial=True)
        model.fit(x_train, y_train, callbacks=[LossLog(recorder, (x_train, y_train), (x_val, y_val))])

    With `has_initial=True` the untrained network is logged first, which CLD as published reads.

    Outputs (n, C) for whole-number labels are logged as logits, whether the model gives logits or
    probabilities; anything else by the loss that the model was compiled with, one per sample.

    Args:
        recorder: where to.
        train: (x, y) of the samples that the recorder knows.
        val: (x, y) of the validation rows; None for none.
        ids: (N,) of the train samples; None for 0..N-1.
        batch_size: of the predictions.
    """

    def __init__(
        self,
        recorder: LossRecorder,
        train: tuple[Any, Any],
        val: tuple[Any, Any] | None = None,
        *,
        ids: Any = None,
        batch_size: int = 256,
    ) -> None:
        super().__init__()
        self.recorder, self.train, self.val, self.batch_size = recorder, train, val, batch_size
        self.ids = np.arange(len(train[1])) if ids is None else ids

    def on_train_begin(self, logs: Any = None) -> None:
        """Log the untrained network, if the recorder wants it and has no epoch yet."""
        if self.recorder.has_initial and not self.recorder.epochs:
            self.on_epoch_end(-1)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Predict, log, close the epoch."""
        self.recorder.log(self.ids, **self._found(*self.train))
        if self.val is not None:
            self.recorder.log_val(**self._found(*self.val))
        self.recorder.end_epoch()

    def _found(self, x: Any, y: Any) -> dict[str, Any]:
        outputs = keras.ops.convert_to_numpy(self.model.predict(x, batch_size=self.batch_size, verbose=0))
        y = np.asarray(y)
        if outputs.ndim == 2 and outputs.shape[1] > 1 and y.ndim == 1 and y.dtype.kind in "iu":
            return {"logits": _logits(outputs), "labels": y}
        loss = keras.losses.get(self.model.loss)
        if loss is None:
            raise UsageError("the model was compiled without a loss: compile it with one")
        of_sample = loss.call if isinstance(loss, keras.losses.Loss) else loss
        losses = keras.ops.convert_to_numpy(of_sample(y.reshape(len(y), -1), outputs.reshape(len(y), -1)))
        return {"losses": losses.reshape(len(y), -1).mean(axis=1)}


def _logits(outputs: np.ndarray) -> np.ndarray:
    """Logits as they are; of probabilities their logarithms, which have the same softmax."""
    is_probability = (outputs >= 0).all() and np.allclose(outputs.sum(axis=1), 1, atol=1e-4)
    return np.log(np.maximum(outputs, LEAST)) if is_probability else outputs
