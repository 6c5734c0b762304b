"""Proxy runs without a proxy: everything that a method may read, made from a seed in milliseconds."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import torch

from deepcore.common.meter import Meter
from deepcore.common.seeding import global_stream
from deepcore.data.memory import TensorRows
from deepcore.experiment.harness import Harness
from deepcore.experiment.seed_runs import SeedRuns, proxy_run
from deepcore.nets.net import Net
from deepcore.proxy.network import ProxyNetwork
from deepcore.proxy.run import ProxyRun
from deepcore.proxy.signals import TRAJECTORIES, Signal, signals_from_logits


def labels_of(*sizes: int) -> np.ndarray:
    """Labels of classes with these sizes, interleaved as a shuffled data set would have them."""
    labels = np.repeat(np.arange(len(sizes)), sizes)
    return np.random.default_rng(99).permutation(labels)


def full_run(
    labels: np.ndarray,
    *,
    epochs: int = 12,
    dim: int = 6,
    seed: int = 0,
    constant: bool = False,
    repeats: int = 2,
) -> ProxyRun:
    """A run that holds every signal in both recordings, final arrays, the last layer, validation rows (three
    a class) and `repeats` short runs; ids are sorted and not 0..N-1.

    The logits of a sample grow over the epochs towards those of its final features, with noise of its own
    size. With `constant`, all samples of the pool are the same sample but for their labels.
    """
    rng = np.random.default_rng(seed)
    n, classes = len(labels), int(labels.max()) + 1
    val_labels = np.repeat(np.arange(classes), 3)
    everyone = np.concatenate([labels, val_labels])
    centres = rng.normal(size=(classes, dim)) * 2
    weight, bias = centres * 0.7, rng.normal(size=classes) * 0.1
    features = np.abs(centres[everyone] + rng.normal(size=(len(everyone), dim)))
    noise = rng.uniform(0.2, 2.0, size=(len(everyone), 1))
    if constant:
        features[:n], noise[:n] = features[0], 0.0
    final = features @ weight.T + bias
    growth = 1 - np.exp(-np.arange(epochs + 1) / 4)[:, None, None]
    logits = {
        mode: growth * final + scale * noise * rng.normal(size=(epochs + 1, *final.shape))
        for mode, scale in (("online", 1.0), ("post_epoch", 0.5))
    }
    recorded = {mode: _signals(z, everyone, features) for mode, z in logits.items()}
    val_final = logits["post_epoch"][-1, n:]
    ids = np.sort(rng.choice(5 * n + 10, n, replace=False)).astype(np.int64)
    network = last_layer_network(features[:n], labels, ids, weight, bias)
    return ProxyRun(
        ids=ids,
        labels=labels.astype(np.int64),
        num_classes=classes,
        val_ids=5 * n + 10 + np.arange(len(val_labels)),
        val_labels=val_labels,
        trajectories={(mode, s): a[:, :n] for mode, held in recorded.items() for s, a in held.items()},
        val_trajectories={s: a[:, n:] for s, a in recorded["post_epoch"].items()},
        final={Signal.LOGITS: _single(final[:n]), Signal.FEATURES: _single(features[:n])},
        val_final={Signal.LOGITS: _single(val_final), Signal.FEATURES: _single(features[n:])},
        last_layer=(_single(weight), _single(bias)),
        network=network,
        own=ProxyRun(
            np.arange(len(val_labels)), val_labels, classes, network=network, folder=Path("validation")
        ),
        repeats=tuple(
            dataclasses.replace(
                full_run(
                    labels, epochs=10, dim=dim, seed=1000 * (seed + 1) + i, constant=constant, repeats=0
                ),
                ids=ids,
            )
            for i in range(repeats)
        ),
    )


def proxy_of(harness: Harness, seed: int, repeat: int = 0) -> ProxyRun:
    """The proxy run of a seed of a harness, stored or trained now."""
    task = harness.plan.proxies[seed, repeat]
    return proxy_run(harness.plan, harness.runtime, harness.progress, task)


def seed_runs(harness: Harness, seed: int = 0) -> SeedRuns:
    """The proxy runs and selections of a seed of a harness."""
    return SeedRuns(harness.plan, harness.runtime, seed)


def last_layer_network(features, labels, ids, weight, bias):
    """What `ProxyRun.network` gives: the last layer alone, whose inputs are the features of the candidates.
    Before the first step its weights are 0."""
    inputs = np.zeros((int(ids.max()) + 1, features.shape[1]), np.float32)
    inputs[ids] = features
    of_rows = np.zeros(len(inputs), np.int64)
    of_rows[ids] = labels
    zeros = np.zeros(features.shape[1])
    data = TensorRows(torch.from_numpy(inputs), of_rows, mean=zeros, std=zeros + 1)

    def network(trained: bool) -> ProxyNetwork:
        with global_stream(0, "unused"):
            net = Net(torch.nn.Flatten(), features.shape[1], len(bias))
        with torch.no_grad():
            net.head.weight.copy_(torch.from_numpy(weight * trained))
            net.head.bias.copy_(torch.from_numpy(bias * trained))
        cpu = torch.device("cpu")
        return ProxyNetwork(net.eval().requires_grad_(False), data, cpu, Meter(cpu))

    return network


def on_a_share(run: ProxyRun, share: float = 0.5, seed: int = 4) -> ProxyRun:
    """The candidates of `run`, and as its `own` the same recordings for a share of them alone, with the
    features of the others."""
    n = len(run.ids)
    part = np.sort(np.random.default_rng(seed).choice(n, max(1, int(share * n)), replace=False))
    rest = np.setdiff1d(np.arange(n), part)
    own = dataclasses.replace(
        permuted(run, part),
        rest_ids=run.ids[rest],
        rest_features=run.final[Signal.FEATURES][rest],
        own=None,
    )
    bare = {"trajectories": {}, "val_trajectories": {}, "final": {}, "val_final": {}, "repeats": ()}
    return dataclasses.replace(run, **bare, network=None, own=own)


def online_run(labels: np.ndarray, **signals: np.ndarray) -> ProxyRun:
    """A run without row 0 from online trajectories given by signal name, (T, N); ids 0..N-1."""
    labels = np.asarray(labels, dtype=np.int64)
    trajectories = {("online", Signal(name)): _single(np.asarray(a)) for name, a in signals.items()}
    return ProxyRun(
        np.arange(len(labels)), labels, int(labels.max()) + 1, trajectories=trajectories, has_initial=False
    )


def permuted(run: ProxyRun, order: np.ndarray) -> ProxyRun:
    """The same candidates stored in another order."""
    return dataclasses.replace(
        run,
        ids=run.ids[order],
        labels=run.labels[order],
        trajectories={key: a[:, order] for key, a in run.trajectories.items()},
        final={s: a[order] for s, a in run.final.items()},
        repeats=tuple(permuted(r, order) for r in run.repeats),
    )


def _signals(logits: np.ndarray, labels: np.ndarray, features: np.ndarray) -> dict[Signal, np.ndarray]:
    z, y = torch.from_numpy(logits), torch.from_numpy(labels)
    norm2 = torch.from_numpy((features**2).sum(axis=1))
    rows = [
        signals_from_logits(
            z[t], y, frozenset(TRAJECTORIES), feature_norm2=norm2, before=z[t - 1] if t else None
        )
        for t in range(len(z))
    ]
    return {s: torch.stack([row[s] for row in rows]).numpy() for s in TRAJECTORIES}


def _single(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(array, dtype=np.float32)
