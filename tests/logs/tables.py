"""One small log in every form."""

from __future__ import annotations

import csv
import io

import numpy as np

N, Q, T, C = 13, 6, 5, 3
RNG = np.random.default_rng(0)
IDS = RNG.permutation(100)[:N]
LABELS, VAL_LABELS = np.arange(N) % C, np.arange(Q) % C
LOSSES = RNG.exponential(1, (T, N)).astype(np.float32)
VAL = RNG.exponential(1, (T, Q)).astype(np.float32)
MARGIN = RNG.normal(0, 1, (T, N)).astype(np.float32)
PREDICTED = RNG.integers(0, C, (T, N))
HEADER = ["id", "epoch", "split", "label", "loss", "margin", "predicted"]


def rows(*, text: bool = False, first_epoch: int = 1, shuffled: bool = True) -> list[list[object]]:
    """The cells of the long table, (T * (N + Q)) rows; with `text`, ids and labels are text."""

    def name(i: int) -> object:
        return f"img/{i:03}.png" if text else int(i)

    def kind(c: int) -> object:
        return ("cat", "dog", "eel")[c] if text else int(c)

    found = []
    for t in range(T):
        for n in range(N):
            found.append([name(IDS[n]), t + first_epoch, "train", kind(LABELS[n]), float(LOSSES[t, n]),
                          float(MARGIN[t, n]), kind(PREDICTED[t, n])])  # fmt: skip
        for q in range(Q):
            found.append([name(q), t + first_epoch, "val", kind(VAL_LABELS[q]), float(VAL[t, q]), None, None])
    if shuffled:
        found = [found[i] for i in np.random.default_rng(1).permutation(len(found))]
    return found


def csv_text(lines: list[list[object]], header: list[str] = HEADER) -> str:
    """As CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(["" if cell is None else cell for cell in line] for line in lines)
    return text.getvalue()
