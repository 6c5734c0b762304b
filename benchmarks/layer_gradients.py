"""Gradients of single samples in a network of one hidden ReLU layer, without ever forming them.

Weights are two matrices, (H, D+1) and (C, H+1), whose first column is the bias. In each layer the gradient of
a sample's loss is `errors_i outer inputs_i`, so norms and inner products need the factors alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional

from deepcore.nets import networks as nets

Matrices = tuple[torch.Tensor, torch.Tensor]  # weights, or a gradient of them


@dataclass(frozen=True)
class Gradients:
    """Loss gradients of n samples: errors (n, H), (n, C) and inputs (n, D+1), (n, H+1) of the two layers."""

    errors: Matrices
    inputs: Matrices

    @classmethod
    def of(cls, weights: Matrices, x: torch.Tensor, y: torch.Tensor) -> Gradients:
        """At these weights, of inputs x (n, D) and labels y (n,)."""
        inputs, hidden, logits = _forward(weights, x)
        errors = torch.softmax(logits, dim=1)
        errors[torch.arange(len(y)), y] -= 1
        below = (errors @ weights[1][:, 1:]) * (hidden[:, 1:] > 0)
        return cls((below, errors), (inputs, hidden))

    def mean(self) -> Matrices:
        """The gradient of the mean loss."""
        first, last = (e.T @ x / len(e) for e, x in zip(self.errors, self.inputs, strict=True))
        return first, last

    def along(self, v: Matrices) -> torch.Tensor:
        """<g_i, v>, (n,)."""
        return sum(((x @ m.T) * e).sum(1) for e, x, m in zip(self.errors, self.inputs, v, strict=True))

    def norms(self) -> torch.Tensor:
        """||g_i||, (n,)."""
        squares = (
            e.square().sum(1) * x.square().sum(1) for e, x in zip(self.errors, self.inputs, strict=True)
        )
        return sum(squares).sqrt()


def _forward(weights: Matrices, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    inputs = functional.pad(x, (1, 0), value=1.0)
    hidden = functional.pad(torch.relu(inputs @ weights[0].T), (1, 0), value=1.0)
    return inputs, hidden, hidden @ weights[1].T


def logits_of(weights: Matrices, x: torch.Tensor) -> torch.Tensor:
    """(n, C)."""
    return _forward(weights, x)[2]


def initial(shape: tuple[int, ...], num_classes: int, seed: int) -> Matrices:
    """The weights of a new MLP of the project, float64."""
    net = nets.build("MLP", shape, num_classes, seed=seed)
    layers = (net.body[1], net.head)
    first, last = (torch.cat([m.bias[:, None], m.weight], dim=1).detach().double() for m in layers)
    return first, last


def minus(a: Matrices, b: Matrices, scale: float = 1.0) -> Matrices:
    """a - scale * b."""
    return a[0] - scale * b[0], a[1] - scale * b[1]


def norm(v: Matrices) -> float:
    """||v||."""
    return float(torch.sqrt(sum(m.square().sum() for m in v)))


def top_curvature(weights: Matrices, x: torch.Tensor, y: torch.Tensor, iterations: int = 20) -> float:
    """The largest absolute eigenvalue of the mean loss's Hessian, from below, by power iteration."""

    def gradient(*w: torch.Tensor) -> Matrices:
        return Gradients.of(w, x, y).mean()

    generator = torch.Generator().manual_seed(0)
    v = tuple(torch.randn(m.shape, generator=generator, dtype=m.dtype) for m in weights)
    size = 0.0
    for _ in range(iterations):
        length = norm(v)
        v = tuple(m / length for m in v)
        _, v = torch.func.jvp(gradient, weights, v)
        size = norm(v)
    return size
