"""Correlation of loss differences, shared by CLD, LTC and the pairwise influence.

Notation: losses l, (T+1, M), one column a sample; differences d[t] = l[t+1] - l[t], (T, M). The trajectory of
a sample *varies* unless max(d) - min(d) <= 1e-6 * max|l|; one that does not vary has no correlation and
counts as 0. All sums are float64 over centred differences, taken column by column in the order of the
checkpoints, so that the score of a sample does not depend on how samples are divided into blocks.
"""

from __future__ import annotations

import numpy as np

from deepcore.common.checks import UsageError

CORRELATIONS = ("pearson", "spearman")
FLAT = 1e-6  # of max|l|: float32 losses carry about 6e-8, so less than this is their rounding
LEAST = 3  # differences; two always correlate at +1 or -1


def check_length(differences: int, where: str) -> None:
    """Raise UsageError, naming `where`, for fewer than three differences."""
    if differences < LEAST:
        raise UsageError(
            f"{where}: {max(differences, 0)} loss differences per sample, at least {LEAST} are needed "
            "(two always correlate at +1 or -1): record more epochs, raise first, or lower every"
        )


def does_not_vary(losses: np.ndarray) -> np.ndarray:
    """Which columns of `losses`, (T+1, M), have differences that do not vary; (M,) bool. NaN varies."""
    losses = np.asarray(losses, dtype=np.float64)
    differences = np.diff(losses, axis=0)
    return np.ptp(differences, axis=0) <= FLAT * np.abs(losses).max(axis=0)


def standardise(losses: np.ndarray, correlation: str = "pearson") -> tuple[np.ndarray, np.ndarray]:
    """Differences with mean 0 and norm 1 in each column: the product of two columns is their correlation.

    Args:
        losses: l, (T+1, M).
        correlation: "pearson", or "spearman" for the average ranks of the differences instead of their
            values.

    Returns:
        (T, M) float64, and which columns do not vary, (M,) bool; those are 0.
    """
    losses = np.asarray(losses, dtype=np.float64)
    flat = does_not_vary(losses)
    z = np.diff(losses, axis=0)
    if correlation == "spearman":
        from scipy.stats import rankdata  # a second to import, for one option

        z = rankdata(z, axis=0)
    z -= z.mean(axis=0)
    z[:, flat] = 0.0
    norm = np.sqrt(np.square(z).sum(axis=0))
    norm[flat] = 1.0
    z /= norm
    return z, flat


def correlate(
    losses: np.ndarray,
    reference: np.ndarray,
    labels: np.ndarray,
    *,
    correlation: str = "pearson",
    batch: int = 32768,
) -> tuple[np.ndarray, np.ndarray]:
    """Each sample's correlation with the reference of its class: sum_t z_m[t] * reference[t, y_m].

    Reads `losses` once. Memory beyond it: about 80 * batch bytes ("spearman": 40 * T * min(batch, 2048)), and
    the result.

    Args:
        losses: l, (T+1, N), float; may be memory-mapped.
        reference: (T, C), columns with mean 0 (of norm 1, or a mean of such columns).
        labels: y, (N,) int64 in 0..C-1.
        correlation: "pearson" or "spearman"; the reference comes from the same.
        batch: samples per block; changes memory and speed, never the result.

    Returns:
        Scores in [-1, 1], (N,) float64, and which samples do not vary, (N,) bool; those score 0.
    """
    block_scores = _spearman_block if correlation == "spearman" else _pearson_block
    if correlation == "spearman":
        batch = min(batch, 2048)  # its (T, batch) arrays are best left in the cache
    reference = np.ascontiguousarray(reference, dtype=np.float64)
    losses = np.asarray(losses)  # every slice of a np.memmap costs its bookkeeping
    count = losses.shape[1]
    scores, flat = np.empty(count), np.empty(count, dtype=bool)
    for start in range(0, count, batch):
        block = slice(start, min(start + batch, count))
        scores[block], flat[block] = block_scores(losses[:, block], reference, labels[block])
    np.clip(scores, -1.0, 1.0, out=scores)  # rounding may leave 1 + 2e-16
    scores[flat] = 0.0
    return scores, flat


def _pearson_block(
    losses: np.ndarray, reference: np.ndarray, labels: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Row by row, so that all of it stays in the cache; the mean of the differences is known beforehand."""
    count = len(reference)
    mean = (losses[-1].astype(np.float64) - losses[0]) / count
    before, after = losses[0].astype(np.float64), np.empty_like(mean)
    row, product = np.empty_like(mean), np.empty_like(mean)
    squares, dot = np.zeros_like(mean), np.zeros_like(mean)
    for loss, of_class in zip(losses[1:], reference, strict=True):
        after[...] = loss
        np.subtract(after, before, out=row)
        row -= mean
        np.take(of_class, labels, out=product, mode="clip")  # "clip": without it, take buffers its output
        product *= row
        dot += product
        row *= row
        squares += row
        before, after = after, before
    # A spread of twice the threshold, |l| bounded by |l[0]| + sum|d|, needs no second look.
    with np.errstate(divide="ignore", invalid="ignore"):
        bound = np.abs(losses[0]) + np.sqrt(count * (squares + count * np.square(mean)))
        doubtful = np.flatnonzero(~(np.sqrt(squares / count) > FLAT * bound))
        scores = dot / np.sqrt(squares)
    flat = np.zeros(len(mean), dtype=bool)
    flat[doubtful] = does_not_vary(losses[:, doubtful])
    return scores, flat


def _spearman_block(
    losses: np.ndarray, reference: np.ndarray, labels: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    z, flat = standardise(losses, "spearman")
    scores = np.zeros(len(labels))
    for row, of_class in zip(z, reference, strict=True):
        scores += row * of_class[labels]
    return scores, flat
