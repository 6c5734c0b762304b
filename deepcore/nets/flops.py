"""FLOPs of one example through a network, counted by torch; a multiply-add is 2."""

from __future__ import annotations

import copy

import torch
from torch.utils.flop_counter import FlopCounterMode

from deepcore.nets.net import Net

_BATCH = 2  # batch normalisation needs more than one row


def flops_per_example(net: Net, shape: tuple[int, ...]) -> dict[str, int]:
    """{"forward", "backward"}: FLOPs of one example of `shape`, in training mode.

    Matrix products and convolutions are counted, element-wise work is not. Nothing is computed and `net` is
    left as it is: a copy without data ("meta") is traced.
    """
    shadow = copy.deepcopy(net).to("meta").train()
    counts = {}
    with FlopCounterMode(display=False) as counter:
        logits = shadow(torch.empty(_BATCH, *shape, device="meta"))
        counts["forward"] = counter.get_total_flops() // _BATCH
        logits.sum().backward()
        counts["backward"] = counter.get_total_flops() // _BATCH - counts["forward"]
    return counts
