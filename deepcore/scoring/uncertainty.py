"""How unsure a prediction is: the largest probability, the entropy, the margin between the first two classes.

Logits (N, C) may be memory-mapped. They are read in blocks of rows and the softmax is in float64.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch

BLOCK = 1 << 22  # numbers in work at once (32 MB in float64)


def max_probability(logits: np.ndarray) -> np.ndarray:
    """max_c p_c, (N,) float64 in [1/C, 1]; low is unsure."""
    return _of_rows(logits, lambda log_p: log_p.amax(dim=1).exp())


def entropy(logits: np.ndarray) -> np.ndarray:
    """-sum_c p_c log p_c, (N,) float64 in [0, log C], in nats; high is unsure."""
    return _of_rows(logits, lambda log_p: -(log_p.exp() * log_p).sum(dim=1) + 0.0)  # + 0.0: no negative zero


def first_two_margin(logits: np.ndarray) -> np.ndarray:
    """p(1) - p(2), the two largest probabilities, (N,) float64 in [0, 1]; low is unsure. 1 with one class.

    The label plays no part, unlike in the signal MARGIN_P.
    """

    def margin(log_p: torch.Tensor) -> torch.Tensor:
        if log_p.shape[1] == 1:
            return log_p[:, 0].exp()
        first, second = log_p.topk(2, dim=1).values.T
        return first.exp() * -torch.expm1(second - first)

    return _of_rows(logits, margin)


def log_probabilities(logits: np.ndarray) -> torch.Tensor:
    """log softmax of logits (n, C) in float64."""
    return torch.log_softmax(torch.from_numpy(np.array(logits, dtype=np.float64)), dim=1)


def row_blocks(rows: int, numbers: int) -> Iterator[slice]:
    """Slices of `rows` rows, of so many numbers each, that fit a block of work."""
    step = max(1, BLOCK // max(numbers, 1))
    return (slice(start, min(start + step, rows)) for start in range(0, rows, step))


def _of_rows(logits: np.ndarray, measure: Callable[[torch.Tensor], torch.Tensor]) -> np.ndarray:
    """`measure` of the log probabilities, block by block."""
    out = np.empty(len(logits))
    for part in row_blocks(*logits.shape):
        out[part] = measure(log_probabilities(logits[part])).numpy()
    return out
