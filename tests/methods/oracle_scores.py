"""Slow references for the scores of predictions, features, trajectories and inputs: plain loops in float64,
written from the definitions alone, without a look at the code they check.

Names: z logits (N, C), h features (N, D), y labels (N,), ids (N,) row ids, k the budget of a part.
"""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np


def softmax(row):
    top = max(row)
    powers = [math.exp(value - top) for value in row]
    total = math.fsum(powers)
    return [power / total for power in powers]


def log_softmax(row):
    top = max(row)
    total = math.log(math.fsum(math.exp(value - top) for value in row))
    return [value - top - total for value in row]


# --- uncertainty -----------------------------------------------------------------------------------


def least_confidence(z):
    return np.array([max(softmax(row)) for row in z])


def entropy(z):
    return np.array([-math.fsum(p * math.log(p) for p in softmax(row) if p > 0) for row in z])


def margin(z):
    out = []
    for row in z:
        first, second = sorted(softmax(row), reverse=True)[:2]
        out.append(first - second)
    return np.array(out)


# --- Cal and Moderate ------------------------------------------------------------------------------


def nearest(h, ids, neighbors, group):
    """Positions of the nearest others of the same group, by (distance, id)."""
    out = []
    for i in range(len(h)):
        others = [j for j in range(len(h)) if j != i and group[j] == group[i]]
        out.append(sorted(others, key=lambda j: (math.dist(h[i], h[j]), ids[j]))[:neighbors])
    return out


def symmetric_kl(a, b):
    p, q, log_p, log_q = softmax(a), softmax(b), log_softmax(a), log_softmax(b)
    forward = math.fsum(pc * (x - y) for pc, x, y in zip(p, log_p, log_q, strict=True))
    back = math.fsum(qc * (y - x) for qc, x, y in zip(q, log_p, log_q, strict=True))
    return (forward + back) / 2


def cal(z, h, ids, neighbors, group):
    out = []
    for i, near in enumerate(nearest(h, ids, neighbors, group)):
        values = [symmetric_kl(list(z[i]), list(z[j])) for j in near]
        out.append(math.fsum(values) / len(values) if values else 0.0)
    return np.array(out)


def median(values):
    values, middle = sorted(map(float, values)), len(values) // 2
    return values[middle] if len(values) % 2 else (values[middle - 1] + values[middle]) / 2


def moderate(h, y):
    centres = {c: [median(column) for column in zip(*h[y == c], strict=True)] for c in set(y.tolist())}
    return np.array([math.dist(row, centres[c]) for row, c in zip(h, y.tolist(), strict=True)])


def middle(scores, ids, k):
    """The positions that stay when round((n - k) / 2) are dropped at the low end, the rest at the high."""
    order = sorted(range(len(ids)), key=lambda i: (scores[i], ids[i]))
    low = round((len(ids) - k) / 2)
    return order[low : low + k]


# --- quotas of DRoP --------------------------------------------------------------------------------


def drop_shares(sizes, recalls, k):
    """{class: rows, not rounded} by the paper's loop: hand out what is left by n_c (1 - r_c) among the
    classes that are not full, take back what a class cannot hold, repeat."""
    given = {c: Fraction(0) for c in sizes}
    open_, left = set(sizes), Fraction(k)
    while left > 0:
        weights = {c: sizes[c] * (1 - recalls[c]) for c in open_}
        total = sum(weights.values())
        if total == 0:  # only classes without an error are left
            weights = {c: Fraction(sizes[c]) for c in open_}
            total = sum(weights.values())
        handed, left = left, Fraction(0)
        for c in sorted(open_):
            given[c] += handed * weights[c] / total
        for c in sorted(open_):
            if given[c] >= sizes[c]:
                left += given[c] - sizes[c]
                given[c] = Fraction(sizes[c])
                open_.remove(c)
    return given


def drop_quotas(sizes, recalls, k):
    """The shares in whole rows: largest remainder, ties to the lower class; then one for each empty class,
    from the largest quota (ties: the higher class), when the budget allows."""
    shares = drop_shares(sizes, recalls, k)
    out = {c: math.floor(share) for c, share in shares.items()}
    by_remainder = sorted(sizes, key=lambda c: (out[c] - shares[c], c))
    for c in by_remainder[: k - sum(out.values())]:
        out[c] += 1
    if k >= len(sizes):
        for c in sorted(sizes):
            if out[c] == 0:
                out[max(sizes, key=lambda d: (out[d], d))] -= 1
                out[c] = 1
    return out


# --- S2L -------------------------------------------------------------------------------------------


def even_draws(counts, k):
    """Rows drawn from each cluster: small clusters first, each gets its part of what is left."""
    out, order = [0] * len(counts), sorted(range(len(counts)), key=lambda c: (counts[c], c))
    for turn, c in enumerate(order):
        out[c] = min(counts[c], (k - sum(out)) // (len(counts) - turn))
    return out


# --- InfoMax ---------------------------------------------------------------------------------------


def cosine(a, b):
    size = math.sqrt(math.fsum(x * x for x in a)) * math.sqrt(math.fsum(x * x for x in b))
    return math.fsum(x * y for x, y in zip(a, b, strict=True)) / size if size else 0.0


def similar(h, ids, neighbors):
    """{(i, j): cosine} of each row's most similar others, by (cosine, id)."""
    out = {}
    for i in range(len(h)):
        others = [(-cosine(h[i], h[j]), ids[j], j) for j in range(len(h)) if j != i]
        out |= {(i, j): -negative for negative, _, j in sorted(others)[:neighbors]}
    return out


def information(x, scores, edges, weight):
    gain = math.fsum(s * v for s, v in zip(scores, x, strict=True))
    return gain - weight * math.fsum(cos * x[i] * x[j] for (i, j), cos in edges.items())


def best_subset(scores, edges, weight, k):
    """The largest objective of any k rows."""
    rows = range(len(scores))
    chosen = ([float(i in picks) for i in rows] for picks in map(set, itertools.combinations(rows, k)))
    return max(information(x, scores, edges, weight) for x in chosen)


# --- score extrapolation ---------------------------------------------------------------------------


def extrapolate(scores, scored, others, neighbors):
    """Weighted mean of the nearest scored rows' scores, weights exp(-distance)."""
    out = []
    for row in others:
        near = sorted((math.dist(row, known), i) for i, known in enumerate(scored))[:neighbors]
        weights = [math.exp(-d) for d, _ in near]
        out.append(math.fsum(w * scores[i] for w, (_, i) in zip(weights, near, strict=True)) / sum(weights))
    return np.array(out)
