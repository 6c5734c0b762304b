"""Gradients of single rows in the last layer, without ever forming them.

With h the penultimate features, x = [1, h], p = softmax(logits) and r = p - onehot(y), the gradient of a
row's own loss in the last layer is `g_i = r_i outer x_i`, C x (D+1); hence `<g_i, v> = r_i . (v x_i)` and
`||g_i|| = ||r_i|| ||x_i||`. Everything is in float64.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from deepcore.common.checks import UsageError
from deepcore.proxy.run import ProxyRun
from deepcore.proxy.signals import Signal
from deepcore.scoring.neighbours import full_precision

EQUAL = 1e-12  # gains closer than this share of max ||g_i|| ||v|| are ties: equal rows may round differently
PROBES = 32
ROWS = 1024  # turned to float32 at once
MOST = 1 / 8  # when more candidates than this share may be the best, all are computed anew


@dataclass(frozen=True)
class LastLayer:
    """Rows as the last layer sees them: inputs x = [1, h] (n, D+1), logits and errors r (n, C), labels
    (n,)."""

    inputs: torch.Tensor
    logits: torch.Tensor
    labels: torch.Tensor
    errors: torch.Tensor

    @classmethod
    def of(cls, run: ProxyRun, rows: np.ndarray, device: torch.device, *, val: bool) -> LastLayer:
        """The rows at positions `rows` of the candidates, or of the validation rows.

        Raises:
            MissingSignal: the run has no final logits or features of them.
            UsageError: some are not finite.
        """
        logits = final_rows(run, Signal.LOGITS, rows, device, val=val).double()
        features = final_rows(run, Signal.FEATURES, rows, device, val=val)
        labels = torch.tensor((run.val_labels if val else run.labels)[rows], device=device)
        inputs = torch.ones(len(rows), features.shape[1] + 1, dtype=torch.float64, device=device)
        inputs[:, 1:] = features
        return cls(inputs, logits, labels, errors_of(logits, labels))

    def norms(self) -> torch.Tensor:
        """||g_i||, (n,)."""
        return self.errors.norm(dim=1) * self.inputs.norm(dim=1)

    def products(self, v: torch.Tensor, rows: torch.Tensor | slice = slice(None)) -> torch.Tensor:
        """<g_i, v> of `rows`, for v (C, D+1)."""
        return (self.inputs[rows] @ v.T).mul_(self.errors[rows]).sum(dim=1)


def final_rows(
    run: ProxyRun, signal: Signal, rows: np.ndarray, device: torch.device, *, val: bool = False
) -> torch.Tensor:
    """The final logits or features, as stored, at positions `rows` of the candidates, or of the validation
    rows.

    Raises:
        MissingSignal: the run has none of them.
        UsageError: some are not finite.
    """
    values = torch.as_tensor(np.asarray(run.final_array(signal, val=val)[rows]), device=device)
    if not values.isfinite().all():
        whose = "validation rows" if val else "candidates"
        raise UsageError(f"the final {signal.value} of some {whose} are not finite numbers")
    return values


def errors_of(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """r = softmax(logits) - onehot(y), (n, C); at the label minus the sum of the others, so that nothing
    cancels where p_y is almost 1."""
    errors = torch.softmax(logits, dim=1).scatter_(1, labels[:, None], 0.0)
    return errors.scatter_(1, labels[:, None], -errors.sum(dim=1, keepdim=True))


class MovedGradient:
    """The gradient of the mean loss of some rows, as the last layer moves by -eta * step(picked gradients).

    Args:
        rows: whose loss it is.
        eta: length of the step.
        step: "mean" or "sum" of the picked gradients.
    """

    def __init__(self, rows: LastLayer, eta: float, step: str) -> None:
        self.rows, self.eta, self.step = rows, eta, step
        self.picked = 0
        self.shift = torch.zeros_like(rows.logits)  # their logits under the sum of the picked gradients

    def add(self, error: torch.Tensor, inputs: torch.Tensor) -> None:
        """Count a pick with error r (C,) and inputs x (D+1,): its gradient gives row j logits (x_j . x) r."""
        self.shift.addr_(self.rows.inputs @ inputs, error)
        self.picked += 1

    def gradient(self) -> torch.Tensor:
        """v, (C, D+1)."""
        size = max(self.picked, 1) if self.step == "mean" else 1
        errors = errors_of(self.rows.logits - self.eta / size * self.shift, self.rows.labels)
        return errors.T @ self.rows.inputs / len(errors)


class Argmax:
    """The unpicked candidate of the largest <g_i, v>, for a v that may move from call to call; ties to the
    first.

    Products of all are computed in float32, and again only when v has moved far: by Cauchy-Schwarz no product
    is larger than that one by more than `||g_i|| (||v - v'|| + rounding ||v'||)`, v' being where it was
    computed. Those whose ceiling reaches the best known product are computed in float64, and these decide;
    the answer is that of all.
    """

    def __init__(self, candidates: LastLayer) -> None:
        self.candidates = candidates
        self.norms = candidates.norms()
        self.picked = torch.zeros(len(self.norms), dtype=torch.bool, device=self.norms.device)
        self.errors, self.error_scale = _single(candidates.errors)
        self.inputs, self.input_scale = _single(candidates.inputs)
        terms = candidates.errors.shape[1] + candidates.inputs.shape[1]
        self.rounding = (terms + 16) * torch.finfo(torch.float32).eps
        self.known: torch.Tensor | None = None  # products at self.at, about; -inf for the picked

    def pick(self, v: torch.Tensor) -> int:
        """The position of the best; it counts as picked from now on."""
        slack = EQUAL * self.norms.max() * v.norm()
        rows = None if self.known is None else self._possible(v, slack)
        if rows is None or len(rows) > max(MOST * len(self.norms), PROBES):
            self._compute(v)
            rows = self._possible(v, slack)
        gains = self.candidates.products(v, rows)
        best = int(rows[first_of_largest(gains, slack)])
        self.picked[best] = True
        self.known[best] = float("-inf")
        return best

    def _compute(self, v: torch.Tensor) -> None:
        """The products of all, in float32."""
        single, scale = _single(v)
        with full_precision():
            products = (self.inputs @ single.T).mul_(self.errors).sum(dim=1).double()
        self.known = products.mul_(scale * self.error_scale * self.input_scale)
        self.known.masked_fill_(self.picked, float("-inf"))
        self.at = v

    def _possible(self, v: torch.Tensor, slack: torch.Tensor) -> torch.Tensor:
        """The positions, ascending, that may be the best or tie with it."""
        ceilings = self.known + self.norms * ((v - self.at).norm() + self.rounding * self.at.norm())
        left = len(ceilings) - int(self.picked.sum())
        probes = ceilings.topk(min(PROBES, left)).indices
        reached = self.candidates.products(v, probes).max()
        return (ceilings >= reached - 2 * slack).nonzero().flatten()


def _single(values: torch.Tensor) -> tuple[torch.Tensor, float]:
    """In float32 with the largest at 1, so that its range loses no more than rounding does; and the scale."""
    scale = largest(values) or 1.0
    single = torch.empty_like(values, dtype=torch.float32)
    for part, whole in zip(single.split(ROWS), values.split(ROWS), strict=True):  # no second copy in float64
        part.copy_(whole / scale)
    return single, scale


def largest(values: torch.Tensor) -> float:
    """The largest absolute value."""
    low, high = values.aminmax()
    return max(-float(low), float(high))


def first_of_largest(gains: torch.Tensor, slack: torch.Tensor | float) -> torch.Tensor:
    """The first position whose gain is within `slack` of the largest."""
    return (gains >= gains.max() - slack).to(torch.uint8).argmax()
