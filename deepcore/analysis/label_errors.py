"""Which samples disagree with their labels, how many, and which class the model says instead."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from deepcore.proxy.run import ProxyRun
from deepcore.proxy.signals import Signal

MODE = "online"  # logs of other loops answer to either
OFTEN = 0.8  # share of the epochs in which the model disagrees with a wrong label; chosen on Digits
LEAST = 3  # epochs looked at
Z = 1.96  # of a 95% interval


@dataclass(frozen=True)
class Suspects:
    """All samples, the most suspicious first.

    Attributes:
        order: (N,) positions in the run; ties by lower id.
        combined: (N,) median over the scores of the rank among the N, a share in (0, 1]; low is suspicious.
        scores: {name: (N,)} as they were computed.
        suspicious: {name: "lowest" or "highest"}, which end of each is.
    """

    order: np.ndarray
    combined: np.ndarray
    scores: Mapping[str, np.ndarray]
    suspicious: Mapping[str, str]


def rank_suspects(
    scores: Mapping[str, np.ndarray], suspicious: Mapping[str, str], ids: np.ndarray
) -> Suspects:
    """Order samples by the median of their ranks, so that one score that is noise in a log does little harm.

    Args:
        scores: {name: (N,)}, at least one, finite.
        suspicious: {name: "lowest" or "highest"}.
        ids: (N,), for ties.
    """
    signed = (np.asarray(v) if suspicious[name] == "lowest" else -np.asarray(v) for name, v in scores.items())
    combined = np.median([rankdata(values) for values in signed], axis=0) / len(ids)
    return Suspects(np.lexsort((ids, combined)), combined, dict(scores), dict(suspicious))


@dataclass(frozen=True)
class WrongShare:
    """The estimated share of wrong labels.

    Attributes:
        estimate: share of the samples with which the model disagrees in more than OFTEN of the epochs; of
            those with a value in one of them.
        low, high: from the share of confident disagreement to that of disagreement on average, each with its
            sampling error at 95%. docs/audit.md says how often this interval held the true share.
        epochs: that were looked at, 1 to the one with the least validation loss.
    """

    estimate: float
    low: float
    high: float
    epochs: int


def wrong_share(run: ProxyRun) -> WrongShare | None:
    """Estimate how many labels are wrong; None without margins in them, validation losses or epochs.

    A network learns what is common before it learns single wrong labels by heart, and its validation loss
    turns up when it does. Epochs 1 to t*, the one with the least mean validation loss, are therefore looked
    at. The model disagrees with a label in an epoch when the margin is below 0. High: the mean margin over
    these epochs is below 0. Low: the mean probability of the strongest other class is above that of the label
    and above the mean probability that labels have (after confident learning, Northcutt et al. 2021); where
    the margins of probabilities were not logged, disagreement in every epoch. Wrong labels that follow a
    pattern which the model learns as well are not seen.
    """
    if not run.log.has_classes or not run.has(Signal.MARGIN, MODE) or run.epochs < LEAST:
        return None
    if Signal.LOSS not in run.val_trajectories and run.val_class_loss is None and run.val_mean_loss is None:
        return None
    if run.val_class_loss is not None:
        val = np.nanmean(run.val_class_means(), axis=1)
    else:
        val = run.val_mean()
    epochs = max(LEAST, int(np.argmin(val)) + 1)
    margins = _Means(run.trajectory(Signal.MARGIN, MODE)[:epochs])
    known = ~np.isnan(margins.mean)
    if not known.any():
        return None
    count, below = int(known.sum()), margins.below[known]
    estimate = float((below > OFTEN).mean())
    high = float((margins.mean[known] < 0).mean())
    low = _confident(run, epochs) if run.has(Signal.MARGIN_P, MODE) else float((below >= 1).mean())
    low, high = min(low, estimate), max(high, estimate)
    return WrongShare(estimate, _less(low, count), _more(high, count), epochs)


def _confident(run: ProxyRun, epochs: int) -> float:
    """Share of samples whose strongest other class is more probable than the label, and than labels are; of
    those with a value."""
    losses = run.trajectory(Signal.LOSS, MODE)[:epochs]
    label = _Means(losses, exponential=True).mean
    other = label - _Means(run.trajectory(Signal.MARGIN_P, MODE)[:epochs]).mean
    known = ~np.isnan(other)
    label, other, labels = label[known], other[known], run.labels[known]
    sizes = np.bincount(labels)
    usual = (np.bincount(labels, weights=label)[sizes > 0] / sizes[sizes > 0]).mean()
    return float(((other >= usual) & (other > label)).mean())


class _Means:
    """Of each column of (n, N), over its known values: the mean, and the share below 0. Row by row."""

    def __init__(self, rows: np.ndarray, *, exponential: bool = False) -> None:
        total, below, known = np.zeros((3, rows.shape[1]))
        for row in rows:
            there = ~np.isnan(row)
            values = np.where(there, np.exp(-row.astype(np.float64)) if exponential else row, 0.0)
            total += values
            below += values < 0
            known += there
        with np.errstate(invalid="ignore"):
            self.mean, self.below = total / known, below / known


def _less(share: float, count: int) -> float:
    return max(0.0, share - Z * math.sqrt(share * (1 - share) / count))


def _more(share: float, count: int) -> float:
    """With 3 / N where nothing was seen (the rule of three)."""
    return min(1.0, share + max(Z * math.sqrt(share * (1 - share) / count), 3 / count if share == 0 else 0.0))


def instead(run: ProxyRun, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Which class the model says instead of the label.

    Args:
        run: a log with the strongest other class of each epoch, or one that was made in one pass.
        positions: (n,) of the samples asked for.

    Returns:
        The class that was most often the strongest other one, (n,), -1 where none is known, and the share of
        the known epochs in which it was, (n,), NaN in one pass; None where it was not logged.
    """
    if "other" in run.log.summaries:
        return run.log.summaries["other"][positions], np.full(len(positions), np.nan)
    if not run.has(Signal.OTHER, MODE):
        return None
    votes = np.nan_to_num(run.trajectory(Signal.OTHER, MODE)[:, positions], nan=-1).astype(np.int64)
    classes, shares = np.full(len(positions), -1), np.full(len(positions), np.nan)
    for place, column in enumerate(votes.T):
        known = column[column >= 0]
        if known.size:
            counts = np.bincount(known)
            classes[place], shares[place] = counts.argmax(), counts.max() / known.size
    return classes, shares
