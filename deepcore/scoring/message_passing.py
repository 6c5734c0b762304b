"""Message passing over a nearest-neighbour graph, and the greedy choice that passes messages back (D2).

A graph of n nodes is three arrays, n + 1 + 2 E numbers for E edges; nothing is n x n.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from deepcore.scoring.neighbours import nearest_neighbours


@dataclass(frozen=True)
class Graph:
    """Directed edges of nodes 0..n-1, grouped by source; of one source by (distance, target).

    Attributes:
        starts: (n + 1,) int64; the edges of node i are starts[i]:starts[i + 1].
        targets: (E,) int64.
        distances: (E,) float64.
    """

    starts: np.ndarray
    targets: np.ndarray
    distances: np.ndarray

    @classmethod
    def of_edges(cls, n: int, sources: np.ndarray, targets: np.ndarray, distances: np.ndarray) -> Graph:
        """From edges in any order, each once."""
        order = np.lexsort((targets, distances, sources))
        starts = np.concatenate([[0], np.cumsum(np.bincount(sources, minlength=n))])
        return cls(starts, targets[order], distances[order])

    @property
    def sources(self) -> np.ndarray:
        """(E,) int64, not decreasing."""
        return np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))

    def symmetric(self) -> Graph:
        """With the reverse of every edge."""
        n = len(self.starts) - 1
        sources, targets = self.sources, self.targets
        both = np.concatenate([sources * n + targets, targets * n + sources])
        keys, first = np.unique(both, return_index=True)
        return Graph.of_edges(n, keys // n, keys % n, np.tile(self.distances, 2)[first])


def neighbour_graph(
    features: np.ndarray,
    rows: np.ndarray,
    neighbors: int,
    parts: Sequence[np.ndarray],
    *,
    normalize: bool = False,
    device: torch.device | str = "cpu",
) -> Graph:
    """Each node joined to its nearest ones within its part; ties to the lower node.

    Args:
        features: (N, D), may be memory-mapped: the rows of one part are read at a time.
        rows: (n,) the row of `features` of each node.
        neighbors: kappa; a part with fewer other nodes joins them all.
        parts: disjoint sets of nodes that cover all, each sorted.
        normalize: divide the distances of each part by their median (unless it is 0).
        device: where distances are computed.
    """
    sources, targets, distances = [], [], []
    for part in parts:
        near, lengths = nearest_neighbours(features[rows[part]], neighbors, device=device)
        median = float(np.median(lengths)) if normalize and lengths.size else 0.0
        sources.append(np.repeat(part, near.shape[1]))
        targets.append(part[near].ravel())
        distances.append((lengths / median if median > 0 else lengths).ravel())
    return Graph.of_edges(len(rows), *(np.concatenate(edges) for edges in (sources, targets, distances)))


def pass_forward(values: np.ndarray, graph: Graph, weights: np.ndarray, *, own: bool = False) -> np.ndarray:
    """sum over the neighbours j of i of weight_ij * values_j, with `own` also values_i, (n,) float64.

    Added smallest first: equal terms have equal sums to the bit, whatever the neighbours are called, so that
    duplicates, which send each other their values, are ties.
    """
    nodes, terms = graph.sources, weights * values[graph.targets]
    if own:
        nodes = np.concatenate([nodes, np.arange(len(values))])
        terms = np.concatenate([terms, values])
    order = np.lexsort((terms, nodes))
    return np.bincount(nodes[order], weights=terms[order], minlength=len(values))


def pick_and_pass_back(
    values: np.ndarray, graph: Graph, weights: np.ndarray, groups: np.ndarray, quotas: np.ndarray
) -> tuple[np.ndarray, int]:
    """Take the node of the largest value, subtract weight_ij times its value from each neighbour j, repeat.

    Equal to an argmax over all nodes that may be taken (ties: the lowest node), by a heap in which a changed
    value is entered anew and an outdated entry is dropped when it comes up; values may rise, since a negative
    one may be taken. O((n + picks * kappa) log n).

    Args:
        values: (n,) finite.
        graph, weights: edges and their (E,) weights.
        groups, quotas: group of each node (n,), and how many of each group are taken (fewer where it has
            fewer); nodes of a group that has its quota are passed over.

    Returns:
        Nodes in the order of picking, and how many of them had an equal in their group when they were
        picked.
    """
    current = np.asarray(values, dtype=np.float64).tolist()
    heap = [(-value, node) for node, value in enumerate(current)]
    heapq.heapify(heap)
    open_ = [True] * len(current)
    group_of, left = groups.tolist(), quotas.tolist()
    starts = graph.starts.tolist()
    alike = Counter(zip(group_of, current, strict=True))  # open nodes of a group by their value
    picks: list[int] = []
    k, tied = int(quotas.sum()), 0
    while heap and len(picks) < k:
        negative, node = heapq.heappop(heap)
        value = current[node]
        if not open_[node] or -negative != value:
            continue
        open_[node] = False
        if left[group_of[node]] == 0:
            continue
        left[group_of[node]] -= 1
        picks.append(node)
        alike[group_of[node], value] -= 1
        tied += alike[group_of[node], value] > 0
        edges = slice(starts[node], starts[node + 1])
        for other, weight in zip(graph.targets[edges].tolist(), weights[edges].tolist(), strict=True):
            if open_[other]:
                alike[group_of[other], current[other]] -= 1
                current[other] -= weight * value
                alike[group_of[other], current[other]] += 1
                heapq.heappush(heap, (-current[other], other))
    return np.array(picks, dtype=np.int64), tied
