"""Networks that give logits and penultimate features, their table `NETS`, and their FLOPs."""

from __future__ import annotations

from deepcore.nets.flops import flops_per_example
from deepcore.nets.net import Net
from deepcore.nets.networks import NETS, build, canonical

__all__ = ["NETS", "Net", "build", "canonical", "flops_per_example"]
