"""The entry of a result row on flipped labels."""

from __future__ import annotations

from typing import Any

import numpy as np

from deepcore.data.label_noise import LabelNoise
from deepcore.selection.selection import Selection


def noise_record(
    noise: LabelNoise, flipped: np.ndarray, ids: np.ndarray, selection: Selection
) -> dict[str, Any]:
    """The entry of a result row on flipped labels; empty without label noise.

    Args:
        noise: the rates.
        flipped: ids of the flipped candidates.
        ids: (N,) of all candidates.
        selection: what was selected, with its scores if it has some.

    Returns:
        {"train", "val"}: the rates; "flipped": number of flipped candidates; "kept": how many of them the
        selection holds; "auroc": the probability that a flipped candidate has a higher score than a clean
        one (ties count half), in [0, 1], None without scores or without either kind. Far from 1/2 in either
        direction the score finds wrong labels.
    """
    if not noise:
        return {}
    wrong = np.isin(ids, flipped)
    auroc = None
    if selection.scores is not None and wrong.any() and not wrong.all():
        from sklearn.metrics import roc_auc_score  # a second to import, for few commands

        auroc = float(roc_auc_score(wrong, selection.scores))
    kept = int(np.isin(selection.rows, flipped).sum())
    return {"train": noise.train, "val": noise.val, "flipped": len(flipped), "kept": kept, "auroc": auroc}
