"""Scores of all candidates from those of a share of them: nearest neighbours in feature space."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch

from deepcore.common.checks import MissingSignal, UsageError
from deepcore.common.resources import Memory
from deepcore.proxy.run import ProxyRun
from deepcore.proxy.signals import Signal, stored
from deepcore.scoring.extrapolation import weighted_means
from deepcore.scoring.neighbours import BLOCK_BYTES, nearest_neighbours

NEIGHBOURS = 20  # of the 10 to 100 that the paper's authors tried


def check_share(share: float) -> None:
    """Raise UsageError unless `share` is in (0, 1)."""
    number = isinstance(share, (int, float)) and not isinstance(share, bool)
    if not number or not 0 < share < 1:
        raise UsageError(
            f"extrapolate is {share!r}: it is the share of the candidates that is scored, above 0 and below 1"
        )


@dataclass(frozen=True)
class Spread:
    """How values of the scored rows reach all candidates.

    A scored row keeps its value. Any other row gets the mean of its NEIGHBOURS nearest scored rows, weighted
    by exp(-distance), in the features of the network that the scored rows trained.

    Attributes:
        size: N.
        scored, others: positions among the candidates of the scored rows (n,) and of the others (m,).
        neighbours, distances: (m, k) positions among the scored rows, nearest first.
    """

    size: int
    scored: np.ndarray
    others: np.ndarray
    neighbours: np.ndarray
    distances: np.ndarray

    @classmethod
    def of(cls, pool: ProxyRun, own: ProxyRun, device: torch.device) -> Spread:
        """From the run `own` on a share of the candidates of `pool`; MissingSignal without features."""
        whole = len(own.ids) == len(pool.ids)
        if own.rest_features is None and not whole:
            raise MissingSignal("this run holds no final features of the candidates it was not trained on")
        order = np.argsort(pool.ids)
        places = [order[np.searchsorted(pool.ids, ids, sorter=order)] for ids in (own.ids, own.rest_ids)]
        features = own.final_array(Signal.FEATURES)
        rest = features[:0] if whole else own.rest_features
        near = nearest_neighbours(features, NEIGHBOURS, queries=rest, device=device)
        return cls(len(pool.ids), *places, *near)

    def over(self, values: np.ndarray) -> np.ndarray:
        """(..., n) values of the scored rows to (..., N) float64."""
        out = np.empty((*values.shape[:-1], self.size))
        out[..., self.scored] = values
        out[..., self.others] = weighted_means(values, self.neighbours, self.distances)
        return out


def spread_memory(n: int, features: int) -> Memory:
    """Of `Spread`, for n candidates: both feature matrices, twice where float32 does not settle them."""
    return Memory(16 * n * (NEIGHBOURS + 2), 32 * n * features + 2 * BLOCK_BYTES)


def run_for_sampler(
    pool: ProxyRun, own: ProxyRun, needs: Iterable[Signal], mode: str, device: torch.device
) -> ProxyRun:
    """`pool` with what a sampler reads: trajectories extrapolated as scores are, the validation rows as they
    are. Of the loss it is the probability exp(-loss) that is averaged."""
    wanted = stored(needs)
    trajectories = {}
    if wanted:
        spread = Spread.of(pool, own, device)
        for signal in wanted:
            rows = own.trajectory(signal, mode)
            if signal is Signal.LOSS:
                values = -np.log(np.maximum(spread.over(np.exp(-rows.astype(np.float64))), 1e-300))
            else:
                values = spread.over(rows)
            trajectories[mode, signal] = values.astype(np.float32)
    return dataclasses.replace(
        pool, trajectories=trajectories, has_initial=False, val_final=own.val_final, val_labels=own.val_labels
    )
