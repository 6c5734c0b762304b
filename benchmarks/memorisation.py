"""How much each sample is memorised (Feldman & Zhang 2020), and validation sets chosen by it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from benchmarks.many_nets import Member, train_many
from deepcore.common.seeding import stream
from deepcore.data.record import LabeledData
from deepcore.training.spec import TrainSpec

SHARE = 0.7  # of the samples, that each network is trained on
SETS = ("highest", "lowest", "proportional", "random", "mixed")


def memorisation(
    net: str,
    data: LabeledData,
    ids: np.ndarray,
    spec: TrainSpec,
    *,
    networks: int,
    device: torch.device,
    advance: Callable[[], None] = lambda: None,
) -> np.ndarray:
    """`mem` of the train rows `ids`, (n,) in [-1, 1], from networks on random 70% subsets of them.

    Args:
        net: in NETS.
        data: the rows are of its train part.
        ids: of the samples.
        spec: the recipe.
        networks: number of them; the error of `mem` is about 1 / sqrt(networks) in the worst case.
        device: where they are trained.
        advance: called for each network.
    """
    rng = stream(0, "memorisation")
    inside = np.zeros((networks, len(ids)), dtype=bool)
    for row in inside:
        row[rng.choice(len(ids), round(SHARE * len(ids)), replace=False)] = True
    members = [Member(ids[row], seed) for seed, row in enumerate(inside)]
    correct = np.zeros_like(inside)
    labels = torch.from_numpy(data.train.labels[ids]).to(device)
    for which, trained in train_many(
        net, data.train, data.num_classes, members, spec, device=device, group=8
    ):
        _, logits = trained.outputs(data.train, ids)
        correct[which] = (logits.argmax(-1) == labels).cpu().numpy()
        for _ in range(which.start, which.stop):
            advance()
    return difference_of_accuracies(correct, inside)


def difference_of_accuracies(correct: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Each sample's accuracy over the networks that were trained on it, minus that over the others, (n,).

    Args:
        correct, inside: (networks, n) bool. A sample that all networks, or none, were trained on has 0.
    """
    count = inside.sum(axis=0)
    with np.errstate(invalid="ignore"):
        own = (correct & inside).sum(axis=0) / count
        others = (correct & ~inside).sum(axis=0) / (len(inside) - count)
    return np.nan_to_num(own - others)


def validation_sets(
    mem: np.ndarray, labels: np.ndarray, size: int, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Five validation sets of about `size` rows, positions into the pool; every class gives equally many.

    "highest" and "lowest" by mem; "proportional": from ten equal bins of mem between the class's extremes, in
    proportion to their sizes; "random"; "mixed": half of the highest, half of the lowest.

    Args:
        mem: (n,) of the pool.
        labels: (n,).
        size: rows.
        rng: draws.
    """
    classes = np.unique(labels)
    k, found = size // len(classes), {name: [] for name in SETS}
    for c in classes:
        rows = np.flatnonzero(labels == c)
        order = rows[np.argsort(mem[rows], kind="stable")]
        found["highest"].append(order[-k:])
        found["lowest"].append(order[:k])
        found["proportional"].append(_proportional(rows, mem[rows], k, rng))
        found["random"].append(rng.choice(rows, k, replace=False))
        found["mixed"].append(np.concatenate([order[: k - k // 2], order[len(order) - k // 2 :]]))
    return {name: np.sort(np.concatenate(parts)) for name, parts in found.items()}


def _proportional(rows: np.ndarray, mem: np.ndarray, k: int, rng: np.random.Generator) -> np.ndarray:
    """k of the rows, from ten bins of mem by largest remainders."""
    edges = np.linspace(mem.min(), mem.max(), 11)[1:-1]
    bins = np.digitize(mem, edges)
    shares = k * np.bincount(bins, minlength=10) / len(rows)
    quota = np.floor(shares).astype(int)
    quota[np.argsort(quota - shares, kind="stable")[: k - quota.sum()]] += 1
    picks = [rng.choice(rows[bins == b], n, replace=False) for b, n in enumerate(quota) if n]
    return np.concatenate(picks)
