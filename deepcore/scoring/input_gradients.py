"""The loss as a function of the input: its curvature, and steps to the decision boundary.

Networks are in eval mode: a row's loss then depends on its own input alone, and one backward pass of the
batch's sum gives every row its own gradient. Weights get no gradient. Everything has the inputs' type.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn import functional

Logits = Callable[[torch.Tensor], torch.Tensor]  # (B, *shape) -> (B, C)


def input_gradient(
    logits_of: Logits, inputs: torch.Tensor, labels: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The gradient of each row's cross-entropy in its own input, (B, *shape), and the logits (B, C)."""
    with torch.enable_grad():
        inputs = inputs.detach().requires_grad_()
        logits = logits_of(inputs)
        loss = functional.cross_entropy(logits, labels, reduction="sum")
        (gradient,) = torch.autograd.grad(loss, inputs)
    return gradient, logits.detach()


def curvature(
    logits_of: Logits, inputs: torch.Tensor, labels: torch.Tensor, directions: torch.Tensor, h: float
) -> torch.Tensor:
    """Curvature of the loss in the input: mean over directions v of ||grad l(x + h v) - grad l(x)||^2.

    Args:
        logits_of: the network in eval mode.
        inputs: x, (B, *shape); labels: (B,).
        directions: (R, *shape), entries +1 and -1, the same for every row.
        h: length of the step in each entry.

    Returns:
        (B,) float64, at least 0. It takes R + 1 forward and backward passes a row.
    """
    here, _ = input_gradient(logits_of, inputs, labels)
    total = torch.zeros(len(inputs), dtype=torch.float64, device=inputs.device)
    for direction in directions:
        there, _ = input_gradient(logits_of, inputs + h * direction, labels)
        total += (there - here).flatten(1).double().square().sum(dim=1)
    return total / len(directions)


def steps_to_flip(
    logits_of: Logits,
    inputs: torch.Tensor,
    labels: torch.Tensor,
    *,
    step: float,
    cap: int,
    count: Callable[[int], None] = lambda rows: None,
) -> torch.Tensor:
    """How many steps of size `step` along the sign of the loss's gradient turn a row's prediction wrong.

    It is projected gradient ascent in the L-infinity norm. The ball of radius step * cap, which no row can
    leave in `cap` steps, needs no projection, and nothing is clipped to the range of the data.

    Args:
        logits_of: the network in eval mode.
        inputs: (B, *shape); labels: (B,).
        step: length of a step in each entry of the input.
        cap: the most steps.
        count: told the number of rows of every forward and backward pass.

    Returns:
        (B,) int64 in 0..cap: 0 for a row that is wrong already (a tie with another class is wrong), `cap`
        for one that is right after cap - 1 steps.
    """
    steps = torch.full((len(inputs),), cap, dtype=torch.int64, device=inputs.device)
    rows = torch.arange(len(inputs), device=inputs.device)
    x, y = inputs.detach().clone(), labels
    for taken in range(cap):
        gradient, logits = input_gradient(logits_of, x, y)
        count(len(x))
        right = _ahead(logits, y)
        steps[rows[~right]] = taken
        rows, x, y = rows[right], x[right] + step * gradient[right].sign(), y[right]
        if not len(rows):
            break
    return steps


def _ahead(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Whether the label's logit is above all others, (B,) bool."""
    y = labels.view(-1, 1)
    others = logits.scatter(1, y, float("-inf")).amax(dim=1)
    return logits.gather(1, y).squeeze(1) > others
