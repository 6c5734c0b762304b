"""The signals that a proxy run records per sample, and the functions that compute them from logits."""

from __future__ import annotations

import enum
from collections.abc import Iterable

import torch


class Signal(str, enum.Enum):
    """A recorded quantity. Trajectories are (T+1, N) float32; row t holds the value after t epochs.

    LOSS      cross-entropy -log p_y, >= 0
    MARGIN    z_y - max_{j != y} z_j, over logits
    MARGIN_P  p_y - max_{j != y} p_j, over probabilities, in [-1, 1]
    EL2N      || p - onehot(y) ||_2, in [0, sqrt 2]
    GRAND     norm of the last layer's gradient, || p - onehot(y) ||_2 * sqrt(1 + ||h||^2)
    KL_STEP   sum_c | p_t (log(p_t + 1e-8) - log(p_{t-1} + 1e-8)) |; NaN where there is no row t-1
    P_TRUE    exp(-LOSS), in [0, 1]; derived, not stored
    CORRECT   1 where MARGIN > 0, else 0; derived, not stored
    OTHER     the strongest other class, argmax_{j != y} z_j; of logs of other loops, -1 where unknown
    LOGITS    (N, C), after the last step
    FEATURES  (N, D) penultimate features, after the last step
    WEIGHTS   the network itself after the last step, for methods that put rows through it
    """

    LOSS = "loss"
    MARGIN = "margin"
    MARGIN_P = "margin_p"
    EL2N = "el2n"
    GRAND = "grand"
    KL_STEP = "kl_step"
    P_TRUE = "p_true"
    CORRECT = "correct"
    OTHER = "other"
    LOGITS = "logits"
    FEATURES = "features"
    WEIGHTS = "weights"

    @property
    def stored(self) -> frozenset[Signal]:
        """The stored signals that this one is read or derived from."""
        return frozenset({{Signal.P_TRUE: Signal.LOSS, Signal.CORRECT: Signal.MARGIN}.get(self, self)})


TRAJECTORIES = (Signal.LOSS, Signal.MARGIN, Signal.MARGIN_P, Signal.EL2N, Signal.GRAND, Signal.KL_STEP)
FINAL = (Signal.LOGITS, Signal.FEATURES)  # one array a row each
EPS = 1e-8  # TDDS's guard inside its logarithms


def stored(signals: Iterable[Signal]) -> frozenset[Signal]:
    """The stored signals that these are read or derived from."""
    return frozenset().union(*(signal.stored for signal in signals))


def signals_from_logits(
    logits: torch.Tensor,
    labels: torch.Tensor,
    wanted: frozenset[Signal],
    *,
    feature_norm2: torch.Tensor | None = None,
    before: torch.Tensor | None = None,
) -> dict[Signal, torch.Tensor]:
    """The wanted scalars of one checkpoint.

    Args:
        logits: z, (N, C), floating.
        labels: y, (N,) int64.
        wanted: stored trajectory signals to return.
        feature_norm2: ||h||^2, (N,); needed for GRAND.
        before: the same samples' logits one checkpoint earlier, (N, C); without it KL_STEP is NaN.

    Returns:
        Each wanted signal as (N,) float32 on the device of `logits`.
    """
    z = logits.float()
    log_p = torch.log_softmax(z, dim=1)
    y = labels.view(-1, 1)
    out: dict[Signal, torch.Tensor] = {}
    if Signal.LOSS in wanted:
        out[Signal.LOSS] = log_p.gather(1, y).squeeze(1).neg() + 0.0  # + 0.0: no negative zero
    if Signal.MARGIN in wanted:
        out[Signal.MARGIN] = _margin(z, y)
    if Signal.OTHER in wanted:
        out[Signal.OTHER] = z.scatter(1, y, float("-inf")).argmax(dim=1).float()
    if wanted & {Signal.MARGIN_P, Signal.EL2N, Signal.GRAND, Signal.KL_STEP}:
        p = log_p.exp()
        if Signal.MARGIN_P in wanted:
            out[Signal.MARGIN_P] = _margin(p, y)
        if wanted & {Signal.EL2N, Signal.GRAND}:
            error = p.scatter_add(1, y, torch.full_like(y, -1, dtype=p.dtype)).norm(dim=1)
            if Signal.EL2N in wanted:
                out[Signal.EL2N] = error
            if Signal.GRAND in wanted:
                if feature_norm2 is None:
                    raise ValueError(
                        "GRAND needs feature_norm2, the squared norms of the penultimate features"
                    )
                out[Signal.GRAND] = error * (1.0 + feature_norm2.float()).sqrt()
        if Signal.KL_STEP in wanted:
            if before is None:
                out[Signal.KL_STEP] = torch.full_like(z[:, 0], float("nan"))
            else:
                q = torch.softmax(before.float(), dim=1)
                out[Signal.KL_STEP] = (p * ((p + EPS).log() - (q + EPS).log())).abs().sum(dim=1)
    return out


def _margin(values: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """values_y - max_{j != y} values_j, (N,)."""
    if values.shape[1] == 1:
        return values[:, 0]
    others = values.scatter(1, y, float("-inf"))
    return values.gather(1, y).squeeze(1) - others.amax(dim=1)
