"""Large proxy runs of noise, for what depends on sizes alone."""

from __future__ import annotations

import functools

import numpy as np
import torch
from helpers import last_layer_network

from deepcore.proxy.run import ProxyRun
from deepcore.proxy.signals import TRAJECTORIES, Signal

CPU = torch.device("cpu")


@functools.cache
def a_run(n: int, features: int, classes: int, epochs: int = 20) -> ProxyRun:
    """Noise of these sizes, with every signal."""
    rng = np.random.default_rng(0)

    def noise(*shape):
        return np.abs(rng.standard_normal(shape)).astype(np.float32)

    q = n // 10
    ids, labels, drawn = np.arange(n), np.arange(n) % classes, noise(n, features)
    network = last_layer_network(drawn, labels, ids, noise(classes, features), noise(classes))
    return ProxyRun(
        ids=ids,
        labels=labels,
        num_classes=classes,
        val_ids=n + np.arange(q),
        val_labels=np.arange(q) % classes,
        trajectories={("online", signal): noise(epochs + 1, n) for signal in TRAJECTORIES}
        | {("post_epoch", Signal.LOSS): noise(epochs + 1, n)},
        val_trajectories={Signal.LOSS: noise(epochs + 1, q)},
        final={Signal.FEATURES: drawn, Signal.LOGITS: noise(n, classes)},
        val_final={Signal.FEATURES: noise(q, features), Signal.LOGITS: noise(q, classes)},
        spec={"identity": {"seed": 0}},
        device=CPU,
        network=network,
        own=ProxyRun(ids[:q], labels[:q], classes, network=network),
    )  # fmt: skip
