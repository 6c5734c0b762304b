"""XGBoost and LightGBM: the losses of every sample after each round, or each few."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from deepcore.common.checks import check_labels, check_positive
from deepcore.logs.recorder import LossRecorder

Losses = Callable[[np.ndarray, np.ndarray], np.ndarray]  # raw predictions, labels -> one loss per sample
WHERE = "without loss=... (give one for regression and ranking)"
REWEIGHTED = {"dart", "rf", "random_forest"}  # boosting of LightGBM that changes the weights of earlier trees


def xgboost_log(
    recorder: LossRecorder, train: Any, val: Any, *, loss: Losses | None = None, every: int = 1
) -> Any:
    """A callback for `xgboost.train(..., callbacks=[...])`.

    Args:
        recorder: where to; a round is an epoch.
        train, val: DMatrix with labels.
        loss: of raw predictions and labels, for regression and ranking; None for classes (logits).
        every: log each so many rounds.
    """
    import xgboost

    check_positive("every", every, whole=True)

    class Log(xgboost.callback.TrainingCallback):
        def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
            if (epoch + 1) % every == 0:
                # `epoch` counts from 0 where a model goes on
                trees = {"output_margin": True, "iteration_range": (0, model.num_boosted_rounds())}
                raw, raw_val = (model.predict(part, **trees) for part in (train, val))
                _log(recorder, raw, train.get_label(), raw_val, val.get_label(), loss)
            return False

    return Log()


def lightgbm_log(
    recorder: LossRecorder,
    train: tuple[Any, Any],
    val: tuple[Any, Any],
    *,
    loss: Losses | None = None,
    every: int = 1,
) -> Callable[[Any], None]:
    """A callback for `lightgbm.train(..., callbacks=[...])`.

    Args:
        recorder, loss, every: as for `xgboost_log`.
        train, val: (x, y).
    """
    check_positive("every", every, whole=True)
    raw: dict[str, np.ndarray] = {}  # the trees so far; only the new ones are run

    def log(env: Any) -> None:
        trees_stay = not REWEIGHTED & {str(value) for value in env.params.values()}
        if env.iteration == env.begin_iteration:
            raw.clear()  # of a model trained before this one
        for name, (x, _) in (("train", train), ("val", val)):
            known = name in raw and trees_stay
            first = env.iteration if known else 0  # all of them where a model is trained further
            new = env.model.predict(
                x, raw_score=True, start_iteration=first, num_iteration=env.iteration + 1 - first
            )
            raw[name] = raw[name] + new if known else np.asarray(new)
        if (env.iteration + 1) % every == 0:
            _log(recorder, raw["train"], np.asarray(train[1]), raw["val"], np.asarray(val[1]), loss)

    return log


def _log(
    recorder: LossRecorder,
    raw: np.ndarray,
    labels: np.ndarray,
    raw_val: np.ndarray,
    val_labels: np.ndarray,
    loss: Losses | None,
) -> None:
    """One round as an epoch."""
    ids = np.arange(len(labels)) if recorder.ids is None else recorder.ids
    if loss is not None:
        recorder.log(ids, loss(raw, labels))
        recorder.log_val(loss(raw_val, val_labels))
    else:
        recorder.log(ids, logits=_logits(raw), labels=check_labels(labels, None, WHERE))
        recorder.log_val(logits=_logits(raw_val), labels=check_labels(val_labels, None, WHERE))
    recorder.end_epoch()


def _logits(raw: np.ndarray) -> np.ndarray:
    """(n, C); one raw prediction for two classes is the second one's logit."""
    return raw if raw.ndim == 2 else np.stack([np.zeros_like(raw), raw], axis=1)
